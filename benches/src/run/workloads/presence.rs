//! The presence feed of a channel: what it costs that a thousand people hear of one who comes.

use std::time::Duration;

use super::{PER_DELIVERY, Stage};
use crate::load::{Crowd, Error, PATIENCE, now};

/// With the one who joins, the channel has as many users as are told one by one (`policy::Channels`).
const MEMBERS: usize = 999;
/// Users who join at once.
const STORM: usize = 1_000;
/// Longer than the window in which events are gathered.
const QUIET: Duration = Duration::from_millis(150);
/// How long what a storm sends is waited for.
const AFTER_THE_STORM: Duration = Duration::from_secs(2);

pub(super) fn measure(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.crowd.add(0..MEMBERS + 1)?;
    request(&mut stage.crowd, 0..MEMBERS, "subscribe", 1)?;
    request(&mut stage.crowd, 0..MEMBERS, "subscribePresence", 2)?;
    let lists = |crowd: &Crowd| (crowd.tally().lists >= MEMBERS as u64).then_some(());
    stage.crowd.wait(PATIENCE, lists, |crowd| format!("{} of {MEMBERS} lists came", crowd.tally().lists))?;
    stage.crowd.run_for(QUIET)?;

    let per_frame = joins(stage)?;
    let per_delivery = broadcasts(stage)?;
    let all = MEMBERS + 1;
    stage.figure("join in a channel of 1,000", "us of CPU per frame", all, per_frame);
    stage.figure("broadcast to a channel of 1,000", PER_DELIVERY, all, per_delivery);
    stage.figure("join in a channel of 1,000", "of a broadcast to it", all, per_frame / per_delivery);
    storm(stage)
}

/// One user joins and leaves; each time every member is told.
fn joins(stage: &mut Stage<'_>) -> Result<f64, Error> {
    let turns = stage.setting.scale.joins;
    let (mut frames, mut micros) = (0, 0.0);
    let told = stage.crowd.tally().events;
    for turn in 0..turns {
        for verb in ["subscribe", "unsubscribe"] {
            stage.crowd.begin();
            let before = stage.cpu()?;
            request(&mut stage.crowd, MEMBERS..MEMBERS + 1, verb, turn + 10)?;
            stage.crowd.expect_feed(MEMBERS, MEMBERS as u64, PATIENCE)?;
            micros += stage.micros_since(&before)?;
            frames += stage.crowd.feed_of(MEMBERS);
        }
    }
    match stage.crowd.tally().events - told {
        events if events == frames => Ok(micros / frames as f64),
        events => Err(format!("{events} of {frames} frames of presence said who came").into()),
    }
}

/// As often, and with pauses as long.
fn broadcasts(stage: &mut Stage<'_>) -> Result<f64, Error> {
    let turns = stage.setting.scale.joins * 2;
    let mut micros = 0.0;
    for _ in 0..turns {
        stage.crowd.run_for(QUIET)?;
        stage.crowd.begin();
        let before = stage.cpu()?;
        stage.child.order("channel 1 64")?;
        stage.crowd.expect(MEMBERS as u64, PATIENCE)?;
        stage.child.done(&mut stage.crowd, PATIENCE)?;
        micros += stage.micros_since(&before)?;
    }
    Ok(micros / (turns * MEMBERS) as f64)
}

/// A thousand join at once.
fn storm(stage: &mut Stage<'_>) -> Result<(), Error> {
    let first = MEMBERS + 1;
    stage.crowd.add(first..first + STORM)?;
    stage.crowd.run_for(QUIET)?;
    stage.crowd.begin();
    let before = stage.cpu()?;
    let begin = now();
    let replies = stage.crowd.tally().replies;
    ask(&mut stage.crowd, first..first + STORM, "subscribe", 1)?;
    let sent = begin.elapsed();
    stage.crowd.expect_replies(replies, STORM, PATIENCE)?;
    let done = begin.elapsed();
    stage.crowd.run_for(AFTER_THE_STORM)?;
    let micros = stage.micros_since(&before)?;
    let frames = stage.crowd.feed_of(MEMBERS);
    let name = "1,000 joins at once";
    let all = MEMBERS + STORM;
    stage.figure(name, "frames per member", all, frames as f64 / MEMBERS as f64);
    stage.figure(name, "ms in which they were sent", all, sent.as_secs_f64() * 1e3);
    stage.figure(name, "ms until all were answered", all, done.as_secs_f64() * 1e3);
    stage.figure(name, "us of CPU per join", all, micros / STORM as f64);
    Ok(())
}

/// These ask, and are answered.
fn request(crowd: &mut Crowd, whom: std::ops::Range<usize>, verb: &str, id: usize) -> Result<(), Error> {
    let (before, so_many) = (crowd.tally().replies, whom.len());
    ask(crowd, whom, verb, id)?;
    crowd.expect_replies(before, so_many, PATIENCE)
}

fn ask(crowd: &mut Crowd, whom: std::ops::Range<usize>, verb: &str, id: usize) -> Result<(), Error> {
    let frame = format!(r#"{{"type":"{verb}","id":{id},"channel":"room"}}"#);
    whom.into_iter().try_for_each(|number| crowd.send(number, &frame))
}
