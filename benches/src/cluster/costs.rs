//! What single steps cost Redis: processor time of its main thread, and memory.

use std::{error::Error, time::Duration};

use super::{Figure, Node, Options, Redis, Report, node::login_id};
use crate::load::now;

/// Steps that one figure is the mean of.
const STEPS: usize = 20_000;
/// How long new nodes take until all know of all.
const SETTLING: Duration = Duration::from_secs(3);

pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for users in options.users() {
        of_users(users, report).await?;
    }
    for nodes in &options.beating {
        let nodes = if options.quick { (*nodes).min(50) } else { *nodes };
        of_beats(nodes, options.time(), report).await?;
    }
    Ok(())
}

/// Users come, are asked for and go, beside many that are there.
async fn of_users(users: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let redis = Redis::start().await?;
    let (here, there) = (Node::start(&redis).await?, Node::start(&redis).await?);
    let before = redis.memory().await?;
    let cpu = redis.cpu().await?;
    here.login(0..users).await?;
    there.counts(users).await?;
    let with = format!("{users} users");
    report.take(Figure::ours("connect, all", &with, micros(redis.cpu().await? - cpu, users), "us"));
    let memory = redis.memory().await?.saturating_sub(before) as f64 / users as f64;
    report.take(Figure::ours("memory for a user", &with, memory, "bytes"));

    let cpu = redis.cpu().await?;
    here.login(users..users + STEPS).await?;
    there.counts(users + STEPS).await?;
    let with = format!("{users} users there");
    let note = "a look for a ban, and the upsert with its event";
    report.take(Figure::ours("connect", &with, micros(redis.cpu().await? - cpu, STEPS), "us").note(note));

    let cpu = redis.cpu().await?;
    let online = there.online.clone();
    let seen = there
        .within(async move {
            let mut seen = 0;
            for number in users..users + STEPS {
                seen += usize::from(online.is_online(&*login_id(number)).await);
            }
            seen
        })
        .await?;
    if seen != STEPS {
        return Err(format!("{seen} of {STEPS} users were seen").into());
    }
    report.take(
        Figure::ours("is_online", &with, micros(redis.cpu().await? - cpu, STEPS), "us").note("one by one"),
    );

    let cpu = redis.cpu().await?;
    let online = here.online.clone();
    here.within(async move {
        for number in users..users + STEPS {
            online.mark_offline(&*login_id(number), &format!("token-{number}")).await;
        }
    })
    .await?;
    there.counts(users).await?;
    let note = "one by one, each told to the other node too, which answers";
    report.take(Figure::ours("log out", &with, micros(redis.cpu().await? - cpu, STEPS), "us").note(note));
    Ok(())
}

/// Nodes that do nothing but live.
async fn of_beats(nodes: usize, time: Duration, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let redis = Redis::start().await?;
    let mut all = Vec::new();
    for _ in 0..nodes {
        all.push(Node::idle(&redis).await?);
    }
    // Those that came tell those that were there, which then beat at once: not what is to be measured.
    tokio::time::sleep(SETTLING).await;
    let (cpu, begin) = (redis.cpu().await?, now());
    // Nobody looks meanwhile, which would cost more than they do.
    tokio::time::sleep(if nodes < 10 { 4 * time } else { time }).await;
    let (cpu, took) = (redis.cpu().await? - cpu, now() - begin);
    let each = cpu.as_secs_f64() * 1e6 / (nodes as f64 * took.as_secs_f64());
    let figure = Figure::ours("an idle node", format!("{nodes} nodes"), each, "us/s");
    report.take(figure.note("its beat and its part of the sweep"));
    Ok(())
}

fn micros(cpu: Duration, steps: usize) -> f64 {
    cpu.as_secs_f64() * 1e6 / steps as f64
}
