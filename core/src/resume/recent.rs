//! Which pushes a client had lately. Another node that takes its stream over may be a moment behind, and be sent once more
//! what the client has had from this one.

use std::{collections::VecDeque, hash::Hasher};

use bytes::Bytes;
use fnv::FnvHasher;

use crate::connection::codec::next_frame;

/// How many are known: what may be on the way between two nodes at once.
const MOST: usize = 64;

/// A push by its message's id, as 64 bits.
pub(super) type Mark = u64;

/// The last of them; one that was never needed takes no memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent(VecDeque<Mark>);

impl Recent {
    pub(super) fn of(marks: &[Mark]) -> Self {
        Self(marks.iter().copied().collect())
    }

    pub(super) fn add(&mut self, frame: &Bytes) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.extend(mark(frame));
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        self.0.iter().copied().collect()
    }

    pub(super) fn contains(&self, mark: Mark) -> bool {
        self.0.contains(&mark)
    }
}

/// The message in a frame of envelope mode.
pub(super) fn mark(frame: &Bytes) -> Option<Mark> {
    #[derive(serde::Deserialize)]
    struct Push<'a> {
        #[serde(borrow)]
        mid: std::borrow::Cow<'a, str>,
    }
    let (_, payload) = next_frame(&mut &frame[..])?;
    let push: Push<'_> = serde_json::from_slice(payload).ok()?;
    let mut hasher = FnvHasher::default();
    hasher.write(push.mid.as_bytes());
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{PushMessage, protocol::Mode, push::Encoded};

    fn frame(text: &str) -> Bytes {
        Encoded::new(Arc::new(PushMessage::from(text))).frame(Mode::Envelope).clone()
    }

    #[test]
    fn a_message_is_known_by_its_id_whatever_it_says() {
        let frames = ["one", "two", "two"].map(frame);
        let mut recent = Recent::default();
        recent.add(&frames[0]);
        recent.add(&frames[1]);
        let recent = Recent::of(&recent.marks());
        assert_eq!(frames.each_ref().map(|frame| recent.contains(mark(frame).unwrap())), [true, true, false]);
    }

    #[test]
    fn so_many_are_known_and_no_more() {
        let frames: Vec<Bytes> = (0..=MOST).map(|_| frame("text")).collect();
        let mut recent = Recent::default();
        frames.iter().for_each(|frame| recent.add(frame));
        assert_eq!(recent.marks(), frames[1..].iter().filter_map(mark).collect::<Vec<_>>());
    }
}
