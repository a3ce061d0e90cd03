//! From an identity to a present connection: seat, registry, deny look-up, the application's word, welcome.

use std::sync::Arc;

use bytes::Bytes;

use super::{conn::Conn, farewell, guard::Guard, handler::Connection, hooks::Hooks, place::Place};
use crate::{
    Close, Refused,
    auth::{Credential, Identity, Source},
    channel::{self, fetch_later},
    http::{Refusal, RequestInfo},
    kick::{self, Denial},
    limits::{MAX_DEVICE, MAX_METADATA_BYTES, check_label},
    manager::Inner,
    presence::Opened,
    protocol::{ErrorCode, Heartbeat, Hello, Limits, Mode, ServerMessage, Welcome},
    resume::{Asked, Claim, claim},
};

/// Who joins, and what was known at the upgrade.
pub(crate) struct Joining {
    pub(crate) inner: Arc<Inner>,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) request: RequestInfo,
    /// `None`: the first message has to say.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Which connection the client had before, where the request says so.
    pub(crate) asked: Option<Asked>,
    /// Undoes everything, however far the joining got.
    pub(crate) guard: Guard,
}

impl Joining {
    /// Whom the upgrade named already is found by a kick from here on, though `hello` may take its time.
    pub(crate) fn register(&self) {
        if self.identity.is_some() {
            self.inner.registry.insert(self.guard.conn.clone(), self.inner.clock.utc());
        }
    }
}

/// The connection that did not join, and what it has to be told: nothing where whoever took it tells it.
pub(crate) struct NotJoined {
    pub(crate) conn: Arc<Conn>,
    pub(crate) told: Option<(Close, Option<Bytes>)>,
}

impl NotJoined {
    pub(crate) fn refused(conn: Arc<Conn>, refusal: &Refusal) -> Self {
        let code = ErrorCode::from_word(refusal.code());
        let error = ServerMessage::refuse(None, code, refusal.message().to_owned());
        let farewell = (conn.mode == Mode::Envelope).then(|| error.to_frame());
        Self { conn, told: Some((refusal.close().clone(), farewell)) }
    }

    fn denied(inner: &Inner, conn: Arc<Conn>, denial: Denial) -> Self {
        let close = Close::from(denial);
        Self::closed(inner, conn, close)
    }

    /// A newer session took its place while it was on its way.
    fn replaced(inner: &Inner, conn: Arc<Conn>) -> Self {
        Self::closed(inner, conn, Close::REPLACED)
    }

    fn closed(inner: &Inner, conn: Arc<Conn>, close: Close) -> Self {
        let farewell = farewell::frame(&close, "", conn.mode, &inner.config.raw_kick);
        Self { conn, told: Some((close, farewell)) }
    }

    /// A word of our own could come before the taker's, and be another one.
    fn taken(conn: Arc<Conn>) -> Self {
        Self { conn, told: None }
    }
}

/// Joins. Dropped on the way, it leaves nothing behind.
pub(crate) async fn join(joining: Joining, hello: Option<Hello>) -> Result<Guard, NotJoined> {
    let Joining { inner, hooks, request, identity, asked, mut guard } = joining;
    let (conn, registered) = (guard.conn.clone(), identity.is_some());
    let known = match identity {
        Some(identity) => Ok(identity),
        None => first_message(&inner, hello.as_ref(), &request).await,
    };
    let asked = asked.or_else(|| hello.as_ref().and_then(|hello| hello.resume.clone()));
    let (identity, claim) = match seated(known, &inner, hello, asked, &hooks, &mut guard).await {
        Ok(seated) => seated,
        Err(refusal) => return Err(NotJoined::refused(guard.withdraw(), &refusal)),
    };
    conn.set_identity(identity.clone());
    if !registered {
        inner.registry.insert(conn.clone(), inner.clock.utc());
    }
    // Filed before a drain, or a node without its engine, looked for whom to close, it was told; after, it is told here.
    let allowed = if inner.is_closing() { Err(Refused::ShutDown) } else { inner.engine_allows() };
    if let Err(refused) = allowed {
        return Err(NotJoined::refused(guard.withdraw(), &refused.into()));
    }
    // Registered first, then looked up: a kick that this look-up misses has found the registration.
    if let Some(denial) = inner.denied_by_cluster(&identity).await {
        return Err(NotJoined::denied(&inner, guard.withdraw(), denial));
    }
    let ended = match &claim {
        Some(claim) => channel::authorize_as(&inner, &claim.conn, &identity).await,
        None => Vec::new(),
    };
    let before = claim.as_ref().map_or(&conn, |claim| &claim.conn);
    if let Err(refused) = on_connect(&inner, before, &hooks).await {
        return Err(NotJoined::refused(guard.withdraw(), &refused.into()));
    }
    if inner.lanes.is_replaced(before.id) {
        return Err(NotJoined::replaced(&inner, guard.withdraw()));
    }
    let opened = match claim {
        Some(claim) => resume(&inner, &mut guard, &identity, claim, hooks.joins()),
        None => open(&inner, &mut guard, &identity, hooks.joins()),
    };
    match opened {
        Opened::Present => {
            ended.into_iter().for_each(|frame| guard.conn.control(frame, inner.clock.now()));
            Ok(guard)
        }
        Opened::Taken => Err(NotJoined::taken(guard.withdraw())),
        // Its client may come back at once, with a new one.
        Opened::Away => Err(NotJoined::closed(&inner, guard.withdraw(), Close::INTERNAL)),
        Opened::Denied(denial) => Err(NotJoined::denied(&inner, guard.withdraw(), denial)),
    }
}

/// The identity as far as it is known now, with a seat under the login policy, and the connection that its client had
/// before, where it comes back.
async fn seated(
    known: Result<Arc<Identity>, Refusal>,
    inner: &Arc<Inner>,
    hello: Option<Hello>,
    asked: Option<Asked>,
    hooks: &Hooks,
    guard: &mut Guard,
) -> Result<(Arc<Identity>, Option<Claim>), Refusal> {
    let identity = enriched(inner, known?, hello, hooks)?;
    let claim = match asked.filter(|_| guard.conn.mode == Mode::Envelope) {
        Some(asked) => {
            let claim = claim(inner, &asked, &identity).await;
            crate::observe::came_back(claim.is_some());
            claim
        }
        None => None,
    };
    let id = claim.as_ref().map_or(guard.conn.id, |claim| claim.conn.id);
    if let Some(place) = guard.place() {
        place.seat(&identity, id).await?;
    }
    Ok((identity, claim))
}

async fn on_connect(inner: &Arc<Inner>, conn: &Arc<Conn>, hooks: &Hooks) -> Result<(), Refused> {
    match &hooks.on_connect {
        Some(hook) => hook(Connection { inner: inner.clone(), conn: conn.clone() }).await,
        None => Ok(()),
    }
}

/// The token of the first message, where the upgrade carried none.
async fn first_message(
    inner: &Inner,
    hello: Option<&Hello>,
    request: &RequestInfo,
) -> Result<Arc<Identity>, Refusal> {
    let token = hello.and_then(|hello| hello.token.clone()).ok_or_else(Refusal::unauthorized)?;
    let identity = inner.authenticate(Credential::new(token, Source::FirstMessage), request).await?;
    match inner.denied(&identity).await {
        Some(denial) => Err(Refused::from(denial).into()),
        None => Ok(Arc::new(identity)),
    }
}

/// What the handler and `hello` say, where the token says nothing.
fn enriched(
    inner: &Inner,
    identity: Arc<Identity>,
    hello: Option<Hello>,
    hooks: &Hooks,
) -> Result<Arc<Identity>, Refusal> {
    let said = hello.as_ref().and_then(|hello| hello.device.as_deref());
    let device = hooks.device_named().or(said).filter(|_| identity.device.is_none());
    let data = hello.as_ref().and_then(|hello| hello.data.as_deref());
    let data = data.filter(|_| inner.config.client_data && identity.data.is_none());
    if device.is_none() && data.is_none() {
        return Ok(identity);
    }
    let mut identity = Arc::unwrap_or_clone(identity);
    if let Some(device) = device {
        check_label("device", device, MAX_DEVICE)?;
        identity.device = Some(device.into());
    }
    if let Some(data) = data {
        if data.get().len() > MAX_METADATA_BYTES {
            return Err(Refusal::bad_request(format!("`data` of hello is over {MAX_METADATA_BYTES} bytes")));
        }
        identity.data = Some(data.to_owned().into());
    }
    Ok(Arc::new(identity))
}

/// Present, under the user's lock, unless a deny entry is found there.
fn open(inner: &Arc<Inner>, guard: &mut Guard, identity: &Identity, joins: &[Arc<str>]) -> Opened<Denial> {
    let conn = guard.conn.clone();
    let welcome = (conn.mode == Mode::Envelope).then(|| welcome(inner, &conn, identity, None));
    let (opened, diff) = inner.registry.open(
        &conn,
        inner.clock.utc(),
        || inner.deny.find(identity, inner.clock.utc()),
        || {
            // False where it is closing already: it never becomes present, and replaces nobody.
            let opens = conn.open(welcome);
            if opens {
                inner.lanes.open(conn.id);
            }
            opens
        },
    );
    if !matches!(opened, Opened::Present) {
        return opened;
    }
    inner.after(diff);
    inner.channels.opened(&conn, joins);
    present(inner, guard);
    opened
}

/// The connection that the client had before is present again, with this socket.
fn resume(
    inner: &Arc<Inner>,
    guard: &mut Guard,
    identity: &Arc<Identity>,
    claim: Claim,
    joins: &[Arc<str>],
) -> Opened<Denial> {
    let (conn, fresh) = (claim.conn.clone(), guard.conn.clone());
    let (now, at) = (inner.clock.now(), inner.clock.utc());
    let welcome = welcome(inner, &conn, identity, Some(claim.seq));
    let before = conn.identity();
    conn.set_identity(identity.clone());
    let (opened, diff) = inner.registry.resume(
        &conn,
        &fresh,
        at,
        || inner.deny.find(identity, at),
        || conn.attach(&fresh, welcome, claim.seq, now),
    );
    if !matches!(opened, Opened::Present) {
        conn.set_identity(before);
        return opened;
    }
    claim.taken();
    guard.adopt(conn.clone());
    inner.after(diff);
    fetch_later(inner, inner.channels.back(&conn, joins, at));
    present(inner, guard);
    opened
}

/// What follows from being present, once the user's lock is released.
fn present(inner: &Arc<Inner>, guard: &mut Guard) {
    let (conn, now) = (guard.conn.clone(), inner.clock.now());
    guard.opened(now);
    let replaced = guard.place().map(Place::replaced).unwrap_or_default();
    if !replaced.is_empty() {
        kick::close_replaced(inner, conn.user(), replaced);
    }
    inner.give_up_replaced(&conn);
    conn.settle(now);
}

fn welcome(inner: &Inner, conn: &Conn, identity: &Identity, resumed: Option<u64>) -> Bytes {
    let timing = &inner.config.rules.timing;
    let now = inner.clock.utc();
    let left = identity.expires_at.map(|at| (at - now).num_milliseconds().max(0) as u64);
    let millis = |time: std::time::Duration| time.as_millis() as u64;
    let resumes = inner.config.bounds.resume.is_on();
    let token = resumes.then(|| inner.secret.token(conn.id)).flatten();
    ServerMessage::Welcome(Welcome {
        connection: &conn.id.to_string(),
        user: conn.user().login_id(),
        resume_token: token.as_deref(),
        resumed: resumed.is_some(),
        seq: resumed.unwrap_or_default(),
        expires_in: left,
        server_time: now.timestamp_millis(),
        heartbeat: Heartbeat { interval: millis(timing.heartbeat), timeout: millis(timing.pong_timeout) },
        limits: Limits {
            max_frame: inner.config.rules.inbound.max_frame,
            max_channels: inner.config.channels.max_channels,
        },
    })
    .to_frame()
}
