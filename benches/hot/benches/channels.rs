//! Who comes and goes in a channel, while it is quiet and while a message is on its way: then its list is copied.

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use herenow_hot::paths::{Room, presence};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const MEMBERS: [usize; 2] = [1_000, 100_000];

fn main() {
    divan::main();
}

#[divan::bench(args = MEMBERS, sample_size = 1)]
fn join(bencher: Bencher<'_, '_>, members: usize) {
    let room = Room::new(members);
    room.join();
    bencher.with_inputs(|| room.leave()).bench_local_values(|()| room.join());
}

#[divan::bench(args = MEMBERS, sample_size = 1)]
fn leave(bencher: Bencher<'_, '_>, members: usize) {
    let room = Room::new(members);
    bencher.with_inputs(|| room.join()).bench_local_values(|()| room.leave());
}

#[divan::bench(args = MEMBERS, sample_size = 1)]
fn join_during_a_push(bencher: Bencher<'_, '_>, members: usize) {
    let room = Room::new(members);
    room.join();
    let begin = || {
        room.leave();
        room.begin_push()
    };
    // What is on its way arrives when it is dropped: not in the time of the join.
    bencher.with_inputs(begin).bench_local_values(|push| {
        room.join();
        Arrives(&room, Some(push))
    });
}

#[divan::bench(args = MEMBERS, sample_size = 1)]
fn leave_during_a_push(bencher: Bencher<'_, '_>, members: usize) {
    let room = Room::new(members);
    let begin = || {
        room.join();
        room.begin_push()
    };
    bencher.with_inputs(begin).bench_local_values(|push| {
        room.leave();
        Arrives(&room, Some(push))
    });
}

/// A join or leave, and how all members hear of it.
#[divan::bench(args = [1_000])]
fn presence_to_everybody(bencher: Bencher<'_, '_>, members: usize) {
    let mut run = presence(members);
    bencher.counter(ItemsCount::new(members)).bench_local(|| run(1));
}

struct Arrives<'a>(&'a Room, Option<herenow_hot::paths::OnItsWay>);

impl Drop for Arrives<'_> {
    fn drop(&mut self) {
        if let Some(push) = self.1.take() {
            self.0.end_push(push);
        }
    }
}
