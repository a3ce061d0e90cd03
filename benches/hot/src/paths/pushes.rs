//! What the server sends.

use herenow::{Target, protocol::Mode};

use super::Run;
use crate::world::World;

fn payload(size: usize) -> String {
    format!("{{\"text\":\"{}\"}}", "x".repeat(size.saturating_sub(11)))
}

/// A message to one connection: made, put into a frame and written.
pub fn send(mode: Mode, size: usize) -> Run {
    let world = World::with_connections(1, mode);
    let (connection, text) = (world.connections[0].clone(), payload(size));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                connection.send(text.clone()).expect("it is open");
            }
        });
    })
}

/// A push to one of so many users, each in turn.
pub fn push_to_user(users: usize, mode: Mode) -> Run {
    let world = World::with_connections(users, mode);
    let names: Vec<String> = (0..users).map(|n| format!("u{n}")).collect();
    let (mut turn, text) = (0, payload(64));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                turn = (turn + 1) % users;
                let report = world.online.push_to_user(&names[turn], text.clone()).await.expect("sent");
                assert_eq!(report.enqueued, 1);
            }
        });
    })
}

/// A broadcast to so many connections.
pub fn broadcast(connections: usize, mode: Mode, size: usize) -> Run {
    let (world, text) = (World::with_connections(connections, mode), payload(size));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let report = world.online.broadcast(text.clone()).await.expect("sent");
                assert_eq!(report.enqueued, connections);
            }
        });
    })
}

/// A message to a channel with so many members.
pub fn push_to_channel(members: usize, mode: Mode) -> Run {
    let (world, text) = (World::with_connections(members, mode), payload(64));
    world.connections.iter().for_each(|member| member.join("room").expect("joined"));
    Box::new(move |times| {
        world.runtime.block_on(async {
            for _ in 0..times {
                let report = world.online.push(Target::channel("room"), text.clone()).await.expect("sent");
                assert_eq!(report.enqueued, members);
            }
        });
    })
}
