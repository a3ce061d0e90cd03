//! A page that waits: the client's end of an in-memory connection which a [`Guest`] opened.

use std::{net::SocketAddr, time::Duration};

use chrono::{DateTime, Utc};
use herenow::{
    Admission, Io, Rendezvous,
    http::{Guest, Refusal, RequestInfo},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    task::JoinHandle,
};

/// What a page sees of its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Closed(u16, String),
}

pub(super) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// After the last word.
pub(super) fn done() -> Seen {
    Seen::Closed(1000, String::new())
}

/// After the end of the time.
pub(super) fn ended() -> Seen {
    Seen::Closed(4410, "session_ended".to_owned())
}

pub(super) const EXPIRED: &str = r#"{"status":"expired"}"#;

/// A page; its browser answers pings and close frames by itself. Dropped, it is gone without a word.
pub(super) struct Page {
    seen: mpsc::UnboundedReceiver<Seen>,
    browser: mpsc::UnboundedSender<Order>,
    driver: JoinHandle<()>,
}

/// What happens to the browser.
enum Order {
    /// The tab is closed.
    Leave,
    /// Nothing is read or written any more, and nothing says so.
    LoseNetwork,
}

/// The request of a page.
pub(super) fn request(more: &[(HeaderName, &'static str)]) -> RequestInfo {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::HOST, "app.example"),
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in more {
        headers.insert(name, HeaderValue::from_static(value));
    }
    RequestInfo::new(Method::GET, &Uri::from_static("/v1/ws/qr/k"), headers)
}

pub(super) fn guest(request: RequestInfo) -> Guest {
    Guest::new(request, Version::HTTP_11, false)
}

impl Page {
    pub(super) async fn open(waiting: &Rendezvous, key: &str, until: DateTime<Utc>) -> Self {
        Self::start(waiting, key, until, request(&[])).await.unwrap()
    }

    pub(super) async fn from(waiting: &Rendezvous, address: SocketAddr, key: &str) -> Result<Self, Refusal> {
        let until = DateTime::<Utc>::MAX_UTC;
        Self::start(waiting, key, until, request(&[]).with_peer(address)).await
    }

    pub(super) async fn start(
        waiting: &Rendezvous,
        key: &str,
        until: DateTime<Utc>,
        request: RequestInfo,
    ) -> Result<Self, Refusal> {
        Ok(Self::drive(guest(request).wait(waiting, key, until).await?))
    }

    pub(super) fn drive(admission: Admission) -> Self {
        assert_eq!(admission.response().status(), 101);
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let driver = tokio::spawn(admission.drive(Io::boxed(theirs), bytes::Bytes::new()));
        let ((tell, seen), (browser, orders)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        tokio::spawn(browse(ours, orders, tell));
        Self { seen, browser, driver }
    }

    /// What it sees next.
    pub(super) async fn sees(&mut self) -> Seen {
        let next = tokio::time::timeout(Duration::from_secs(600), self.seen.recv()).await;
        next.expect("nothing came").expect("the connection is over")
    }

    /// Everything it sees until the end.
    pub(super) async fn sees_all(mut self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Some(seen) = self.seen.recv().await {
            all.push(seen);
        }
        self.server_is_done().await;
        all
    }

    /// The user closes the tab: the browser says so.
    pub(super) async fn leave(self) {
        let _ = self.browser.send(Order::Leave);
        self.server_is_done().await;
    }

    pub(super) fn lose_network(&self) {
        let _ = self.browser.send(Order::LoseNetwork);
    }

    pub(super) async fn server_is_done(self) {
        let done = tokio::time::timeout(Duration::from_secs(60), self.driver).await;
        done.expect("the server is not done with it").expect("its task does not panic");
    }
}

async fn browse(
    mut stream: DuplexStream,
    mut orders: mpsc::UnboundedReceiver<Order>,
    seen: mpsc::UnboundedSender<Seen>,
) {
    let mut came = Vec::new();
    loop {
        tokio::select! {
            biased; // What happens to the browser comes before anything it still reads.
            order = orders.recv() => match order {
                Some(Order::Leave) => drop(stream.write_all(&masked(0x8, &1001u16.to_be_bytes())).await),
                Some(Order::LoseNetwork) => break while orders.recv().await.is_some() {},
                None => return,
            },
            read = stream.read_buf(&mut came) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
                while let Some((opcode, payload)) = take_frame(&mut came) {
                    let answer = match opcode {
                        0x1 => {
                            let _ = seen.send(Seen::Text(String::from_utf8(payload).unwrap()));
                            continue;
                        }
                        0x8 => {
                            let (code, reason) = payload.split_at(2);
                            let code = u16::from_be_bytes(code.try_into().unwrap());
                            let _ = seen.send(Seen::Closed(code, String::from_utf8(reason.to_vec()).unwrap()));
                            masked(0x8, &payload)
                        }
                        0x9 => masked(0xA, &payload),
                        other => panic!("a page is sent no frame {other:#x}"),
                    };
                    let _ = stream.write_all(&answer).await; // A server that is gone needs no answer.
                }
            }
        }
    }
}

fn take_frame(came: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (head, length) = match *came.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*came.get(2)?, *came.get(3)?]))),
        127 => panic!("a page is sent no frame of that size"),
        short => (2, usize::from(short)),
    };
    let frame: Vec<u8> = (came.len() >= head + length).then(|| came.drain(..head + length).collect())?;
    Some((frame[0] & 0xF, frame[head..].to_vec()))
}

/// A client's frame; the key is all zeros, which any key may be.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short frame");
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}
