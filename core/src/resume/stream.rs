//! One connection's pushes: how many there were, and the last of them. No lock, no clock, no I/O.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use super::{
    acks::Acks,
    held::Held,
    recent::{Recent, mark},
    room::Room,
};
use crate::{connection::ConnectionId, policy::Resume};

#[derive(Debug)]
struct Kept {
    frame: Bytes,
    /// Where nothing but streams took it.
    held: Option<Arc<Held>>,
}

/// Made at the first push. Both sides count pushes; what the client has not acknowledged is kept, within bounds, and
/// always up to the latest: a frame that cannot be kept ends what was kept before it.
#[derive(Debug)]
pub(crate) struct Stream {
    count: u64,
    /// How many of them the client said that it has.
    acknowledged: u64,
    ring: VecDeque<Kept>,
    bytes: usize,
    room: Arc<Room>,
    /// Pushes whose acknowledgement somebody waits for, by their count.
    awaited: VecDeque<(u64, Arc<Acks>)>,
    /// What the client has, where it may come back to another node.
    recent: Recent,
}

impl Stream {
    pub(crate) fn new(room: Arc<Room>) -> Self {
        let (ring, awaited, recent) = (VecDeque::new(), VecDeque::new(), Recent::default());
        Self { count: 0, acknowledged: 0, ring, bytes: 0, room, awaited, recent }
    }

    /// One that goes on after so many pushes elsewhere, all of which its client has.
    pub(crate) fn after(count: u64, recent: Recent, room: Arc<Room>) -> Self {
        let mut stream = Self::new(room);
        (stream.count, stream.acknowledged, stream.recent) = (count, count, recent);
        stream
    }

    /// How many pushes there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Counts a push and keeps it.
    pub(crate) fn record(&mut self, frame: Bytes, bounds: &Resume) {
        self.count += 1;
        if !bounds.is_on() {
            return;
        }
        let mut freed = 0;
        while self.ring.len() >= bounds.messages || self.bytes + frame.len() > bounds.bytes + freed {
            let Some(oldest) = self.ring.pop_front() else { break };
            freed += oldest.frame.len();
        }
        let size = frame.len();
        self.bytes -= freed;
        if size > bounds.bytes || !self.room.exchange(size, freed) {
            self.room.give(freed);
            return self.clear();
        }
        self.bytes += size;
        self.ring.push_back(Kept { frame, held: None });
    }

    /// Takes what another stream collected meanwhile, but for what is here already or its client has.
    pub(crate) fn go_on_with(&mut self, mut other: Self, bounds: &Resume) {
        for Kept { frame, held } in std::mem::take(&mut other.ring) {
            other.room.give(frame.len());
            let mark = mark(&frame);
            let known = self.ring.iter_mut().find(|kept| mark.is_some() && self::mark(&kept.frame) == mark);
            match (known, held) {
                (Some(kept), held) => kept.held = held,
                (None, held) if mark.is_some_and(|mark| self.recent.contains(mark)) => {
                    held.iter().for_each(|held| held.reached());
                }
                (None, held) => {
                    self.record(frame, bounds);
                    if let (Some(last), Some(held)) = (self.ring.back_mut(), held) {
                        last.held = Some(held);
                    }
                }
            }
        }
        other.bytes = 0;
    }

    /// The client has the first `seq` pushes. One that says more than there were says nothing.
    pub(crate) fn acknowledge(&mut self, seq: u64, by: ConnectionId) {
        let Some(behind) = self.count.checked_sub(seq) else { return };
        self.acknowledged = self.acknowledged.max(seq);
        let mut freed = 0;
        while self.ring.len() as u64 > behind
            && let Some(Kept { frame, held }) = self.ring.pop_front()
        {
            freed += frame.len();
            if self.room.is_shared() {
                self.recent.add(&frame);
            }
            held.iter().for_each(|held| held.reached()); // It has it, whoever thought otherwise.
        }
        self.bytes -= freed;
        self.room.give(freed);
        if self.ring.is_empty() {
            self.ring = VecDeque::new(); // Who keeps up keeps no memory.
        }
        while self.awaited.front().is_some_and(|(at, _)| *at <= seq) {
            if let Some((_, acks)) = self.awaited.pop_front() {
                acks.came(by);
            }
        }
    }

    /// Whether everything after the first `seq` pushes is still here.
    pub(crate) fn covers(&self, seq: u64) -> bool {
        self.count.checked_sub(seq).is_some_and(|missed| missed <= self.ring.len() as u64)
    }

    /// What the client had lately.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The frames that are kept: what a client that acknowledged missed.
    pub(crate) fn frames(&self) -> impl Iterator<Item = &Bytes> {
        self.ring.iter().map(|kept| &kept.frame)
    }

    /// Notes that nothing but streams took a frame, the push of this count where that is known; false where it is here
    /// no longer. A client that was here meanwhile may have it already.
    pub(crate) fn hold(&mut self, frame: &Bytes, seq: Option<u64>, held: &Arc<Held>) -> bool {
        if seq.is_some_and(|seq| seq <= self.acknowledged) {
            held.reached();
            return true;
        }
        let same =
            |kept: &&mut Kept| kept.frame.as_ptr() == frame.as_ptr() && kept.frame.len() == frame.len();
        let Some(kept) = self.ring.iter_mut().rev().find(same) else {
            // Where all that is not acknowledged is here, what is not here is acknowledged.
            let has_it = seq.is_none() && self.ring.len() as u64 == self.count - self.acknowledged;
            if has_it {
                held.reached();
            }
            return has_it;
        };
        kept.held = Some(held.clone());
        true
    }

    /// The client is back: what was held reaches it.
    pub(crate) fn claim_held(&mut self) {
        for kept in &mut self.ring {
            if let Some(held) = kept.held.take() {
                held.reached();
            }
        }
    }

    /// Somebody waits until the latest push is acknowledged.
    pub(crate) fn await_ack(&mut self, acks: Arc<Acks>) {
        while self.awaited.front().is_some_and(|(_, acks)| Arc::strong_count(acks) == 1) {
            self.awaited.pop_front(); // Nobody waits for it any more.
        }
        self.awaited.push_back((self.count, acks));
    }

    /// Pushes were dropped on their way to a client that reads too slowly: it will count them, and does not have them.
    /// Which of those that are waited for they were is not known, so all of them are given up.
    pub(crate) fn lose_awaited(&mut self) {
        self.awaited.drain(..).for_each(|(_, acks)| acks.lost());
    }

    fn clear(&mut self) {
        self.room.give(std::mem::take(&mut self.bytes));
        self.ring = VecDeque::new();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.awaited.iter().for_each(|(_, acks)| acks.lost());
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(messages: usize, bytes: usize) -> Resume {
        Resume { messages, bytes, ..Resume::default() }
    }

    fn stream(limit: usize) -> (Stream, Arc<Room>) {
        let room = Arc::new(Room::new(limit));
        (Stream::new(room.clone()), room)
    }

    fn frame(n: u8, size: usize) -> Bytes {
        Bytes::from(vec![n; size])
    }

    fn by() -> ConnectionId {
        ConnectionId::by_hand(0, 1)
    }

    #[test]
    fn a_frame_that_cannot_be_kept_ends_what_was_kept_before_it() {
        let (mut stream, room) = stream(1000);
        stream.record(frame(1, 10), &bounds(8, 100));
        stream.record(frame(2, 101), &bounds(8, 100));
        assert!(!stream.covers(0) && !stream.covers(1) && stream.covers(2) && !stream.covers(3));
        assert_eq!(room.used(), 0);
    }

    #[test]
    fn without_room_nothing_is_kept_and_other_streams_lose_nothing() {
        let room = Arc::new(Room::new(25));
        let (mut one, mut two) = (Stream::new(room.clone()), Stream::new(room.clone()));
        one.record(frame(1, 20), &bounds(8, 100));
        two.record(frame(2, 20), &bounds(8, 100));
        assert!(one.covers(0) && !two.covers(0));
        drop(one);
        two.record(frame(3, 20), &bounds(8, 100));
        assert!(two.covers(1));
        assert_eq!(room.used(), 20);
    }

    proptest! {
        /// Against a plain list of all frames: what is kept is always the end of it, within the bounds, and the room
        /// is what it weighs.
        #[test]
        fn what_is_kept_is_the_end_of_what_was_pushed(
            ops in prop::collection::vec((any::<bool>(), 1usize..30, 0u64..6), 1..120),
        ) {
            let (mut stream, room) = stream(10_000);
            let bounds = bounds(5, 60);
            let (mut all, mut acked) = (Vec::new(), 0u64);
            for (pushes, size, behind) in ops {
                if pushes {
                    let frame = frame(all.len() as u8, size);
                    stream.record(frame.clone(), &bounds);
                    all.push(frame);
                } else {
                    acked = acked.max((all.len() as u64).saturating_sub(behind));
                    stream.acknowledge(acked, by());
                }
                let kept: Vec<_> = stream.frames().cloned().collect();
                let weight: usize = kept.iter().map(Bytes::len).sum();
                prop_assert_eq!(&kept[..], &all[all.len() - kept.len()..]);
                prop_assert!(kept.len() <= 5 && weight <= 60);
                prop_assert_eq!(room.used(), weight);
                for seq in 0..=all.len() as u64 + 1 {
                    let missed = (all.len() as u64).checked_sub(seq);
                    prop_assert_eq!(stream.covers(seq), missed.is_some_and(|missed| missed <= kept.len() as u64));
                }
            }
            drop(stream);
            prop_assert_eq!(room.used(), 0);
        }
    }
}
