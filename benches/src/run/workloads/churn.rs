//! Connections that come and go, half of them without a word: what each costs, and whether anything of them stays.

use std::time::Duration;

use super::Stage;
use crate::load::{Crowd, Ending, Error};

/// So many are there at a time.
const AT_A_TIME: usize = 200;
/// Ours remembers who left without a word for 5 s, in case they come back; peers get the time their sockets take to end.
const GRACE: Duration = Duration::from_secs(7);
const SOCKETS: Duration = Duration::from_secs(2);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let all = stage.setting.scale.churned;
    let baseline = stage.baseline()?;
    let before = stage.cpu()?;
    let mut next = 0;
    while next < all {
        let some = next..(next + AT_A_TIME).min(all);
        next = some.end;
        Crowd::connect(&stage.target, some)?.leave(ending)?;
    }
    stage.crowd.run_for(if stage.setting.is_ours() { GRACE } else { SOCKETS })?;
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
