//! `hot-paths <name> <times>`: sets up a hot path, runs it, and prints what that allocated. Without a name: all names.
//!
//! Under callgrind, `--toggle-collect=*measured*` leaves out everything but the runs.

use std::{alloc::System, hint::black_box, process::ExitCode};

use herenow_hot::paths::{HotPath, PATHS, Run};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else {
        PATHS.iter().for_each(|path| println!("{:22} {}", path.name, path.what));
        return ExitCode::SUCCESS;
    };
    let Some(path) = HotPath::named(&name) else {
        eprintln!("there is no hot path `{name}`: `hot-paths` alone shows all names");
        return ExitCode::FAILURE;
    };
    let times = match words.next().map(|times| times.parse()) {
        None => path.times,
        Some(Ok(times)) => times,
        Some(Err(error)) => {
            eprintln!("how often is a number: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut run = path.set_up();
    let region = Region::new(ALLOCATOR);
    measured(&mut run, times);
    let change = region.change();
    println!(
        "{} {} {}",
        change.allocations + change.reallocations,
        change.bytes_allocated,
        times * path.per_run
    );
    ExitCode::SUCCESS
}

/// What callgrind counts. Never inlined, so that it finds the name.
#[inline(never)]
fn measured(run: &mut Run, times: u64) {
    run(times);
    black_box(run); // The call before is none that this one could become.
}
