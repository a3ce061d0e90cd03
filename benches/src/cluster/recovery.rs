//! How long it takes until everything is whole again, and what anybody is told meanwhile.

use std::{error::Error, time::Duration};

use tokio::sync::watch;

use super::{
    Figure, Node, Options, Redis, Report,
    node::{Heard, until},
};
use crate::load::now;

const PATIENCE: Duration = Duration::from_secs(120);
/// Redis is not asked all the time while it is busy.
const QUIET: Duration = Duration::from_secs(2);

pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for users in options.users() {
        of_redis(users, report).await?;
        of_a_node(users, report).await?;
    }
    of_who_cleans_up(options.users().max().unwrap_or_default() / 2, report).await?;
    Ok(())
}

/// Redis loses everything, twice.
async fn of_redis(users: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::start().await?;
    let (a, b, other) = (Node::start(&redis).await?, Node::start(&redis).await?, Node::start(&redis).await?);
    let half = users / 2;
    tokio::try_join!(a.login(0..half), b.login(half..users))?;
    other.counts(users).await?;
    let heard = other.listen().await?;
    let with = format!("{users} users of two nodes");

    let begin = now();
    redis.run::<String>(&["FLUSHALL"]).await?;
    until("it is empty", PATIENCE, async || other.online.get_online_count().await < users).await.ok();
    other.counts(users).await?;
    let took = begin.elapsed().as_secs_f64();
    let events = heard.borrow().events;
    report.take(Figure::ours("whole after FLUSHALL", &with, took, "s").note(format!("{events} events")));
    for node in [&a, &b, &other] {
        node.whole().await?;
    }

    redis.restart().await?;
    let begin = now();
    until("it is empty", PATIENCE, async || other.online.get_online_count().await < users).await.ok();
    other.counts(users).await?;
    let took = begin.elapsed().as_secs_f64();
    let events = heard.borrow().events;
    report.take(
        Figure::ours("whole after Redis came back empty", &with, took, "s").note(format!("{events} events")),
    );
    Ok(())
}

/// A node dies without a word.
async fn of_a_node(users: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let redis = Redis::start().await?;
    let (dies, a, b) = (Node::start(&redis).await?, Node::start(&redis).await?, Node::start(&redis).await?);
    dies.login(0..users).await?;
    a.counts(users).await?;
    let mut listeners = [a.listen().await?, b.listen().await?];
    let begin = now();
    dies.die();
    let mut took = Vec::new();
    for heard in &mut listeners {
        let all = heard.wait_for(|heard| heard.all() >= users as u64);
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| "not everybody went offline")??;
        took.push(begin.elapsed().as_secs_f64());
    }
    // One event too many would come now.
    tokio::time::sleep(QUIET).await;
    let heard: Vec<String> = listeners.iter().map(|heard| heard.borrow().to_string()).collect();
    let slowest = took.into_iter().fold(0.0, f64::max);
    let with = format!("{users} users, lease 6 s");
    let figure = Figure::ours("offline after a node's death", with, slowest, "s");
    report.take(figure.note(format!("events heard by each survivor: {}", heard.join(", "))));
    Ok(())
}

/// A node dies without a word, and then the one that is cleaning up after it, half way.
async fn of_who_cleans_up(users: usize, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let redis = Redis::start().await?;
    let (dies, mut others) = (Node::start(&redis).await?, Vec::new());
    for _ in 0..3 {
        others.push(Node::start(&redis).await?);
    }
    dies.login(0..users).await?;
    let (mut heard, mut made) = (Vec::new(), Vec::new());
    for node in &others {
        node.counts(users).await?;
        heard.push(node.listen().await?);
        made.push(node.makes()?);
    }
    let begin = now();
    dies.die();
    let is_half_way = |made: &watch::Receiver<Heard>| made.borrow().all() >= users as u64 / 2;
    until("half of them are offline", PATIENCE, async || made.iter().any(is_half_way)).await?;
    let second = made.iter().position(is_half_way).ok_or("nobody cleans up")?;
    others.remove(second).die();
    heard.remove(second);
    for heard in &mut heard {
        let all = heard.wait_for(|heard| heard.all() >= users as u64);
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| "not everybody went offline")??;
    }
    let took = begin.elapsed().as_secs_f64();
    tokio::time::sleep(QUIET).await;
    let heard: Vec<String> = heard.iter().map(|heard| heard.borrow().to_string()).collect();
    let with = format!("{users} users, lease 6 s");
    let figure = Figure::ours("offline after two deaths, the second of who cleaned up", with, took, "s");
    report.take(figure.note(format!("events heard by each survivor: {}", heard.join(", "))));
    Ok(())
}
