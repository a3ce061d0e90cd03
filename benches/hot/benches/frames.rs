//! The codec, through a connection in memory: what comes in is read, unmasked, checked and handed to a handler; what
//! goes out is put into a frame and written.

use divan::{AllocProfiler, Bencher, counter::BytesCount};
use herenow::protocol::Mode::{Envelope, Raw};
use herenow_hot::paths::{Run, Shape, receive, send};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [usize; 3] = [64, 1024, 64 * 1024 - 16];

fn main() {
    divan::main();
}

fn each(bencher: Bencher<'_, '_>, bytes: usize, mut run: Run) {
    bencher.counter(BytesCount::new(bytes)).bench_local(|| run(1));
}

#[divan::bench(args = SIZES)]
fn receive_one(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, size, receive(Shape::Whole(size), 1));
}

/// Those of a client that sends many at once: the socket is read seldom.
#[divan::bench(args = [64, 1024])]
fn receive_100_at_once(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, 100 * size, receive(Shape::Whole(size), 100));
}

#[divan::bench(args = SIZES)]
fn receive_in_16_fragments(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, size, receive(Shape::Fragments(16, size / 16), 1));
}

#[divan::bench(args = SIZES)]
fn send_raw(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, size, send(Raw, size));
}

#[divan::bench(args = SIZES)]
fn send_in_an_envelope(bencher: Bencher<'_, '_>, size: usize) {
    each(bencher, size, send(Envelope, size));
}
