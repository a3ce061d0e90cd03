//! One case: what a client sends in which pieces, what it hears, and how the connection ends.

use crate::{
    Server,
    client::{CLOSE, Client, Heard, masked},
};

/// The first bit of a frame that is the last of its message.
pub(super) const FIN: u8 = 0x80;

/// In which pieces the bytes go out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chops {
    /// All frames at once.
    Whole,
    /// Each frame by itself.
    Frames,
    /// So many bytes at a time.
    Octets(usize),
}

/// All three, for what must not depend on it.
pub(super) const ANY_CHOPS: [Chops; 3] = [Chops::Whole, Chops::Frames, Chops::Octets(1)];

/// What is sent, and what must come of it.
#[derive(Debug)]
pub(super) struct Case {
    name: String,
    frames: Vec<Vec<u8>>,
    chops: Chops,
    hears: Vec<Heard>,
    ends: Option<u16>,
}

impl Case {
    /// Frames that go out whole, after which nothing is heard and the client closes.
    pub(super) fn new(name: impl Into<String>, frames: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let frames = frames.into_iter().collect();
        Self { name: name.into(), frames, chops: Chops::Whole, hears: Vec::new(), ends: None }
    }

    /// The pieces they go out in.
    pub(super) fn chopped(mut self, chops: Chops) -> Self {
        self.chops = chops;
        self
    }

    /// What comes back, in this order.
    pub(super) fn hears(mut self, hears: impl IntoIterator<Item = Heard>) -> Self {
        self.hears = hears.into_iter().collect();
        self
    }

    /// The server ends the connection with a close frame of this code.
    pub(super) fn ends(mut self, code: u16) -> Self {
        self.ends = Some(code);
        self
    }

    /// Runs it on a connection of its own.
    pub(super) async fn run(self, server: &Server) {
        let mut client = open(server).await;
        send(&mut client, &self.frames, self.chops).await;
        match self.ends {
            Some(code) => expect_end(&mut client, &self.name, &self.hears, code).await,
            None => {
                expect_all(&mut client, &self.name, &self.hears).await;
                expect_clean_close(client, &self.name).await;
            }
        }
    }
}

/// Runs each case on a connection of its own.
pub(super) async fn each(server: &Server, cases: impl IntoIterator<Item = Case>) {
    for case in cases {
        case.run(server).await;
    }
}

pub(super) async fn open(server: &Server) -> Client {
    server.upgrade("/echo").open().await
}

pub(super) async fn send(client: &mut Client, frames: &[Vec<u8>], chops: Chops) {
    match chops {
        Chops::Whole => client.write(&frames.concat()).await,
        Chops::Frames => {
            for frame in frames {
                client.write(frame).await;
            }
        }
        Chops::Octets(size) => {
            for octets in frames.concat().chunks(size) {
                client.write(octets).await;
            }
        }
    }
}

/// Hears exactly this, one after the other.
pub(super) async fn expect_all(client: &mut Client, name: &str, expected: &[Heard]) {
    for expected in expected {
        let heard = client.hear().await;
        assert!(heard == *expected, "{name}: expected {}, heard {}", brief(expected), brief(&heard));
    }
}

/// The client closes, and nothing but the answer comes.
pub(super) async fn expect_clean_close(mut client: Client, name: &str) {
    client.say_close(1000).await;
    expect_end(&mut client, name, &[], 1000).await;
}

/// Hears this and nothing else, then a close frame of this code, then the end.
pub(super) async fn expect_end(client: &mut Client, name: &str, expected: &[Heard], code: u16) {
    expect_all(client, name, expected).await;
    match client.hear().await {
        Heard::Close(closed, _) => assert_eq!(closed, code, "{name}"),
        other => panic!("{name}: expected a close with {code}, heard {}", brief(&other)),
    }
    let answer: &[u8] = if code == 1005 { &[] } else { &code.to_be_bytes() };
    client.write(&masked(FIN | CLOSE, answer)).await;
    let end = client.hear().await;
    assert!(matches!(end, Heard::End { .. }), "{name}: after the close frame there came {}", brief(&end));
}

/// So much of it as a person wants to read.
fn brief(heard: &Heard) -> String {
    format!("{heard:?}").chars().take(200).collect()
}
