//! The heartbeat: a connection and a task of its own, so that nothing else this node does can keep a beat waiting.

use std::{sync::Arc, time::Duration};

use redis::aio::MultiplexedConnection;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::MissedTickBehavior,
};

use super::{
    Backoff, Dial,
    answer::{self, Log, NoAnswer},
    dial::said,
    load,
};
use crate::{
    cluster::Cluster,
    error::ConnectError,
    frame,
    health::Held,
    keys::Keys,
    lease::{Beat, Lease, LeaseId, Member, Next, Verdict},
    observe,
    script::Script,
};

pub(crate) static BEAT: Script =
    Script::new("beat", &[include_str!("../../scripts/say.lua"), include_str!("../../scripts/beat.lua")]);
pub(crate) static LEAVE: Script = Script::new("leave", &[include_str!("../../scripts/leave.lua")]);

/// What the keys of this version look like: the layout's number, tags, buckets of each.
pub(crate) const LAYOUT: &str = "2;256;64";

/// So many kicks are read by one beat; the next one reads on.
const KICKS: usize = 1000;

/// So many beats in the time of one where nodes register all the time.
const AT_MOST: u32 = 8;

/// In place of the last kick read: what was said within a minute is read again, and what was seen of it, ignored.
const LAST_MINUTE: &str = "minute";

/// What the heartbeat needs to know, and whom it tells.
#[derive(Debug)]
pub(crate) struct Heart {
    pub(crate) dial: Dial,
    pub(crate) cluster: Cluster,
    pub(crate) keys: Arc<Keys>,
    pub(crate) name: Option<String>,
    pub(crate) every: Duration,
    /// What an attempt to connect or register came to.
    pub(crate) trouble: Arc<watch::Sender<Option<ConnectError>>>,
    /// Beats that came back, by number.
    pub(crate) echoes: watch::Receiver<u64>,
    /// Nodes whose lease is over.
    pub(crate) dead: watch::Sender<Arc<[Member]>>,
    /// What is read of the kick log.
    pub(crate) kicks: mpsc::Sender<Vec<Vec<u8>>>,
    /// The node leaves: no more beats.
    pub(crate) stopped: watch::Receiver<bool>,
    /// Somebody wants the next beat now.
    pub(crate) now: Arc<Notify>,
}

/// Why a beat came to nothing.
enum Failed {
    /// The connection is gone.
    Lost(ConnectError),
    /// Redis did not answer in time, or not as it should.
    Unanswered(ConnectError),
}

impl Heart {
    /// Beats for as long as it is polled, or until the node leaves.
    pub(crate) async fn run(mut self, random: fn() -> LeaseId) {
        let mut lease = Lease::new(self.cluster.node(), self.name.is_some());
        let (mut backoff, mut last_kick) = (Backoff::new(self.cluster.lease_time()), String::new());
        let mut ticks = tokio::time::interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection: Option<MultiplexedConnection> = None;
        let mut stopped = self.stopped.clone();
        // A connection that broke after a good beat is opened anew before anybody is told that the lease is in doubt.
        let mut doubted = true;
        loop {
            if *stopped.borrow() {
                return;
            }
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => {
                    backoff.wait().await;
                    self.open().await
                }
            };
            let beaten = match open {
                Ok(mut open) => {
                    let beat = self.beat(&mut lease, &mut open, &mut last_kick, random).await;
                    beat.map(|next| (next, open))
                }
                Err(error) => Err(Failed::Unanswered(error)),
            };
            let error = match beaten {
                Ok((next, open)) => {
                    backoff.reset();
                    self.trouble.send_if_modified(|trouble| trouble.take().is_some());
                    (connection, doubted) = (Some(open), false);
                    if next != Next::Register {
                        // Many that register at once are one reason to beat.
                        let soon = tokio::time::sleep(self.every / AT_MOST);
                        tokio::select! {
                            _ = ticks.tick() => {}
                            () = self.now.notified() => {}
                            () = async { tokio::join!(self.cluster.has_news(), soon); } => {}
                            _ = stopped.wait_for(|stopped| *stopped) => return,
                        }
                    }
                    continue;
                }
                Err(Failed::Lost(error)) if !doubted => {
                    doubted = true;
                    tracing::debug!(%error, "the heartbeat's connection broke");
                    continue;
                }
                Err(Failed::Lost(error) | Failed::Unanswered(error)) => error,
            };
            doubted = true;
            if self.cluster.is_registered() {
                tracing::warn!(%error, "no answer to a heartbeat");
            }
            self.cluster.learn(|facts| facts.lease = None);
            self.trouble.send_replace(Some(error));
        }
    }

    async fn open(&self) -> Result<MultiplexedConnection, ConnectError> {
        let mut connection = self.dial.open(|_| {}).await?;
        let load = load(&BEAT);
        let loaded = tokio::time::timeout(self.dial.timeout(), super::ask(&mut connection, &load)).await;
        match loaded {
            Ok(loaded) => loaded.map_err(|error| said(error, self.dial.to_string()))?,
            Err(_) => return Err(self.silence()),
        };
        observe::connected("heartbeat");
        Ok(connection)
    }

    fn silence(&self) -> ConnectError {
        let reason = format!("no answer within {:?}", self.dial.timeout());
        ConnectError::Unreachable { address: self.dial.to_string(), reason }
    }

    /// One beat, and what follows from its answer.
    async fn beat(
        &mut self,
        lease: &mut Lease,
        connection: &mut MultiplexedConnection,
        last_kick: &mut String,
        random: fn() -> LeaseId,
    ) -> Result<Next, Failed> {
        self.listen_to(lease);
        let beat = lease.beat();
        self.cluster.sent(beat.seq);
        let cmd = self.command(&beat, last_kick).cmd;
        let answer = tokio::time::timeout(self.dial.timeout(), super::ask(connection, &cmd)).await;
        let value = match answer {
            Err(_) => return Err(Failed::Unanswered(self.silence())),
            Ok(Ok(value)) => value,
            Ok(Err(error)) if error.code() == Some("NOSCRIPT") => {
                // FLUSHALL and restarts lose it: opened anew, it is loaded anew.
                return Err(Failed::Lost(said(error, self.dial.to_string())));
            }
            Ok(Err(error)) => {
                let elsewhere =
                    matches!(error.kind(), redis::ErrorKind::Server(kind) if super::dial::is_elsewhere(kind));
                let lost = elsewhere || error.is_io_error() || error.is_connection_dropped();
                let error = said(error, self.dial.to_string());
                return Err(if lost { Failed::Lost(error) } else { Failed::Unanswered(error) });
            }
        };
        let (answer, log) = answer::read(value).map_err(|why| Failed::Unanswered(self.no_answer(why)))?;
        self.listen_to(lease);
        let (before, epoch) = (lease.member().lease, lease.epoch());
        if epoch.is_some_and(|epoch| epoch != answer.epoch) {
            // What was read of the log before says nothing of this one.
            *last_kick = LAST_MINUTE.into();
            self.cluster.emptied();
        }
        let next = lease.answered(beat.seq, &answer, random());
        match next {
            Next::Register => {
                let [before, lease] =
                    [before, lease.member().lease].map(|id| format!("{:08x}", u32::from_be_bytes(id)));
                tracing::warn!(verdict = ?answer.verdict, before, lease, "the lease is lost; registering anew");
                metrics::counter!(observe::LEASES_LOST).increment(1);
                self.cluster.learn(|facts| facts.lease = None);
                if answer.verdict == Verdict::Replaced {
                    tracing::error!(
                        name = self.name,
                        "another node registered under this node's name; give each node a name of its own"
                    );
                }
                return Ok(next);
            }
            Next::Deaf => {
                tracing::warn!("what is sent to this node does not arrive; subscribing anew");
                metrics::counter!(observe::DEAF).increment(1);
                self.cluster.learn(|facts| (facts.hearing, facts.deaf) = (None, facts.deaf + 1));
            }
            Next::Begin | Next::Wait => {}
        }
        let Member { lease: id, .. } = lease.member();
        let held = Held { id, epoch: answer.epoch };
        if next == Next::Begin {
            self.cluster.became(id);
        }
        metrics::gauge!(observe::NODES).set(answer.live.members.len() as f64);
        self.cluster.answered(beat.seq, answer.live);
        self.cluster.learn(|facts| facts.lease = Some(held));
        if !answer.dead.is_empty() {
            self.dead.send_replace(answer.dead.into());
        }
        self.hand_over(log, last_kick);
        Ok(next)
    }

    /// Takes in what became of the subscription, and of earlier beats.
    fn listen_to(&mut self, lease: &mut Lease) {
        let hearing = self.cluster.facts().borrow().hearing;
        match hearing {
            Some(hearing) if hearing.lease == lease.member().lease => lease.subscribed(hearing.connection),
            _ => lease.unsubscribed(),
        }
        lease.heard(*self.echoes.borrow_and_update());
    }

    fn command(&self, beat: &Beat, last_kick: &str) -> crate::script::Call {
        let keys = [self.keys.nodes(), self.keys.meta(), self.keys.kick(), self.keys.retired()];
        let name = if beat.named { self.name.as_deref().unwrap_or_default() } else { "" };
        let args = (
            &beat.member.to_bytes()[..],
            self.cluster.lease_time().as_millis() as u64,
            new_epoch(),
            u8::from(beat.register),
            self.keys.inbox(beat.member.lease),
            &frame::beat(beat.seq)[..],
            last_kick,
            LAYOUT,
            name,
            (KICKS, self.keys.all(), &frame::news()[..]),
        );
        BEAT.call(&keys, args)
    }

    fn no_answer(&self, why: NoAnswer) -> ConnectError {
        match why {
            NoAnswer::Layout(found) => {
                let (prefix, own) = (self.keys.prefix().to_owned(), LAYOUT.to_owned());
                ConnectError::Layout { prefix, found, own }
            }
            NoAnswer::Strange => ConnectError::Unsuitable {
                address: self.dial.to_string(),
                reason: "its answer to a heartbeat cannot be read".into(),
            },
        }
    }

    /// Passes on what was read of the kick log. What nobody takes now is read again by the next beat.
    fn hand_over(&self, log: Option<Log>, last_kick: &mut String) {
        let Some(Log { read, entries }) = log else { return };
        let more = entries.len() == KICKS;
        if entries.is_empty() || self.kicks.try_send(entries).is_ok() {
            *last_kick = read;
            if more {
                self.now.notify_one();
            }
        }
    }
}

/// An epoch that nobody had before; small enough for every language's integers.
fn new_epoch() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness, one that differs from run to run at least.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = (std::process::id() as u64).to_be_bytes();
    }
    u64::from_be_bytes(bytes) >> 11
}
