//! What the watchers of one channel are told next, as a plain value: the window, the order, and when a list of events
//! would be too much.

use super::roster::{Action, Happened};

/// How much of a channel's presence is told user by user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Users; above, there are counts only.
    pub(crate) users: usize,
    /// Bytes of a list of all users; above, there are counts only too, since no outbox could take the list.
    pub(crate) weight: usize,
}

/// How large a channel is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Size {
    pub(crate) users: usize,
    pub(crate) weight: usize,
}

impl Bounds {
    /// Whether users are listed. A channel that had too many for it comes back to lists only once it is clearly below
    /// its bounds, so that one user who comes and goes there does not make everybody read a whole list each time.
    fn lists(self, size: Size, had_lists: bool) -> bool {
        let eighths = if had_lists { 8 } else { 7 };
        let fits = |size: usize, bound: usize| size <= bound / 8 * eighths + bound % 8 * eighths / 8;
        fits(size.users, self.users) && fits(size.weight, self.weight)
    }
}

/// What goes out to the watchers.
#[derive(Debug)]
pub(crate) enum Told {
    Nothing,
    /// What happened, in order; none of it where there are counts only.
    Events(Vec<Happened>),
    /// The whole state, since events alone do not lead to it.
    State,
}

/// One channel's feed.
#[derive(Debug)]
pub(crate) struct Feed {
    ver: u64,
    pending: Vec<Happened>,
    /// About how many bytes these take.
    weight: usize,
    lists: bool,
    /// The amounts changed while there were no lists.
    counted: bool,
    /// More happened than a list of events should have.
    too_much: bool,
    /// Somebody will take what waits when the window is over.
    window: bool,
}

impl Feed {
    /// A feed whose frames are counted from `ver`.
    pub(crate) fn new(ver: u64) -> Self {
        let pending = Vec::new();
        Self { ver, pending, weight: 0, lists: true, counted: false, too_much: false, window: false }
    }

    /// The count of the frame told last.
    pub(crate) fn ver(&self) -> u64 {
        self.ver
    }

    /// Whether a state lists users.
    pub(crate) fn has_lists(&self) -> bool {
        self.lists
    }

    /// The first watcher is there: from here on events are kept, and the state is as of now.
    pub(crate) fn begin(&mut self, size: Size, bounds: Bounds) {
        self.lists = bounds.lists(size, self.lists);
    }

    /// Whether the next thing told is that there are lists from now on, or none any more.
    pub(crate) fn is_turning(&self, size: Size, bounds: Bounds) -> bool {
        bounds.lists(size, self.lists) != self.lists
    }

    /// The last watcher is gone.
    pub(crate) fn end(&mut self) {
        *self = Self { window: self.window, ..Self::new(self.ver) };
    }

    /// The window is over, and nobody is there to be told: the next event opens a new one.
    pub(crate) fn pass(&mut self) {
        *self = Self::new(self.ver);
    }

    /// The members are known anew: the next thing told is the whole state. True where the window is to be opened.
    pub(crate) fn renew(&mut self) -> bool {
        (self.too_much, self.pending, self.weight) = (true, Vec::new(), 0);
        !std::mem::replace(&mut self.window, true)
    }

    /// Something happened that nobody here is told of: who comes back to this feed sees that it missed something.
    pub(crate) fn skip(&mut self) {
        self.ver += 1;
    }

    /// The window is over, and it cannot be told yet: what waits goes on waiting, for whoever opens the next.
    pub(crate) fn postpone(&mut self) {
        self.window = false;
    }

    /// One more thing to tell; true where the window is to be opened.
    pub(crate) fn add(&mut self, happened: Happened, bounds: Bounds) -> bool {
        if !self.lists || self.too_much {
            self.counted |= happened.action != Action::Update;
        } else {
            self.weight += happened.weight();
            self.pending.push(happened);
            if self.weight > bounds.weight || self.pending.len() > bounds.users.saturating_mul(2) {
                (self.too_much, self.pending, self.weight) = (true, Vec::new(), 0);
            }
        }
        !std::mem::replace(&mut self.window, true)
    }

    /// The window is over: what to tell, under which [`ver`](Self::ver).
    pub(crate) fn take(&mut self, size: Size, bounds: Bounds) -> Told {
        self.window = false;
        let lists = bounds.lists(size, self.lists);
        let turned = std::mem::replace(&mut self.lists, lists) != lists;
        let too_much = std::mem::take(&mut self.too_much);
        let counted = std::mem::take(&mut self.counted);
        let pending = std::mem::take(&mut self.pending);
        self.weight = 0;
        let told = match (turned || (too_much && lists), lists) {
            (true, _) => Told::State,
            (false, true) if !pending.is_empty() => Told::Events(pending),
            (false, false) if counted || too_much => Told::Events(Vec::new()),
            (false, _) => return Told::Nothing,
        };
        self.ver += 1;
        told
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{Cause, Status};

    const BOUNDS: Bounds = Bounds { users: 16, weight: 10_000 };

    fn happened(action: Action) -> Happened {
        let (cause, at) = (Cause::Subscribe, DateTime::UNIX_EPOCH);
        Happened { action, cause, user: "u1".into(), status: Status::Online, data: None, at }
    }

    fn size(users: usize) -> Size {
        Size { users, weight: users * 100 }
    }

    #[test]
    fn a_window_opens_with_the_first_event_and_takes_all_of_it_in_order() {
        let mut feed = Feed::new(7);
        assert!(feed.add(happened(Action::Join), BOUNDS));
        assert!(!feed.add(happened(Action::Offline), BOUNDS));
        let Told::Events(events) = feed.take(size(1), BOUNDS) else { panic!() };
        let actions: Vec<Action> = events.iter().map(|event| event.action).collect();
        assert_eq!((actions, feed.ver()), (vec![Action::Join, Action::Offline], 8));
        assert!(matches!(feed.take(size(1), BOUNDS), Told::Nothing));
        assert_eq!(feed.ver(), 8);
        assert!(feed.add(happened(Action::Join), BOUNDS));
    }

    #[test]
    fn above_the_bound_there_are_amounts_until_it_is_clearly_below() {
        let mut feed = Feed::new(0);
        feed.begin(size(16), BOUNDS);
        assert!(feed.has_lists());
        feed.add(happened(Action::Join), BOUNDS);
        assert!(matches!(feed.take(size(17), BOUNDS), Told::State) && !feed.has_lists());
        feed.add(happened(Action::Join), BOUNDS);
        assert!(matches!(feed.take(size(18), BOUNDS), Told::Events(events) if events.is_empty()));
        feed.add(happened(Action::Update), BOUNDS);
        assert!(matches!(feed.take(size(18), BOUNDS), Told::Nothing), "no amount changed");
        feed.add(happened(Action::Leave), BOUNDS);
        assert!(matches!(feed.take(size(15), BOUNDS), Told::Events(events) if events.is_empty()));
        feed.add(happened(Action::Leave), BOUNDS);
        assert!(matches!(feed.take(size(14), BOUNDS), Told::State) && feed.has_lists());
        assert_eq!(feed.ver(), 4);
    }

    #[test]
    fn a_list_that_no_outbox_takes_counts_as_too_many_users() {
        let mut feed = Feed::new(0);
        feed.begin(Size { users: 2, weight: 10_001 }, BOUNDS);
        assert!(!feed.has_lists());
        feed.end();
        feed.begin(size(2), BOUNDS);
        assert!(feed.has_lists());
    }

    #[test]
    fn events_that_no_outbox_takes_are_told_as_a_state() {
        let mut feed = Feed::new(0);
        let data = serde_json::value::to_raw_value(&"x".repeat(4000)).unwrap();
        for _ in 0..3 {
            feed.add(Happened { data: Some(data.clone().into()), ..happened(Action::Join) }, BOUNDS);
        }
        assert!(matches!(feed.take(size(1), BOUNDS), Told::State));
    }

    #[test]
    fn more_than_twice_the_bound_in_one_window_is_told_as_a_state() {
        let mut feed = Feed::new(0);
        for _ in 0..33 {
            feed.add(happened(Action::Join), BOUNDS);
        }
        assert!(matches!(feed.take(size(16), BOUNDS), Told::State) && feed.has_lists());
        for _ in 0..32 {
            feed.add(happened(Action::Join), BOUNDS);
        }
        assert!(matches!(feed.take(size(16), BOUNDS), Told::Events(events) if events.len() == 32));
    }
}
