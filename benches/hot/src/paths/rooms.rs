//! Channels: who comes and goes, and who hears of it.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use herenow::{Connection, Hooks, PushError, PushReport, Target, protocol::Mode};

use super::Run;
use crate::{
    wire::text_frames,
    world::{World, settle, until},
};

const ROOM: &str = "room";
/// Longer than the window in which what happens in a channel is gathered.
const WINDOW: Duration = Duration::from_millis(101);

/// So many connections, and another one at the end.
fn world(members: usize) -> World {
    let mut world = World::with_connections(members, Mode::Envelope);
    world.connect("another", Mode::Envelope, Hooks::default());
    world
}

/// A channel, and somebody who comes and goes while nobody watches.
#[derive(Debug)]
pub struct Room {
    world: World,
    another: Connection,
}

/// A message on its way to everybody in a channel.
pub type OnItsWay = Pin<Box<dyn Future<Output = Result<PushReport, PushError>>>>;

impl Room {
    /// A channel with so many members.
    ///
    /// # Panics
    /// If somebody cannot join.
    pub fn new(members: usize) -> Self {
        let world = world(members);
        world.connections[..members].iter().for_each(|member| member.join(ROOM).expect("joined"));
        let another = world.connections[members].clone();
        Self { world, another }
    }

    /// One more comes.
    ///
    /// # Panics
    /// If it is refused.
    pub fn join(&self) {
        self.another.join(ROOM).expect("joined");
    }

    /// Goes again.
    ///
    /// # Panics
    /// If it was not in.
    pub fn leave(&self) {
        assert!(self.another.leave(ROOM));
    }

    /// Sends a message to everybody, and stops where it is handed to the task that writes.
    pub fn begin_push(&self) -> OnItsWay {
        let _guard = self.world.runtime.enter();
        let online = self.world.online.clone();
        let mut push: OnItsWay = Box::pin(async move { online.push(Target::channel(ROOM), "Hello!").await });
        let begun = push.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(begun.is_pending());
        push
    }

    /// Lets it arrive.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn end_push(&self, push: OnItsWay) {
        self.world.runtime.block_on(push).expect("sent");
    }
}

/// One more member comes and goes, and nobody watches.
pub fn join_and_leave(members: usize) -> Run {
    let room = Room::new(members);
    Box::new(move |times| {
        for _ in 0..times {
            room.join();
            room.leave();
        }
    })
}

/// One more member comes, or goes, and all members hear of it.
pub fn presence(members: usize) -> Run {
    let world = world(members);
    let another = world.connections[members].clone();
    world.runtime.block_on(async {
        // They watch before anybody is in, so that none is sent a long list.
        for wire in &world.wires[..members] {
            wire.say(text_frames(&[br#"{"type":"subscribePresence","id":1,"channel":"room"}"#]));
        }
        until(async || world.written() >= 3 * members as u64).await;
        world.connections[..members].iter().for_each(|member| member.join(ROOM).expect("joined"));
        tokio::time::advance(WINDOW).await;
        settle().await;
    });
    let mut is_in = false;
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let told = world.written() + members as u64;
                match is_in {
                    true => assert!(another.leave(ROOM)),
                    false => another.join(ROOM).expect("joined"),
                }
                is_in = !is_in;
                tokio::time::advance(WINDOW).await;
                until(async || world.written() >= told).await;
            }
        });
    })
}
