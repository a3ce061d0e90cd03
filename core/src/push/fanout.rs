//! From a target to connections, pushers, other nodes and the offline sink; and back to one report.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;

use super::{
    encoded::Encoded,
    lane::{Holders, Load},
    owed::{Owed, settle_remote},
    pusher::run_pushers,
    tally::{Counts, Waiting},
};
use crate::{
    ChannelKey, PushMessage, PushReport, Target, UserKey,
    channel::Receivers,
    cluster::{Receipt, Routed},
    connection::Conn,
    error::PushError,
    manager::Inner,
    presence::{Member, UserState},
    protocol::Mode,
    report::RemoteCounts,
    resume::{Acks, Held},
    target::Scope,
};

/// Up to so many subscribers of a channel are written to by whoever publishes.
const FEW: usize = 8;

/// A push under way at one user, or at everyone.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    /// Whose it is; `None` for everyone.
    user: Option<UserKey>,
    /// Whether the user has a present connection here, hand marks included.
    here: bool,
    counts: Counts,
    waiting: Option<Waiting>,
    /// Who may keep it where no socket took it.
    holders: Holders,
}

impl Delivery {
    async fn settle(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            self.counts.add(waiting.counts().await);
        }
    }

    /// Where nothing but streams took it, they hold it for the offline sink; false where none does.
    fn hold(&self, inner: &Arc<Inner>, encoded: &Encoded) -> Option<Arc<Held>> {
        let user = self.user.clone().filter(|_| self.counts.enqueued == 0 && self.counts.held > 0)?;
        inner.offline_sink.as_ref()?;
        let held = Held::new(inner, user, encoded.message.clone());
        let frame = encoded.frame(Mode::Envelope);
        let holds = self.holders.iter().filter(|(conn, seq)| conn.hold(frame, *seq, &held)).count();
        if holds == 0 {
            held.reached(); // Nobody holds it: whoever asks decides.
            return None;
        }
        Some(held)
    }
}

/// Hands a message to this node's connections. Never waits: what lanes still have to do is in the deliveries.
pub(crate) fn deliver(inner: &Inner, target: &Target, encoded: &Arc<Encoded>) -> Vec<Delivery> {
    let target = &*without_subscribed(inner, target);
    let to =
        |user: &UserKey, matches: &dyn Fn(&Member) -> bool| to_user(inner, target, user, matches, encoded);
    match &target.scope {
        Scope::User(user) => vec![to(user, &|_| true)],
        Scope::Users(users) => users.iter().map(|user| to(user, &|_| true)).collect(),
        Scope::Device(user, device) => vec![to(user, &|member| member.conn.is_device(device))],
        Scope::Token(token) => inner
            .registry
            .users_of(*token)
            .iter()
            .map(|user| to(user, &|member| member.token == *token))
            .collect(),
        Scope::Connection(id) => inner
            .lanes
            .find(*id)
            .filter(|conn| conn.is_known())
            .map(|conn| to(conn.user(), &|member| member.conn.id == *id))
            .into_iter()
            .collect(),
        scope @ (Scope::Account(_) | Scope::AllAccounts) => {
            let waiting = inner.lanes.broadcast(scope.clone(), target.except.clone(), encoded);
            vec![Delivery { waiting: Some(waiting), ..Delivery::default() }]
        }
        Scope::Channel(channel) => vec![to_channel(inner, channel, target, encoded)],
        Scope::Connections(_) => Vec::new(), // A kick's alone.
    }
}

/// Whoever is subscribed to a channel that is left out is left out by name: looked up once, before anything is sent.
fn without_subscribed<'a>(inner: &Inner, target: &'a Target) -> Cow<'a, Target> {
    if target.except.channels().is_empty() {
        return Cow::Borrowed(target);
    }
    let mut target = target.clone();
    let subscribed = inner.channels.subscribed_to(target.except.channels());
    target.except.add_subscribed(subscribed);
    Cow::Owned(target)
}

fn to_channel(inner: &Inner, channel: &ChannelKey, target: &Target, encoded: &Arc<Encoded>) -> Delivery {
    match inner.channels.audience(channel, FEW) {
        Receivers::Few(mut conns) => {
            conns.retain(|conn| {
                target.except.is_empty() || !target.except.leaves_out(conn.id, &conn.identity())
            });
            let (counts, waiting, _) = inner.lanes.send(conns, encoded);
            Delivery { counts, waiting, ..Delivery::default() }
        }
        Receivers::Many(lists) => {
            let load = Load::Push(encoded.clone());
            let waiting = Some(inner.lanes.send_to_crowd(lists, Some(&target.except), &load));
            Delivery { waiting, ..Delivery::default() }
        }
    }
}

fn to_user(
    inner: &Inner,
    target: &Target,
    user: &UserKey,
    matches: &dyn Fn(&Member) -> bool,
    encoded: &Arc<Encoded>,
) -> Delivery {
    if target.except.leaves_out_user(user) {
        return Delivery { user: Some(user.clone()), here: true, ..Delivery::default() };
    }
    let meant = |member: &&Member| {
        matches(member)
            && (target.except.is_empty()
                || !target.except.leaves_out(member.conn.id, &member.conn.identity()))
    };
    let found =
        inner.registry.read(user, |state| state.map(|state| Audience::of(state, meant)).unwrap_or_default());
    let (counts, waiting, holders) = inner.lanes.send(found.conns, encoded);
    Delivery { user: Some(user.clone()), here: found.here, counts, waiting, holders }
}

/// The connections of one user that a push is for.
#[derive(Default)]
struct Audience {
    here: bool,
    conns: SmallVec<[Arc<Conn>; 4]>,
}

impl Audience {
    fn of(state: &UserState, is_meant: impl Fn(&&Member) -> bool) -> Self {
        let mut found = Self { here: state.present().next().is_some(), ..Self::default() };
        let members = state.members().iter().filter(|member| member.is_present() || member.is_parked());
        let sockets = members.filter(is_meant).filter(|member| member.conn.is_socket());
        found.conns.extend(sockets.map(|member| member.conn.clone()));
        found
    }
}

/// The whole push: here, elsewhere, by pushers, and to the offline sink.
pub(crate) async fn push(
    inner: &Arc<Inner>,
    target: Target,
    message: PushMessage,
    acks: Option<Arc<Acks>>,
) -> Result<PushReport, PushError> {
    inner.push_allowed()?;
    target.check()?;
    message.check(inner.config.max_push)?;
    let encoded = Arc::new(Encoded::to(&target, message).with_acks(acks));
    encoded.check(inner.config.bounds.outbox.bytes)?;
    let (mut deliveries, receipt) = hand_out(inner, &target, &encoded);
    let mut report = PushReport::new(encoded.message.message_id.clone());
    for delivery in &mut deliveries {
        delivery.settle().await;
        report.matched += delivery.counts.matched;
        report.enqueued += delivery.counts.enqueued;
        report.dropped += delivery.counts.dropped;
        report.held += delivery.counts.held;
    }
    let held: Vec<_> = deliveries.iter().filter_map(|delivery| delivery.hold(inner, &encoded)).collect();
    report.offline =
        deliveries.iter().filter(|delivery| !delivery.here).filter_map(|one| one.user.clone()).collect();
    let took = ask_pushers(inner, &target, &deliveries, &encoded.message).await;
    report.pushers = took.iter().map(|(_, took)| took).sum();
    let unreached = unreached(&deliveries, &took);
    let owed = Owed::new(unreached, held, encoded.message.clone());
    report.remote = settle_remote(inner, &target, receipt, owed);
    crate::observe::pushed(&target, &report);
    Ok(report)
}

/// To this node's connections, then to the other nodes.
fn hand_out(inner: &Inner, target: &Target, encoded: &Arc<Encoded>) -> (Vec<Delivery>, Receipt) {
    if !inner.engine.is_clustered() {
        return (deliver(inner, target, encoded), Receipt::Alone);
    }
    let frame = Routed::encode(target, &encoded.message);
    // A connection that comes from another node between the two would find itself in neither.
    let _passing = inner.passing.read();
    (deliver(inner, target, encoded), inner.engine.route(target.reach(), frame))
}

async fn ask_pushers(
    inner: &Arc<Inner>,
    target: &Target,
    deliveries: &[Delivery],
    message: &PushMessage,
) -> Vec<(UserKey, usize)> {
    if inner.pushers.is_empty() {
        return Vec::new();
    }
    let users = match &target.scope {
        Scope::Account(_) | Scope::AllAccounts => everyone(inner, target).await,
        Scope::Channel(channel) => {
            let users = inner.channels.users(channel).into_iter();
            users.filter(|user| !target.except.leaves_out_user(user)).map(|user| (user, true)).collect()
        }
        _ => {
            let mut users = Vec::new();
            for user in deliveries.iter().filter_map(|delivery| delivery.user.clone()) {
                if !target.except.leaves_out_user(&user) {
                    let online = inner.status(&user).await.is_online();
                    users.push((user, online));
                }
            }
            users
        }
    };
    run_pushers(&inner.pushers, &inner.room, inner.config.pusher_timeout, users, message).await
}

/// Everyone online whom a broadcast names, on all nodes.
async fn everyone(inner: &Arc<Inner>, target: &Target) -> Vec<(UserKey, bool)> {
    let mut users = Vec::new();
    inner.each_online(|user| users.push(user.clone())).await;
    let meant = |user: &UserKey| match &target.scope {
        Scope::Account(account) => account.as_deref() == user.account(),
        _ => true,
    };
    users.retain(|user| meant(user) && !target.except.leaves_out_user(user));
    users.into_iter().map(|user| (user, true)).collect()
}

/// The users named whom neither a socket here nor a pusher reached.
fn unreached(deliveries: &[Delivery], took: &[(UserKey, usize)]) -> Vec<UserKey> {
    let pushed = |user: &UserKey| took.iter().any(|(to, took)| to == user && *took > 0);
    let nobody =
        deliveries.iter().filter(|delivery| delivery.counts.enqueued == 0 && delivery.waiting.is_none());
    nobody.filter_map(|delivery| delivery.user.clone()).filter(|user| !pushed(user)).collect()
}

/// Delivers what another node routed here, and answers when the lanes are done.
pub(crate) fn deliver_routed(
    inner: &Arc<Inner>,
    target: &Target,
    message: PushMessage,
    reply: Option<tokio::sync::oneshot::Sender<RemoteCounts>>,
) {
    let encoded = Arc::new(Encoded::to(target, message));
    let mut deliveries = deliver(inner, target, &encoded);
    let Some(reply) = reply else { return };
    let answer = async move {
        let mut counts = RemoteCounts { nodes: 1, ..RemoteCounts::default() };
        for delivery in &mut deliveries {
            delivery.settle().await;
            counts.matched += delivery.counts.matched;
            counts.enqueued += delivery.counts.enqueued;
            counts.held += delivery.counts.held; // The node that pushes decides on the sink.
        }
        let _ = reply.send(counts);
    };
    inner.room.spawn(answer);
}
