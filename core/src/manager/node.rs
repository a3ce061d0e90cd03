//! This node as the engine sees it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::inner::Inner;
use crate::{
    DenyEntry, EventKind,
    cluster::{Answer, ClusterEvent, Entry, Here, LocalNode, Query, Routed, Wish},
    kick,
    presence::UserState,
    push::deliver_routed,
    rendezvous,
    report::{Deny, RemoteCounts},
    resume,
};

/// Makes the node known to its engine, which does not keep it alive.
pub(crate) fn attach(inner: &Arc<Inner>) {
    let node: Arc<dyn LocalNode> = inner.clone();
    inner.engine.attach(Arc::downgrade(&node));
}

#[async_trait]
impl LocalNode for Inner {
    fn here(&self, entry: &Entry) -> Option<Here> {
        match entry {
            Entry::User(user) => self.registry.read(user, |state| state.and_then(user_here)),
            Entry::Member(channel, user) => self.channels.here(channel, user),
        }
    }

    fn each_entry(&self, visit: &mut dyn FnMut(Entry)) {
        self.registry.for_each(|user, state| {
            if user_here(state).is_some() {
                visit(Entry::User(user.clone()));
            }
        });
        self.channels.each_member(visit);
    }

    fn each_denied(&self, visit: &mut dyn FnMut(DenyEntry)) {
        self.deny.each(self.clock.utc(), visit);
    }

    fn each_wish(&self, visit: &mut dyn FnMut(Wish)) {
        self.channels.each_wish(visit);
        self.mine.watching.users().into_iter().for_each(|user| visit(Wish::User(user)));
        if self.mine.cluster.is_heard() {
            visit(Wish::Everything);
        }
    }

    fn deliver(self: Arc<Self>, frame: Bytes, reply: Option<oneshot::Sender<RemoteCounts>>) {
        match Routed::decode(&frame) {
            Ok((target, message)) => deliver_routed(&self, &target, message, reply),
            Err(_) => unreadable(),
        }
    }

    async fn answer(self: Arc<Self>, query: Bytes) -> Bytes {
        let Ok(query) = Query::decode(&query) else {
            unreadable();
            return Answer::Unreadable.encode();
        };
        self.answer_query(query).await.encode()
    }

    fn event(&self, event: ClusterEvent) {
        match event {
            ClusterEvent::Made(event) if event.channel.is_some() && event.kind == EventKind::Update => {}
            ClusterEvent::Made(event) => self.mine.made_here(event),
            ClusterEvent::Heard(event) => self.mine.in_cluster(&event),
            ClusterEvent::Member(now) => self.channels.heard(now),
            ClusterEvent::Resync => self.resync(),
        }
    }
}

/// Somebody of whom only what was pushed to it is here is not online, and pushes have to find it all the same.
fn user_here(state: &UserState) -> Option<Here> {
    let (status, is_held) = (state.status(), state.members().iter().any(|member| member.is_parked()));
    (status.is_online() || is_held).then_some(Here { clients: 0, status, data: None })
}

impl Inner {
    async fn answer_query(self: &Arc<Self>, query: Query) -> Answer {
        match query {
            Query::Kick { target, kick, deny } => {
                let stored = self.deny.add(&deny, self.clock.utc());
                let mut report = kick::kick_local(self, &target, &kick).await;
                if stored.is_err() {
                    report.deny = Deny::Failed;
                }
                Answer::Kicked(report)
            }
            Query::Replace { user, connections } => {
                kick::close_replaced_here(self, &user, &connections);
                Answer::Done
            }
            Query::LogOut { user, token } => {
                kick::log_out(self, &user, token);
                Answer::Done
            }
            Query::Sessions(user) => Answer::Sessions(self.sessions_here(&user)),
            Query::Connections => Answer::Connections(self.registry.sockets()),
            Query::Say { user, status } => {
                if status.check().is_ok() {
                    self.say_all(&user, &status);
                }
                Answer::Done
            }
            Query::LiftBan(user) => {
                self.deny.lift(&user);
                Answer::Done
            }
            Query::TokenOf(id) => Answer::Token(self.lanes.find(id).map(|conn| conn.token_id())),
            Query::Close { user, close } => {
                let _ = self.in_time(self.engine.caught_up()).await;
                kick::close_user(self, &user, &close);
                Answer::Done
            }
            Query::Finish { user, last, close, keep_until } => match last.try_into() {
                Ok(last) => Answer::Finished(rendezvous::finish_here(self, user, last, close, keep_until)),
                Err(_) => {
                    unreadable();
                    Answer::Unreadable
                }
            },
            Query::Resume { token, user, take: false, .. } => {
                Answer::Resume(resume::offer(self, &token, &user).map(Box::new))
            }
            Query::Resume { token, user, seq, take: true } => {
                Answer::Resume(resume::hand_over(self, token, &user, seq).await.map(Box::new))
            }
            Query::LastSeen(users) => Answer::LastSeen(self.last_seen_here(&users)),
            Query::Touch { user, token } => {
                self.touch_session(&user, token);
                Answer::Done
            }
        }
    }
}

/// Another version's frame, or noise: ignored, counted, never a panic.
fn unreadable() {
    metrics::counter!(crate::observe::UNREADABLE).increment(1);
    tracing::warn!("a frame of another node could not be read; is the whole cluster of one version?");
}
