//! To everybody: one message at a time, and many at once.

use super::{PER_DELIVERY, Stage};
use crate::load::{Error, PATIENCE};

/// Messages that come back to back.
const BURST: usize = 20;
/// Rounds before it is measured: the first message makes what later ones use.
const WARM_UP: usize = 2;

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let scale = stage.setting.scale.clone();
    rounds(stage, WARM_UP, "all 1 64", 1)?;
    for (workload, order, rounds_of_it, each) in [
        ("broadcast 64 B", "all 1 64".to_owned(), scale.rounds, 1),
        ("broadcast 1 KiB", "all 1 1024".to_owned(), scale.rounds, 1),
        ("burst 64 B", format!("all {BURST} 64"), scale.bursts, BURST),
        ("burst 1 KiB", format!("all {BURST} 1024"), scale.bursts, BURST),
    ] {
        let before = stage.cpu()?;
        let deliveries =
            rounds(stage, rounds_of_it, &order, each).map_err(|error| format!("{workload}: {error}"))?;
        let micros = stage.micros_since(&before)?;
        let connections = stage.crowd.len();
        stage.figure(workload, PER_DELIVERY, connections, micros / deliveries as f64);
    }
    Ok(())
}

/// Gives the order again and again, each time when everybody was delivered what the last one sent. Returns the deliveries.
fn rounds(stage: &mut Stage<'_>, rounds: usize, order: &str, each: usize) -> Result<u64, Error> {
    let mut deliveries = 0;
    for _ in 0..rounds {
        stage.crowd.begin();
        stage.child.order(order)?;
        deliveries += stage.crowd.expect_each(each, PATIENCE)?;
        stage.child.done(&mut stage.crowd, PATIENCE)?;
    }
    Ok(deliveries)
}
