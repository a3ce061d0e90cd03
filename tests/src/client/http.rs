//! As much of HTTP/1.1 as these tests need.

use std::io;

use bytes::{Buf as _, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The answer to a request.
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs)] // Unpublished.
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body as JSON, of an answer that must be 200.
    ///
    /// # Panics
    /// It is another one.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// Reads one; what follows it stays in the buffer.
    pub(super) async fn read(
        io: &mut (impl AsyncRead + Unpin + ?Sized),
        buffer: &mut BytesMut,
        has_body: bool,
    ) -> io::Result<Self> {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            more(io, buffer).await?;
        };
        let head = buffer.split_to(end);
        buffer.advance(4);
        let mut response = Self::parse(&String::from_utf8_lossy(&head)).ok_or(io::ErrorKind::InvalidData)?;
        let length = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if has_body && response.status != 101 {
            while buffer.len() < length {
                more(io, buffer).await?;
            }
            response.body = buffer.split_to(length).to_vec();
        }
        Ok(response)
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body: Vec::new() })
    }
}

async fn more(io: &mut (impl AsyncRead + Unpin + ?Sized), buffer: &mut BytesMut) -> io::Result<()> {
    match io.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
