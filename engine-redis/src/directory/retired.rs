//! A node stops: what is sent to it from then on is kept for whoever its clients come back to.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use herenow::cluster::EngineError;
use redis::FromRedisValue;

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

    /// It does not retire after all, as where another Redis did not take that: what was kept meanwhile is delivered here.
    pub(crate) async fn unretire(&self) -> Result<(), EngineError> {
        let (me, node) = (self.cluster.me(), self.cluster.node());
        let (mut forget, mut range, mut drop) = (redis::cmd("HDEL"), redis::cmd("LRANGE"), redis::cmd("DEL"));
        let left = self.keys.left(node);
        forget.arg(self.keys.retired()).arg(&me[..]).arg(&node.to_be_bytes()[..]);
        range.arg(&left).arg(0).arg(-1);
        drop.arg(&left).arg(format!("{left}:bytes"));
        let mut answers = self.link.run_all(vec![forget.into(), range.into(), drop.into()]).await?;
        self.retired.store(false, Ordering::Release);
        let kept = answers.swap_remove(1)?;
        if let Some(local) = self.local() {
            let frames = Vec::<Vec<u8>>::from_redis_value(kept).unwrap_or_default();
            frames.into_iter().for_each(|frame| local.clone().deliver(frame.into(), None));
        }
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
            self.reap_tag(tag, &me, None).await?;
        }
        Ok(())
    }
}
