//! [`Facts`]: what is known of the way to one Redis, and what follows from it: how healthy the engine is, and what has
//! to be done before it is whole again. A plain value; the tasks of [`link`](crate::link) keep it true.

use herenow::cluster::Health;

use crate::lease::LeaseId;

/// What is known of one Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The number of the connection for commands.
    pub(crate) commands: Option<u64>,
    /// The lease, while the last beat was a good one.
    pub(crate) lease: Option<Held>,
    /// The subscription, while it is believed to hear.
    pub(crate) hearing: Option<Hearing>,
    /// How often the subscription was found deaf.
    pub(crate) deaf: u64,
    /// How often something was dropped that had arrived.
    pub(crate) dropped: u64,
    /// For what the directory was last brought in line.
    pub(crate) synced: Option<State>,
}

/// A lease that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) id: LeaseId,
    pub(crate) epoch: u64,
}

/// A subscription that Redis confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hearing {
    /// The number of its connection.
    pub(crate) connection: u64,
    /// Whose inbox it hears.
    pub(crate) lease: LeaseId,
}

/// Everything is there that a sync needs, and this is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    commands: u64,
    lease: Held,
    hearing: Hearing,
    dropped: u64,
}

/// What has to be done before the engine is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Todo {
    /// What is true once it is done.
    pub(crate) state: State,
    /// What has to be written first, if anything.
    pub(crate) write: Option<Write>,
}

/// How a node writes all it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// What differs has happened, and others are told.
    Told,
    /// Redis lost what it had: nobody came or went by that.
    Silently,
}

impl State {
    pub(crate) fn epoch(&self) -> u64 {
        self.lease.epoch
    }

    pub(crate) fn lease(&self) -> Held {
        self.lease
    }
}

impl Facts {
    /// What is there, once all is.
    pub(crate) fn state(&self) -> Option<State> {
        let (lease, hearing) = (self.lease?, self.hearing?);
        let state = State { commands: self.commands?, lease, hearing, dropped: self.dropped };
        (hearing.lease == lease.id).then_some(state)
    }

    /// What is to be done, if it can be done now.
    pub(crate) fn todo(&self) -> Option<Todo> {
        let state = self.state()?;
        if self.synced == Some(state) {
            return None;
        }
        let write = match self.synced {
            None => Some(Write::Told),
            Some(was) if was.lease.epoch != state.lease.epoch => Some(Write::Silently),
            Some(was) if (was.commands, was.lease) != (state.commands, state.lease) => Some(Write::Told),
            // Only what was to be heard was lost.
            Some(_) => None,
        };
        Some(Todo { state, write })
    }

    /// Whether others can rely on this node, and it on them.
    pub(crate) fn health(&self) -> Health {
        match (self.commands, self.lease) {
            (Some(_), Some(_)) if self.state().is_some_and(|state| self.synced == Some(state)) => Health::Up,
            (Some(_), Some(_)) => Health::Degraded,
            _ => Health::Down,
        }
    }
}

/// The health of several together: each holds a part of the directory.
pub(crate) fn worst(all: impl IntoIterator<Item = Health>) -> Health {
    let rank = |health: &Health| match health {
        Health::Up => 0,
        Health::Degraded => 1,
        _ => 2,
    };
    all.into_iter().max_by_key(rank).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LeaseId = [1; 4];
    const B: LeaseId = [2; 4];

    fn whole() -> Facts {
        let mut facts = Facts {
            commands: Some(1),
            lease: Some(Held { id: A, epoch: 1 }),
            hearing: Some(Hearing { connection: 1, lease: A }),
            ..Facts::default()
        };
        facts.synced = facts.state();
        facts
    }

    #[test]
    fn nothing_is_up_before_it_is_synced() {
        let mut facts = Facts::default();
        assert_eq!((facts.health(), facts.todo()), (Health::Down, None));
        facts.commands = Some(1);
        assert_eq!(facts.health(), Health::Down);
        facts.lease = Some(Held { id: A, epoch: 1 });
        assert_eq!(
            (facts.health(), facts.todo()),
            (Health::Degraded, None),
            "nothing is written before it can be heard"
        );
        facts.hearing = Some(Hearing { connection: 1, lease: A });
        let todo = facts.todo().unwrap();
        assert_eq!((facts.health(), todo.write), (Health::Degraded, Some(Write::Told)));
        facts.synced = Some(todo.state);
        assert_eq!((facts.health(), facts.todo()), (Health::Up, None));
    }

    #[test]
    fn the_inbox_of_another_lease_is_not_enough() {
        let mut facts = whole();
        facts.lease = Some(Held { id: B, epoch: 1 });
        assert_eq!((facts.health(), facts.todo()), (Health::Degraded, None));
        facts.hearing = Some(Hearing { connection: 1, lease: B });
        assert_eq!(facts.todo().unwrap().write, Some(Write::Told));
    }

    #[test]
    fn a_lost_subscription_costs_no_writing() {
        let mut facts = whole();
        facts.hearing = None;
        assert_eq!((facts.health(), facts.todo()), (Health::Degraded, None));
        facts.hearing = Some(Hearing { connection: 2, lease: A });
        assert_eq!(facts.todo().unwrap().write, None);
        let mut facts = whole();
        facts.dropped = 1;
        assert_eq!((facts.health(), facts.todo().unwrap().write), (Health::Degraded, None));
    }

    #[test]
    fn another_epoch_is_written_silently_and_a_reconnect_is_not() {
        let mut facts = whole();
        facts.commands = Some(2);
        assert_eq!(facts.todo().unwrap().write, Some(Write::Told));
        facts.lease = Some(Held { id: B, epoch: 2 });
        facts.hearing = Some(Hearing { connection: 2, lease: B });
        assert_eq!(facts.todo().unwrap().write, Some(Write::Silently));
    }

    #[test]
    fn a_missed_beat_alone_leaves_nothing_to_do() {
        let mut facts = whole();
        let lease = facts.lease.take();
        assert_eq!(facts.health(), Health::Down);
        facts.lease = lease;
        assert_eq!((facts.health(), facts.todo()), (Health::Up, None));
        assert_eq!(worst([Health::Up, Health::Down, Health::Degraded]), Health::Down);
    }
}
