//! Pushes to connections in memory, with the allocations of each.

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use herenow::protocol::Mode::{Envelope, Raw};
use herenow_hot::paths::{Run, admission, broadcast, connect, push_to_channel, push_to_user};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const FEW_AND_MANY: [usize; 2] = [1_000, 100_000];

fn main() {
    divan::main();
}

fn each(bencher: Bencher<'_, '_>, deliveries: usize, mut run: Run) {
    bencher.counter(ItemsCount::new(deliveries)).bench_local(|| run(1));
}

#[divan::bench(args = [64, 1024])]
fn broadcast_to_1000_raw(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, 1_000, broadcast(1_000, Raw, size));
}

#[divan::bench(args = [64, 1024])]
fn broadcast_to_1000_in_envelopes(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, 1_000, broadcast(1_000, Envelope, size));
}

#[divan::bench(args = FEW_AND_MANY)]
fn to_one_user_raw(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, 1, push_to_user(users, Raw));
}

#[divan::bench(args = FEW_AND_MANY)]
fn to_one_user_in_an_envelope(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, 1, push_to_user(users, Envelope));
}

#[divan::bench(args = FEW_AND_MANY)]
fn to_a_channel(bencher: Bencher<'_, '_>, members: usize) {
    each(bencher, members, push_to_channel(members, Raw));
}

/// An upgrade with a signed token, up to the 101.
#[divan::bench]
fn upgrade(bencher: Bencher<'_, '_>) {
    each(bencher, 1, admission());
}

/// The same, online, and gone again.
#[divan::bench]
fn whole_life(bencher: Bencher<'_, '_>) {
    each(bencher, 1, connect());
}
