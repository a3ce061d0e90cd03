//! A node stops: what is sent to it from then on is kept for whoever its clients come back to.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use herenow::cluster::EngineError;

use super::{Directory, scripts::RETIRE};
use crate::{error::Unavailable, frame, keys::TAGS};

/// How long the marker may take to come back.
const PATIENCE: Duration = Duration::from_secs(2);

impl Directory {
    /// From here on what is sent to this node is kept; when this returns, all that was sent before is here.
    pub(crate) async fn retire(&self, keep: Duration) -> Result<(), EngineError> {
        self.flush().await?;
        let (me, node) = (self.cluster.me(), self.cluster.node());
        let (keys, marker) = ([self.keys.retired(), self.keys.left(node)], [frame::VERSION, b'm']);
        let args = (
            &me[..],
            &node.to_be_bytes()[..],
            keep.as_millis() as u64,
            format!("{node:08x}"),
            self.keys.inbox(me),
            &marker[..],
        );
        self.link.run::<i64>(RETIRE.call(&keys[..], args)).await?;
        let mut marked = self.marked.subscribe();
        let came = tokio::time::timeout(PATIENCE, marked.wait_for(|marked| *marked)).await;
        came.map_err(|_| Unavailable::Late)?.map_err(|_| Unavailable::Down)?;
        Ok(())
    }

    /// All that was sent before this node retired has been delivered; what comes now is kept elsewhere.
    pub(crate) fn marked(&self, _: &[u8]) {
        self.retired.store(true, Ordering::Release);
        self.marked.send_replace(true);
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
        for tag in (0..TAGS).filter_map(|tag| u8::try_from(tag).ok()).filter(|tag| (self.owns)(*tag)) {
            self.reap_tag(tag, &me).await?;
        }
        Ok(())
    }
}
