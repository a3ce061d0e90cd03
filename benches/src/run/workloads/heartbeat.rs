//! Idle connections: what it costs to know that they live.

use std::time::Duration;

use super::{Launch, Setting, Stage};
use crate::load::Error;

/// A heartbeat is this by default, here and at the peers that have one within a few seconds.
const DEFAULT: Duration = Duration::from_secs(30);
/// The figure's own number of connections, whatever it was measured with.
const CONNECTIONS: f64 = 19_500.0;
/// After the first period, until all have answered.
const FIRST_ANSWERS: Duration = Duration::from_secs(3);

pub(super) fn launch(setting: &Setting) -> Launch {
    match setting.scale.heartbeat_ms {
        0 => setting.launch.clone(),
        millis => setting.launch.with(["--heartbeat-ms".to_owned(), millis.to_string()]),
    }
}

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let scale = stage.setting.scale.clone();
    let period = match scale.heartbeat_ms {
        0 => DEFAULT,
        millis => Duration::from_millis(millis),
    };
    stage.crowd.add(0..scale.idle)?;
    stage.crowd.run_for(period + FIRST_ANSWERS.min(period))?;

    let asked = stage.crowd.tally().pings;
    let before = stage.cpu()?;
    stage.crowd.run_for(scale.watched)?;
    let used = stage.cpu()?.since(&before).as_secs_f64();
    let asked = stage.crowd.tally().pings - asked;

    let least = scale.idle as u64 * (scale.watched.as_secs_f64() / period.as_secs_f64()).floor() as u64 / 2;
    if asked < least || stage.crowd.len() < scale.idle {
        let (left, ended) = (stage.crowd.len(), &stage.crowd.tally().closed);
        return Err(format!("{asked} pings came, {left} connections are left (closed: {ended:?})").into());
    }
    let micros = used * 1e6 / asked as f64;
    let percent = micros * CONNECTIONS / DEFAULT.as_secs_f64() / 1e6 * 100.0;
    let as_measured = used / scale.watched.as_secs_f64() * 100.0;
    stage.figure("heartbeat", "us of CPU per heartbeat", scale.idle, micros);
    stage.figure("heartbeat", "% of a core, as measured", scale.idle, as_measured);
    stage.figure("heartbeat", "% of a core, scaled to 19,500 connections and 30 s", scale.idle, percent);
    Ok(())
}
