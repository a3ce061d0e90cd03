//! A client of server-sent events, over HTTP/1.1 with its chunks.

use std::io;

use bytes::{Buf as _, BytesMut};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, time::timeout};

use super::{Io, Response};
use crate::PATIENCE;

/// One event, as an `EventSource` would see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Unpublished.
pub struct Event {
    /// Its `data`.
    pub data: String,
    /// The `id`, where it sets one.
    pub id: Option<String>,
    /// The `retry`, where it sets one.
    pub retry: Option<u64>,
}

/// A stream that is open. Dropped, it is a page that was closed.
pub struct Events {
    pub(super) io: Box<dyn Io>,
    /// As it came.
    pub(super) raw: BytesMut,
    /// Out of its chunks.
    pub(super) body: BytesMut,
    pub(super) response: Response,
}

impl Events {
    /// The head of the answer.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The next event, or `None` at the end of the stream.
    ///
    /// # Panics
    /// Nothing comes for a long time.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.body.windows(2).position(|bytes| bytes == b"\n\n") {
                let text = self.body.split_to(end + 2);
                return Some(parse(&String::from_utf8_lossy(&text)));
            }
            if !timeout(PATIENCE, self.more()).await.expect("no event in time").unwrap_or(false) {
                return None;
            }
        }
    }

    /// The next message, which must be of this `type`; pings are passed over.
    ///
    /// # Panics
    /// Something else comes.
    pub async fn expect(&mut self, kind: &str) -> (Value, Event) {
        loop {
            let event = self.next().await.unwrap_or_else(|| panic!("the end, in place of {kind}"));
            let message: Value = serde_json::from_str(&event.data).expect("every message is JSON");
            if message["type"] == "ping" && kind != "ping" {
                continue;
            }
            assert_eq!(message["type"], kind, "expected another message: {message}");
            return (message, event);
        }
    }

    /// Reads the next chunk; false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        let size = loop {
            if let Some(end) = self.raw.windows(2).position(|bytes| bytes == b"\r\n") {
                let line = String::from_utf8_lossy(&self.raw.split_to(end)).into_owned();
                self.raw.advance(2);
                break usize::from_str_radix(&line, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            }
            self.read().await?;
        };
        while self.raw.len() < size + 2 {
            self.read().await?;
        }
        self.body.extend_from_slice(&self.raw.split_to(size));
        self.raw.advance(2);
        Ok(size > 0)
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.io.read_buf(&mut self.raw).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("data", data)) => event.data += data,
            Some(("id", id)) => event.id = Some(id.to_owned()),
            Some(("retry", delay)) => event.retry = delay.parse().ok(),
            _ => {}
        }
    }
    event
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("response", &self.response).finish_non_exhaustive()
    }
}
