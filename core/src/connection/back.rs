//! The end of a connection that may come back, and its coming back: one socket goes, the next is put in its place.

use std::{sync::Arc, task::Waker};

use bytes::Bytes;

use super::{
    bounds::Bounds,
    conn::{Conn, Fate},
    io::Io,
    out::{Phase, tell},
};
use crate::{
    Instant,
    resume::{Held, Recent, Stream},
};

/// Whether a connection is one's to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Yes,
    /// Once its old socket is let go of, or the one before has decided.
    NotYet,
    /// Nobody comes back to it.
    Never,
}

impl Conn {
    /// Lets go of the socket but stays, for a client that may come back; false where it does not. It is claimed by
    /// whoever parks it until it is in the registry as such.
    pub(crate) fn park(&self) -> bool {
        if !self.out.lock().keeps {
            return false;
        }
        self.end(Fate::Closed);
        let mut out = self.out.lock();
        let parks = out.keeps;
        if parks {
            out.phase = Phase::Parked { claimed: true };
            out.goes_on();
            (out.answered, out.flush_pending, out.stalled_since) = (false, false, None);
        }
        parks
    }

    /// How often it was given a socket.
    pub(crate) fn attachment(&self) -> u32 {
        self.out.lock().attachment
    }

    /// Takes it for a new socket, once it is parked; a socket that is still there is let go of.
    pub(crate) fn claim(&self) -> Claimed {
        let mut out = self.out.lock();
        match out.phase {
            _ if !out.keeps => Claimed::Never,
            Phase::Parked { claimed: false } => {
                out.phase = Phase::Parked { claimed: true };
                Claimed::Yes
            }
            Phase::Parked { claimed: true } => Claimed::NotYet,
            Phase::Pending => Claimed::Never,
            _ => {
                drop(out);
                self.end(Fate::Closed);
                Claimed::NotYet
            }
        }
    }

    /// Whoever claimed it lets others take it; false where it was given up meanwhile.
    pub(crate) fn unclaim(&self) -> bool {
        let mut out = self.out.lock();
        let parked = out.phase == Phase::Parked { claimed: true };
        if parked {
            out.phase = Phase::Parked { claimed: false };
            out.attachment = out.attachment.wrapping_add(1);
        }
        parked
    }

    /// Ends it, where it is parked and nobody claimed it; with `by_claim` where it is claimed. True where that was
    /// done here.
    pub(crate) fn give_up(&self, by_claim: bool) -> bool {
        let mut out = self.out.lock();
        if out.phase != (Phase::Parked { claimed: by_claim }) {
            return false;
        }
        out.phase = Phase::Closed(Fate::Closed);
        let stream = out.keep_no_more();
        drop(out);
        drop(stream); // What it held goes elsewhere.
        true
    }

    /// Ends it, where it is parked, whoever claimed it; says whether it was one's to take until then.
    pub(crate) fn end_parked(&self) -> Option<Claimed> {
        let mut out = self.out.lock();
        let Phase::Parked { claimed } = out.phase else { return None };
        out.phase = Phase::Closed(Fate::Closed);
        let stream = out.keep_no_more();
        drop(out);
        drop(stream);
        Some(if claimed { Claimed::NotYet } else { Claimed::Yes })
    }

    /// Whether everything after the first `seq` pushes is still here.
    pub(crate) fn covers(&self, seq: u64) -> bool {
        self.out.lock().stream.as_ref().map_or(seq == 0, |stream| stream.covers(seq))
    }

    /// The client has the first `seq` pushes.
    pub(crate) fn acknowledge(&self, seq: u64) {
        if let Some(stream) = &mut self.out.lock().stream {
            stream.acknowledge(seq, self.id);
        }
    }

    /// Nothing but streams took this frame, this one for one: false where nobody gets it from here any more.
    pub(crate) fn hold(&self, frame: &Bytes, seq: Option<u64>, held: &Arc<Held>) -> bool {
        let mut out = self.out.lock();
        if out.elsewhere {
            held.reached();
            return true;
        }
        if !out.keeps {
            return false;
        }
        if out.phase == Phase::Open && out.why().is_none() {
            held.reached(); // Its client is back meanwhile: that takes a stream that has it all.
            return true;
        }
        out.stream.as_mut().is_some_and(|stream| stream.hold(frame, seq, held))
    }

    /// How many pushes there were, and the last of them, as far as they are kept.
    pub(crate) fn kept(&self) -> (u64, Vec<Bytes>, Recent) {
        let out = self.out.lock();
        let Some(stream) = &out.stream else { return (0, Vec::new(), Recent::default()) };
        (stream.count(), stream.frames().cloned().collect(), stream.recent().clone())
    }

    /// A new one takes the place of one on another node: it is claimed, and collects what is pushed until its client has a
    /// socket here.
    pub(crate) fn wait_for_socket(&self) {
        self.out.lock().phase = Phase::Parked { claimed: true };
    }

    /// Puts what was pushed elsewhere before what was collected here; what is in both, or its client has had there, counts
    /// once. The first frame is the push after `first` others.
    pub(crate) fn restore(&self, first: u64, recent: &Recent, frames: Vec<Bytes>, bounds: &Bounds) {
        let mut out = self.out.lock();
        let collected = out.stream.take();
        let mut stream = Stream::after(first, recent.clone(), bounds.room.clone());
        frames.into_iter().for_each(|frame| stream.record(frame, &bounds.resume));
        if let Some(collected) = collected {
            stream.go_on_with(*collected, &bounds.resume);
        }
        out.stream = Some(Box::new(stream));
    }

    /// Its stream goes on elsewhere: what was held for its client, or is about to be, reaches it there.
    pub(crate) fn go_elsewhere(&self) {
        let mut out = self.out.lock();
        out.elsewhere = true;
        if let Some(stream) = &mut out.stream {
            stream.claim_held();
        }
    }

    /// Nobody comes back to it.
    pub(crate) fn keep_no_more(&self) {
        let stream = self.out.lock().keep_no_more();
        drop(stream); // Outside the lock: what it held goes elsewhere.
    }

    /// Takes the socket of `fresh`: says `welcome`, then what was missed after the first `seq` pushes. False where
    /// either of them is over.
    pub(crate) fn attach(self: &Arc<Self>, fresh: &Self, welcome: Bytes, seq: u64, now: Instant) -> bool {
        let (mut out, mut theirs) = (self.out.lock(), fresh.out.lock());
        if out.phase != (Phase::Parked { claimed: true }) || theirs.phase != Phase::Pending {
            return false;
        }
        out.attachment = out.attachment.wrapping_add(1);
        out.io = std::mem::replace(&mut theirs.io, Io::None);
        theirs.moved = out.io.is_servers().then(|| Box::new((self.clone(), out.attachment)));
        out.outbox = std::mem::take(&mut theirs.outbox);
        out.waker = std::mem::replace(&mut theirs.waker, Waker::noop().clone());
        (out.flush_pending, out.stalled_since) = (theirs.flush_pending, theirs.stalled_since);
        theirs.phase = Phase::Closed(Fate::Closed);
        let theirs_hears = theirs.hears_client;
        let waiters = theirs.waiters();
        drop(theirs);
        out.phase = Phase::Open;
        out.last_sent = now;
        out.hears_client = theirs_hears;
        out.outbox.control(welcome);
        let out = &mut *out;
        if let Some(stream) = &mut out.stream {
            stream.acknowledge(seq, self.id);
            stream.claim_held();
            stream.frames().for_each(|frame| out.outbox.replay(frame.clone()));
        }
        tell(waiters, Fate::Closed);
        true
    }
}
