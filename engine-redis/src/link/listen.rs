//! The subscriber: a connection that hears this node's inboxes, what is for everybody, and the firehose while somebody
//! wants it. What it hears goes to the [`Inbox`], which never keeps it waiting.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use redis::{PushInfo, PushKind, Value, aio::MultiplexedConnection};
use tokio::sync::watch;

use super::{Backoff, Dial};
use crate::{cluster::Cluster, error::ConnectError, health::Hearing, inbox::Inbox, keys::Keys, observe};

/// What the subscriber needs to know.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) dial: Dial,
    pub(crate) cluster: Cluster,
    pub(crate) keys: Arc<Keys>,
    pub(crate) inbox: Arc<Inbox>,
    /// Whether the firehose is wanted.
    pub(crate) everything: watch::Receiver<bool>,
}

impl Listener {
    /// Listens for as long as it is polled.
    pub(crate) async fn run(mut self) {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let mut backoff = Backoff::new(self.cluster.lease_time());
        loop {
            backoff.wait().await;
            let number = NUMBERS.fetch_add(1, Relaxed);
            let (end, ended) = watch::channel(false);
            let ear = Ear {
                inbox: self.inbox.clone(),
                firehose: self.keys.firehose().into_bytes(),
                all: self.keys.all().into_bytes(),
                hears_all: AtomicBool::new(false),
                end,
            };
            let connection = self.dial.open(move |info| ear.hear(info)).await;
            match connection {
                Ok(connection) => {
                    observe::connected("subscriber");
                    let heard = self.hear_with(connection, number, ended, &mut backoff).await;
                    self.cluster.learn(|facts| facts.hearing = None);
                    if let Err(error) = heard {
                        tracing::warn!(%error, "the subscription is lost");
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot subscribe"),
            }
        }
    }

    /// Hears by one connection until it is lost, or found deaf.
    async fn hear_with(
        &mut self,
        mut connection: MultiplexedConnection,
        number: u64,
        mut ended: watch::Receiver<bool>,
        backoff: &mut Backoff,
    ) -> Result<(), ConnectError> {
        let mut facts = self.cluster.facts();
        let deaf = facts.borrow_and_update().deaf;
        let mut heard = BTreeSet::new();
        loop {
            let lease = facts.borrow_and_update().lease.map(|held| held.id);
            let wanted = self.wanted(lease.unwrap_or(self.cluster.me()));
            let missing: Vec<_> = wanted.difference(&heard).cloned().collect();
            let unwanted: Vec<_> = heard.difference(&wanted).cloned().collect();
            self.settle(&mut connection, &missing, &unwanted).await?;
            heard = wanted;
            // A lease's inbox is heard from here on; before there is one, nothing is.
            self.cluster
                .learn(|facts| facts.hearing = lease.map(|lease| Hearing { connection: number, lease }));
            // A node that registered before was not heard.
            self.cluster.news();
            backoff.reset();
            tokio::select! {
                changed = facts.wait_for(|facts| {
                    let other = facts.lease.is_some_and(|held| Some(held.id) != lease);
                    other || facts.deaf != deaf
                }) => {
                    if changed.is_ok_and(|facts| facts.deaf != deaf) {
                        return Ok(());
                    }
                }
                _ = self.everything.changed() => {}
                _ = ended.wait_for(|ended| *ended) => {
                    let (address, reason) = (self.dial.to_string(), "the connection ended".to_owned());
                    return Err(ConnectError::Unreachable { address, reason });
                }
            }
        }
    }

    fn wanted(&mut self, lease: crate::lease::LeaseId) -> BTreeSet<Vec<u8>> {
        let node = self.cluster.node().to_be_bytes();
        let mut wanted = BTreeSet::from([
            self.keys.inbox(node).into(),
            self.keys.inbox(lease).into(),
            self.keys.all().into(),
        ]);
        if *self.everything.borrow_and_update() {
            wanted.insert(self.keys.firehose().into());
        }
        wanted
    }

    /// Subscribes and unsubscribes, and waits until Redis has confirmed it.
    async fn settle(
        &self,
        connection: &mut MultiplexedConnection,
        missing: &[Vec<u8>],
        unwanted: &[Vec<u8>],
    ) -> Result<(), ConnectError> {
        let settled = async {
            if self.keys.are_sharded() {
                // One by one: of several in one command none is subscribed to if their slots differ.
                for (command, channels) in [("SSUBSCRIBE", missing), ("SUNSUBSCRIBE", unwanted)] {
                    for channel in channels {
                        super::ask(connection, redis::cmd(command).arg(channel)).await?;
                    }
                }
                return Ok(());
            }
            if !missing.is_empty() {
                connection.subscribe(missing).await?;
            }
            if !unwanted.is_empty() {
                connection.unsubscribe(unwanted).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(self.dial.timeout(), settled).await {
            Ok(settled) => settled.map_err(|error| super::dial::said(error, self.dial.to_string())),
            Err(_) => {
                let reason = format!("no answer within {:?}", self.dial.timeout());
                Err(ConnectError::Unreachable { address: self.dial.to_string(), reason })
            }
        }
    }
}

/// What one connection hears.
struct Ear {
    inbox: Arc<Inbox>,
    firehose: Vec<u8>,
    /// What is for everybody: this node never unsubscribes from it.
    all: Vec<u8>,
    /// From the moment on at which Redis confirmed it, events come by the firehose, and those in the inbox are the same.
    hears_all: AtomicBool,
    end: watch::Sender<bool>,
}

impl Ear {
    /// Called by the connection's own reader, in the order in which Redis said it: it must not block.
    fn hear(&self, PushInfo { kind, data }: PushInfo) {
        let mut data = data.into_iter();
        let Some(Value::BulkString(channel)) = data.next() else {
            if kind == PushKind::Disconnection {
                self.end.send_replace(true);
            }
            return;
        };
        let is_firehose = channel == self.firehose;
        match kind {
            PushKind::Message | PushKind::SMessage => {
                if let (Some(Value::BulkString(frame)), None) = (data.next(), data.next()) {
                    let is_copy = !is_firehose && self.hears_all.load(Relaxed);
                    self.inbox.take(Bytes::from(frame), is_copy);
                }
            }
            PushKind::Subscribe | PushKind::SSubscribe if is_firehose => self.hears_all.store(true, Relaxed),
            PushKind::Unsubscribe | PushKind::SUnsubscribe if is_firehose => {
                self.hears_all.store(false, Relaxed);
            }
            // The slot has moved: its new owner is to be asked.
            PushKind::SUnsubscribe if channel == self.all => drop(self.end.send_replace(true)),
            PushKind::Disconnection => drop(self.end.send_replace(true)),
            _ => {}
        }
    }
}
