//! What a client sends, and how it comes and goes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use herenow::{Hooks, Io, Reply, protocol::Mode};

use super::Run;
use crate::{
    wire::{Wire, text_frames},
    world::{World, admit, settle, until},
};

/// How a message comes.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// In one frame, of so many bytes.
    Whole(usize),
    /// In so many fragments, each of so many bytes.
    Fragments(usize, usize),
}

impl Shape {
    fn bytes(self) -> Bytes {
        let (fragments, size) = match self {
            Self::Whole(size) => (1, size),
            Self::Fragments(fragments, size) => (fragments, size),
        };
        let payload = vec![b'x'; size];
        text_frames(&vec![&payload[..]; fragments])
    }
}

/// Messages come in, so many at once: the socket is read, they are unmasked, checked, and handed to a handler.
pub fn receive(shape: Shape, at_once: usize) -> Run {
    let heard = Arc::new(AtomicU64::new(0));
    let hears = heard.clone();
    let hooks = Hooks::default().on_message(move |_, _| {
        hears.fetch_add(1, Ordering::Relaxed);
        async { Ok(Reply::None) }
    });
    let mut world = World::new(|builder| builder);
    let wire = world.connect("u0", Mode::Raw, hooks);
    let bytes = Bytes::from(shape.bytes().repeat(at_once));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let after = heard.load(Ordering::Relaxed) + at_once as u64;
                wire.say(bytes.clone());
                until(async || heard.load(Ordering::Relaxed) >= after).await;
            }
        });
    })
}

/// An upgrade is decided on: the token is checked, a place taken, the answer made.
pub fn admission() -> Run {
    let world = World::with_connections(1_000, Mode::Raw);
    let request = world.signed_request("somebody", Mode::Raw);
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let admission = admit(&world.online, &request, None).await.expect("admitted");
                assert_eq!(admission.response().status(), 101);
            }
        });
    })
}

/// The same, and then the connection is online, and gone again.
pub fn connect() -> Run {
    let world = World::with_connections(1_000, Mode::Raw);
    let request = world.signed_request("somebody", Mode::Raw);
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let admission = admit(&world.online, &request, None).await.expect("admitted");
                let wire = Wire::default();
                let driver = tokio::spawn(admission.drive(Io::boxed(wire.clone()), Bytes::new()));
                until(async || world.online.get_connection_count().await > 1_000).await;
                wire.hang_up();
                driver.await.expect("a connection ends without a panic");
            }
            settle().await;
        });
    })
}
