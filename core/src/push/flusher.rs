//! The flusher of a lane: takes the whole backlog at once and joins it once for everybody, so that a burst costs one
//! write per socket and not one per message.

use std::sync::{Arc, Weak, atomic::Ordering};

use tokio::sync::mpsc;

use super::{
    encoded::Encoded,
    lane::{Audience, Command, Lane, Load},
    tally::Counts,
};
use crate::{
    Clock,
    connection::{Batch, Bounds, Conn},
    protocol::Mode,
    target::{Except, Scope},
};

/// Sockets written between two yields.
pub(super) const PORTION: usize = 64;
/// Commands taken at once.
const BACKLOG: usize = 256;
/// The largest joined write, in bytes.
const JOINED: usize = 32 * 1024;

pub(super) struct Flusher {
    pub(super) lane: Weak<Lane>,
    pub(super) bounds: Arc<Bounds>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Flusher {
    pub(super) async fn run(self, mut queue: mpsc::UnboundedReceiver<Command>) {
        let mut backlog = Vec::with_capacity(BACKLOG);
        while queue.recv_many(&mut backlog, BACKLOG).await > 0 {
            let Some(lane) = self.lane.upgrade() else { return };
            let taken = backlog.len();
            for run in runs(&backlog) {
                self.send(&lane, run).await;
            }
            lane.waiting.fetch_sub(taken, Ordering::AcqRel);
            backlog.clear();
        }
    }

    /// Sends commands of one audience, joined.
    async fn send(&self, lane: &Lane, run: &[Command]) {
        let Some(first) = run.first() else { return };
        let mut frames = Frames { run, raw: None, envelope: None };
        let mut counts = Counts::default();
        match &first.audience {
            Audience::Some(conns) => self.write(conns, |_| true, &mut frames, &mut counts),
            Audience::Crowd(list, except) => {
                for portion in list.chunks(PORTION) {
                    let meant = |conn: &Conn| except.as_ref().is_none_or(|except| !leaves_out(except, conn));
                    self.write(portion, meant, &mut frames, &mut counts);
                    tokio::task::yield_now().await;
                }
            }
            Audience::All(whom) => {
                let (mut from, mut portion) = (0, Vec::with_capacity(PORTION));
                while lane.portion(&mut from, &mut portion) {
                    let meant = |conn: &Conn| is_meant(&whom.0, &whom.1, conn);
                    self.write(&portion, meant, &mut frames, &mut counts);
                    tokio::task::yield_now().await;
                }
            }
        }
        // A batch is taken or dropped whole but for the rarest overflow, so each message counts alike.
        run.iter().for_each(|command| command.share.tally.add(counts));
    }

    fn write(
        &self,
        conns: &[Arc<Conn>],
        is_meant: impl Fn(&Conn) -> bool,
        frames: &mut Frames<'_>,
        counts: &mut Counts,
    ) {
        let now = self.clock.now();
        for conn in conns {
            if is_meant(conn)
                && let Some(batch) = frames.batch(conn.mode)
            {
                counts.count(conn.push(batch, &self.bounds, now));
            }
        }
    }
}

#[inline]
fn is_meant(scope: &Scope, except: &Except, conn: &Conn) -> bool {
    let in_scope = match scope {
        Scope::AllAccounts => true,
        Scope::Account(account) => account.as_deref() == conn.user().account(),
        _ => false,
    };
    in_scope && !leaves_out(except, conn)
}

fn leaves_out(except: &Except, conn: &Conn) -> bool {
    !except.is_empty() && except.leaves_out(conn.id, &conn.identity())
}

/// The joined bytes of a run, made on first need for each mode.
struct Frames<'a> {
    run: &'a [Command],
    raw: Option<Batch>,
    envelope: Option<Batch>,
}

impl Frames<'_> {
    /// What a connection of this mode is sent; `None` where that is nothing.
    fn batch(&mut self, mode: Mode) -> Option<&Batch> {
        let slot = match mode {
            Mode::Raw => &mut self.raw,
            Mode::Envelope => &mut self.envelope,
        };
        match self.run {
            [Command { load: Load::Other(frame), .. }] => {
                (mode == Mode::Envelope).then(|| &*slot.get_or_insert_with(|| Batch::other(frame.clone())))
            }
            [Command { load: Load::Push(only), .. }] => Some(slot.get_or_insert_with(|| only.batch(mode))),
            run => Some(slot.get_or_insert_with(|| joined(run, mode))),
        }
    }
}

/// Several pushes in one.
fn joined(run: &[Command], mode: Mode) -> Batch {
    let pushes = || run.iter().filter_map(|command| command.load.push());
    let acks = pushes().enumerate().filter_map(|(index, push)| Some((index, push.acks.clone()?)));
    Batch::join(pushes().map(|push| push.frame(mode).clone()).collect()).with_acks(acks.collect())
}

impl Load {
    fn push(&self) -> Option<&Arc<Encoded>> {
        match self {
            Self::Push(encoded) => Some(encoded),
            Self::Other(_) => None,
        }
    }

    /// About how many bytes it is.
    fn size(&self) -> usize {
        match self {
            Self::Push(encoded) => encoded.message.content.as_bytes().len(),
            Self::Other(frame) => frame.len(),
        }
    }
}

/// Splits a backlog into runs of pushes that go to the same audience and fit into one joined write; what is no push
/// goes alone.
fn runs(backlog: &[Command]) -> impl Iterator<Item = &[Command]> {
    let mut rest = backlog;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let (mut length, mut bytes) = (1, first.load.size());
        while let Some(next) = rest.get(length) {
            bytes += next.load.size();
            let pushes = first.load.push().is_some() && next.load.push().is_some();
            if !pushes || bytes > JOINED || !same_audience(&first.audience, &next.audience) {
                break;
            }
            length += 1;
        }
        let (run, left) = rest.split_at(length);
        rest = left;
        Some(run)
    })
}

fn same_audience(one: &Audience, other: &Audience) -> bool {
    match (one, other) {
        (Audience::All(one), Audience::All(other)) => one == other,
        (Audience::Some(one), Audience::Some(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
        }
        (Audience::Crowd(one, but), Audience::Crowd(other, or)) => Arc::ptr_eq(one, other) && but == or,
        _ => false,
    }
}
