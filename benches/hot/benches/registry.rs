//! Who is online, among few and among many. `herenow-bench registry` has the same beside a peer, and with threads.

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use herenow_hot::paths::{self, Run};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const USERS: [usize; 2] = [1_000, 100_000];

fn main() {
    divan::main();
}

/// A call is too short to be timed by itself.
const AT_ONCE: u64 = 100;

fn each(bencher: Bencher<'_, '_>, mut run: Run) {
    bencher.counter(ItemsCount::new(AT_ONCE)).bench_local(|| run(AT_ONCE));
}

#[divan::bench(args = USERS)]
fn is_online(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, paths::is_online(users));
}

#[divan::bench(args = USERS)]
fn update_activity(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, paths::update_activity(users));
}

#[divan::bench(args = USERS)]
fn get_user_sessions(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, paths::get_user_sessions(users));
}

#[divan::bench(args = USERS)]
fn mark_and_unmark(bencher: Bencher<'_, '_>, users: usize) {
    each(bencher, paths::mark_and_unmark(users));
}
