//! The frames of one delivery, alone or joined, and what of them is left after a short write.

use bytes::Bytes;

/// The frames of one delivery: alone, or a backlog joined once for a whole lane.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) frames: Vec<Bytes>,
    pub(crate) joined: Bytes,
}

impl Batch {
    pub(crate) fn one(frame: Bytes) -> Self {
        Self { frames: Vec::new(), joined: frame }
    }

    /// A frame that is no push: behind the pushes, but not one of them.
    pub(crate) fn other(frame: Bytes) -> Self {
        Self::one(frame)
    }

    pub(crate) fn join(frames: Vec<Bytes>) -> Self {
        let joined = frames.concat().into();
        Self { frames, joined }
    }

    /// What of the batch was not written, frame by frame: the rest of the one begun, then whole ones.
    pub(super) fn rest(&self, written: usize) -> (Bytes, impl Iterator<Item = Bytes> + '_) {
        let alone = std::slice::from_ref(&self.joined);
        let frames = if self.frames.is_empty() { alone } else { &self.frames[..] };
        let (mut skip, mut index) = (written, 0);
        while index < frames.len() && skip >= frames[index].len() {
            skip -= frames[index].len();
            index += 1;
        }
        let begun = if skip == 0 { Bytes::new() } else { frames[index].slice(skip..) };
        let whole = index + usize::from(skip > 0);
        (begun, frames[whole..].iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_short_write_the_frame_begun_goes_on_and_the_others_are_whole() {
        let frames: Vec<Bytes> =
            ["abc", "de", "fghi"].map(|text| Bytes::from_static(text.as_bytes())).to_vec();
        let batch = Batch::join(frames.clone());
        for written in 0..=batch.joined.len() {
            let (begun, whole) = batch.rest(written);
            let rest: Vec<u8> = begun.iter().copied().chain(whole.flatten()).collect();
            assert_eq!(rest, batch.joined[written..], "{written}");
        }
        let (begun, mut whole) = batch.rest(3);
        assert!(begun.is_empty());
        assert_eq!(whole.next(), Some(frames[1].clone()));
    }
}
