//! Every hot path by its name. Each is set up once, and then run as often as one likes.

mod frames;
mod pushes;
mod registry;
mod rooms;

pub use frames::{Shape, admission, connect, receive};
pub use pushes::{broadcast, push_to_channel, push_to_user, send};
pub use registry::{get_user_sessions, is_online, mark_and_unmark, update_activity};
pub use rooms::{OnItsWay, Room, join_and_leave, presence};

use herenow::protocol::Mode::{Envelope, Raw};

/// Runs a path so many times.
pub type Run = Box<dyn FnMut(u64)>;

/// One path.
#[derive(Clone, Copy, Debug)]
pub struct HotPath {
    /// What it is called by.
    pub name: &'static str,
    /// What is done once, for a message.
    pub what: &'static str,
    /// How often it is run to count: enough that chance does not show.
    pub times: u64,
    /// Operations in one run.
    pub per_run: u64,
    set_up: fn() -> Run,
}

impl HotPath {
    /// Sets it up, with a few runs that are not counted: they fill caches and grow buffers.
    pub fn set_up(&self) -> Run {
        let mut run = (self.set_up)();
        run(self.times.min(200));
        run
    }

    /// The path of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PATHS.iter().find(|path| path.name == name)
    }
}

macro_rules! path {
    ($name:literal, $what:literal, $times:literal, $per_run:literal, $set_up:expr) => {
        HotPath { name: $name, what: $what, times: $times, per_run: $per_run, set_up: || $set_up }
    };
}

/// All of them.
pub static PATHS: &[HotPath] = &[
    path!("receive-64", "a text frame of 64 B comes in", 500, 1, receive(Shape::Whole(64), 1)),
    path!(
        "receive-64-of-100",
        "one of 100 frames of 64 B that come at once",
        20,
        100,
        receive(Shape::Whole(64), 100)
    ),
    path!("receive-8k", "a text frame of 8 KiB comes in", 100, 1, receive(Shape::Whole(8192), 1)),
    path!("send-raw", "a message of 64 B to one connection, raw", 500, 1, send(Raw, 64)),
    path!("send-envelope", "a message of 64 B to one connection, in an envelope", 500, 1, send(Envelope, 64)),
    path!("push-to-user-raw", "a push to one of 1,000 users, raw", 500, 1, push_to_user(1_000, Raw)),
    path!(
        "push-to-user-envelope",
        "a push to one of 1,000 users, in an envelope",
        500,
        1,
        push_to_user(1_000, Envelope)
    ),
    path!("broadcast-raw", "one delivery of a broadcast to 1,000, raw", 5, 1000, broadcast(1_000, Raw, 64)),
    path!(
        "broadcast-envelope",
        "one delivery of a broadcast to 1,000, in envelopes",
        5,
        1000,
        broadcast(1_000, Envelope, 64)
    ),
    path!(
        "mark-and-unmark",
        "mark_online and mark_offline beside 1,000 others",
        200,
        1,
        mark_and_unmark(1_000)
    ),
    path!("is-online", "is_online among 1,000", 500, 1, is_online(1_000)),
    path!("update-activity", "update_activity among 1,000", 500, 1, update_activity(1_000)),
    path!("get-user-sessions", "get_user_sessions among 1,000", 500, 1, get_user_sessions(1_000)),
    path!(
        "join-and-leave",
        "a connection joins a channel of 1,000, and leaves",
        100,
        1,
        join_and_leave(1_000)
    ),
    path!(
        "presence",
        "one delivery of a join or leave to the 1,000 who watch a channel",
        4,
        1000,
        presence(1_000)
    ),
    path!("admission", "an upgrade with a signed token, up to the 101", 50, 1, admission()),
    path!("connect", "the same, online, and gone again", 50, 1, connect()),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_paths_have_the_same_name() {
        for path in PATHS {
            assert_eq!(PATHS.iter().filter(|other| other.name == path.name).count(), 1, "{}", path.name);
        }
    }
}
