//! A node: a manager over Redis in a runtime of its own, so that it can die as a process does.

use std::{collections::HashMap, error::Error, time::Duration};

use chrono::DateTime;
use futures_util::{StreamExt as _, stream};
use herenow::{Events, Notice, OnlineManager, OnlineUser, cluster::Health};
use herenow_redis::RedisEngine;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinHandle,
};

use super::Redis;
use crate::load::now;

/// Marks under way at a time: as many logins as a busy node has.
const AT_ONCE: usize = 256;
/// A count is 256 look-ups: taken all the time, it would be what is measured.
const LOOK: Duration = Duration::from_millis(50);
/// How long a node may take until it is whole.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Node {
    pub(super) online: OnlineManager,
    /// None once it is dead, and of one that never dies.
    runtime: Option<Runtime>,
}

impl Node {
    /// With every default.
    pub(super) async fn start(redis: &Redis) -> Result<Self, Box<dyn Error>> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let config = redis.config()?;
        let online = runtime.spawn(async move {
            let engine = RedisEngine::connect(config).await.map_err(|error| error.to_string())?;
            OnlineManager::builder().engine(engine).build().map_err(|error| error.to_string())
        });
        let node = Self { online: online.await??, runtime: Some(runtime) };
        node.whole().await?;
        Ok(node)
    }

    /// One of many that do nothing: in the caller's runtime.
    pub(super) async fn idle(redis: &Redis) -> Result<Self, Box<dyn Error>> {
        let engine = RedisEngine::connect(redis.config()?).await?;
        let node = Self { online: OnlineManager::builder().engine(engine).build()?, runtime: None };
        node.whole().await?;
        Ok(node)
    }

    /// Waits until nothing is left to be written or heard.
    pub(super) async fn whole(&self) -> Result<(), Box<dyn Error>> {
        let online = self.online.clone();
        until("a node is whole", PATIENCE, async || online.engine_health() == Health::Up).await.map(drop)
    }

    /// Marks users online, by numbers.
    pub(super) async fn login(&self, numbers: std::ops::Range<usize>) -> Result<(), Box<dyn Error>> {
        let online = self.online.clone();
        let mark = move |number: usize| {
            let online = online.clone();
            async move { online.try_mark_online(session(number)).await }
        };
        let marks = stream::iter(numbers).map(mark).buffer_unordered(AT_ONCE);
        self.within(marks.for_each(async |marked| {
            if let Err(refused) = marked {
                eprintln!("a login was refused: {refused}");
            }
        }))
        .await
    }

    /// Starts something in this node's runtime.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>, Box<dyn Error>> {
        Ok(self.runtime.as_ref().ok_or("the node is dead")?.spawn(future))
    }

    /// Waits for something in this node's runtime.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Box<dyn Error>> {
        Ok(self.spawn(future)?.await?)
    }

    /// Waits until so many are online in the cluster, as this node sees it; says how long that took.
    pub(super) async fn counts(&self, users: usize) -> Result<Duration, Box<dyn Error>> {
        let what = format!("{users} are online");
        until(&what, PATIENCE, async || {
            tokio::time::sleep(LOOK).await;
            self.online.get_online_count().await == users
        })
        .await
    }

    /// Counts every transition of the cluster from now on.
    pub(super) async fn listen(&self) -> Result<watch::Receiver<Heard>, Box<dyn Error>> {
        let heard = self.count(self.online.cluster_events())?;
        // What happens before the wish is known is not told.
        self.whole().await?;
        let _ = self.online.is_online("nobody").await;
        Ok(heard)
    }

    /// Counts the transitions that this node makes from now on.
    pub(super) fn makes(&self) -> Result<watch::Receiver<Heard>, Box<dyn Error>> {
        self.count(self.online.events())
    }

    fn count(&self, mut events: Events) -> Result<watch::Receiver<Heard>, Box<dyn Error>> {
        let (tell, heard) = watch::channel(Heard::default());
        let counting = async move {
            while let Some(notice) = events.recv().await {
                tell.send_modify(|heard| match notice {
                    Notice::Event(_) => heard.events += 1,
                    Notice::Missed(missed) => heard.missed += missed,
                    _ => heard.others += 1,
                });
            }
        };
        drop(self.spawn(counting)?);
        Ok(heard)
    }

    /// Ends without a word, as a killed process: its connections close and it beats no more.
    pub(super) fn die(mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Node {
    /// A runtime must not be dropped where futures run.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a listener was told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Heard {
    pub(super) events: u64,
    pub(super) missed: u64,
    pub(super) others: u64,
}

impl Heard {
    /// How many there were.
    pub(super) fn all(self) -> u64 {
        self.events + self.missed
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} + {} missed", self.events, self.missed)
    }
}

fn session(number: usize) -> OnlineUser {
    OnlineUser {
        login_id: login_id(number),
        token: format!("token-{number}"),
        device: "web".to_owned(),
        connect_time: DateTime::UNIX_EPOCH,
        last_activity: DateTime::UNIX_EPOCH,
        metadata: HashMap::new(),
    }
}

pub(super) fn login_id(number: usize) -> String {
    format!("user{number:07}")
}

/// Looks again and again; says how long it took.
pub(super) async fn until(
    what: &str,
    at_most: Duration,
    is_true: impl AsyncFn() -> bool,
) -> Result<Duration, Box<dyn Error>> {
    let begin = now();
    while !is_true().await {
        if begin.elapsed() > at_most {
            return Err(format!("not within {at_most:?}: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(begin.elapsed())
}
