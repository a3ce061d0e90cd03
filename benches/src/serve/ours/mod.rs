//! herenow on three frameworks, with every feature on and its defaults: as an application of one of its users has it.

use std::{error::Error, time::Duration};

use futures_util::{StreamExt as _, future::try_join_all, stream};
use herenow::{
    BuildError, Content, OnlineManager, PushError, PushMessage, Target,
    auth::JwtAuthenticator,
    policy,
    policy::{Resume, Timing},
};
use serde_json::value::RawValue;

use super::{Options, Order, control};
use crate::design::Design;

mod actix;
mod axum;
mod poem;

/// The channel of the order `channel`.
const ROOM: &str = "room";
/// Kicks under way at a time.
const KICKS: usize = 256;

pub(super) fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let design = options.design;
    match design {
        Design::HerenowActix | Design::HerenowActixServe => {
            actix::serve(options, design == Design::HerenowActixServe)
        }
        Design::HerenowPoem => super::runtime(options.threads)?.block_on(poem::serve(options)),
        _ => super::runtime(options.threads)?.block_on(axum::serve(options)),
    }
}

fn manager(options: &Options) -> Result<OnlineManager, BuildError> {
    let given = |millis, default| if millis == 0 { default } else { Duration::from_millis(millis) };
    let (timing, resume) = (Timing::default(), Resume::default());
    OnlineManager::builder()
        .authenticator(JwtAuthenticator::hs256(options.secret.as_bytes())?)
        .authorize(policy::members_see_members().channels(|_, _| true))
        .timing(Timing { heartbeat: given(options.heartbeat_ms, timing.heartbeat), ..timing })
        .resume(Resume { time: given(options.resume_ms, resume.time), ..resume })
        .build()
}

/// Does what the runner orders, until it is gone.
async fn obey(online: OnlineManager) -> Result<(), Box<dyn Error>> {
    let mut orders = super::orders();
    let mut turn = 0;
    while let Some(order) = orders.recv().await {
        match order {
            Order::All { count, size } => push_all(&online, &Target::everyone(), count, size).await?,
            Order::Channel { count, size } => push_all(&online, &Target::channel(ROOM), count, size).await?,
            Order::Users { count, size } => turn = push_each(&online, turn, count, size).await?,
            Order::Kick { count } => kick(&online, count).await,
        }
        super::done();
    }
    Ok(())
}

/// So many pushes that do not wait for each other, as of tasks that each have something to say.
async fn push_all(online: &OnlineManager, to: &Target, count: usize, size: usize) -> Result<(), PushError> {
    let payload = payload(size)?;
    let one = async |_| online.push(to.clone(), message(&payload)?).await.map(drop);
    try_join_all((0..count).map(one)).await.map(drop)
}

/// One push to each user from number `turn` on. Returns whose turn it is then.
async fn push_each(
    online: &OnlineManager,
    mut turn: usize,
    count: usize,
    size: usize,
) -> Result<usize, PushError> {
    let payload = payload(size)?;
    let users = online.get_online_count().await.max(1);
    for _ in 0..count {
        online.push_to_user(format!("u{}", turn % users), message(&payload)?).await?;
        turn += 1;
    }
    Ok(turn)
}

async fn kick(online: &OnlineManager, count: usize) {
    let one = |number: usize| online.kick_out_notify(format!("u{number}"), "the bench is over");
    stream::iter(0..count).map(one).buffer_unordered(KICKS).for_each(async |_| {}).await;
}

fn payload(size: usize) -> Result<Box<RawValue>, PushError> {
    RawValue::from_string(control::payload(size)).map_err(|error| PushError::NotJson(error.to_string()))
}

/// Made anew for each push, as an application does.
fn message(payload: &RawValue) -> Result<PushMessage, PushError> {
    Ok(PushMessage::new(Content::json(payload)?))
}
