//! Any sequence of logins, closes, losses, kicks, marks, statuses and passing time, beside a plain model of who is
//! there.

use std::collections::BTreeMap;

use herenow::{
    Builder, EventKind, Notice, OnlineManager, Status, Target,
    auth::{Identity, TokenId},
    testing::{self, Connect, TestClient},
};
use proptest::prelude::*;

use crate::support::{millis, pass, secs, session};

#[derive(Clone, Debug)]
enum Op {
    Connect {
        user: usize,
        token: usize,
    },
    Mark {
        user: usize,
        token: usize,
    },
    Unmark {
        user: usize,
        token: usize,
    },
    /// Closes with 1000, closes with 1001, or vanishes.
    End {
        which: prop::sample::Index,
        how: usize,
    },
    KickUser {
        user: usize,
    },
    KickToken {
        token: usize,
    },
    LogOut {
        user: usize,
    },
    Away {
        user: usize,
    },
    Pass {
        half_seconds: u64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let (user, token) = (0..3usize, 0..3usize);
    prop_oneof![
        4 => (user.clone(), token.clone()).prop_map(|(user, token)| Op::Connect { user, token }),
        2 => (user.clone(), token.clone()).prop_map(|(user, token)| Op::Mark { user, token }),
        1 => (user.clone(), token.clone()).prop_map(|(user, token)| Op::Unmark { user, token }),
        4 => (any::<prop::sample::Index>(), 0..3usize).prop_map(|(which, how)| Op::End { which, how }),
        1 => user.clone().prop_map(|user| Op::KickUser { user }),
        1 => token.prop_map(|token| Op::KickToken { token }),
        1 => user.clone().prop_map(|user| Op::LogOut { user }),
        1 => user.prop_map(|user| Op::Away { user }),
        3 => (1..12u64).prop_map(|half_seconds| Op::Pass { half_seconds }),
    ]
}

/// A session: its token is fresh after each kick, so that a later login is not refused.
#[derive(Debug)]
struct Session {
    user: usize,
    token: usize,
    away: bool,
    client: Option<TestClient>,
}

/// Who is there, in plain words.
#[derive(Default)]
struct Model {
    sessions: Vec<Session>,
    /// Since when (in milliseconds) a user is in the grace period, whether as away, and by the end of which token.
    grace: BTreeMap<usize, (u64, bool, usize)>,
    now: u64,
    kicks: usize,
    /// `Online` and `Offline` events so far, per user.
    turns: BTreeMap<usize, usize>,
}

impl Model {
    fn name(user: usize) -> String {
        format!("u{user}")
    }

    fn token(&self, user: usize, token: usize) -> String {
        format!("u{user}-t{token}-{}", self.kicks)
    }

    fn of(&self, user: usize) -> impl Iterator<Item = &Session> {
        self.sessions.iter().filter(move |session| session.user == user)
    }

    fn status(&self, user: usize) -> Status {
        match (self.of(user).any(|session| !session.away), self.of(user).next(), self.grace.get(&user)) {
            (true, ..) => Status::Online,
            (false, Some(_), _) | (false, None, Some((_, true, _))) => Status::Away,
            (false, None, Some((_, false, _))) => Status::Online,
            (false, None, None) => Status::Offline,
        }
    }

    /// Takes sessions out; the last one out begins the grace period where it may.
    fn take(&mut self, user: usize, grace: bool, mut gone: impl FnMut(&Session) -> bool) -> Vec<Session> {
        let before = self.status(user);
        let was_there = self.of(user).next().is_some();
        let (taken, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.sessions)
            .into_iter()
            .partition(|session| session.user == user && gone(session));
        self.sessions = kept;
        let last = taken.last().filter(|_| grace && was_there && self.of(user).next().is_none());
        if let Some(Session { token, .. }) = last {
            self.grace.insert(user, (self.now, before == Status::Away, *token));
        }
        taken
    }
}

struct World {
    online: OnlineManager,
    model: Model,
}

impl World {
    async fn run(&mut self, op: Op) {
        match op {
            Op::Connect { user, token } => {
                let text = self.model.token(user, token);
                let identity = Identity::new(Model::name(user)).token_id(TokenId::of(&text));
                let client = Connect::new(&self.online).identity(identity).open().await;
                self.arrive(user, token, Some(client));
            }
            Op::Mark { user, token } => {
                let text = self.model.token(user, token);
                self.online.mark_online(session(&Model::name(user), &text)).await;
                let is_it = |session: &Session| session.token == token && session.client.is_none();
                if !self.model.of(user).any(is_it) {
                    self.arrive(user, token, None);
                }
            }
            Op::Unmark { user, token } => {
                let text = self.model.token(user, token);
                self.online.mark_offline(Model::name(user), &text).await;
                drop(self.model.take(user, false, |session| session.token == token));
                // A page of another token that reloads meanwhile is not noticed.
                self.model.grace.retain(|of, (.., ended)| *of != user || *ended != token);
            }
            Op::End { which, how } => self.end(which, how).await,
            Op::KickUser { user } => {
                let matched = self.online.kick_out(Model::name(user), "").await.unwrap().matched;
                let taken = self.model.take(user, false, |_| true);
                assert_eq!(matched, taken.len());
                self.model.grace.remove(&user);
                self.renew().await;
            }
            Op::KickToken { token } => {
                let text = self.model.token(1, token);
                let matched = self.online.kick_out(Target::token(text), "").await.unwrap().matched;
                assert_eq!(matched, self.model.take(1, false, |session| session.token == token).len());
                self.renew().await;
            }
            Op::LogOut { user } => {
                self.online.mark_offline_all(Model::name(user)).await;
                drop(self.model.take(user, false, |_| true));
                self.model.grace.remove(&user);
            }
            Op::Away { user } => {
                self.online.set_away(Model::name(user)).await;
                self.model.sessions.iter_mut().filter(|session| session.user == user).for_each(|session| {
                    session.away = true;
                });
            }
            Op::Pass { half_seconds } => self.pass(half_seconds).await,
        }
    }

    fn arrive(&mut self, user: usize, token: usize, client: Option<TestClient>) {
        self.model.grace.remove(&user);
        self.model.sessions.push(Session { user, token, away: false, client });
    }

    async fn end(&mut self, which: prop::sample::Index, how: usize) {
        let sockets: Vec<usize> =
            (0..self.model.sessions.len()).filter(|n| self.model.sessions[*n].client.is_some()).collect();
        if sockets.is_empty() {
            return;
        }
        let user = self.model.sessions[sockets[which.index(sockets.len())]].user;
        let mut index = sockets[which.index(sockets.len())] as isize;
        index -= self.model.sessions[..index as usize].iter().filter(|session| session.user != user).count()
            as isize;
        let mut nth = -1;
        let taken = self.model.take(user, how != 0, |_| {
            nth += 1;
            nth == index
        });
        for session in taken {
            match (session.client.unwrap(), how) {
                (client, 0) => client.close(1000).await,
                (client, 1) => client.close(1001).await,
                (client, _) => client.vanish().await,
            }
        }
    }

    /// After a kick every session logs out and tokens get new names, so that what was refused is not used again.
    async fn renew(&mut self) {
        for user in 0..3 {
            self.online.mark_offline_all(Model::name(user)).await;
            drop(self.model.take(user, false, |_| true));
            self.model.grace.remove(&user);
        }
        self.model.kicks += 1;
        // What is looked at in the very moment of a kick counts as older than it.
        pass(millis(1)).await;
        self.model.now += 1;
    }

    async fn pass(&mut self, half_seconds: u64) {
        // Off the exact deadlines, which are another test's.
        let time = half_seconds * 500 + 7;
        pass(millis(time)).await;
        self.model.now += time;
        let now = self.model.now;
        self.model.grace.retain(|_, (since, ..)| *since + 5000 > now);
    }

    async fn check(&mut self) {
        let mut users = 0;
        for user in 0..3 {
            let expected = self.model.status(user);
            assert_eq!(self.online.get_status(Model::name(user)).await, expected, "u{user}");
            users += usize::from(expected.is_online());
            let turns = self.model.turns.get(&user).copied().unwrap_or(0);
            assert_eq!(turns % 2 == 1, expected.is_online(), "events and status of u{user} differ");
        }
        let sockets = self.model.sessions.iter().filter(|session| session.client.is_some()).count();
        assert_eq!(self.online.get_online_count().await, users);
        assert_eq!(self.online.get_online_users().await.len(), users);
        assert_eq!(self.online.get_connection_count().await, sockets);
        assert_eq!(self.online.broadcast("to all").await.unwrap().enqueued, sockets);
    }
}

fn settings(builder: Builder) -> Builder {
    builder.grace(secs(5)).idle_after(secs(0)).events_buffer(10_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn presence_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..40)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let online = settings(testing::builder()).build().unwrap();
            let mut events = online.events();
            let mut world = World { online, model: Model::default() };
            for op in ops {
                world.run(op).await;
                while let Some(Notice::Event(event)) = events.try_recv() {
                    let user: usize = event.user.login_id()[1..].parse().unwrap();
                    let turns = world.model.turns.entry(user).or_default();
                    let expected = match event.kind {
                        EventKind::Online => 0,
                        EventKind::Offline => 1,
                        _ => continue,
                    };
                    assert_eq!(*turns % 2, expected, "{event:?}");
                    *turns += 1;
                }
                world.check().await;
            }
            let World { online, model } = world;
            drop(model);
            for user in 0..3 {
                online.mark_offline_all(Model::name(user)).await;
            }
            testing::assert_all_gone(&online).await;
        });
    }
}
