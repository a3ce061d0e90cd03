//! What nodes send each other: a version, a kind, and what the kind has to say. Numbers are big-endian. What cannot be
//! read is none of ours, or of another version: it is dropped and counted.

use bytes::Bytes;
use herenow::cluster::Reach;

/// The version of all frames.
pub(crate) const VERSION: u8 = 1;

/// Who asks, and by which of its numbers the answer is known; of 0 no answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asker {
    pub(crate) node: u32,
    pub(crate) number: u64,
}

/// What became of one push on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) number: u64,
    pub(crate) matched: u32,
    pub(crate) enqueued: u32,
    pub(crate) held: u32,
}

/// A frame that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// A beat of this node's own.
    Beat(u64),
    /// A node has registered.
    News,
    /// A push, to be delivered.
    Push(Asker, Bytes),
    /// What became of pushes of this node's.
    Receipts(Vec<Counted>),
    /// A question; surely asked, it stands in the kick log too.
    Question { asker: Asker, surely: bool, query: Bytes },
    /// An answer by a node to a question of this one's.
    Answer(Asker, Bytes),
    /// What this node sent to itself: everything before it has come.
    Mark(u64),
    /// What a script tells of the directory.
    Event(Bytes),
    /// What was sent to this node before it retired has all come before this.
    Marker(Bytes),
}

const BEAT: u8 = b'b';
const NEWS: u8 = b'n';
const PUSH: u8 = b'p';
const RECEIPTS: u8 = b'r';
const QUESTION: u8 = b'q';
const KICK: u8 = b'k';
const ANSWER: u8 = b'a';
const MARK: u8 = b'c';
const EVENT: u8 = b'e';
const MARKER: u8 = b'm';

/// A beat as it comes back.
pub(crate) fn beat(seq: u64) -> Vec<u8> {
    numbered(BEAT, seq)
}

/// What everybody is told when a node registers.
pub(crate) fn news() -> [u8; 2] {
    [VERSION, NEWS]
}

/// A mark as it comes back.
pub(crate) fn mark(number: u64) -> Vec<u8> {
    numbered(MARK, number)
}

/// A push on its way.
pub(crate) fn push(asker: Asker, frame: &[u8]) -> Vec<u8> {
    addressed(PUSH, asker, frame)
}

/// A question on its way.
pub(crate) fn question(asker: Asker, surely: bool, query: &[u8]) -> Vec<u8> {
    addressed(if surely { KICK } else { QUESTION }, asker, query)
}

/// An answer of `node` to the asker's question.
pub(crate) fn answer(node: u32, number: u64, answer: &[u8]) -> Vec<u8> {
    addressed(ANSWER, Asker { node, number }, answer)
}

/// What became of several pushes.
pub(crate) fn receipts(counted: &[Counted]) -> Vec<u8> {
    let mut frame = vec![VERSION, RECEIPTS];
    for Counted { number, matched, enqueued, held } in counted {
        frame.extend(number.to_be_bytes());
        [matched, enqueued, held].iter().for_each(|count| frame.extend(count.to_be_bytes()));
    }
    frame
}

fn numbered(kind: u8, number: u64) -> Vec<u8> {
    let mut frame = vec![VERSION, kind];
    frame.extend(number.to_be_bytes());
    frame
}

fn addressed(kind: u8, Asker { node, number }: Asker, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + body.len());
    frame.extend([VERSION, kind]);
    frame.extend(node.to_be_bytes());
    frame.extend(number.to_be_bytes());
    frame.extend(body);
    frame
}

/// Reads a frame; `None` if it cannot be read.
pub(crate) fn read(frame: Bytes) -> Option<Frame> {
    let [VERSION, kind, ..] = *frame.as_ref() else { return None };
    let body = frame.slice(2..);
    let from = || {
        let (head, rest) = body.split_first_chunk::<12>()?;
        let [a, b, c, d, number @ ..] = *head;
        let asker = Asker { node: u32::from_be_bytes([a, b, c, d]), number: u64::from_be_bytes(number) };
        Some((asker, body.slice_ref(rest)))
    };
    Some(match kind {
        BEAT => Frame::Beat(u64::from_be_bytes(body.as_ref().try_into().ok()?)),
        MARK => Frame::Mark(u64::from_be_bytes(body.as_ref().try_into().ok()?)),
        NEWS => Frame::News,
        PUSH => from().map(|(asker, push)| Frame::Push(asker, push))?,
        QUESTION | KICK => {
            let (asker, query) = from()?;
            Frame::Question { asker, surely: kind == KICK, query }
        }
        ANSWER => from().map(|(asker, answer)| Frame::Answer(asker, answer))?,
        RECEIPTS => Frame::Receipts(read_receipts(&body)?),
        EVENT => Frame::Event(body),
        MARKER => Frame::Marker(body),
        _ => return None,
    })
}

fn read_receipts(body: &[u8]) -> Option<Vec<Counted>> {
    let (all, []) = body.as_chunks::<20>() else { return None };
    let count = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
    all.iter()
        .map(|one| {
            let number = u64::from_be_bytes(one[..8].try_into().ok()?);
            let (matched, enqueued, held) = (count(&one[8..12])?, count(&one[12..16])?, count(&one[16..])?);
            Some(Counted { number, matched, enqueued, held })
        })
        .collect()
}

/// A [`Reach`] that waits in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    User(herenow::UserKey),
    Users(Box<[herenow::UserKey]>),
    Channel(herenow::ChannelKey),
    Node(u32),
    Everyone,
    /// Nobody but this node: a mark of this number.
    Mark(u64),
}

impl From<Reach<'_>> for To {
    fn from(reach: Reach<'_>) -> Self {
        match reach {
            Reach::User(user) => Self::User(user.clone()),
            Reach::Users(users) => Self::Users(users.into()),
            Reach::Channel(channel) => Self::Channel(channel.clone()),
            Reach::Node(node) => Self::Node(node),
            Reach::Everyone => Self::Everyone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker = Asker { node: 0x0102_0304, number: 0x0506_0708_090a_0b0c };

    #[test]
    fn frames_read_as_they_were_written() {
        let body = Bytes::from_static(b"\x00body\xff");
        let counted = Counted { number: 7, matched: 1, enqueued: 2, held: u32::MAX };
        let frames = [
            (beat(9), Frame::Beat(9)),
            (news().to_vec(), Frame::News),
            (mark(u64::MAX), Frame::Mark(u64::MAX)),
            (push(ASKER, &body), Frame::Push(ASKER, body.clone())),
            (push(ASKER, b""), Frame::Push(ASKER, Bytes::new())),
            (
                question(ASKER, false, &body),
                Frame::Question { asker: ASKER, surely: false, query: body.clone() },
            ),
            (
                question(ASKER, true, &body),
                Frame::Question { asker: ASKER, surely: true, query: body.clone() },
            ),
            (answer(ASKER.node, ASKER.number, &body), Frame::Answer(ASKER, body.clone())),
            (receipts(&[counted, Counted::default()]), Frame::Receipts(vec![counted, Counted::default()])),
            (b"\x01e\x00body\xff".to_vec(), Frame::Event(body.clone())),
            (b"\x01m\x00body\xff".to_vec(), Frame::Marker(body)),
        ];
        for (written, meant) in frames {
            assert_eq!(read(written.into()), Some(meant));
        }
    }

    #[test]
    fn noise_and_other_versions_are_not_read() {
        let noise: [&[u8]; 8] =
            [b"", b"\x01", b"\x02b12345678", b"\x01z", b"\x01b1234567", b"\x01p123", b"\x01r1", b"{}"];
        for noise in noise {
            assert_eq!(read(Bytes::copy_from_slice(noise)), None, "{noise:?}");
        }
    }
}
