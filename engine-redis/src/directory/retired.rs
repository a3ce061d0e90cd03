//! A node stops: what is sent to it from then on is kept for whoever its clients come back to.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use herenow::cluster::EngineError;

use super::{
    Directory,
    scripts::{RETIRE, UNRETIRE},
};
use crate::{error::Unavailable, frame};

/// How long the marker may take to come back.
const PATIENCE: Duration = Duration::from_secs(2);

impl Directory {
    /// From here on what is sent to this node is kept; when this returns, all that was sent before is here.
    pub(crate) async fn retire(&self, keep: Duration) -> Result<(), EngineError> {
        self.flush().await?;
        let (me, node) = (self.cluster.me(), self.cluster.node());
        let keys = [self.keys.retired(), self.keys.left(node)];
        let (number, marker) = self.marker(true);
        let args = (
            &me[..],
            &node.to_be_bytes()[..],
            keep.as_millis() as u64,
            format!("{node:08x}"),
            self.keys.inbox(me),
            &marker[..],
        );
        self.link.run::<i64>(RETIRE.call(&keys[..], args)).await?;
        self.came(number).await
    }

    /// It does not retire after all, as where another Redis did not take that: what was kept meanwhile is delivered here.
    pub(crate) async fn unretire(&self) -> Result<(), EngineError> {
        let (me, node) = (self.cluster.me(), self.cluster.node());
        let keys = [self.keys.retired(), self.keys.left(node)];
        let (number, marker) = self.marker(false);
        let args = (&me[..], &node.to_be_bytes()[..], self.keys.inbox(me), &marker[..]);
        let kept: Vec<Vec<u8>> = self.link.run(UNRETIRE.call(&keys[..], args)).await?;
        if let Some(local) = self.local() {
            kept.into_iter().for_each(|frame| local.clone().deliver(frame.into(), None));
        }
        let came = self.came(number).await;
        // Where more came than the inbox takes, the marker is lost, and what comes is for this node all the same.
        self.retired.store(false, Ordering::Release);
        came
    }

    /// What says in the inbox from where on this node is retired, or is no more.
    fn marker(&self, retires: bool) -> (u64, Vec<u8>) {
        let number = self.markers.fetch_add(1, Ordering::Relaxed) + 1;
        let marker = [&[frame::VERSION, b'm', u8::from(retires)][..], &number.to_be_bytes()].concat();
        (number, marker)
    }

    async fn came(&self, number: u64) -> Result<(), EngineError> {
        let mut marked = self.marked.subscribe();
        let came = tokio::time::timeout(PATIENCE, marked.wait_for(|marked| *marked >= number)).await;
        came.map_err(|_| Unavailable::Late)?.map_err(|_| Unavailable::Down)?;
        Ok(())
    }

    /// All that was sent before this node retired has been delivered; what comes now is kept elsewhere. Or it is not any
    /// more. What an older marker says is over.
    pub(crate) fn marked(&self, marker: &[u8]) {
        let Some((retires, number)) = marker.split_first() else { return };
        let Some(number) = number.first_chunk().map(|number| u64::from_be_bytes(*number)) else { return };
        if number == self.markers.load(Ordering::Relaxed) {
            self.retired.store(*retires == 1, Ordering::Release);
        }
        self.marked.send_replace(number);
    }

    /// What was kept for a node.
    pub(crate) async fn left(&self, node: u32, from: usize) -> Result<Vec<Bytes>, EngineError> {
        let mut range = redis::cmd("LRANGE");
        range.arg(self.keys.left(node)).arg(from).arg(-1);
        let frames: Vec<Vec<u8>> = self.link.call(range).await?;
        Ok(frames.into_iter().map(Bytes::from).collect())
    }

    /// Takes everything of this node out: it leaves, and its users with it.
    pub(crate) async fn leave(&self) -> Result<(), Unavailable> {
        self.flush().await?;
        let me = [self.cluster.me()];
        for tag in self.tags() {
            self.reap_tag(tag, &me, None).await?;
        }
        Ok(())
    }
}
