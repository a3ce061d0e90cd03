//! From a target to connections, pushers, other nodes and the offline sink; and back to one report.

use std::{borrow::Cow, sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{
    encoded::Encoded,
    lane::{Holders, Load},
    offline::Certainty,
    pusher::run_pushers,
    tally::{Counts, Waiting},
};
use crate::{
    ChannelKey, PushMessage, PushReport, Remote, Target, UserKey,
    channel::Receivers,
    cluster::{Answer, AskTo, Found, Lookup, Query, Receipt, Routed},
    connection::Conn,
    error::PushError,
    manager::Inner,
    presence::{Member, UserState},
    protocol::Mode,
    report::{RemoteCounts, RemoteHandle},
    resume::{Acks, Held},
    target::Scope,
};

/// How long the offline sink's decision waits for other nodes.
const REMOTE_PATIENCE: Duration = Duration::from_secs(2);
/// Up to so many subscribers of a channel are written to by whoever publishes.
const FEW: usize = 8;
/// How long an offline sink may take for one message.
const SINK_LIMIT: Duration = Duration::from_secs(5);

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

/// A message that this node has not brought to everybody it names.
struct Owed {
    /// Whom nothing here reached.
    unreached: Vec<UserKey>,
    /// Whom only streams here took it for: it goes to the sink if nobody comes back.
    held: Vec<Arc<Held>>,
    message: Arc<PushMessage>,
}

impl Owed {
    fn new(mut unreached: Vec<UserKey>, mut held: Vec<Arc<Held>>, message: Arc<PushMessage>) -> Self {
        // What a pusher took reached its user.
        held.iter().filter(|held| !unreached.contains(held.user())).for_each(|held| held.reached());
        held.retain(|held| unreached.contains(held.user()));
        unreached.retain(|user| held.iter().all(|held| held.user() != user));
        Self { unreached, held, message }
    }
}

/// Splits the receipt: the report's handle, and the offline sink that has to wait for the same answer.
fn settle_remote(inner: &Arc<Inner>, target: &Target, receipt: Receipt, mut owed: Owed) -> Remote {
    owed.unreached.retain(|user| !target.except.leaves_out_user(user));
    match receipt {
        Receipt::Alone => {
            store(inner, owed.unreached, owed.message, Certainty::Certain);
            Remote::NotAsked
        }
        Receipt::Unavailable => {
            store(inner, owed.unreached, owed.message, Certainty::Unknown);
            Remote::Unavailable
        }
        Receipt::Pending(hear) if owed.unreached.is_empty() && owed.held.is_empty() => {
            Remote::Pending(RemoteHandle(hear))
        }
        Receipt::Pending(hear) => {
            let (tell, handle) = tokio::sync::oneshot::channel();
            let owner = inner.clone();
            inner.room.spawn(async move {
                let counts = tokio::time::timeout(REMOTE_PATIENCE, hear).await.ok().and_then(Result::ok);
                counts.map(|counts| tell.send(counts));
                store_if_nowhere(&owner, owed, counts).await;
            });
            Remote::Pending(RemoteHandle(handle))
        }
    }
}

/// Other nodes have answered, or not: who is still unreached?
async fn store_if_nowhere(inner: &Arc<Inner>, owed: Owed, counts: Option<RemoteCounts>) {
    let Owed { unreached, held, message } = owed;
    let Some(counts) = counts else { return store(inner, unreached, message, Certainty::Unknown) };
    if counts.enqueued == 0 {
        // What another node keeps may reach its client yet.
        let certainty = if counts.held == 0 { Certainty::Certain } else { Certainty::Unknown };
        return store(inner, unreached, message, certainty);
    }
    // Of several, one has it and another's may only be kept: the counts do not say whose.
    let is_mixed = counts.held > 0 && unreached.len() > 1;
    let (mut offline, mut perhaps) = (Vec::new(), Vec::new());
    for user in unreached {
        match is_online(inner, &user).await {
            Some(false) => offline.push(user),
            Some(true) if !is_mixed || is_connected(inner, &user).await => {}
            _ => perhaps.push(user),
        }
    }
    store(inner, offline, message.clone(), Certainty::Certain);
    store(inner, perhaps, message, Certainty::Unknown);
    for held in held {
        if is_online(inner, held.user()).await == Some(true) {
            held.reached();
        }
    }
}

/// Whether another node has a session of the user now; a stream that waits for its client is none.
async fn is_connected(inner: &Inner, user: &UserKey) -> bool {
    let answers = inner.ask(AskTo::Owners(user.clone()), &Query::Sessions(user.clone())).await;
    answers.iter().any(|answer| matches!(answer, Answer::Sessions(sessions) if !sessions.is_empty()))
}

/// Whether the cluster has a user online; `None` where nobody can say.
async fn is_online(inner: &Inner, user: &UserKey) -> Option<bool> {
    match inner.lookup(Lookup::Status(user.clone())).await {
        Ok(Found::Status(status)) => Some(status.is_online()),
        _ => None,
    }
}

pub(crate) fn store(
    inner: &Arc<Inner>,
    users: Vec<UserKey>,
    message: Arc<PushMessage>,
    certainty: Certainty,
) {
    let Some(sink) = inner.offline_sink.clone() else { return };
    for user in users {
        let (sink, message, busy) = (sink.clone(), message.clone(), inner.mine.busy.begin());
        inner.room.spawn(async move {
            let _busy = busy;
            if tokio::time::timeout(SINK_LIMIT, sink.store(&user, &message, certainty)).await.is_err() {
                tracing::warn!("the offline sink took more than {SINK_LIMIT:?}; the message may be lost");
            }
        });
    }
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
