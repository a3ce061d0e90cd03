//! Connections that come and go, half of them without a word: what each costs, and whether anything of them stays.

use std::time::Duration;

use super::{Launch, Setting, Stage};
use crate::load::{Crowd, Ending, Error};

/// So many are there at a time.
const AT_A_TIME: usize = 200;
/// These users, again and again: ours remembers when a user was last seen, which is no connection's memory.
const USERS: usize = 1_000;
/// Ours keeps the streams of who left without a word, for this long here, in milliseconds; 120 s by default.
const RESUME_MS: &str = "1000";
/// After the last has gone: ours remembers for 5 s that somebody may come back, and an allocator gives pages back in 10 s.
const AFTERWARDS: Duration = Duration::from_secs(12);

pub(super) fn launch(setting: &Setting) -> Launch {
    if setting.is_ours() { setting.launch.with(["--resume-ms", RESUME_MS]) } else { setting.launch.clone() }
}

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let all = stage.setting.scale.churned;
    let baseline = stage.baseline()?;
    let before = stage.cpu()?;
    let mut next = 0;
    while next < all {
        let some = AT_A_TIME.min(all - next);
        let first = next % USERS;
        next += some;
        Crowd::connect(&stage.target, first..first + some)?.leave(ending)?;
    }
    stage.crowd.run_for(AFTERWARDS)?;
    let micros = stage.micros_since(&before)?;
    let after = stage.resident_kib()?;
    stage.figure("churn", "us of CPU per connect and disconnect", all, micros / all as f64);
    stage.figure("churn", "KiB resident before", all, baseline);
    stage.figure("churn", "KiB resident after", all, after);
    Ok(())
}

fn ending(number: usize) -> Ending {
    match number % 4 {
        0 | 2 => Ending::Close,
        1 => Ending::Fin,
        _ => Ending::Reset,
    }
}
