//! What is still to be written, as a plain value: each entry once, with the latest reason. Memory is bounded by what there
//! is on this node.

use std::collections::{
    HashMap,
    hash_map::Entry::{Occupied, Vacant},
};

use herenow::{
    ConnectionId, Instant, UserKey,
    auth::TokenId,
    cluster::{Change, Entry, Wish},
};

/// Why an entry is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) change: Change,
    /// Nobody is told: what was there was lost, and not by anybody's coming or going.
    pub(crate) silent: bool,
    /// It came since it was written last: of its going nobody who was not told of its coming is to be told.
    came: bool,
    /// Which mark it was.
    number: u64,
    /// Redis lost it: where it is here still, nobody is told, and where it went, this node alone can tell that.
    pub(crate) lost: bool,
    /// Not before this.
    not_before: Option<Instant>,
}

/// A change of seats: another token, or none where the seat is given back.
#[derive(Clone, Debug)]
pub(crate) struct SeatChange {
    pub(crate) user: UserKey,
    pub(crate) connection: ConnectionId,
    pub(crate) token: Option<TokenId>,
}

/// So many changes of seats wait while Redis is away; of more, those that were lost are taken out with the node.
const SEATS: usize = 1_000_000;

#[derive(Debug, Default)]
pub(crate) struct Dirty {
    entries: HashMap<Entry, Mark>,
    wishes: HashMap<Wish, bool>,
    seats: Vec<SeatChange>,
    marked: u64,
    /// The time between two losses of everything that was written in last.
    epoch: Option<u64>,
    /// Redis lost what it had, and not all is written anew.
    is_emptied: bool,
    /// Until then other nodes may not have written anew that somebody is there.
    settles_at: Option<Instant>,
}

/// Some of what is to be written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Mark>,
    pub(crate) wishes: Vec<(Wish, bool)>,
    pub(crate) seats: Vec<SeatChange>,
    /// Everything up to this mark is in this batch or before it; `None` where more is waiting.
    pub(crate) up_to: Option<u64>,
}

impl Batch {
    /// Those of which Redis lost what it had.
    pub(crate) fn lost(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().filter(|mark| mark.lost).map(|mark| mark.change.entry.clone())
    }
}

impl Dirty {
    /// The mark that was made last.
    pub(crate) fn marked(&self) -> u64 {
        self.marked
    }

    /// An entry changed.
    pub(crate) fn change(&mut self, change: Change) {
        self.marked += 1;
        let came = self.entries.get(&change.entry).map_or(change.is_new, |mark| mark.came);
        let lost = self.is_emptied && !came;
        // Who went may be on a node that has not said so again.
        let not_before = self.settles_at.filter(|_| !change.status.is_online());
        let mark = Mark { came, number: self.marked, lost, silent: false, not_before, change };
        self.entries.insert(mark.change.entry.clone(), mark);
    }

    /// An entry is to be written once more; what is known of a change of it goes before.
    pub(crate) fn again(&mut self, change: Change, silent: bool) {
        self.marked += 1;
        let (came, lost) = (false, false);
        let mark = Mark { came, number: self.marked, lost, silent, not_before: None, change };
        self.entries.entry(mark.change.entry.clone()).or_insert(mark);
    }

    pub(crate) fn wish(&mut self, wish: Wish, yes: bool) {
        self.marked += 1;
        self.wishes.insert(wish, yes);
    }

    pub(crate) fn seat(&mut self, change: SeatChange) {
        self.marked += 1;
        if self.seats.len() < SEATS {
            self.seats.push(change);
        }
    }

    /// Everything that is waiting.
    pub(crate) fn waiting(&self) -> Vec<Entry> {
        self.entries.keys().cloned().collect()
    }

    /// What came since anything was written last, with the marks it has.
    pub(crate) fn newcomers(&self) -> Vec<(Entry, u64)> {
        let came = self.entries.values().filter(|mark| mark.came);
        came.map(|mark| (mark.change.entry.clone(), mark.number)).collect()
    }

    /// These came and went while nothing could be written: of them nothing is to be, unless something happened since.
    pub(crate) fn forget(&mut self, gone: &[(Entry, u64)]) {
        for (entry, number) in gone {
            if self.entries.get(entry).is_some_and(|mark| mark.number == *number) {
                self.entries.remove(entry);
            }
        }
    }

    /// Redis is back: these left meanwhile, and may have come back elsewhere. They are given time to be written there.
    pub(crate) fn defer(&mut self, gone: &[Entry], until: Instant) {
        for entry in gone {
            if let Some(mark) = self.entries.get_mut(entry) {
                mark.not_before = Some(until);
            }
        }
    }

    /// What is written next is written in this epoch. In another one than before Redis has lost what it had, and others write
    /// anew until `settles_at`.
    pub(crate) fn written_in(&mut self, epoch: u64, settles_at: Instant) {
        if self.epoch.replace(epoch).is_none_or(|before| before == epoch) {
            return;
        }
        (self.is_emptied, self.settles_at) = (true, Some(settles_at));
        self.entries.values_mut().for_each(|mark| mark.lost = !mark.came);
    }

    /// All is written anew in this epoch, unless there was another one since.
    pub(crate) fn whole(&mut self, epoch: u64) {
        if !self.is_emptied || self.epoch == Some(epoch) {
            (self.epoch, self.is_emptied) = (Some(epoch), false);
        }
    }

    /// Takes at most so many entries whose time has come, and all the rest.
    pub(crate) fn take(&mut self, most: usize, now: Instant) -> Batch {
        let mut batch = Batch {
            wishes: self.wishes.drain().collect(),
            seats: std::mem::take(&mut self.seats),
            ..Batch::default()
        };
        let mut left = 0;
        let ready = self.entries.extract_if(|_, mark| mark.not_before.is_none_or(|at| at <= now));
        for (_, mark) in ready.take(most + 1) {
            batch.entries.push(mark);
        }
        if batch.entries.len() > most
            && let Some(mark) = batch.entries.pop()
        {
            self.entries.insert(mark.change.entry.clone(), mark);
            left += 1;
        }
        batch.up_to = (left == 0).then_some(self.marked);
        if self.entries.is_empty() {
            self.entries = HashMap::new(); // After a burst nothing is held.
        }
        batch
    }

    /// What could not be written is to be written still, unless something newer is.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        for mut mark in batch.entries {
            mark.came = false; // It may have been written, and only the answer lost.
            match self.entries.entry(mark.change.entry.clone()) {
                Occupied(mut newer) => newer.get_mut().came = false,
                Vacant(place) => drop(place.insert(mark)),
            }
        }
        for (wish, yes) in batch.wishes {
            self.wishes.entry(wish).or_insert(yes);
        }
        let newer = std::mem::replace(&mut self.seats, batch.seats);
        self.seats.extend(newer);
    }

    /// When to look again, if something waits for its time.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.values().filter_map(|mark| mark.not_before).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use herenow::{Cause, Clock, Status, SystemClock};

    use super::*;

    const LEASE: Duration = Duration::from_secs(6);

    fn change(user: &str, cause: Cause) -> Change {
        let (entry, is_new) = (Entry::User(user.into()), cause == Cause::Connect);
        Change { entry, is_new, cause, at: DateTime::UNIX_EPOCH, status: Status::Online, data: None }
    }

    fn gone(user: &str) -> Change {
        Change { status: Status::Offline, ..change(user, Cause::Disconnect) }
    }

    fn name(mark: &Mark) -> String {
        match &mark.change.entry {
            Entry::User(user) | Entry::Member(_, user) => user.login_id().to_owned(),
        }
    }

    fn causes(batch: &Batch) -> Vec<Cause> {
        batch.entries.iter().map(|mark| mark.change.cause).collect()
    }

    #[test]
    fn an_entry_is_written_once_for_its_latest_reason() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        dirty.change(change("u1", Cause::Connect));
        dirty.change(change("u1", Cause::Disconnect));
        dirty.again(change("u1", Cause::Connect), true);
        let batch = dirty.take(10, now);
        assert_eq!(
            (causes(&batch), batch.entries[0].silent, batch.up_to),
            (vec![Cause::Disconnect], false, Some(3))
        );
        dirty.change(change("u1", Cause::Status));
        dirty.put_back(batch);
        assert_eq!(causes(&dirty.take(10, now)), [Cause::Status]);
        assert!(dirty.take(10, now).entries.is_empty());
    }

    #[test]
    fn more_than_one_batch_is_not_said_to_be_written_before_the_last() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        (0..5).for_each(|n| dirty.change(change(&format!("u{n}"), Cause::Connect)));
        let sizes: Vec<_> =
            (0..3).map(|_| dirty.take(2, now)).map(|batch| (batch.entries.len(), batch.up_to)).collect();
        assert_eq!(sizes, [(2, None), (2, None), (1, Some(5))]);
    }

    #[test]
    fn where_redis_was_emptied_only_who_came_is_told_of() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        dirty.written_in(1, now);
        dirty.change(change("came", Cause::Connect));
        dirty.change(change("was there", Cause::Status));
        dirty.change(change("another tab", Cause::Disconnect));
        dirty.change(change("here and gone", Cause::Connect));
        dirty.change(gone("here and gone"));
        dirty.written_in(2, now);
        dirty.change(gone("went"));
        let mut marks: Vec<(String, bool)> =
            dirty.take(10, now).entries.iter().map(|mark| (name(mark), mark.lost)).collect();
        marks.sort();
        let expected = [
            ("another tab", true),
            ("came", false),
            ("here and gone", false),
            ("was there", true),
            ("went", true),
        ];
        assert_eq!(marks, expected.map(|(user, lost)| (user.to_owned(), lost)));
        dirty.whole(2);
        dirty.change(gone("went"));
        assert!(!dirty.take(10, now).entries[0].lost);
    }

    #[test]
    fn a_node_that_had_nothing_to_write_knows_of_the_loss_as_others_do() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        dirty.written_in(1, now);
        dirty.whole(2);
        dirty.written_in(2, now);
        dirty.change(change("u1", Cause::Status));
        assert!(!dirty.take(10, now).entries[0].lost);
        dirty.written_in(3, now);
        dirty.whole(2);
        dirty.change(change("u1", Cause::Status));
        assert!(dirty.take(10, now).entries[0].lost, "it was emptied again since");
    }

    #[test]
    fn while_others_write_anew_who_goes_is_given_time_to_be_found_elsewhere() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        dirty.written_in(1, now);
        dirty.written_in(2, now + LEASE);
        dirty.change(gone("u1"));
        dirty.change(change("u2", Cause::Connect));
        assert_eq!(causes(&dirty.take(10, now)), [Cause::Connect]);
        assert_eq!(dirty.next(), Some(now + LEASE));
        assert_eq!(causes(&dirty.take(10, now + LEASE)), [Cause::Disconnect]);
    }

    #[test]
    fn who_came_and_went_while_redis_was_away_is_not_remembered() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        for user in ["in doubt", "gone", "back"] {
            dirty.change(change(user, Cause::Connect));
        }
        let sent = dirty.take(10, now);
        dirty.put_back(sent);
        for user in ["new and gone", "new and back"] {
            dirty.change(change(user, Cause::Connect));
            dirty.change(change(user, Cause::Disconnect));
        }
        let newcomers = dirty.newcomers();
        assert_eq!(newcomers.len(), 2, "{newcomers:?}");
        dirty.change(change("new and back", Cause::Connect));
        dirty.forget(&newcomers);
        let mut left: Vec<Entry> = dirty.waiting();
        left.sort_unstable();
        let expected = ["back", "gone", "in doubt", "new and back"].map(|user| Entry::User(user.into()));
        assert_eq!(left, expected);
    }

    #[test]
    fn who_left_while_redis_was_away_is_given_time_to_come_back_elsewhere() {
        let (mut dirty, now) = (Dirty::default(), SystemClock.now());
        dirty.change(change("here", Cause::Connect));
        dirty.change(change("gone", Cause::Disconnect));
        let later = now + std::time::Duration::from_secs(6);
        assert_eq!(dirty.waiting().len(), 2);
        dirty.defer(&[Entry::User("gone".into())], later);
        assert_eq!(causes(&dirty.take(10, now)), [Cause::Connect]);
        assert_eq!(dirty.next(), Some(later));
        assert_eq!(causes(&dirty.take(10, later)), [Cause::Disconnect]);
    }
}
