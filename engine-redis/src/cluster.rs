//! [`Cluster`]: this node and the others, as the lease of one Redis knows them. Everybody's view; [`link`](crate::link)
//! keeps it true.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use herenow::cluster::Health;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    directory::SYNCED,
    error::Unavailable,
    health::{Facts, Held},
    keys::Keys,
    lease::{LeaseId, Live, Member},
    link::{Link, heart},
};

/// A node that takes longer to write what it has is not waited for.
const LONGEST_SYNC: Duration = Duration::from_secs(60);

/// This node and the others. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    node: u32,
    name: Option<String>,
    lease_time: Duration,
    link: Link,
    keys: Arc<Keys>,
    me: watch::Sender<LeaseId>,
    live: watch::Sender<Arc<Live>>,
    facts: watch::Sender<Facts>,
    beats: watch::Sender<Beats>,
    /// The nodes are to be looked at before long.
    news: Notify,
    /// Who was there when Redis was emptied.
    before: Mutex<BTreeSet<u32>>,
}

/// Beats by number.
#[derive(Clone, Copy, Debug, Default)]
struct Beats {
    sent: u64,
    answered: u64,
    /// The last one sent when a node came that only a later one tells of.
    before_news: Option<u64>,
}

impl Cluster {
    pub(crate) fn new(
        node: u32,
        name: Option<String>,
        lease_time: Duration,
        link: Link,
        keys: Arc<Keys>,
    ) -> Self {
        let (live, facts, beats) =
            (watch::Sender::default(), watch::Sender::default(), watch::Sender::default());
        let me = watch::Sender::new(node.to_be_bytes());
        Self {
            shared: Arc::new(Shared {
                node,
                name,
                lease_time,
                link,
                keys,
                me,
                live,
                facts,
                beats,
                news: Notify::new(),
                before: Mutex::default(),
            }),
        }
    }

    /// The process.
    pub(crate) fn node(&self) -> u32 {
        self.shared.node
    }

    /// The lease this node writes under: the one that holds, or the last that did.
    pub(crate) fn me(&self) -> LeaseId {
        *self.shared.me.borrow()
    }

    /// Whether the lease holds as far as is known: it was there at the last beat, and that beat was answered.
    pub(crate) fn is_registered(&self) -> bool {
        self.shared.facts.borrow().lease.is_some()
    }

    /// The nodes whose lease held at the last beat.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.shared.live.borrow().clone()
    }

    /// The same by a beat that is sent after this call. Cancel safe.
    ///
    /// # Errors
    /// None was answered within a lease.
    pub(crate) async fn next_live(&self) -> Result<Arc<Live>, Unavailable> {
        let mut beats = self.shared.beats.subscribe();
        let sent = beats.borrow().sent;
        let answered = beats.wait_for(|beats| beats.answered > sent);
        match tokio::time::timeout(self.shared.lease_time, answered).await {
            Ok(Ok(_)) => Ok(self.live()),
            _ => Err(Unavailable::Late),
        }
    }

    /// A node has registered, or may have done so unheard: what the last beat said of the nodes is no longer all.
    pub(crate) fn news(&self) {
        self.shared.beats.send_modify(|beats| beats.before_news = Some(beats.sent));
        self.shared.news.notify_one();
    }

    /// Waits until there is news that was not waited for before. Cancel safe.
    pub(crate) async fn has_news(&self) {
        self.shared.news.notified().await;
    }

    /// Waits until the last beat's answer tells of all nodes of which there was news. Cancel safe.
    ///
    /// # Errors
    /// None was answered within a lease.
    pub(crate) async fn settled(&self) -> Result<(), Unavailable> {
        let is_settled = self.shared.beats.borrow().before_news.is_none();
        if is_settled { Ok(()) } else { self.next_live().await.map(drop) }
    }

    /// Whether there is surely nobody else: a node that only just came would have been heard of.
    pub(crate) fn is_alone(&self) -> bool {
        let hears = self.shared.facts.borrow().hearing.is_some();
        let has_news = self.shared.beats.borrow().before_news.is_some();
        hears && !has_news && self.live().is_only(self.node())
    }

    /// How long a lease holds without a beat.
    pub(crate) fn lease_time(&self) -> Duration {
        self.shared.lease_time
    }

    /// Forgets dead nodes of which nothing is left.
    pub(crate) async fn bury(&self, dead: &[Member]) -> Result<(), Unavailable> {
        let (mut forget, mut synced) = (redis::cmd("ZREM"), redis::cmd("HDEL"));
        forget.arg(self.shared.keys.nodes());
        synced.arg(self.shared.keys.synced());
        dead.iter().for_each(|member| {
            forget.arg(&member.to_bytes());
            synced.arg(&member.lease);
        });
        let answers = self.shared.link.run_all(vec![synced.into(), forget.into()]).await?;
        answers.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Ends the lease: `stay` for so long, or at once; `clean` if nothing was left behind.
    pub(crate) async fn leave(&self, stay: Duration, clean: bool) -> Result<(), Unavailable> {
        let member = Member { lease: self.me(), node: self.node() };
        let stay = if clean { String::new() } else { stay.as_millis().to_string() };
        let keys = &self.shared.keys;
        let keys = [keys.nodes(), keys.retired(), keys.synced(), keys.meta()];
        let name = self.shared.name.as_deref().unwrap_or_default();
        let call = heart::LEAVE.call(&keys, (&member.to_bytes(), stay, &member.lease, name));
        self.shared.link.run::<i64>(call).await.map(drop)
    }

    /// Redis lost what it had: who was there then will write its part again.
    pub(crate) fn emptied(&self) {
        self.shared.before.lock().extend(self.live().others(self.node()));
    }

    /// Whether somebody is awaited who was there when Redis was emptied.
    pub(crate) fn awaits_somebody(&self) -> bool {
        !self.shared.before.lock().is_empty()
    }

    /// This node has written all it has under this lease. Of one that was buried meanwhile nothing is said.
    pub(crate) async fn tell_synced(&self, held: Held) -> Result<(), Unavailable> {
        let member = Member { lease: held.id, node: self.node() };
        let keys = [self.shared.keys.nodes(), self.shared.keys.synced()];
        let call = SYNCED.call(&keys[..], (&member.to_bytes(), &held.id, held.epoch));
        self.shared.link.run::<i64>(call).await.map(drop)
    }

    /// Waits until the others have written all they have too, since the epoch began: those who live now, and for a
    /// lease's time those who lived before it. False where there was nothing to wait for.
    ///
    /// # Errors
    /// There is no connection.
    pub(crate) async fn others_are_synced(&self, epoch: u64) -> Result<bool, Unavailable> {
        let waiting = async {
            let mut waited = false;
            while !self.are_synced(epoch).await? {
                waited = true;
                self.next_live().await?;
            }
            Ok(waited)
        };
        let late = async {
            tokio::time::sleep(self.lease_time()).await;
            self.shared.before.lock().clear();
            tokio::time::sleep(LONGEST_SYNC).await;
        };
        let waited = tokio::select! {
            waited = waiting => waited?,
            () = late => {
                tracing::warn!("a node that lives does not write what it has");
                true
            }
        };
        self.shared.before.lock().clear();
        Ok(waited)
    }

    async fn are_synced(&self, epoch: u64) -> Result<bool, Unavailable> {
        let mut ask = redis::cmd("HGETALL");
        ask.arg(self.shared.keys.synced());
        let synced: HashMap<Vec<u8>, u64> = self.shared.link.call(ask).await?;
        let live = self.live();
        let (here, me) = (live.others(self.node()), self.node());
        let all_came = self.shared.before.lock().is_subset(&here);
        let mut others =
            live.members.iter().filter(|member| member.node != me && here.contains(&member.node));
        Ok(all_came && others.all(|member| synced.get(&member.lease[..]) == Some(&epoch)))
    }

    /// What is known of the way to this Redis, now and as it changes.
    pub(crate) fn facts(&self) -> watch::Receiver<Facts> {
        self.shared.facts.subscribe()
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.facts.borrow().health()
    }

    /// Learns something new; who waits for facts is woken only if it is.
    pub(crate) fn learn(&self, learn: impl FnOnce(&mut Facts)) {
        self.shared.facts.send_if_modified(|facts| {
            let before = *facts;
            learn(facts);
            *facts != before
        });
    }

    pub(crate) fn sent(&self, beat: u64) {
        self.shared.beats.send_modify(|beats| beats.sent = beat);
    }

    pub(crate) fn answered(&self, beat: u64, live: Live) {
        self.shared.live.send_if_modified(|known| {
            let other = **known != live;
            if other {
                *known = Arc::new(live);
            }
            other
        });
        self.shared.beats.send_modify(|beats| {
            beats.answered = beat;
            beats.before_news.take_if(|before| *before < beat);
        });
    }

    pub(crate) fn became(&self, lease: LeaseId) {
        self.shared.me.send_replace(lease);
    }
}
