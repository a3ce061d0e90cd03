//! To single users, each in their turn.

use super::{PER_DELIVERY, Stage};
use crate::load::{Error, PATIENCE};

/// Pushes of one order: so many that an order costs nothing beside them, so few that nobody has their turn twice.
const SLICE: usize = 1_000;

const WORKLOAD: &str = "push to one user 64 B";

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let connections = stage.crowd.len();
    let total = connections * stage.setting.scale.pushes;
    let before = stage.cpu()?;
    slices(stage, connections, total).map_err(|error| format!("{WORKLOAD}: {error}"))?;
    let micros = stage.micros_since(&before)?;
    stage.figure(WORKLOAD, PER_DELIVERY, connections, micros / total as f64);
    Ok(())
}

fn slices(stage: &mut Stage<'_>, connections: usize, total: usize) -> Result<(), Error> {
    let mut left = total;
    while left > 0 {
        let slice = left.min(SLICE).min(connections);
        stage.crowd.begin();
        stage.child.order(&format!("users {slice} 64"))?;
        stage.crowd.expect(slice as u64, PATIENCE)?;
        stage.child.done(&mut stage.crowd, PATIENCE)?;
        left -= slice;
    }
    Ok(())
}
