//! Everybody is kicked out, one by one.

use super::Stage;
use crate::load::{Error, PATIENCE, now};

/// The close code of a kick-out (docs/PROTOCOL.md, section 5).
const KICKED: u16 = 4423;

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    let users = stage.setting.scale.kicked;
    stage.crowd.add(0..users)?;
    let before = stage.cpu()?;
    let ordered = now();
    stage.child.order(&format!("kick {users}"))?;
    stage.crowd.expect_ends(users, PATIENCE)?;
    let wall = ordered.elapsed();
    stage.child.done(&mut stage.crowd, PATIENCE)?;
    let micros = stage.micros_since(&before)?;

    let kicked = stage.crowd.tally().closed_with(KICKED);
    if kicked != users {
        let closed = &stage.crowd.tally().closed;
        return Err(
            format!("{kicked} of {users} connections were closed with {KICKED} (all: {closed:?})").into()
        );
    }
    stage.figure("kick", "us of CPU per kick", users, micros / users as f64);
    stage.figure("kick", "ms until all are closed", users, wall.as_secs_f64() * 1e3);
    Ok(())
}
