//! What a connection costs: to come, and to be there.

use std::time::Duration;

use super::{PER_CONNECTION, Stage};
use crate::load::Error;

/// How long after the last upgrade, or the last push, memory is read.
const REST: Duration = Duration::from_secs(2);

/// Upgrades with a token; then what the connections hold.
pub(super) fn measure(stage: &mut Stage<'_>, baseline: f64) -> Result<(), Error> {
    let connections = stage.setting.scale.connections;
    let before = stage.cpu()?;
    stage.crowd.add(0..connections)?;
    let micros = stage.micros_since(&before)?;
    stage.figure("upgrade", "us of CPU per upgrade", connections, micros / connections as f64);
    held(stage, "idle", baseline)
}

/// What they hold once they were written to.
pub(super) fn after_traffic(stage: &mut Stage<'_>, baseline: f64) -> Result<(), Error> {
    held(stage, "after traffic", baseline)
}

fn held(stage: &mut Stage<'_>, when: &str, baseline: f64) -> Result<(), Error> {
    stage.crowd.run_for(REST)?;
    let connections = stage.crowd.len();
    let held = stage.resident_kib()? - baseline;
    stage.figure(when, PER_CONNECTION, connections, held / connections as f64);
    Ok(())
}
