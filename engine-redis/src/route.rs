//! Pushes on their way to other nodes: put into a bounded queue, and sent by one task in the order in which they came,
//! many in one go.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, poll, stream::FuturesUnordered};
use redis::Value;

use crate::{
    cluster::Cluster,
    directory::Directory,
    error::Unavailable,
    frame::{self, Asker, To},
    keys::Keys,
    link::Link,
    queue::Queued,
    receipts::Receipts,
    script::Call,
};

/// A push that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Routed {
    /// Of its receipt.
    pub(crate) number: u64,
    pub(crate) to: To,
    pub(crate) frame: Bytes,
}

impl Routed {
    /// What it counts for in the queue.
    pub(crate) fn size(&self) -> usize {
        let to = match &self.to {
            To::Users(users) => users.len() * 64,
            _ => 64,
        };
        to + self.frame.len()
    }
}

/// Sends what is routed by one Redis.
pub(crate) struct Sender {
    pub(crate) cluster: Cluster,
    pub(crate) link: Link,
    pub(crate) keys: Arc<Keys>,
    pub(crate) directory: Arc<Directory>,
    /// Those of all Redis: users named together may stand in several.
    pub(crate) directories: Vec<Arc<Directory>>,
    pub(crate) receipts: Arc<Receipts>,
}

/// So many pushes go in one pipeline, and so many pipelines are under way.
const BATCH: usize = 256;
const PIPELINES: usize = 8;

type UnderWay = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>;

impl Sender {
    /// Sends until nothing more can come.
    pub(crate) async fn run(self, mut queued: Queued<Routed>) {
        let mut under_way = UnderWay::new();
        loop {
            let first = tokio::select! {
                biased;
                Some(()) = under_way.next() => continue,
                first = queued.next(), if under_way.len() < PIPELINES => first,
            };
            let Some(first) = first else { return };
            let (mut calls, mut numbers) = (Vec::new(), Vec::new());
            let mut next = Some(first);
            while let Some(Routed { number, to, frame }) = next {
                let wanted = self.receipts.is_awaited(number);
                let asker = Asker { node: self.cluster.node(), number: if wanted { number } else { 0 } };
                let frame = frame::push(asker, &frame);
                if let To::Users(users) = to {
                    // What was queued before goes out before these are looked up, and what comes after, after them.
                    self.start(&mut under_way, std::mem::take(&mut calls), std::mem::take(&mut numbers))
                        .await;
                    match self.to_users(&users, frame).await {
                        Ok(Some(call)) => {
                            calls.push(call);
                            numbers.push(number);
                        }
                        Ok(None) => self.receipts.sent(number, 0, 0),
                        Err(_) => self.receipts.give_up(number),
                    }
                } else {
                    calls.push(self.call(to, frame));
                    numbers.push(number);
                }
                next = if calls.len() < BATCH { queued.ready() } else { None };
            }
            self.start(&mut under_way, calls, numbers).await;
        }
    }

    fn call(&self, to: To, frame: Vec<u8>) -> Call {
        let me = self.cluster.me();
        match to {
            To::User(user) => self.directory.push_to_user(&user, &frame, me),
            To::Channel(channel) => self.directory.push_to_channel(&channel, &frame, me),
            To::Node(node) => self.directory.push_to_nodes(&[node], &frame),
            To::Mark(number) => {
                let inbox = self.keys.inbox(self.cluster.node().to_be_bytes());
                self.keys.publish(inbox, &frame::mark(number)).into()
            }
            To::Everyone | To::Users(_) => self.directory.push_to_all(&frame),
        }
    }

    /// One publication to each node that has one of the users; none if there is no such node.
    async fn to_users(
        &self,
        users: &[herenow::UserKey],
        frame: Vec<u8>,
    ) -> Result<Option<Call>, Unavailable> {
        let mut nodes = std::collections::BTreeSet::new();
        for directory in &self.directories {
            nodes.extend(directory.owners(users).await?);
        }
        nodes.remove(&self.cluster.node());
        let nodes: Vec<u32> = nodes.into_iter().collect();
        Ok((!nodes.is_empty()).then(|| self.directory.push_to_nodes(&nodes, &frame)))
    }

    /// Hands calls to the connection, which keeps their order, and does not wait for what comes of them.
    async fn start(&self, under_way: &mut UnderWay, calls: Vec<Call>, numbers: Vec<u64>) {
        if calls.is_empty() {
            return;
        }
        let (link, receipts) = (self.link.clone(), self.receipts.clone());
        let mut sending: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let answers = link.run_all(calls).await;
            let answers = answers.unwrap_or_default();
            for (index, number) in numbers.into_iter().enumerate() {
                match answers.get(index).and_then(|answer| answer.as_ref().ok()).and_then(told) {
                    Some((told, kept)) => receipts.sent(number, told, kept),
                    None => receipts.give_up(number),
                }
            }
        });
        // The first poll hands it over: the order of first polls is the order in Redis.
        if poll!(&mut sending).is_pending() {
            under_way.push(sending);
        }
    }
}

/// What a push answers: nodes it was sent to, and nodes that left for which it is kept.
fn told(answer: &Value) -> Option<(u64, u64)> {
    match answer {
        Value::Array(parts) => match parts[..] {
            [Value::Int(told), Value::Int(kept), ..] => Some((told.try_into().ok()?, kept.try_into().ok()?)),
            _ => None,
        },
        _ => None,
    }
}
