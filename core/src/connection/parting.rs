//! Waiting for sockets that were told to close, and cutting what is left.

use std::{sync::Arc, time::Duration};

use super::conn::{Conn, Fate};

/// How many came to which end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parting {
    pub(crate) closed: usize,
    pub(crate) aborted: usize,
    pub(crate) lingering: usize,
}

impl Parting {
    /// Waits for every socket, and cuts what is left when the time is over.
    pub(crate) async fn of(conns: &[Arc<Conn>], within: Duration) -> Self {
        let ends = futures_util::future::join_all(conns.iter().map(|conn| conn.ended()));
        if tokio::time::timeout(within, ends).await.is_err() {
            conns.iter().for_each(|conn| conn.end(Fate::Aborted));
        }
        let mut parting = Self::default();
        for conn in conns {
            match conn.ended().await {
                Ok(Fate::Aborted) => parting.aborted += 1,
                Ok(Fate::Lingering) => parting.lingering += 1,
                _ => parting.closed += 1,
            }
        }
        parting
    }
}
