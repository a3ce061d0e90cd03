//! [`Shard`]: one Redis with all that runs over it. One is the usual case; of several, each holds the users and channels
//! of some of the tags.

use std::{
    sync::{Arc, Weak, atomic::AtomicBool},
    time::Duration,
};

use bytes::Bytes;
use herenow::{
    Clock, SystemClock,
    cluster::{Health, LocalNode},
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc, watch},
    task::AbortHandle,
};

use crate::{
    ask::{self, Arrived, Asked, Kicks, Questions},
    cluster::Cluster,
    config::{RedisConfig, Server},
    directory::Directory,
    error::{ConnectError, Unavailable},
    frame::To,
    inbox::{self, Inbox, Work},
    keys::Keys,
    lease::{LeaseId, Member},
    link::{self, Dial, Link, heart::Heart, listen::Listener},
    marks::Marks,
    queue::{Queue, Queued, queue},
    receipts::{PATIENCE, Receipts},
    route::{Routed, Sender},
    upkeep,
};

/// What all Redis of a node share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) node: u32,
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) questions: Arc<Questions>,
    pub(crate) asked: Arc<Asked>,
    pub(crate) kicks: Arc<Kicks>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) runtime: Handle,
}

/// One Redis.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) cluster: Cluster,
    pub(crate) link: Link,
    pub(crate) keys: Arc<Keys>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) routes: Queue<Routed>,
    common: Common,
    trouble: Arc<watch::Sender<Option<ConnectError>>>,
    /// From beat to beat.
    every: Duration,
    stop: watch::Sender<bool>,
    /// What begins with the node.
    waiting: Mutex<Option<Waiting>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// The ends of what comes in, until there is a node to take it.
#[derive(Debug)]
struct Waiting {
    routed: Queued<Routed>,
    work: Queued<Work>,
    arrived: mpsc::Receiver<Arrived>,
    logged: mpsc::Receiver<Vec<Vec<u8>>>,
    dead: watch::Receiver<Arc<[Member]>>,
}

/// So many reads of the kick log wait to be carried out before the log is not read on.
const LOGGED: usize = 4;

impl Shard {
    /// Begins to connect; `owns` says of each tag whether it is held here. The first holds what has no tag.
    pub(crate) fn start(
        config: &RedisConfig,
        server: &Server,
        common: Common,
        owns: Arc<dyn Fn(u8) -> bool + Send + Sync>,
        is_first: bool,
    ) -> Result<Self, ConnectError> {
        let dial = Dial::new(server, &config.prefix, config.command_timeout)?;
        let link = Link::new(config.command_timeout);
        let keys = Arc::new(Keys::new(&server.prefix(&config.prefix)));
        let cluster =
            Cluster::new(common.node, config.node_name.clone(), config.lease, link.clone(), keys.clone());
        let directory = Directory::new(link.clone(), keys.clone(), cluster.clone(), owns, is_first);
        let (routes, routed) = queue(config.queued_pushes, config.queued_bytes);
        let (work_in, work) = queue(config.queued_pushes, config.queued_bytes);
        let (arrived_in, arrived) = mpsc::channel(ask::WAITING);
        let (logged_in, logged) = mpsc::channel(LOGGED);
        let (dead_in, dead) = watch::channel(Arc::from([]));
        let trouble = Arc::new(watch::Sender::new(None));
        let stop = watch::Sender::new(false);
        let beat_now = Arc::new(Notify::new());

        let inbox = Inbox {
            cluster: cluster.clone(),
            echoes: watch::Sender::new(0),
            receipts: common.receipts.clone(),
            questions: common.questions.clone(),
            marks: common.marks.clone(),
            work: work_in,
            arrived: arrived_in,
            retired: AtomicBool::new(false),
        };
        let heart = Heart {
            // An answer that takes longer than that would cost the lease.
            dial: dial.with_timeout(config.command_timeout.min(config.lease / 3)),
            cluster: cluster.clone(),
            keys: keys.clone(),
            name: config.node_name.clone(),
            every: config.heartbeat,
            trouble: trouble.clone(),
            echoes: inbox.echoes.subscribe(),
            dead: dead_in,
            kicks: logged_in,
            stopped: stop.subscribe(),
            now: beat_now.clone(),
        };
        let listener = Listener {
            dial: dial.clone(),
            cluster: cluster.clone(),
            keys: keys.clone(),
            inbox: Arc::new(inbox),
            everything: directory.everything(),
        };
        let waiting = Mutex::new(Some(Waiting { routed, work, arrived, logged, dead }));
        let shard = Self {
            cluster,
            link: link.clone(),
            keys,
            directory,
            routes,
            common,
            trouble: trouble.clone(),
            every: config.heartbeat,
            stop,
            waiting,
            tasks: Mutex::default(),
        };
        shard.spawn(link::keep_connected(link.clone(), dial, config.heartbeat, config.lease, trouble));
        shard.spawn(upkeep::tell_number(link, shard.cluster.clone(), beat_now));
        shard.spawn(heart.run(random_lease));
        shard.spawn(listener.run());
        Ok(shard)
    }

    /// Waits until the node is registered here and heard, or until it is known why it cannot be.
    pub(crate) async fn ready(&self) -> Result<(), ConnectError> {
        let (mut facts, mut trouble) = (self.cluster.facts(), self.trouble.subscribe());
        tokio::select! {
            _ = facts.wait_for(|facts| facts.state().is_some()) => Ok(()),
            error = trouble.wait_for(Option::is_some) => match error.ok().and_then(|error| error.clone()) {
                Some(error) => Err(error),
                None => Ok(()),
            },
        }
    }

    /// The node is there: from here on what comes in is delivered to it, and what it has is written.
    pub(crate) fn attach(&self, local: Weak<dyn LocalNode>, directories: Vec<Arc<Directory>>) {
        let Some(Waiting { routed, work, arrived, logged, dead }) = self.waiting.lock().take() else {
            return;
        };
        let Common { asked, receipts, .. } = self.common.clone();
        let keys = self.keys.clone();
        self.directory.attach(local.clone());
        let (delivered_in, delivered) = mpsc::channel(inbox::COUNTING);
        let sender = Sender {
            cluster: self.cluster.clone(),
            link: self.link.clone(),
            keys: keys.clone(),
            directory: self.directory.clone(),
            directories,
            receipts,
        };
        self.spawn(sender.run(routed));
        self.spawn(inbox::take_in(
            work,
            local.clone(),
            self.directory.clone(),
            self.common.marks.clone(),
            delivered_in,
        ));
        self.spawn(inbox::send_receipts(self.link.clone(), keys.clone(), delivered));
        self.spawn(asked.run(local.clone(), self.link.clone(), keys.clone(), arrived, logged));
        self.spawn(upkeep::reap(dead, self.cluster.clone(), self.directory.clone()));
        self.spawn(self.directory.clone().run());
        self.spawn(upkeep::tell_again(
            self.cluster.clone(),
            self.link.clone(),
            self.directory.clone(),
            keys.clone(),
            self.common.kicks.clone(),
            self.every,
        ));
        self.spawn(upkeep::keep_whole(
            self.cluster.clone(),
            self.link.clone(),
            self.directory.clone(),
            keys,
            self.common.clone(),
            local,
        ));
    }

    /// Waits until what was routed before has left, and what had left any node before was delivered here: one mark goes
    /// the way of both.
    ///
    /// # Errors
    /// There is no such way, or the mark did not come back.
    pub(crate) async fn caught_up(&self) -> Result<(), Unavailable> {
        if self.cluster.facts().borrow().state().is_none() {
            return Err(Unavailable::Down);
        }
        let mut mark = self.common.marks.begin();
        let routed = Routed { number: 0, to: To::Mark(mark.number), frame: Bytes::new() };
        self.routes.add(routed).map_err(|_| Unavailable::Down)?;
        tokio::time::timeout(PATIENCE, mark.came()).await.map_err(|_| Unavailable::Late)
    }

    pub(crate) fn health(&self) -> Health {
        self.cluster.health()
    }

    /// Leaves: the records are taken out, or the lease left to end by itself after `linger`.
    pub(crate) async fn leave(&self, linger: Option<Duration>) {
        // What was handed over before still goes out.
        let _ = self.caught_up().await;
        // No beat may follow, or the lease would be longer than asked for.
        self.stop.send_replace(true);
        let left = match linger {
            Some(time) => self.cluster.leave(time, false).await,
            None => {
                let clean = self.directory.leave().await.is_ok();
                // What is left of it others reap, at once.
                self.cluster.leave(Duration::ZERO, clean).await
            }
        };
        if let Err(error) = left {
            tracing::warn!(%error, "could not leave the cluster; its lease will end by itself");
        }
        self.end();
    }

    /// Ends all tasks, and with them the connections.
    pub(crate) fn end(&self) {
        self.tasks.lock().drain(..).for_each(|task| task.abort());
        self.link.close();
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().push(self.common.runtime.spawn(task).abort_handle());
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.end();
    }
}

/// A lease id that nobody has, most likely.
pub(crate) fn random_lease() -> LeaseId {
    let mut id = [0; 4];
    if getrandom::fill(&mut id).is_err() {
        // Still another one than before, and than other processes'.
        let now = SystemClock.utc().timestamp_micros() as u32;
        id = (now ^ std::process::id().rotate_left(16)).to_be_bytes();
    }
    id
}
