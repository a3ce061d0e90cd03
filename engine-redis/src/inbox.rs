//! [`Inbox`]: takes in what the subscriber hears, and never keeps it waiting: what is quick is done at once, and the
//! rest handed over to tasks, within bounds. What finds no room is dropped and counted.

use std::sync::{
    Arc, Weak,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use herenow::cluster::LocalNode;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    ask::{Arrived, Questions},
    cluster::Cluster,
    directory::Directory,
    frame::{self, Asker, Counted, Frame},
    keys::Keys,
    link::Link,
    marks::Marks,
    observe::dropped,
    queue::{Queue, Queued},
    receipts::{PATIENCE, Receipts},
};

/// What comes in by one Redis.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) cluster: Cluster,
    /// Beats that came back, by number.
    pub(crate) echoes: watch::Sender<u64>,
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) work: Queue<Work>,
    pub(crate) arrived: mpsc::Sender<Arrived>,
    /// A marker came.
    pub(crate) retired: AtomicBool,
}

/// What is done in the order in which it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Deliver a push.
    Push(Asker, Bytes),
    /// Hear what happened.
    Event(Bytes),
    /// Everything before this mark has been delivered.
    Mark(u64),
    /// All that was sent before this node retired is here.
    Marker(Bytes),
}

impl Inbox {
    /// Takes a frame in. Quick; called by the connection's reader. Of events, a copy of what comes another way too is none.
    pub(crate) fn take(&self, bytes: Bytes, is_copy: bool) {
        let size = bytes.len();
        let Some(frame) = frame::read(bytes) else {
            dropped("unreadable");
            return;
        };
        match frame {
            Frame::Beat(seq) => {
                self.echoes.send_if_modified(|last| {
                    let newer = seq > *last;
                    *last = seq.max(*last);
                    newer
                });
            }
            Frame::News => self.cluster.news(),
            Frame::Push(asker, push) if asker.node != self.cluster.node() => {
                if self.work.offer(Work::Push(asker, push), size).is_err() {
                    dropped("push");
                }
            }
            Frame::Push(..) => {} // This node's own, said to everybody.
            Frame::Receipts(all) => all.into_iter().for_each(|counted| self.receipts.counted(counted)),
            Frame::Question { asker, .. } if asker.node == self.cluster.node() => {}
            Frame::Question { asker, surely, query } => {
                // A sure one comes again with the next beat.
                if self.arrived.try_send(Arrived { asker, surely, query }).is_err() {
                    dropped("question");
                }
            }
            Frame::Answer(from, answer) => self.questions.answered(from, answer),
            // This node's own, so there are few; what it never sent is noise.
            Frame::Mark(number) if self.marks.is_waiting(number) => drop(self.work.add(Work::Mark(number))),
            Frame::Mark(_) => dropped("unreadable"),
            Frame::Event(_) if is_copy => {}
            Frame::Event(body) => self.must(Work::Event(body), size),
            // The first is this node's own, whatever waits before it.
            Frame::Marker(body) if !self.retired.swap(true, Relaxed) => {
                drop(self.work.add(Work::Marker(body)));
            }
            Frame::Marker(body) => self.must(Work::Marker(body), size),
        }
    }

    /// What may not be missed unnoticed: without it the node has to look anew.
    fn must(&self, work: Work, size: usize) {
        if self.work.offer(work, size).is_err() {
            dropped("event");
            self.cluster.learn(|facts| facts.dropped += 1);
        }
    }
}

/// A push that was delivered here, and where its counts will be told.
pub(crate) type Delivered = (Asker, oneshot::Receiver<herenow::RemoteCounts>);

/// Delivers what came in, in its order.
pub(crate) async fn take_in(
    mut work: Queued<Work>,
    local: Weak<dyn LocalNode>,
    directory: Arc<Directory>,
    marks: Arc<Marks>,
    delivered: mpsc::Sender<Delivered>,
) {
    while let Some(work) = work.next().await {
        match work {
            Work::Push(asker, push) => {
                let Some(local) = local.upgrade() else { return };
                // After the marker comes only what is for everybody, and that is kept for whoever takes over.
                let delivered_here =
                    if directory.is_retired() { pass_by(asker) } else { deliver(local, asker, push) };
                if let Some(counting) = delivered_here
                    && delivered.try_send(counting).is_err()
                {
                    dropped("receipt");
                }
            }
            Work::Event(body) => directory.heard(&body),
            Work::Mark(number) => marks.came(number),
            Work::Marker(body) => directory.marked(&body),
        }
    }
}

/// Delivers a push; if somebody wants to know what came of it, that is what is returned.
fn deliver(local: Arc<dyn LocalNode>, asker: Asker, push: Bytes) -> Option<Delivered> {
    let (reply, counts) = oneshot::channel();
    let wanted = asker.number != 0;
    local.deliver(push, wanted.then_some(reply));
    wanted.then_some((asker, counts))
}

/// Leaves a push to others, and says so to whoever wants to know.
fn pass_by(asker: Asker) -> Option<Delivered> {
    (asker.number != 0).then(|| (asker, oneshot::channel().1))
}

/// Sends back what came of the pushes of others: all that is ready goes in one frame to each.
pub(crate) async fn send_receipts(link: Link, keys: Arc<Keys>, mut delivered: mpsc::Receiver<Delivered>) {
    use futures_util::{StreamExt, stream::FuturesUnordered};
    let mut counting = FuturesUnordered::new();
    loop {
        let first = tokio::select! {
            more = delivered.recv(), if counting.len() < COUNTING => match more {
                Some(more) => {
                    counting.push(counted(more));
                    None
                }
                None => return,
            },
            Some(first) = counting.next() => Some(first),
        };
        while counting.len() < COUNTING
            && let Ok(more) = delivered.try_recv()
        {
            counting.push(counted(more));
        }
        let mut ready = std::collections::BTreeMap::<u32, Vec<Counted>>::new();
        let mut next = first;
        // What is ready now, and not one moment later.
        for _ in 0..AT_ONCE {
            if let Some((node, counted)) = next.take() {
                ready.entry(node).or_default().push(counted);
            }
            match futures_util::poll!(counting.next()) {
                std::task::Poll::Ready(Some(one)) => next = Some(one),
                _ => break,
            }
        }
        if let Some((node, counted)) = next {
            ready.entry(node).or_default().push(counted);
        }
        let calls = ready.into_iter().map(|(node, counted)| {
            keys.publish(keys.inbox(node.to_be_bytes()), &frame::receipts(&counted)).into()
        });
        // Who asked waits two seconds and no longer.
        let _ = link.run_all(calls.collect()).await;
    }
}

/// So many receipts may be awaited, and as many wait for that; those of more are not told.
pub(crate) const COUNTING: usize = 65_536;

/// So many receipts go into one go.
const AT_ONCE: usize = 1024;

async fn counted((asker, counts): Delivered) -> (u32, Counted) {
    // A node that does not say what it did took it all the same.
    let counts = tokio::time::timeout(PATIENCE, counts).await.ok().and_then(Result::ok).unwrap_or_default();
    let short = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let (matched, enqueued, held) = (short(counts.matched), short(counts.enqueued), short(counts.held));
    (asker.node, Counted { number: asker.number, matched, enqueued, held })
}
