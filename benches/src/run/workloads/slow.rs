//! One reader in ten stops reading: what the others feel, and what the server keeps for it.

use std::time::Duration;

use super::{PER_DELIVERY, Stage};
use crate::load::{Error, PATIENCE, now};

/// Every so manieth reader stops.
const EVERY: usize = 10;
/// Its receive buffer, so that the server notices soon.
const WINDOW: usize = 4096;
const ORDER: &str = "all 1 1024";
/// Time for a server to note who is there, and at the end to be heard on how the slow were treated.
const NEWS: Duration = Duration::from_secs(1);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let readers = stage.setting.scale.readers;
    let rounds = stage.setting.scale.paced;
    let baseline = stage.baseline()?;
    stage.crowd.narrow(EVERY, WINDOW);
    stage.crowd.add(0..readers)?;
    stage.crowd.run_for(NEWS)?; // Until the last of them is on the server's list.
    paced(stage, "all read", rounds / 5)?;

    let before = stage.resident_kib()?;
    let slow = stage.crowd.pause_reading(|number| number % EVERY == EVERY - 1)?;
    paced(stage, "slow tenth", rounds)?;
    let grown = stage.resident_kib()? - before;
    stage.figure("slow tenth", "MiB resident before", readers, (before - baseline) / 1024.0);
    stage.figure("slow tenth", "MiB grown", readers, grown / 1024.0);

    stage.crowd.read_again()?;
    stage.crowd.run_for(NEWS)?;
    let cut = stage.crowd.tally().ended();
    stage.figure("slow tenth", "% of the slow that were cut", readers, cut as f64 * 100.0 / slow as f64);
    Ok(())
}

/// Broadcasts at a fixed rate, whether the last one has arrived or not.
fn paced(stage: &mut Stage<'_>, workload: &str, rounds: usize) -> Result<(), Error> {
    stage.crowd.time_deliveries();
    let before = stage.cpu()?;
    let begin = now();
    for round in 0..rounds {
        let due = begin + stage.setting.scale.pace * round as u32;
        stage.crowd.run_for(due.saturating_duration_since(now()))?;
        stage.crowd.ordered(now());
        stage.child.order(ORDER)?;
    }
    let deliveries = stage.crowd.expect_each(rounds, PATIENCE)?;
    stage.child.done(&mut stage.crowd, PATIENCE)?;
    let micros = stage.micros_since(&before)?;
    let latency = stage.crowd.latency();
    let (half, most) =
        (latency.value_at_quantile(0.5) as f64 / 1e3, latency.value_at_quantile(0.99) as f64 / 1e3);
    let readers = stage.setting.scale.readers;
    stage.figure(workload, "ms to a reader, median", readers, half);
    stage.figure(workload, "ms to a reader, 99 %", readers, most);
    stage.figure(workload, PER_DELIVERY, readers, micros / deliveries as f64);
    Ok(())
}
