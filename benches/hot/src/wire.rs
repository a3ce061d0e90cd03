//! A transport in memory: takes whatever is written, and gives out what a client would have sent.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end of it is the server's, the other one the measurement's; clones are the same transport.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// Of all that count together.
    written: Arc<AtomicU64>,
    client: Mutex<Client>,
}

#[derive(Debug, Default)]
struct Client {
    says: Bytes,
    gone: bool,
    server: Option<Waker>,
}

impl Wire {
    /// One that counts in `written` how often the server writes.
    pub(crate) fn counting(written: Arc<AtomicU64>) -> Self {
        Self(Arc::new(State { written, client: Mutex::default() }))
    }

    /// The client sends these bytes, in place of what was not read yet.
    pub(crate) fn say(&self, bytes: Bytes) {
        let mut client = self.client();
        client.says = bytes;
        client.wake();
    }

    /// The client is gone without a word.
    pub(crate) fn hang_up(&self) {
        let mut client = self.client();
        client.gone = true;
        client.wake();
    }

    fn client(&self) -> MutexGuard<'_, Client> {
        self.0.client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    fn wake(&mut self) {
        if let Some(server) = self.server.take() {
            server.wake();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut client = self.client();
        if client.says.is_empty() && !client.gone {
            client.server = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let some = client.says.len().min(buf.remaining());
        buf.put_slice(&client.says[..some]);
        client.says.advance(some);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.written.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A text frame as a client sends it; of several, each is the next fragment of one message.
///
/// # Panics
/// If there is none.
pub(crate) fn text_frames(fragments: &[&[u8]]) -> Bytes {
    const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];
    let mut frames = Vec::new();
    let last = fragments.len().checked_sub(1).expect("a message has a fragment");
    for (index, payload) in fragments.iter().enumerate() {
        let (text, fin) = (u8::from(index == 0), u8::from(index == last) << 7);
        frames.push(text | fin);
        match payload.len() {
            len @ ..=125 => frames.push(len as u8 | 0x80),
            len @ ..=0xFFFF => {
                frames.push(126 | 0x80);
                frames.extend((len as u16).to_be_bytes());
            }
            len => {
                frames.push(127 | 0x80);
                frames.extend((len as u64).to_be_bytes());
            }
        }
        frames.extend(MASK);
        frames.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    frames.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_two_fragments_ends_with_the_second_one() {
        let frames = text_frames(&[b"a", b"b"]);
        assert_eq!(
            frames[..],
            [
                0x01,
                0x81,
                0x5a,
                0xa5,
                0x3c,
                0xc3,
                b'a' ^ 0x5a,
                0x80,
                0x81,
                0x5a,
                0xa5,
                0x3c,
                0xc3,
                b'b' ^ 0x5a
            ]
        );
    }
}
