//! What a server needs beside HTTP itself: accepting that survives every error, and a deadline for the first request.

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

/// How long a client may take for the head of a request, unless told otherwise.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What open requests may take once the shutdown has begun.
pub const LAST_REQUESTS: Duration = Duration::from_secs(10);
/// How long accepting pauses where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Where connections come from.
pub trait Accept: Send {
    /// One connection, and what is known of it.
    type Accepted: Send;

    /// The next one. Cancel safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Accepted>> + Send;
}

impl Accept for TcpListener {
    type Accepted = (TcpStream, SocketAddr);

    async fn accept(&mut self) -> io::Result<Self::Accepted> {
        TcpListener::accept(self).await
    }
}

/// Hands over every connection until the shutdown, then closes the listener.
pub async fn accept_until<A: Accept>(
    mut listener: A,
    shutdown: impl Future<Output = ()> + Send,
    mut serve: impl FnMut(A::Accepted) + Send,
) {
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(connection) => serve(connection),
                // Out of descriptors, most often: others may give some back.
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            () = &mut shutdown => break,
        }
    }
}

/// Whether a connection has asked for anything yet. A server's own timeout for heads begins with a request; this one
/// begins with the connection, before its version is known.
#[derive(Clone, Debug, Default)]
pub struct Asked(Arc<AtomicBool>);

impl Asked {
    /// A whole head has come.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Drives the connection, and drops it where no head came in time.
    pub async fn in_time(self, timeout: Duration, connection: impl Future) {
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

    /// A listener that has no more descriptors, and then has.
    struct Short(u32);

    impl Accept for Short {
        type Accepted = ();

        async fn accept(&mut self) -> io::Result<()> {
            self.0 += 1;
            match self.0 {
                1..=3 => Err(io::ErrorKind::Other.into()),
                4 => Ok(()),
                _ => pending().await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn accepting_pauses_after_an_error_and_goes_on() {
        let (began, mut served) = (tokio::time::Instant::now(), 0);
        accept_until(Short(0), tokio::time::sleep(TIMEOUT), |()| served += 1).await;
        assert_eq!((served, began.elapsed()), (1, TIMEOUT));
    }
}
