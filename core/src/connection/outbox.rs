//! What waits for a socket: bounded in messages and bytes, with a lane of its own for control frames.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::{
    policy::{Outbox as Bounds, Overflow},
    protocol::ServerMessage,
};

/// The most bytes of control frames that may wait.
const MAX_CONTROL: usize = 64 * 1024;

/// What became of a push that had to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits.
    Waiting,
    /// It waits, and this many older ones were dropped for it.
    Displaced(usize),
    /// It was dropped.
    Dropped,
    /// The bound is passed, and the policy is to end the connection.
    Overflow,
}

/// One frame that waits behind others.
#[derive(Debug)]
struct Entry {
    frame: Bytes,
    /// Whether it is one of the pushes that both sides count.
    counts: bool,
    /// So many counted pushes were dropped where it stands.
    gap: u32,
}

/// What waits for one connection's socket. Nearly always nothing does, and then it is a pointer and no more.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Option<Box<Queues>>);

#[derive(Debug, Default)]
struct Queues {
    /// The rest of a frame already begun: nothing may come before it.
    begun: Bytes,
    control: VecDeque<Bytes>,
    control_bytes: usize,
    pushes: VecDeque<Entry>,
    push_bytes: usize,
    /// So many counted pushes were dropped behind all that waits.
    gap: u32,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|queues| queues.is_empty())
    }

    /// Queues a push, within the bounds. A frame over the byte bound by itself still goes into an empty queue:
    /// whether a message is too large is decided where it is made. Where dropped ones count, a `gap` frame stands in
    /// their place.
    pub(crate) fn push(&mut self, frame: Bytes, counts: bool, bounds: &Bounds) -> Queued {
        self.queues().push(frame, counts, bounds)
    }

    /// Whether a control frame of this size still fits: answers to a client that does not read them are bounded too.
    pub(crate) fn has_room_for_control(&self, size: usize) -> bool {
        self.0.as_ref().map_or(0, |queues| queues.control_bytes) + size <= MAX_CONTROL
    }

    /// Queues a frame ahead of all pushes.
    pub(crate) fn control(&mut self, frame: Bytes) {
        let queues = self.queues();
        queues.control_bytes += frame.len();
        queues.control.push_back(frame);
    }

    /// Queues a farewell behind what waits, past the bounds: it is the last there is.
    pub(crate) fn last(&mut self, frame: Bytes) {
        self.queues().enqueue(frame, false);
    }

    /// Queues a push that a client missed, past the bounds: it was taken before.
    pub(crate) fn replay(&mut self, frame: Bytes) {
        self.queues().enqueue(frame, true);
    }

    /// The rest of a frame whose beginning was written.
    pub(crate) fn begun(&mut self, rest: Bytes) {
        let queues = self.queues();
        debug_assert!(queues.begun.is_empty(), "one frame is begun at a time");
        queues.begun = rest;
    }

    /// What is written next, pushes only where they may be.
    pub(crate) fn front(&mut self, pushes: bool) -> Option<&[u8]> {
        self.0.as_mut()?.front(pushes)
    }

    /// The first `n` bytes of [`front`](Self::front) were written.
    pub(crate) fn written(&mut self, n: usize) {
        if let Some(queues) = &mut self.0 {
            queues.written(n);
        }
        self.tidy();
    }

    /// Takes whole frames, as many as fit into `max` bytes and at least one; a single one is shared, not copied.
    pub(crate) fn take(&mut self, pushes: bool, max: usize) -> Option<Bytes> {
        let taken = self.0.as_mut()?.take(pushes, max);
        self.tidy();
        taken
    }

    /// Drops every waiting push.
    pub(crate) fn clear_pushes(&mut self) {
        if let Some(queues) = &mut self.0 {
            (queues.push_bytes, queues.gap) = (0, 0);
            queues.pushes.clear();
        }
        self.tidy();
    }

    fn queues(&mut self) -> &mut Queues {
        self.0.get_or_insert_default()
    }

    fn tidy(&mut self) {
        if self.is_empty() {
            self.0 = None;
        }
    }

    /// The sizes of the pushes that wait, and their sum as it is counted, for tests.
    #[cfg(test)]
    fn sizes(&self) -> (Vec<usize>, usize) {
        let sizes = |queues: &Queues| queues.pushes.iter().map(|entry| entry.frame.len()).collect();
        self.0.as_ref().map(|queues| (sizes(queues), queues.push_bytes)).unwrap_or_default()
    }
}

impl Queues {
    fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.control.is_empty() && self.pushes.is_empty() && self.gap == 0
    }

    fn push(&mut self, frame: Bytes, counts: bool, bounds: &Bounds) -> Queued {
        let mut displaced = 0;
        while !self.pushes.is_empty() && !self.fits(frame.len(), bounds) {
            match bounds.overflow {
                Overflow::Disconnect => return Queued::Overflow,
                Overflow::DropNewest => {
                    self.gap += u32::from(counts);
                    return Queued::Dropped;
                }
                Overflow::DropOldest => {
                    self.drop_oldest();
                    displaced += 1;
                }
            }
        }
        self.enqueue(frame, counts);
        if displaced == 0 { Queued::Waiting } else { Queued::Displaced(displaced) }
    }

    fn enqueue(&mut self, frame: Bytes, counts: bool) {
        self.push_bytes += frame.len();
        self.pushes.push_back(Entry { frame, counts, gap: std::mem::take(&mut self.gap) });
    }

    fn drop_oldest(&mut self) {
        let Some(Entry { frame, counts, gap }) = self.pushes.pop_front() else { return };
        self.push_bytes -= frame.len();
        let next = self.pushes.front_mut().map_or(&mut self.gap, |next| &mut next.gap);
        *next += gap + u32::from(counts);
    }

    fn fits(&self, size: usize, bounds: &Bounds) -> bool {
        self.pushes.len() < bounds.messages && self.push_bytes + size <= bounds.bytes
    }

    fn front(&mut self, pushes: bool) -> Option<&[u8]> {
        if self.begun.is_empty() && self.control.is_empty() && pushes {
            self.tell_gap();
        }
        if !self.begun.is_empty() {
            return Some(&self.begun);
        }
        let push = self.pushes.front().filter(|_| pushes).map(|entry| &entry.frame);
        self.control.front().or(push).map(|frame| &frame[..])
    }

    /// Where pushes were dropped before what is next, the frame that says so is next.
    fn tell_gap(&mut self) {
        let gap = self.pushes.front_mut().map_or(&mut self.gap, |next| &mut next.gap);
        if *gap > 0 {
            self.begun = ServerMessage::Gap { count: u64::from(std::mem::take(gap)) }.to_frame();
        }
    }

    fn written(&mut self, n: usize) {
        if self.begun.is_empty() {
            self.begun = self.pop_control().or_else(|| self.pop_push()).unwrap_or_default();
        }
        self.begun = self.begun.slice(n.min(self.begun.len())..);
    }

    fn take(&mut self, pushes: bool, max: usize) -> Option<Bytes> {
        let first = self.pop(pushes)?;
        let mut joined = Vec::new();
        while let Some(next) = self.front(pushes).map(<[u8]>::len)
            && joined.len().max(first.len()) + next <= max
        {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend(self.pop(pushes).iter().flatten());
        }
        Some(if joined.is_empty() { first } else { joined.into() })
    }

    fn pop(&mut self, pushes: bool) -> Option<Bytes> {
        if !self.begun.is_empty() {
            return Some(std::mem::take(&mut self.begun));
        }
        if self.control.is_empty() && pushes {
            self.tell_gap();
            if !self.begun.is_empty() {
                return Some(std::mem::take(&mut self.begun));
            }
        }
        self.pop_control().or_else(|| if pushes { self.pop_push() } else { None })
    }

    fn pop_control(&mut self) -> Option<Bytes> {
        let frame = self.control.pop_front()?;
        self.control_bytes -= frame.len();
        Some(frame)
    }

    fn pop_push(&mut self) -> Option<Bytes> {
        let frame = self.pushes.pop_front()?.frame;
        self.push_bytes -= frame.len();
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bounds(messages: usize, bytes: usize, overflow: Overflow) -> Bounds {
        Bounds { messages, bytes, overflow }
    }

    fn frame(n: usize) -> Bytes {
        Bytes::from(vec![0; n])
    }

    #[test]
    fn each_policy_gives_way_in_its_own_manner() {
        for (overflow, expected) in [
            (Overflow::Disconnect, Queued::Overflow),
            (Overflow::DropNewest, Queued::Dropped),
            (Overflow::DropOldest, Queued::Displaced(1)),
        ] {
            let bounds = bounds(2, 100, overflow);
            let mut outbox = Outbox::default();
            assert_eq!(outbox.push(frame(10), true, &bounds), Queued::Waiting);
            assert_eq!(outbox.push(frame(10), true, &bounds), Queued::Waiting);
            assert_eq!(outbox.push(frame(10), true, &bounds), expected);
        }
    }

    #[test]
    fn bytes_bound_the_queue_as_messages_do() {
        let bounds = bounds(100, 25, Overflow::DropNewest);
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push(frame(20), true, &bounds), Queued::Waiting);
        assert_eq!(outbox.push(frame(6), true, &bounds), Queued::Dropped);
        assert_eq!(outbox.push(frame(5), true, &bounds), Queued::Waiting);
    }

    #[test]
    fn a_control_frame_overtakes_pushes_but_no_frame_already_begun() {
        let bounds = Bounds::default();
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from_static(b"push"), true, &bounds);
        outbox.written(1);
        outbox.push(Bytes::from_static(b"next"), true, &bounds);
        outbox.control(Bytes::from_static(b"ctrl"));
        let mut seen = Vec::new();
        while let Some(front) = outbox.front(true) {
            seen.extend_from_slice(front);
            let n = front.len();
            outbox.written(n);
        }
        assert_eq!(seen, b"ushctrlnext");
    }

    #[test]
    fn a_server_takes_whole_frames_as_many_as_fit_and_control_frames_first() {
        let bounds = Bounds::default();
        let mut outbox = Outbox::default();
        for text in ["one", "two", "three"] {
            outbox.push(Bytes::from_static(text.as_bytes()), true, &bounds);
        }
        outbox.control(Bytes::from_static(b"ctrl"));
        assert_eq!(outbox.take(false, 100).as_deref(), Some(&b"ctrl"[..]));
        assert_eq!(outbox.take(false, 100), None);
        assert_eq!(outbox.take(true, 7).as_deref(), Some(&b"onetwo"[..]));
        assert_eq!(outbox.take(true, 1).as_deref(), Some(&b"three"[..]), "at least one");
        assert!(outbox.is_empty() && outbox.take(true, 1).is_none());
    }

    /// What a client reads, as numbers: a frame's own, or minus the count of a gap.
    fn read(outbox: &mut Outbox) -> Vec<i64> {
        let mut seen = Vec::new();
        while let Some(front) = outbox.front(true) {
            let text = std::str::from_utf8(front.get(2..).unwrap_or_default()).unwrap_or_default();
            let gap =
                text.split_once("\"count\":").map(|(_, rest)| rest.trim_end_matches('}').parse::<i64>());
            seen.push(gap.map_or_else(|| i64::from(front[0]), |count| -count.unwrap()));
            let n = front.len();
            outbox.written(n);
        }
        seen
    }

    #[test]
    fn a_gap_stands_where_pushes_were_dropped() {
        for (overflow, expected) in
            [(Overflow::DropOldest, vec![-3, 4, 5]), (Overflow::DropNewest, vec![1, 2, -3])]
        {
            let bounds = bounds(2, 100, overflow);
            let mut outbox = Outbox::default();
            for n in 1..=5 {
                outbox.push(Bytes::from(vec![n]), true, &bounds);
            }
            assert_eq!(read(&mut outbox), expected, "{overflow:?}");
            outbox.push(Bytes::from(vec![6]), true, &bounds);
            assert_eq!(read(&mut outbox), [6], "{overflow:?}");
        }
    }

    #[test]
    fn what_does_not_count_leaves_no_gap() {
        let bounds = bounds(1, 100, Overflow::DropOldest);
        let mut outbox = Outbox::default();
        for n in 1..=3 {
            outbox.push(Bytes::from(vec![n]), false, &bounds);
        }
        assert_eq!(read(&mut outbox), [3]);
    }

    #[test]
    fn after_a_gap_at_the_end_the_next_push_follows_it() {
        let bounds = bounds(1, 100, Overflow::DropNewest);
        let mut outbox = Outbox::default();
        outbox.push(Bytes::from(vec![1]), true, &bounds);
        outbox.push(Bytes::from(vec![2]), true, &bounds);
        outbox.written(1);
        outbox.push(Bytes::from(vec![3]), true, &bounds);
        assert_eq!(read(&mut outbox), [-1, 3]);
    }

    proptest! {
        #[test]
        fn bytes_in_equal_bytes_out_on_every_path(ops in prop::collection::vec((0u8..4, 1usize..40), 1..200)) {
            let bounds = bounds(8, 120, Overflow::DropOldest);
            let mut outbox = Outbox::default();
            for (op, n) in ops {
                match op {
                    0 | 1 => { outbox.push(frame(n), op == 0, &bounds); }
                    2 => outbox.control(frame(n)),
                    _ => if let Some(front) = outbox.front(true) { let n = n.min(front.len()); outbox.written(n) },
                }
                let (sizes, bytes) = outbox.sizes();
                prop_assert_eq!(bytes, sizes.iter().sum::<usize>());
                prop_assert!(sizes.len() <= 8);
            }
            outbox.clear_pushes();
            prop_assert_eq!(outbox.sizes().1, 0);
        }
    }
}
