//! [`Tally`]: how often each of very many users was told online and offline. Their events would take longer to keep than to
//! hear.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use herenow::{Event, EventKind, cluster::ClusterEvent};

/// Counts transitions of the users `u0`, `u1` and so on.
#[derive(Debug)]
pub(crate) struct Tally {
    heard: Vec<Counts>,
    made: Vec<Counts>,
    strange: AtomicU32,
}

#[derive(Debug, Default)]
struct Counts {
    online: AtomicU32,
    offline: AtomicU32,
}

impl Tally {
    /// Of so many users.
    pub(crate) fn of(users: usize) -> Self {
        let counts = || std::iter::repeat_with(Counts::default).take(users).collect();
        Self { heard: counts(), made: counts(), strange: AtomicU32::new(0) }
    }

    /// Counts what is a transition; the rest is to be remembered.
    pub(super) fn takes(&self, event: &ClusterEvent) -> bool {
        match event {
            ClusterEvent::Heard(event) => self.count(&self.heard, event),
            ClusterEvent::Made(event) if event.channel.is_none() => self.count(&self.made, event),
            _ => return false,
        }
        true
    }

    fn count(&self, all: &[Counts], event: &Event) {
        let index: Option<usize> =
            event.user.login_id().strip_prefix('u').and_then(|number| number.parse().ok());
        match (index.and_then(|index| all.get(index)), event.kind) {
            (Some(counts), EventKind::Online) => counts.online.fetch_add(1, Relaxed),
            (Some(counts), EventKind::Offline) => counts.offline.fetch_add(1, Relaxed),
            _ => self.strange.fetch_add(1, Relaxed),
        };
    }

    /// How many offline events were heard, of whomever.
    pub(crate) fn heard_offline(&self) -> usize {
        self.heard.iter().map(|counts| counts.offline.load(Relaxed) as usize).sum()
    }

    /// How many online events were heard, of whomever.
    pub(crate) fn heard_online(&self) -> usize {
        self.heard.iter().map(|counts| counts.online.load(Relaxed) as usize).sum()
    }

    /// The first user, if any, of whom was not heard exactly this: so often online, so often offline.
    pub(crate) fn differs(&self, online: u32, offline: u32) -> Option<(usize, u32, u32)> {
        let told = |counts: &Counts| (counts.online.load(Relaxed), counts.offline.load(Relaxed));
        let mut all = self.heard.iter().map(told).enumerate();
        all.find(|(_, told)| *told != (online, offline))
            .map(|(user, (online, offline))| (user, online, offline))
    }

    /// How often each user's offline was made here.
    pub(crate) fn made_offline(&self) -> Vec<u32> {
        self.made.iter().map(|counts| counts.offline.load(Relaxed)).collect()
    }

    /// What was told that is neither, or of nobody who is counted.
    pub(crate) fn strange(&self) -> u32 {
        self.strange.load(Relaxed)
    }
}
