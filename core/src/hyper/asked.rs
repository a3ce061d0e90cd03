//! A deadline for the first request of a connection.

use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Whether a connection has asked for anything yet. A server's own timeout for heads begins with a request; this one
/// begins with the connection, before its version is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    /// A whole head has come.
    pub(super) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Drives the connection, and drops it where no head came in time.
    pub(super) async fn in_time(self, timeout: Duration, connection: impl Future) {
        let silent = async {
            tokio::time::sleep(timeout).await;
            if self.0.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
        };
        tokio::select! {
            _ = connection => {}
            () = silent => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn who_asked_in_time_is_not_cut() {
        let asked = Asked::default();
        asked.note();
        let connection = asked.in_time(TIMEOUT, pending::<()>());
        assert!(tokio::time::timeout(100 * TIMEOUT, connection).await.is_err());
        let silent = Asked::default().in_time(TIMEOUT, pending::<()>());
        assert!(tokio::time::timeout(2 * TIMEOUT, silent).await.is_ok());
    }
}
