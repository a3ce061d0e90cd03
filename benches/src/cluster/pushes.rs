//! Pushes that cross: from one node to clients of the others.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use herenow::{
    UserKey,
    testing::{Connect, TestClient},
};
use parking_lot::Mutex;

use super::{Figure, Node, Options, Redis, Report, node::login_id};
use crate::load::now;

/// Clients on each node but the one that pushes.
const CLIENTS: usize = 50;
/// As fast as it goes, so many are under way.
const AHEAD: u64 = 2_000;
/// What is told of, a second.
const PACES: [u32; 2] = [500, 5_000];
const PATIENCE: Duration = Duration::from_secs(60);

/// What came out at the clients.
#[derive(Debug)]
struct Received {
    count: AtomicU64,
    /// In nanoseconds.
    latency: Mutex<Histogram<u32>>,
}

impl Received {
    fn new() -> Result<Arc<Self>, Box<dyn Error>> {
        let latency = Mutex::new(Histogram::new_with_max(10_000_000_000, 3)?);
        Ok(Arc::new(Self { count: AtomicU64::new(0), latency }))
    }

    async fn all(&self, count: u64) -> Result<(), Box<dyn Error>> {
        let end = now() + PATIENCE;
        while self.count.load(Relaxed) < count {
            if now() > end {
                let came = self.count.load(Relaxed);
                return Err(format!("{came} of {count} pushes came within {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

pub(super) async fn measure(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    for nodes in &options.nodes {
        let redis = Redis::start().await?;
        between(*nodes, &redis, &format!("{nodes} nodes"), options.time(), report).await?;
    }
    if let Some(nodes) = options.nodes.first() {
        let masters = Redis::cluster().await?;
        let with = format!("{nodes} nodes over a Redis Cluster of 3");
        between(*nodes, &masters, &with, options.time(), report).await?;
    }
    Ok(())
}

async fn between(
    nodes: usize,
    redis: &Redis,
    with: &str,
    time: Duration,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let (begin, received) = (now(), Received::new()?);
    let from = Node::start(redis).await?;
    let mut others = Vec::new();
    for node in 1..nodes {
        let other = Node::start(redis).await?;
        for client in 0..CLIENTS {
            let user = UserKey::new(login_id((node - 1) * CLIENTS + client));
            let client = Connect::new(&other.online).user(user).raw().open().await;
            drop(other.spawn(receive(client, begin, received.clone()))?);
        }
        others.push(other);
    }
    let users = (nodes - 1) * CLIENTS;
    from.counts(users).await?;

    for pace in PACES {
        let with = format!("{with}, {pace}/s");
        let before = received.count.load(Relaxed);
        received.latency.lock().reset();
        let online = from.online.clone();
        let pushed = from.within(async move {
            let mut ticks = tokio::time::interval(Duration::from_secs(1) / pace);
            let (mut pushed, end) = (0, now() + time);
            while now() < end {
                ticks.tick().await;
                let content = begin.elapsed().as_nanos().to_string();
                pushed += u64::from(
                    online.push_to_user(&*login_id(pushed as usize % users), content).await.is_ok(),
                );
            }
            pushed
        });
        received.all(before + pushed.await?).await?;
        let latency = received.latency.lock().clone();
        let us = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1e3;
        let note = format!("p99 {:.0} us, p99.9 {:.0} us", us(0.99), us(0.999));
        report.take(Figure::ours("push until its client has it, p50", with, us(0.5), "us").note(note));
    }

    let (before, cpu, start) = (received.count.load(Relaxed), redis.cpu().await?, now());
    let (online, came) = (from.online.clone(), received.clone());
    let pushed = from
        .within(async move {
            let (mut pushed, end) = (0_u64, now() + time);
            while pushed % 64 != 0 || now() < end {
                while before + pushed > came.count.load(Relaxed) + AHEAD && now() < end {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                let content = begin.elapsed().as_nanos().to_string();
                pushed += u64::from(
                    online.push_to_user(&*login_id(pushed as usize % users), content).await.is_ok(),
                );
            }
            pushed
        })
        .await?;
    received.all(before + pushed).await?;
    let (cpu, took) = (redis.cpu().await? - cpu, start.elapsed());
    let rate = pushed as f64 / took.as_secs_f64();
    report.take(
        Figure::ours("pushes a second, from one node", with, rate, "")
            .note("clients, nodes and Redis share the cores"),
    );
    let each = cpu.as_secs_f64() * 1e6 / pushed as f64;
    report.take(Figure::ours("push", with, each, "us").note("the look-up, the publication and the receipt"));
    Ok(())
}

/// Takes in pushes that say when they began.
async fn receive(mut client: TestClient, begin: Instant, received: Arc<Received>) {
    while let Some(frame) = client.recv().await {
        let herenow::testing::Frame::Text(text) = frame else { continue };
        let Ok(sent) = text.parse::<u128>() else { continue };
        let took = begin.elapsed().as_nanos().saturating_sub(sent);
        received.latency.lock().saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
        received.count.fetch_add(1, Relaxed);
    }
}
