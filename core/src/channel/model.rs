//! One channel against a plain model, under random comings and goings of a few users with several clients each: the
//! rules of `docs/PROTOCOL.md`, section 3.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::{
    feed::{Bounds, Feed, Size, Told},
    membership::Grace,
    roster::{Action, Arrival, Happened, Parted, Roster},
};
use crate::{Cause, ConnectionId, Status, UserKey, auth::TokenId};

const USERS: u8 = 4;
const CLIENTS: u8 = 3;
/// Low enough that the channel often has too many users for a list, and a window too many events.
const BOUNDS: Bounds = Bounds { users: 3, weight: usize::MAX };

#[derive(Clone, Debug)]
enum Op {
    Subscribe(u8, u8),
    Unsubscribe(u8, u8),
    /// Whether the user may come back unnoticed.
    Disconnect(u8, u8, bool),
    Kick(u8, u8),
    GraceEnds(u8),
    LogOut(u8),
    Say(u8, bool),
    Window,
    Watch,
    Unwatch,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (user, client) = (0..USERS, 0..CLIENTS);
    let both = || (user.clone(), client.clone());
    let op = prop_oneof![
        4 => both().prop_map(|(user, client)| Op::Subscribe(user, client)),
        2 => both().prop_map(|(user, client)| Op::Unsubscribe(user, client)),
        3 => (both(), any::<bool>()).prop_map(|((user, client), back)| Op::Disconnect(user, client, back)),
        1 => both().prop_map(|(user, client)| Op::Kick(user, client)),
        2 => user.clone().prop_map(Op::GraceEnds),
        1 => user.clone().prop_map(Op::LogOut),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, away)| Op::Say(user, away)),
        3 => Just(Op::Window),
        1 => Just(Op::Watch),
        1 => Just(Op::Unwatch),
    ];
    prop::collection::vec(op, 1..120)
}

fn user(n: u8) -> UserKey {
    UserKey::from(format!("u{n}"))
}

fn client(of: u8, n: u8) -> ConnectionId {
    ConnectionId::by_hand(1, u64::from(of) * 10 + u64::from(n))
}

/// How far one user is, by the rules alone.
#[derive(Clone, Debug, Default)]
struct Known {
    clients: BTreeSet<u8>,
    in_grace: bool,
    /// What was told last.
    last: Option<Action>,
    remembered: bool,
}

impl Known {
    fn is_there(&self) -> bool {
        !self.clients.is_empty() || self.in_grace
    }
}

/// What a client makes of what it is sent.
#[derive(Debug)]
struct Watcher {
    ver: u64,
    users: BTreeMap<String, Status>,
    amount: usize,
    more: bool,
}

struct Channel {
    roster: Roster,
    feed: Feed,
    watcher: Option<Watcher>,
    known: BTreeMap<u8, Known>,
    serial: u64,
}

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
}

impl Channel {
    fn new() -> Self {
        let feed = Feed::new(100);
        Self { roster: Roster::default(), feed, watcher: None, known: BTreeMap::new(), serial: 0 }
    }

    fn size(&self) -> Size {
        Size { users: self.roster.users(), weight: self.roster.weight() }
    }

    /// What happened, against what had to.
    fn expect(&mut self, n: u8, happened: Option<Happened>, expected: Option<(Action, Cause)>) {
        let told = happened.as_ref().map(|happened| (happened.action, happened.cause));
        assert_eq!(told, expected, "u{n}: {:?}", self.known.get(&n));
        let Some(happened) = happened else { return };
        assert_eq!(happened.user, user(n));
        let known = self.known.entry(n).or_default();
        let follows = match (known.last, happened.action) {
            (None | Some(Action::Leave), Action::Join) => true,
            (Some(Action::Offline), Action::Join) => !known.remembered,
            (Some(Action::Offline), Action::Online) => known.remembered,
            (Some(Action::Join | Action::Online | Action::Update), next) => {
                matches!(next, Action::Leave | Action::Offline | Action::Update)
            }
            _ => false,
        };
        assert!(follows, "{:?} after {:?}", happened.action, known.last);
        known.last = Some(happened.action);
        known.remembered = happened.is_remembered();
        if self.watcher.is_some() {
            self.feed.add(happened, BOUNDS);
        }
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Subscribe(n, c) => self.subscribe(n, c),
            Op::Unsubscribe(n, c) => self.unsubscribe(n, c),
            Op::Disconnect(n, c, back) => self.disconnect(n, c, back, Cause::Disconnect),
            Op::Kick(n, c) => self.disconnect(n, c, false, Cause::Kicked),
            Op::GraceEnds(n) => self.end_grace(n, None),
            Op::LogOut(n) => self.end_grace(n, Some(Cause::LoggedOut)),
            Op::Say(n, away) => self.say(n, if away { Status::Away } else { Status::Online }),
            Op::Window => self.window(),
            Op::Watch if self.watcher.is_none() => self.watch(),
            Op::Watch => {}
            Op::Unwatch => {
                self.watcher = None;
                self.feed.end();
            }
        }
    }

    fn subscribe(&mut self, n: u8, c: u8) {
        let known = self.known.entry(n).or_default();
        if known.clients.contains(&c) {
            return; // The seats of a connection see to that.
        }
        let expected = match (known.is_there(), known.remembered) {
            (true, _) => None,
            (false, true) => Some((Action::Online, Cause::Reconnect)),
            (false, false) => Some((Action::Join, Cause::Subscribe)),
        };
        let arrival = Arrival { status: Status::Online, data: None, is_known: known.remembered, at: at() };
        known.clients.insert(c);
        known.in_grace = false;
        let happened = self.roster.subscribe(&user(n), client(n, c), arrival);
        self.expect(n, happened, expected);
    }

    fn unsubscribe(&mut self, n: u8, c: u8) {
        let known = self.known.entry(n).or_default();
        let last = known.clients.remove(&c) && known.clients.is_empty();
        let happened = self.roster.unsubscribe(&user(n), client(n, c), at());
        self.expect(n, happened, last.then_some((Action::Leave, Cause::Unsubscribe)));
    }

    fn disconnect(&mut self, n: u8, c: u8, may_return: bool, cause: Cause) {
        self.serial += 1;
        let grace = Grace { serial: self.serial, token: TokenId::of("t"), cause, since: at() };
        let known = self.known.entry(n).or_default();
        let last = known.clients.remove(&c) && known.clients.is_empty();
        known.in_grace |= last && may_return;
        let grace = may_return.then_some(grace);
        let (happened, in_grace) = match self.roster.disconnect(&user(n), client(n, c), cause, at(), grace) {
            Parted::Unnoticed => (None, false),
            Parted::Grace => (None, true),
            Parted::Gone(happened) => (Some(happened), false),
        };
        assert_eq!(in_grace, last && may_return);
        self.expect(n, happened, (last && !may_return).then_some((Action::Offline, cause)));
    }

    fn end_grace(&mut self, n: u8, stronger: Option<Cause>) {
        let known = self.known.entry(n).or_default();
        let was = std::mem::take(&mut known.in_grace);
        let cause = stronger.map(|cause| (cause, at()));
        let happened = self.roster.end_grace(&user(n), |_| true, cause);
        let expected = stronger.unwrap_or(Cause::Disconnect);
        self.expect(n, happened, was.then_some((Action::Offline, expected)));
    }

    fn say(&mut self, n: u8, status: Status) {
        let before = self.roster.get(&user(n)).map(|member| member.status.clone());
        let happened = self.roster.say(&user(n), &status, at());
        let changed = before.is_some_and(|before| before != status);
        self.expect(n, happened, changed.then_some((Action::Update, Cause::Status)));
    }

    fn state(&self) -> Watcher {
        let lists = self.feed.has_lists();
        let users = self.roster.iter().filter(|_| lists);
        let users = users.map(|(user, member)| (user.login_id().to_owned(), member.status.clone()));
        Watcher { ver: self.feed.ver(), users: users.collect(), amount: self.roster.users(), more: !lists }
    }

    fn watch(&mut self) {
        self.feed.begin(self.size(), BOUNDS);
        self.watcher = Some(self.state());
    }

    /// A window ends, and the watcher takes what it is sent: then it knows what is.
    fn window(&mut self) {
        if self.watcher.is_none() {
            return;
        }
        let told = self.feed.take(self.size(), BOUNDS);
        let now = self.state();
        let Some(watcher) = &mut self.watcher else { return };
        match told {
            Told::Nothing => assert_eq!(watcher.ver, now.ver),
            Told::State => {
                assert_eq!(watcher.ver + 1, now.ver);
                self.watcher = Some(self.state());
            }
            Told::Events(events) => {
                assert_eq!(watcher.ver + 1, now.ver);
                assert!(events.len() <= 2 * BOUNDS.users && (watcher.more == events.is_empty()));
                watcher.ver = now.ver;
                watcher.amount = now.amount;
                for Happened { action, user, status, .. } in events {
                    match action {
                        Action::Leave | Action::Offline => drop(watcher.users.remove(user.login_id())),
                        _ => drop(watcher.users.insert(user.login_id().to_owned(), status)),
                    }
                }
            }
        }
        let Some(watcher) = &self.watcher else { return };
        assert_eq!((&watcher.users, watcher.amount, watcher.more), (&now.users, now.amount, now.more));
    }

    fn check(&self) {
        let there = self.known.values().filter(|known| known.is_there()).count();
        let clients = self.known.values().map(|known| known.clients.len()).sum::<usize>();
        assert_eq!((self.roster.users(), self.roster.clients()), (there, clients));
        for (user, member) in self.roster.iter() {
            let n = user.login_id()[1..].parse().unwrap();
            assert_eq!((member.clients(), member.grace().is_some()), {
                let known: &Known = &self.known[&n];
                (known.clients.len(), known.in_grace)
            });
        }
        if self.roster.users() == 0 {
            assert_eq!(self.roster.weight(), 0);
        }
    }
}

proptest! {
    #[test]
    fn a_channel_keeps_its_rules_and_a_watcher_always_knows_who_is_there(ops in ops()) {
        let mut channel = Channel::new();
        for op in ops {
            channel.run(op);
            channel.check();
        }
        channel.window();
    }
}
