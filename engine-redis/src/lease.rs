//! [`Lease`]: what the answer to a beat means, and what is to be done about it. No I/O, and no clock: the lease's time
//! is kept by Redis.
//!
//! A node registers under a random *lease id* and beats from then on. An answer is `Ok`, or says that the lease is gone
//! or was over: then other nodes have taken this node for dead, and it registers under a new id. When the *epoch* is
//! another one, Redis lost what it had: everybody registers anew, and nobody's users came or went by that.
//!
//! Each beat also publishes to the node's own inbox. It comes back over the subscriber's connection, or the node is
//! *deaf*: others believe that they reach it, and they do not.

use std::collections::BTreeSet;

/// What a node's records in the directory are marked with: another one for each registration.
pub(crate) type LeaseId = [u8; 4];

/// A registered node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Member {
    /// Its registration.
    pub(crate) lease: LeaseId,
    /// Its process: the same over all its registrations.
    pub(crate) node: u32,
}

impl Member {
    /// As it stands among the nodes in Redis.
    pub(crate) fn to_bytes(self) -> [u8; 8] {
        let [a, b, c, d] = self.lease;
        let [e, f, g, h] = self.node.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }

    /// Reads it back; `None` if it is none of ours.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = *bytes else { return None };
        Some(Self { lease: [a, b, c, d], node: u32::from_be_bytes([e, f, g, h]) })
    }
}

/// The nodes whose lease holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// In the order of their leases.
    pub(crate) members: Vec<Member>,
    /// Whether frames are kept for nodes that left.
    pub(crate) retired: bool,
    /// Those of the members that left, and are taken for alive until their clients are back elsewhere.
    pub(crate) away: Vec<Member>,
}

impl Live {
    /// Whether the lease holds.
    pub(crate) fn has(&self, lease: LeaseId) -> bool {
        self.members.binary_search_by_key(&lease, |member| member.lease).is_ok()
    }

    /// The other nodes that can be asked, each once.
    pub(crate) fn others(&self, node: u32) -> BTreeSet<u32> {
        let there = self.members.iter().filter(|member| !self.away.contains(member));
        there.map(|member| member.node).filter(|other| *other != node).collect()
    }

    /// Whether nobody else is there to be told anything.
    pub(crate) fn is_only(&self, node: u32) -> bool {
        !self.retired && self.members.iter().all(|member| member.node == node)
    }
}

/// What Redis says of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds, from now on for its whole time.
    Ok,
    /// It is not known: it was reaped, or Redis lost it.
    Gone,
    /// Its time was over before this beat came, and it may be being reaped.
    Expired,
    /// Another process goes by this node's name.
    Replaced,
}

/// The answer to a beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) epoch: u64,
    pub(crate) live: Live,
    pub(crate) dead: Vec<Member>,
    /// How many connections the beat's own message was sent to.
    pub(crate) hearers: u64,
}

/// What the next beat has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    pub(crate) member: Member,
    /// A first beat, which registers.
    pub(crate) register: bool,
    pub(crate) seq: u64,
    /// Whether the node still goes by its name.
    pub(crate) named: bool,
}

/// What is to be done after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing but the next beat.
    Wait,
    /// The lease holds since this answer, and did not before: its inbox is to be heard, and everything written.
    Begin,
    /// Register at once: under a new id, where the old one was in use.
    Register,
    /// What is sent to this node does not arrive: connect the subscriber anew.
    Deaf,
}

/// One node's lease on one Redis.
#[derive(Debug)]
pub(crate) struct Lease {
    member: Member,
    named: bool,
    registered: bool,
    epoch: Option<u64>,
    seq: u64,
    /// While a subscription is believed to hear: which, and the first beat that has to come back by it.
    hearing: Option<(u64, u64)>,
    heard: u64,
    /// Beats answered since the last one that was heard.
    missed: u32,
}

/// So many beats in a row that are not heard are no accident.
const MISSED: u32 = 2;

impl Lease {
    /// Of a process, under its first lease id, which is the node's own.
    pub(crate) fn new(node: u32, named: bool) -> Self {
        let member = Member { lease: node.to_be_bytes(), node };
        Self { member, named, registered: false, epoch: None, seq: 0, hearing: None, heard: 0, missed: 0 }
    }

    /// Who beats, under which registration.
    pub(crate) fn member(&self) -> Member {
        self.member
    }

    /// The epoch of the last answer.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// The next beat. Each is asked for once and sent at once.
    pub(crate) fn beat(&mut self) -> Beat {
        self.seq += 1;
        Beat { member: self.member, register: !self.registered, seq: self.seq, named: self.named }
    }

    /// The beat of this number was answered; `fresh` is a lease id that nobody has.
    pub(crate) fn answered(&mut self, seq: u64, answer: &Answer, fresh: LeaseId) -> Next {
        let before = self.epoch.replace(answer.epoch);
        let lost = before.is_some_and(|epoch| epoch != answer.epoch);
        match answer.verdict {
            Verdict::Replaced => {
                self.named = false;
                self.renew(fresh)
            }
            Verdict::Gone | Verdict::Expired => self.renew(fresh),
            // The nodes are still known and the epoch is not: whoever knew the old one does not trust what is there.
            Verdict::Ok if lost && self.registered => self.renew(fresh),
            Verdict::Ok if !self.registered => {
                self.registered = true;
                self.hearing = None;
                Next::Begin
            }
            Verdict::Ok if self.is_deaf(seq, answer.hearers) => {
                self.hearing = None;
                Next::Deaf
            }
            Verdict::Ok => Next::Wait,
        }
    }

    /// Redis confirmed a subscription, by its number: from the next beat on each has to come back. It may be told again.
    pub(crate) fn subscribed(&mut self, number: u64) {
        if self.hearing.is_none_or(|(known, _)| known != number) {
            (self.hearing, self.missed) = (Some((number, self.seq + 1)), 0);
        }
    }

    /// The subscription is known to be lost.
    pub(crate) fn unsubscribed(&mut self) {
        self.hearing = None;
    }

    /// A beat came back.
    pub(crate) fn heard(&mut self, seq: u64) {
        if seq > self.heard {
            (self.heard, self.missed) = (seq, 0);
        }
    }

    fn is_deaf(&mut self, seq: u64, hearers: u64) -> bool {
        if self.hearing.is_none_or(|(_, since)| seq < since) || self.heard >= seq {
            return false;
        }
        // This one may still be on its way.
        self.missed += 1;
        hearers == 0 || self.missed > MISSED
    }

    fn renew(&mut self, fresh: LeaseId) -> Next {
        (self.member.lease, self.registered, self.hearing) = (fresh, false, None);
        Next::Register
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: LeaseId = [9; 4];
    const NUMBER: u64 = 3;

    fn says(verdict: Verdict, epoch: u64) -> Answer {
        Answer { verdict, epoch, live: Live::default(), dead: Vec::new(), hearers: 1 }
    }

    /// One beat, answered so.
    fn beat(lease: &mut Lease, answer: &Answer) -> Next {
        let seq = lease.beat().seq;
        lease.answered(seq, answer, FRESH)
    }

    fn registered() -> Lease {
        let mut lease = Lease::new(7, true);
        assert!(lease.beat().register);
        assert_eq!(lease.answered(1, &says(Verdict::Ok, 1), FRESH), Next::Begin);
        lease.subscribed(NUMBER);
        lease
    }

    #[test]
    fn the_first_lease_id_is_the_nodes_own_and_later_ones_are_not() {
        let mut lease = registered();
        assert_eq!(lease.member(), Member { lease: [0, 0, 0, 7], node: 7 });
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 1)), Next::Wait);
        assert_eq!(beat(&mut lease, &says(Verdict::Gone, 1)), Next::Register);
        assert_eq!(lease.member(), Member { lease: FRESH, node: 7 });
        assert!(lease.beat().register);
    }

    #[test]
    fn a_lease_that_was_over_is_never_used_again() {
        for verdict in [Verdict::Gone, Verdict::Expired, Verdict::Replaced] {
            let mut lease = registered();
            assert_eq!(beat(&mut lease, &says(verdict, 1)), Next::Register);
            let again = lease.beat();
            assert_eq!((again.member.lease, again.register), (FRESH, true));
            assert_eq!(
                again.named,
                verdict != Verdict::Replaced,
                "two of one name would replace each other for ever"
            );
            assert_eq!(lease.answered(again.seq, &says(Verdict::Ok, 1), [8; 4]), Next::Begin);
        }
    }

    #[test]
    fn another_epoch_means_another_lease() {
        let mut lease = registered();
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 2)), Next::Register);
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 2)), Next::Begin);
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 2)), Next::Wait);
    }

    #[test]
    fn two_beats_unheard_are_borne_and_the_third_is_not() {
        let mut lease = registered();
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 1)), Next::Wait);
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 1)), Next::Wait);
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 1)), Next::Deaf);
        assert_eq!(beat(&mut lease, &says(Verdict::Ok, 1)), Next::Wait, "the subscriber is told once");
        lease.subscribed(NUMBER);
        for _ in 0..10 {
            let seq = lease.beat().seq;
            lease.heard(seq);
            assert_eq!(lease.answered(seq, &says(Verdict::Ok, 1), FRESH), Next::Wait);
        }
        for _ in 0..10 {
            let seq = lease.beat().seq;
            assert_eq!(lease.answered(seq, &says(Verdict::Ok, 1), FRESH), Next::Wait);
            lease.heard(seq); // The answer was faster.
        }
    }

    #[test]
    fn a_beat_that_redis_sends_to_nobody_is_noticed_at_once() {
        let mut lease = registered();
        let nobody = Answer { hearers: 0, ..says(Verdict::Ok, 1) };
        assert_eq!(beat(&mut lease, &nobody), Next::Deaf);
        // While no subscription is there yet, nobody is meant to hear.
        assert_eq!(beat(&mut lease, &nobody), Next::Wait);
    }

    #[test]
    fn a_beat_under_way_when_the_subscription_began_says_nothing() {
        let mut lease = registered();
        lease.unsubscribed();
        let seq = lease.beat().seq;
        lease.subscribed(NUMBER);
        let nobody = Answer { hearers: 0, ..says(Verdict::Ok, 1) };
        assert_eq!(lease.answered(seq, &nobody, FRESH), Next::Wait);
        assert_eq!(beat(&mut lease, &nobody), Next::Deaf);
    }

    #[test]
    fn members_read_as_they_were_written() {
        let member = Member { lease: [1, 2, 3, 4], node: 0x0506_0708 };
        assert_eq!(member.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Member::from_bytes(&member.to_bytes()), Some(member));
        assert_eq!(Member::from_bytes(b"foreign"), None);
        let (other, away) = (Member { lease: [5; 4], node: 1 }, Vec::new());
        let live = Live { members: vec![member, other], retired: false, away };
        assert!(live.has([5; 4]) && !live.has([6; 4]) && !live.is_only(1));
        assert_eq!(live.others(1), BTreeSet::from([member.node]));
    }
}
