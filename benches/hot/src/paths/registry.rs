//! Who is online, marked by hand: no connection is in the way.

use herenow::Marked;

use super::Run;
use crate::world::{World, marked, settle, token};

/// The ids and tokens of so many users, taken in an order that strides over them.
struct Turn {
    sessions: Vec<(String, String)>,
    next: usize,
}

impl Turn {
    const STRIDE: usize = 7_919;

    fn new(users: usize) -> Self {
        Self { sessions: (0..users).map(|n| (format!("u{n}"), token(n))).collect(), next: 0 }
    }

    fn take(&mut self) -> (&str, &str) {
        self.next = (self.next + Self::STRIDE) % self.sessions.len();
        let (login_id, token) = &self.sessions[self.next];
        (login_id, token)
    }
}

/// One more user comes and goes.
pub fn mark_and_unmark(users: usize) -> Run {
    let world = World::with_marks(users);
    let another = marked(users);
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                assert_eq!(world.online.mark_online(another.clone()).await, Marked::Online);
                world.online.mark_offline(another.login_id.as_str(), &another.token).await;
            }
            settle().await; // What was left to a task is done too.
        });
    })
}

/// Whether somebody is online.
pub fn is_online(users: usize) -> Run {
    let (world, mut turn) = (World::with_marks(users), Turn::new(users));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                assert!(world.online.is_online(turn.take().0).await);
            }
        });
    })
}

/// A heartbeat.
pub fn update_activity(users: usize) -> Run {
    let (world, mut turn) = (World::with_marks(users), Turn::new(users));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let (login_id, token) = turn.take();
                world.online.update_activity(login_id, token).await;
            }
        });
    })
}

/// The sessions of one user.
pub fn get_user_sessions(users: usize) -> Run {
    let (world, mut turn) = (World::with_marks(users), Turn::new(users));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                assert_eq!(world.online.get_user_sessions(turn.take().0).await.len(), 1);
            }
        });
    })
}
