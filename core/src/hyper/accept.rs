//! Accepting that survives every error.

use std::{future::Future, io, net::SocketAddr, pin::pin, time::Duration};

use tokio::net::{TcpListener, TcpStream};

/// How long accepting pauses where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Where connections come from: a listener of tokio's, or a framework's own.
pub trait Accept: Send {
    /// One connection, and what is known of it.
    type Accepted: Send;

    /// The next one. Has to be cancel safe. After an error it is asked again, a little later.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Accepted>> + Send;
}

impl Accept for TcpListener {
    type Accepted = (TcpStream, SocketAddr);

    async fn accept(&mut self) -> io::Result<Self::Accepted> {
        TcpListener::accept(self).await
    }
}

/// Hands over every connection until the shutdown, then closes the listener.
pub(super) async fn accept_until<A: Accept>(
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

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
    };

    use super::*;

    const TICK: Duration = Duration::from_millis(10);

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
        let served = AtomicU32::new(0);
        let accepting = accept_until(Short(0), pending(), |()| served.store(1, Relaxed));
        let mut accepting = pin!(accepting);
        assert!(tokio::time::timeout(3 * PAUSE - TICK, &mut accepting).await.is_err());
        assert_eq!(served.load(Relaxed), 0, "three errors are three pauses");
        assert!(tokio::time::timeout(2 * TICK, accepting).await.is_err());
        assert_eq!(served.load(Relaxed), 1);
    }
}
