//! How a manager is made: every setting with its default, and every nonsense found before the first connection.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use tokio::runtime::Handle;

mod check;

use crate::{
    Clock, OnlineManager, SystemClock,
    auth::{Authenticator, Authorize, Nobody, Origins, Sources, own_status_only},
    cluster::{Engine, LocalEngine, OnEngineDown},
    config::Config,
    connection::{Bounds, RawKick, Rules},
    error::BuildError,
    http::{Modes, Protocols},
    manager::{Inner, Parts},
    policy::{Channels, Inbound, LoginPolicy, Outbox, Resume, Timing},
    presence::{LastSeen, NoLastSeen},
    push::{MessagePusher, OfflineSink},
};

/// The most threads of herenow's own runtime, and so lanes; more gained nothing when it was measured.
const MAX_LANES: usize = 4;

/// Builds an [`OnlineManager`]; see [`OnlineManager::builder`].
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    timing: Timing,
    inbound: Inbound,
    outbox: Outbox,
    resume: Resume,
    channels: Channels,
    login_policy: LoginPolicy,
    sources: Sources,
    origins: Origins,
    protocols: Protocols,
    visible_refusal: bool,
    client_data: bool,
    raw_kick: RawKick,
    grace: Duration,
    hand_ttl: Option<Duration>,
    kick_deadline: Duration,
    deny_ttl: Duration,
    deny_entries: usize,
    max_push: usize,
    pusher_timeout: Duration,
    authenticator_deadline: Duration,
    engine_deadline: Duration,
    on_engine_down: OnEngineDown,
    close_without_engine: Option<Duration>,
    fail_closed: bool,
    max_connections: Option<usize>,
    log_ids: bool,
    max_per_address: Option<usize>,
    max_per_user: Option<usize>,
    events_buffer: usize,
    last_seen_bound: usize,
    lanes: Option<usize>,
    runtime: Option<Handle>,
    clock: Arc<dyn Clock>,
    engine: Option<Arc<dyn Engine>>,
    authenticator: Arc<dyn Authenticator>,
    authorizer: Arc<dyn Authorize>,
    last_seen: Option<Arc<dyn LastSeen>>,
    offline_sink: Option<Arc<dyn OfflineSink>>,
    pushers: Vec<Arc<dyn MessagePusher>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            timing: Timing::default(),
            inbound: Inbound::default(),
            outbox: Outbox::default(),
            resume: Resume::default(),
            channels: Channels::default(),
            login_policy: LoginPolicy::default(),
            sources: Sources::default(),
            origins: Origins::default(),
            protocols: Protocols::default(),
            visible_refusal: true,
            client_data: true,
            raw_kick: RawKick::default(),
            grace: Duration::from_secs(5),
            hand_ttl: None,
            kick_deadline: Duration::from_secs(2),
            deny_ttl: Duration::from_secs(24 * 60 * 60),
            deny_entries: 1_000_000,
            max_push: 1024 * 1024,
            pusher_timeout: Duration::from_secs(5),
            authenticator_deadline: Duration::from_secs(5),
            engine_deadline: Duration::from_secs(1),
            on_engine_down: OnEngineDown::default(),
            close_without_engine: None,
            fail_closed: false,
            max_connections: None,
            log_ids: false,
            max_per_address: None,
            max_per_user: None,
            events_buffer: 1024,
            last_seen_bound: 100_000,
            lanes: None,
            runtime: None,
            clock: Arc::new(SystemClock),
            engine: None,
            authenticator: Arc::new(Nobody),
            authorizer: Arc::new(own_status_only()),
            last_seen: None,
            offline_sink: None,
            pushers: Vec::new(),
        }
    }
}

impl Builder {
    /// Who checks credentials. Default: nobody is known, so no connection is admitted.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Arc::new(authenticator);
        self
    }

    /// Who may see and do what, over HTTP and in envelopes. Default: one's own status and nothing else
    /// ([`own_status_only`]); [`members_see_members`](crate::policy::members_see_members) is the usual choice.
    pub fn authorize(mut self, policy: impl Authorize) -> Self {
        self.authorizer = Arc::new(policy);
        self
    }

    /// How many channels, and how their presence is told. Default: [`Channels::default`].
    pub fn channels(mut self, channels: Channels) -> Self {
        self.channels = channels;
        self
    }

    /// What happens in a channel within this time goes out to its watchers as one frame. Default 100 ms; zero: each
    /// event at once.
    pub fn event_window(mut self, window: Duration) -> Self {
        self.channels.event_window = window;
        self
    }

    /// Where a token may stand in a request. Default: header, subprotocol, first message, ticket; no cookie, no
    /// query.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// From which origins browsers may come. Default: the same origin as the request's host.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Which of the two modes clients may use. Default: both.
    pub fn modes(mut self, modes: Modes) -> Self {
        self.protocols = self.protocols.modes(modes);
        self
    }

    /// Subprotocol names of the application's own, spoken in raw mode. Default: none.
    pub fn protocols<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.protocols = self.protocols.own(names);
        self
    }

    /// Whether a refusal is said on an upgraded connection where the client speaks envelopes, since a browser sees
    /// nothing of an HTTP status. Default: yes.
    pub fn visible_refusal(mut self, visible: bool) -> Self {
        self.visible_refusal = visible;
        self
    }

    /// Whether a client's `hello.data` becomes the user's public data where the identity has none. Default: yes.
    pub fn client_data(mut self, allowed: bool) -> Self {
        self.client_data = allowed;
        self
    }

    /// What a kicked client of raw mode receives before the close frame. Default: the JSON text frame.
    pub fn raw_kick(mut self, raw_kick: RawKick) -> Self {
        self.raw_kick = raw_kick;
        self
    }

    /// How many sessions a user may have, and who gives way. Default: no limit.
    pub fn login_policy(mut self, policy: LoginPolicy) -> Self {
        self.login_policy = policy;
        self
    }

    /// All durations of a connection's life; see [`Timing`] for the defaults.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// A ping goes out after `interval` without a byte (default 30 s), and the connection ends `timeout` (default
    /// 10 s) after it.
    pub fn heartbeat(mut self, interval: Duration, timeout: Duration) -> Self {
        (self.timing.heartbeat, self.timing.pong_timeout) = (interval, timeout);
        self
    }

    /// Idle time until a connection counts as away. Default 5 min; zero: never. Of a hand mark it is noticed up to a
    /// 64th of the time late.
    pub fn idle_after(mut self, idle: Duration) -> Self {
        self.timing.idle_after = idle;
        self
    }

    /// How often live credentials are checked again. Default 60 s; zero: never.
    pub fn recheck(mut self, every: Duration) -> Self {
        self.timing.recheck = every;
        self
    }

    /// How long after a token's end an envelope connection may still refresh it. Default 25 s; zero: not at all.
    pub fn expiry_grace(mut self, grace: Duration) -> Self {
        self.timing.expiry_grace = grace;
        self
    }

    /// How much one client may send; see [`Inbound`] for the defaults.
    pub fn inbound(mut self, limits: Inbound) -> Self {
        self.inbound = limits;
        self
    }

    /// What may wait for a slow reader, and what happens beyond; see [`Outbox`] for the defaults.
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.outbox = outbox;
        self
    }

    /// What is kept for clients that come back; see [`Resume`] for the defaults.
    pub fn resume(mut self, resume: Resume) -> Self {
        self.resume = resume;
        self
    }

    /// How long a user who left may come back unnoticed. Default 5 s; zero: not at all.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long a hand mark lives without `mark_online` or activity; noticed up to a 64th of it late. Default: for
    /// ever.
    pub fn hand_ttl(mut self, ttl: Duration) -> Self {
        self.hand_ttl = Some(ttl);
        self
    }

    /// How long a kicked client may take to close before it is cut. Default 2 s.
    pub fn kick_deadline(mut self, deadline: Duration) -> Self {
        self.kick_deadline = deadline;
        self
    }

    /// How long the token of a kick stays refused when it does not say when it ends. Default 24 h. An opaque token
    /// that lives longer should be revoked in its store as well.
    pub fn deny_ttl(mut self, ttl: Duration) -> Self {
        self.deny_ttl = ttl;
        self
    }

    /// How many deny entries are kept; beyond that a kick's report says `deny: Failed`. Default 1,000,000.
    pub fn deny_entries(mut self, bound: usize) -> Self {
        self.deny_entries = bound;
        self
    }

    /// The largest message that can be pushed, in bytes. Default 1 MiB.
    pub fn max_push(mut self, bytes: usize) -> Self {
        self.max_push = bytes;
        self
    }

    /// How long one pusher may take for one message. Default 5 s.
    pub fn pusher_timeout(mut self, timeout: Duration) -> Self {
        self.pusher_timeout = timeout;
        self
    }

    /// How long the authenticator may take, at the upgrade and at each recheck. Default 5 s.
    pub fn authenticator_deadline(mut self, deadline: Duration) -> Self {
        self.authenticator_deadline = deadline;
        self
    }

    /// How long the engine may take for one question. Default 1 s.
    pub fn engine_deadline(mut self, deadline: Duration) -> Self {
        self.engine_deadline = deadline;
        self
    }

    /// What happens to logins while the engine is down. Default: this node decides alone.
    pub fn on_engine_down(mut self, policy: OnEngineDown) -> Self {
        self.on_engine_down = policy;
        self
    }

    /// Once the engine has been down for so long, every socket and stream of this node is closed (4503, clients come back) and every
    /// login refused (503) until it is back: a node that hears of no kick-out serves nobody who may have been kicked out. Sessions
    /// that were marked by hand stay. Default: never, and clients of a node that is cut off stay connected.
    pub fn close_without_engine(mut self, after: Duration) -> Self {
        self.close_without_engine = Some(after);
        self
    }

    /// Whether a connection ends at the first recheck that finds the authenticator unavailable, not at the third.
    /// Default: no.
    pub fn fail_closed(mut self, fail_closed: bool) -> Self {
        self.fail_closed = fail_closed;
        self
    }

    /// The most connections of this node; more are refused with 503. Default: no limit.
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = Some(limit);
        self
    }

    /// The most connections of one address; more are refused with 429. Default: no limit. Behind a proxy every
    /// connection has the proxy's address.
    pub fn max_connections_per_address(mut self, limit: usize) -> Self {
        self.max_per_address = Some(limit);
        self
    }

    /// The most connections of one user on this node, tabs counted; more are refused with 429. Default: no limit.
    /// For sessions, see [`login_policy`](Self::login_policy).
    pub fn max_connections_per_user(mut self, limit: usize) -> Self {
        self.max_per_user = Some(limit);
        self
    }

    /// Whether spans carry the ids of users and connections. Default: no; payloads and tokens they never carry.
    pub fn log_ids(mut self, log_ids: bool) -> Self {
        self.log_ids = log_ids;
        self
    }

    /// How many events a slow listener may be behind before it is told `Missed`. Default 1,024.
    pub fn events_buffer(mut self, events: usize) -> Self {
        self.events_buffer = events;
        self
    }

    /// A store of one's own for "last seen". Default: memory alone.
    pub fn last_seen(mut self, store: impl LastSeen) -> Self {
        // The null object would be handed each record by a task of its own, to do nothing with it.
        let is_null = (&store as &dyn Any).is::<NoLastSeen>();
        self.last_seen = (!is_null).then(|| Arc::new(store) as Arc<dyn LastSeen>);
        self
    }

    /// How many users "last seen" is kept in memory for. Default 100,000.
    pub fn last_seen_bound(mut self, users: usize) -> Self {
        self.last_seen_bound = users;
        self
    }

    /// Takes messages that reached nobody. Default: they are dropped, as the report says.
    pub fn offline_sink(mut self, sink: impl OfflineSink) -> Self {
        self.offline_sink = Some(Arc::new(sink));
        self
    }

    /// A way to users that is no socket; more can be registered later. Default: none.
    pub fn pusher(mut self, pusher: impl MessagePusher) -> Self {
        self.pushers.push(Arc::new(pusher));
        self
    }

    /// The boundary to other nodes. Default: this node alone.
    pub fn engine(mut self, engine: impl Engine) -> Self {
        self.engine = Some(Arc::new(engine));
        self
    }

    /// Where herenow's own tasks run: a multi-thread runtime of the application, or the one of a test. Default: a
    /// small runtime of its own, started by the first connection or hand mark.
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// How many flushers write broadcasts. Default: one for each core, at most 4.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Where the time comes from. Default: the machine's clocks.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the manager. Spawns nothing and needs no runtime.
    ///
    /// # Errors
    /// [`BuildError`], for settings that cannot work, alone or together.
    pub fn build(self) -> Result<OnlineManager, BuildError> {
        self.check()?;
        let lanes = self.lanes.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let config = Config {
            rules: Arc::new(Rules { timing: self.timing, inbound: self.inbound }),
            bounds: Arc::new(Bounds::new(self.outbox, self.resume)),
            channels: self.channels,
            login_policy: self.login_policy,
            sources: self.sources,
            origins: self.origins,
            protocols: self.protocols,
            visible_refusal: self.visible_refusal,
            client_data: self.client_data,
            raw_kick: self.raw_kick,
            grace: self.grace,
            hand_ttl: self.hand_ttl,
            kick_deadline: self.kick_deadline,
            deny_ttl: self.deny_ttl,
            max_push: self.max_push,
            pusher_timeout: self.pusher_timeout,
            authenticator_deadline: self.authenticator_deadline,
            engine_deadline: self.engine_deadline,
            on_engine_down: self.on_engine_down,
            close_without_engine: self.close_without_engine,
            fail_closed: self.fail_closed,
            max_connections: self.max_connections,
            log_ids: self.log_ids,
        };
        let parts = Parts {
            config,
            deny_entries: self.deny_entries,
            max_per_address: self.max_per_address,
            max_per_user: self.max_per_user,
            events_buffer: self.events_buffer,
            last_seen_bound: self.last_seen_bound,
            lanes: lanes.clamp(1, MAX_LANES),
            runtime: self.runtime,
            clock: self.clock,
            engine: self.engine.unwrap_or_else(|| Arc::new(LocalEngine::alone())),
            authenticator: self.authenticator,
            authorizer: self.authorizer,
            last_seen: self.last_seen,
            offline_sink: self.offline_sink,
            pushers: self.pushers,
        };
        Ok(OnlineManager::of(Inner::new(parts)))
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("timing", &self.timing)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
