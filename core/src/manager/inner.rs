//! What every handle of a manager shares, and the wiring between the planes.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::{Mutex, RwLock};
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
};

use crate::{
    Clock, Event, EventKind, Instant, NamesUser, Refused, Status, UserKey, UserRef,
    auth::{
        Action, AuthError, Authenticator, Authorize, Credential, Identity, TokenId, Validity, allowed,
        authenticate, decode_ticket, ticket_key,
    },
    channel::{Around, Hub, Watching},
    cluster::{Bucket, Change, Engine, EngineError, Entry, Found, Health, Lookup},
    config::Config,
    connection::{Conn, ConnectionId, Quota},
    error::PushError,
    http::RequestInfo,
    kick::{Denial, DenyTable},
    observe::Population,
    presence::{Deadlines, Diff, EventBus, LastSeen, RecentlySeen, Registry, is_idle},
    protocol::{ErrorCode, WireError},
    push::{Lanes, MessagePusher, OfflineSink, Pushers},
    resume::{self, Brought, Left, Parked, Secret},
    room::Room,
};

/// Records of "last seen" that may wait for the application's store.
const LAST_SEEN_QUEUE: usize = 10_000;
/// Users asked for at once where the whole cluster is listed.
const PAGE: usize = 1_000;

/// What the builder hands over.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) deny_entries: usize,
    pub(crate) max_per_address: Option<usize>,
    pub(crate) max_per_user: Option<usize>,
    pub(crate) events_buffer: usize,
    pub(crate) last_seen_bound: usize,
    pub(crate) lanes: usize,
    pub(crate) runtime: Option<Handle>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorize>,
    pub(crate) last_seen: Option<Arc<dyn LastSeen>>,
    pub(crate) offline_sink: Option<Arc<dyn OfflineSink>>,
    pub(crate) pushers: Vec<Arc<dyn MessagePusher>>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    began: Instant,
    began_utc: DateTime<Utc>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) lanes: Arc<Lanes>,
    pub(crate) channels: Arc<Hub>,
    pub(crate) mine: Arc<Hearing>,
    pub(crate) deny: DenyTable,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) pushers: Pushers,
    pub(crate) offline_sink: Option<Arc<dyn OfflineSink>>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) authorizer: Arc<dyn Authorize>,
    pub(crate) deadlines: Arc<Deadlines>,
    pub(crate) parked: Arc<Parked>,
    /// Held to read while a push is handed to this node's connections and then to the others, as one step.
    pub(crate) passing: RwLock<()>,
    /// What was pushed to nodes that stopped.
    pub(crate) left: Left,
    pub(crate) brought: Brought,
    /// The engine has been down for longer than connections are kept without it.
    pub(crate) is_cut_off: AtomicBool,
    /// Events of other nodes may have been missed.
    pub(super) resyncs: Arc<Notify>,
    pub(crate) secret: Secret,
    pub(crate) room: Room,
    pub(crate) by_address: Quota<IpAddr>,
    pub(crate) by_user: Quota<UserKey>,
    pub(crate) places: AtomicUsize,
    pub(crate) visible: AtomicUsize,
    pub(crate) hands: AtomicU64,
    pub(crate) coming: super::hand::Coming,
    pub(crate) closing: AtomicBool,
    started: AtomicBool,
    population: Population,
}

/// How many disconnect handlers run, and how many records and messages are on their way to the application's stores: a
/// shutdown waits for them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Busy(Arc<()>);

impl Busy {
    /// One more; dropped, one less.
    pub(crate) fn begin(&self) -> Arc<()> {
        self.0.clone()
    }

    pub(crate) fn running(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// When a user was last here.
type SeenAt = (UserKey, DateTime<Utc>, Arc<()>);

/// Where events go: the application's listeners, the last-seen memory, the application's own store.
pub(crate) struct Hearing {
    pub(crate) events: EventBus,
    pub(crate) cluster: EventBus,
    /// Connections that watch single users.
    pub(crate) watching: Arc<Watching>,
    pub(crate) seen: RecentlySeen,
    /// The application's own; without one, nothing is queued for it.
    pub(crate) store: Option<Arc<dyn LastSeen>>,
    /// What a shutdown waits for.
    pub(crate) busy: Busy,
    queue: mpsc::Sender<SeenAt>,
    pub(crate) waiting: Mutex<Option<mpsc::Receiver<SeenAt>>>,
}

impl Hearing {
    /// A transition of the cluster, whichever node made it.
    pub(crate) fn in_cluster(&self, event: &Event) {
        if self.cluster.is_heard() {
            self.cluster.publish(event.clone());
        }
        self.watching.tell(event);
    }

    /// A transition of this node, which is the cluster. An event is made of it where there is somebody to hear it.
    fn happened(&self, kind: EventKind, diff: &Diff) {
        if self.cluster.is_heard() || self.events.is_heard() || !self.watching.is_idle() {
            let event = Event::of(kind, diff);
            self.in_cluster(&event);
            self.made_here(event);
        } else if kind == EventKind::Offline {
            self.remember(&diff.user, diff.at);
        }
    }

    /// Nobody says how a user is in the cluster, and on this node it is so: whoever believed it offline knows better.
    pub(crate) fn is_here(&self, user: &UserKey, status: Status, at: DateTime<Utc>) {
        if status.is_online() {
            let (user, kind, cause) = (user.clone(), EventKind::Online, crate::Cause::Connect);
            self.watching.tell_online(&Event { kind, user, status, channel: None, cause, at, data: None });
        }
    }

    /// A transition that this node made: it alone tells `events()` and the stores.
    pub(crate) fn made_here(&self, event: Event) {
        if event.kind == EventKind::Offline {
            self.remember(&event.user, event.at);
        }
        if self.events.is_heard() {
            self.events.publish(event);
        }
    }

    pub(crate) fn remember(&self, user: &UserKey, at: DateTime<Utc>) {
        self.seen.record(user, at);
        if self.store.is_some() && self.queue.try_send((user.clone(), at, self.busy.begin())).is_err() {
            metrics::counter!(crate::observe::LAST_SEEN_DROPS).increment(1);
        }
    }
}

impl Inner {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(LAST_SEEN_QUEUE);
        let node = parts.engine.node_id();
        let clustered = parts.engine.is_clustered();
        let others = clustered.then(|| parts.engine.clone());
        if clustered {
            parts.config.bounds.room.share();
        }
        let lanes = Arc::new(Lanes::new(node, parts.lanes, parts.config.bounds.clone(), parts.clock.clone()));
        let mine = Arc::new(Hearing {
            events: EventBus::new(parts.events_buffer),
            cluster: EventBus::new(parts.events_buffer),
            watching: Arc::new(Watching::new(lanes.clone(), parts.config.bounds.clone(), others.clone())),
            seen: RecentlySeen::new(parts.last_seen_bound),
            store: parts.last_seen,
            busy: Busy::default(),
            queue,
            waiting: Mutex::new(Some(waiting)),
        });
        let observer = mine.clone();
        let observe = move |kind: EventKind, diff: &Diff| {
            // In a cluster the engine tells transitions; a kick is this node's own deed.
            if !clustered || kind == EventKind::Kicked {
                observer.happened(kind, diff);
            }
        };
        let pushers = Pushers::default();
        parts.pushers.into_iter().for_each(|pusher| pushers.add(pusher));
        let (registry, deadlines) = (Arc::new(Registry::new(observe)), Arc::<Deadlines>::default());
        let around = Around {
            registry: registry.clone(),
            lanes: lanes.clone(),
            deadlines: deadlines.clone(),
            mine: mine.clone(),
            engine: others,
            clock: parts.clock.clone(),
            bounds: parts.config.bounds.clone(),
            grace: parts.config.grace,
            events_buffer: parts.events_buffer,
        };
        let inner = Arc::new(Self {
            began: parts.clock.now(),
            began_utc: parts.clock.utc(),
            channels: Arc::new(Hub::new(parts.config.channels.clone(), around)),
            registry,
            lanes,
            mine,
            deny: DenyTable::new(parts.deny_entries),
            engine: parts.engine,
            pushers,
            offline_sink: parts.offline_sink,
            authenticator: parts.authenticator,
            authorizer: parts.authorizer,
            deadlines,
            parked: Arc::default(),
            passing: RwLock::default(),
            left: Left::default(),
            brought: Brought::default(),
            is_cut_off: AtomicBool::new(false),
            resyncs: Arc::default(),
            secret: Secret::new(),
            room: Room::new(parts.runtime, parts.lanes),
            by_address: Quota::new(parts.max_per_address),
            by_user: Quota::new(parts.max_per_user),
            places: AtomicUsize::new(0),
            visible: AtomicUsize::new(0),
            hands: AtomicU64::new(0),
            coming: super::hand::Coming::default(),
            closing: AtomicBool::new(false),
            started: AtomicBool::new(false),
            population: Population::default(),
            clock: parts.clock,
            config: parts.config,
        });
        super::node::attach(&inner);
        inner
    }

    /// Starts flushers and the presence task; called by the first connection or hand mark.
    pub(crate) fn start(self: &Arc<Self>) {
        if !self.started.load(Ordering::Acquire) && !self.started.swap(true, Ordering::AcqRel) {
            self.lanes.start(&self.room);
            super::tasks::start(self);
            super::heal::start(self);
            super::resync::start(self);
            resume::start(self);
        }
    }

    /// Microseconds since the manager began.
    pub(crate) fn micros(&self) -> u64 {
        self.micros_at(self.clock.now())
    }

    pub(crate) fn micros_at(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_micros() as u64
    }

    /// When that was, on the wall's clock.
    pub(crate) fn at_micros(&self, micros: u64) -> DateTime<Utc> {
        self.began_utc + TimeDelta::microseconds(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    pub(crate) fn last_activity(&self, conn: &Conn) -> Instant {
        self.began + Duration::from_micros(conn.activity())
    }

    pub(crate) fn engine_health(&self) -> Health {
        *self.engine.health().borrow()
    }

    /// Refuses where nobody is let in while the engine is down, or down for too long, and it is.
    pub(crate) fn engine_allows(&self) -> Result<(), Refused> {
        let may_refuse = self.config.on_engine_down == crate::cluster::OnEngineDown::Refuse503
            || self.is_cut_off.load(Ordering::Acquire);
        let refuses = may_refuse && self.engine_health() == Health::Down;
        if refuses { Err(Refused::Unavailable) } else { Ok(()) }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn push_allowed(&self) -> Result<(), PushError> {
        if self.is_closing() { Err(PushError::ShutDown) } else { Ok(()) }
    }

    /// What follows from a change once its lock is released.
    pub(crate) fn after(&self, diff: Option<Diff>) {
        if let Some(diff) = &diff {
            if self.engine.is_clustered() {
                self.engine.changed(&change_of(diff));
                if !self.mine.watching.is_idle() && self.engine_health() == Health::Down {
                    self.mine.is_here(&diff.user, diff.after.clone(), diff.at);
                }
            }
            self.channels.user_changed(diff);
        }
        self.population.is(self.registry.users(), self.registry.sockets());
    }

    /// Asks the authenticator, under the deadline; takes no identity whose time is over.
    pub(crate) async fn authenticate(
        &self,
        credential: Credential,
        request: &RequestInfo,
    ) -> Result<Identity, AuthError> {
        let since = self.clock.utc();
        let asked = authenticate(&*self.authenticator, credential, request);
        let answer = tokio::time::timeout(self.config.authenticator_deadline, asked).await;
        let identity =
            answer.map_err(|_| AuthError::Unavailable("no answer in time".into()))??.seen_at(since);
        match identity.expires_at {
            Some(end) if end <= self.clock.utc() => Err(AuthError::Expired),
            _ => Ok(identity),
        }
    }

    /// Takes a one-time ticket: it is good once, on any node.
    pub(crate) async fn redeem(&self, credential: &Credential) -> Result<Identity, AuthError> {
        let key = ticket_key(credential.token.expose());
        let taken = tokio::time::timeout(self.config.engine_deadline, self.engine.take_once(&key)).await;
        match taken {
            Ok(Ok(Some(stored))) => {
                self.still_good(decode_ticket(&stored).ok_or(AuthError::Unauthorized)?).await
            }
            Ok(Ok(None)) => Err(AuthError::Unauthorized),
            Ok(Err(error)) => Err(AuthError::Unavailable(error.to_string())),
            Err(_) => Err(AuthError::Unavailable("no answer in time".into())),
        }
    }

    /// A ticket is worth what the token is that it was issued for, now.
    async fn still_good(&self, identity: Identity) -> Result<Identity, AuthError> {
        if identity.expires_at.is_some_and(|end| end <= self.clock.utc()) {
            return Err(AuthError::Expired);
        }
        let asked = self.authenticator.recheck(&identity);
        match tokio::time::timeout(self.config.authenticator_deadline, asked).await {
            Ok(Validity::Valid) => Ok(identity),
            Ok(Validity::Expired) => Err(AuthError::Expired),
            Ok(Validity::Revoked) => Err(AuthError::Unauthorized),
            Ok(Validity::Unavailable) | Err(_) => Err(AuthError::Unavailable("no answer in time".into())),
        }
    }

    /// A token that came in-band: the user may not change.
    pub(crate) async fn refreshed_identity(
        &self,
        credential: Credential,
        old: &Identity,
    ) -> Result<Arc<Identity>, WireError> {
        let refused = |code, why: &'static str| WireError::new(code, why);
        let mut identity = match self.authenticate(credential, &RequestInfo::default()).await {
            Ok(identity) => identity,
            Err(AuthError::Expired) => {
                return Err(refused(ErrorCode::TokenExpired, "the token's time is over"));
            }
            Err(AuthError::Forbidden) => return Err(refused(ErrorCode::Forbidden, "not allowed")),
            Err(AuthError::Unavailable(_)) => return Err(refused(ErrorCode::Timeout, "try again")),
            Err(_) => return Err(refused(ErrorCode::Unauthorized, "the token is not valid")),
        };
        if identity.user != old.user {
            return Err(refused(
                ErrorCode::Forbidden,
                "the token is another user's; open a new connection for it",
            ));
        }
        if self.denied(&identity).await.is_some() {
            return Err(refused(ErrorCode::Unauthorized, "the token is not valid"));
        }
        identity.device = identity.device.or_else(|| old.device.clone());
        identity.data = identity.data.or_else(|| old.data.clone());
        Ok(Arc::new(identity))
    }

    /// Why somebody is refused: by this node's entries, else by the cluster's.
    pub(crate) async fn denied(&self, identity: &Identity) -> Option<Denial> {
        self.denied_at(identity, self.clock.utc()).await
    }

    pub(crate) async fn denied_at(&self, identity: &Identity, at: DateTime<Utc>) -> Option<Denial> {
        match self.deny.find(identity, at) {
            Some(denial) => Some(denial),
            None => self.denied_by_cluster(identity).await,
        }
    }

    /// By the cluster's entries alone. A store that does not answer denies nobody: the recheck asks again.
    pub(crate) async fn denied_by_cluster(&self, identity: &Identity) -> Option<Denial> {
        if !self.engine.is_clustered() {
            return None;
        }
        let asked = tokio::time::timeout(self.config.engine_deadline, self.engine.is_denied(identity)).await;
        asked.ok()?.ok()?
    }

    pub(crate) async fn allowed(&self, who: &Identity, action: &Action) -> bool {
        allowed(&*self.authorizer, who, action).await
    }

    pub(crate) async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        let asked = tokio::time::timeout(self.config.engine_deadline, self.engine.lookup(lookup)).await;
        asked.unwrap_or_else(|_| Err(EngineError::Unavailable("no answer in time".into())))
    }

    /// A user's status in the cluster; what this node knows, where the engine does not answer.
    pub(crate) async fn status(&self, user: impl NamesUser) -> Status {
        if self.engine.is_clustered()
            && let Ok(Found::Status(status)) = self.lookup(Lookup::Status(user.named().to_key())).await
        {
            return status;
        }
        self.registry.status(user.named())
    }

    /// Visits every online user of the cluster; from where the engine does not answer on, those of this node.
    pub(crate) async fn each_online(&self, mut f: impl FnMut(&UserKey)) {
        let mut after: Option<UserKey> = None;
        while self.engine.is_clustered() {
            let page = self.lookup(Lookup::Page { after: after.clone(), limit: PAGE }).await;
            let Ok(Found::Users(users)) = page else { break };
            users.iter().for_each(&mut f);
            if users.len() < PAGE {
                return;
            }
            after = users.last().cloned();
        }
        self.registry.for_each(|user, state| {
            if state.status().is_online()
                && after.as_ref().is_none_or(|after| in_order(user) > in_order(after))
            {
                f(user);
            }
        });
    }

    /// Counts as activity of a user's sessions, or of one of them; false where there is none.
    pub(crate) fn touch_session<'a>(&self, user: impl Into<UserRef<'a>>, token: Option<TokenId>) -> bool {
        let now = self.micros();
        let (found, idle) = self.registry.read(user, |state| {
            let members = state.map(|state| state.members()).unwrap_or_default();
            let meant = members.iter().filter(|member| !member.is_parked());
            let meant = meant.filter(|member| token.is_none_or(|token| member.token == token));
            let mut idle = Vec::new();
            let found = meant.fold(false, |_, member| {
                member.conn.touch(now);
                if member.is_idle() {
                    idle.push(member.conn.clone());
                }
                true
            });
            (found, idle)
        });
        idle.iter().for_each(|conn| self.set_idle(conn, false));
        found
    }

    /// An application frame came over this connection.
    pub(crate) fn touch_conn(&self, conn: &Conn) {
        conn.touch(self.micros());
        if self.registry.read(conn.user(), |state| is_idle(state, conn.id)) {
            self.set_idle(conn, false);
        }
    }

    pub(crate) fn set_idle(&self, conn: &Conn, idle: bool) {
        self.update(conn.user(), |state| state.set_idle(conn.id, idle));
    }

    /// Sets what one connection says of its user.
    pub(crate) fn say(&self, conn: &Conn, status: &Status) {
        let id = conn.id;
        self.update(conn.user(), |state| state.say(status, |member| member.conn.id == id));
    }

    /// Sets what every connection of a user says.
    pub(crate) fn say_all<'a>(&self, user: impl Into<UserRef<'a>>, status: &Status) {
        self.update(user, |state| state.say(status, |_| true));
    }

    fn update<'a>(&self, user: impl Into<UserRef<'a>>, f: impl FnOnce(&mut crate::presence::UserState)) {
        let change = |_: &UserKey, state: &mut _| f(state);
        if let Some(((), diff)) =
            self.registry.change_known(user, crate::Cause::Status, self.clock.utc(), change)
        {
            self.after(diff);
        }
    }

    /// Gives the seat of a connection back before its guard does, so that a kicked user's place is free at once.
    pub(crate) fn release_seat(&self, user: &UserKey, id: ConnectionId) {
        if !self.config.login_policy.is_unlimited() {
            self.engine.release(user, id);
        }
    }
}

fn change_of(diff: &Diff) -> Change {
    let Diff { user, after, cause, at, data, .. } = diff.clone();
    Change { entry: Entry::User(user), cause, at, status: after, data }
}

/// Where a user stands in the order of the directory's pages.
pub(super) fn in_order(user: &UserKey) -> (Bucket, &UserKey) {
    (Bucket::of(user), user)
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A runtime of the application's goes on: the task there would wait for ever.
        self.deadlines.wake(self.began);
        self.parked.wake(self.began);
        self.resyncs.notify_one();
        self.room.close();
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnlineManager")
            .field("registry", &self.registry)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
