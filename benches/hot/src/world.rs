//! A manager with connections in memory, all on one thread and by a clock that stands still: what happens is the same
//! in every run.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use herenow::{
    Admission, Builder, Clock as _, Connection, Hooks, Io, OnlineManager, OnlineUser,
    auth::{Action, Identity, JwtKeys, TokenId},
    http::{ENVELOPE_PROTOCOL, Refusal, RequestInfo, Visit},
    policy::Inbound,
    protocol::Mode,
    testing::{self, ManualClock},
};
use http::{Extensions, HeaderMap, HeaderValue, Method, Uri, Version, header};
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

use crate::wire::{Wire, text_frames};

const SECRET: &[u8] = b"at least thirty-two bytes of secret";

/// One server, and its clients.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) online: OnlineManager,
    pub(crate) wires: Vec<Wire>,
    written: Arc<AtomicU64>,
    pub(crate) connections: Vec<Connection>,
}

impl World {
    /// A server without anybody, with the defaults, but for one lane only, since its work must not depend on the
    /// machine's cores, and a rate that no client reaches while time stands still.
    ///
    /// # Panics
    /// If it cannot be set up.
    pub(crate) fn new(set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let runtime = RuntimeBuilder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime of one thread");
        let online = runtime.block_on(async {
            let clock = ManualClock::new();
            let keys = JwtKeys::hs256(SECRET).expect("the secret is long enough");
            let builder = testing::builder()
                .authenticator(keys.authenticator().clock(Arc::new(clock.clone())))
                .authorize(|_: &Identity, _: &Action| true)
                .inbound(Inbound { frames_per_second: 1_000_000_000, ..Inbound::default() })
                .clock(clock)
                .lanes(1);
            set_up(builder).build().expect("the settings build")
        });
        Self { runtime, online, wires: Vec::new(), written: Arc::default(), connections: Vec::new() }
    }

    /// A server with so many users, `u0` and on, each with one connection.
    pub(crate) fn with_connections(count: usize, mode: Mode) -> Self {
        let mut world = Self::new(|builder| builder);
        (0..count).for_each(|n| drop(world.connect(&format!("u{n}"), mode, Hooks::default())));
        world
    }

    /// A server with so many users who are marked online by hand.
    pub(crate) fn with_marks(count: usize) -> Self {
        let world = Self::new(|builder| builder);
        world.runtime.block_on(async {
            for n in 0..count {
                world.online.mark_online(marked(n)).await;
            }
        });
        world
    }

    /// Opens a connection, and waits until it is present.
    ///
    /// # Panics
    /// If it is refused.
    pub(crate) fn connect(&mut self, user: &str, mode: Mode, hooks: Hooks) -> Wire {
        let (wire, came) = (Wire::counting(self.written.clone()), Arc::new(Mutex::new(None)));
        let tell = came.clone();
        let hooks = hooks.on_connect(move |connection| {
            *tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
            async { Ok(()) }
        });
        let take = || came.lock().unwrap_or_else(PoisonError::into_inner).take();
        let connection = self.runtime.block_on(async {
            let identity = Identity::new(user).token_id(TokenId::of(user));
            let mut admission =
                admit(&self.online, &request(mode, None), Some(identity)).await.expect("admitted");
            *admission.hooks_mut() = hooks;
            tokio::spawn(admission.drive(Io::boxed(wire.clone()), Bytes::new()));
            if mode == Mode::Envelope {
                wire.say(text_frames(&[br#"{"type":"hello"}"#]));
            }
            settle().await;
            until(async || came.lock().is_ok_and(|came| came.is_some())).await;
            take().expect("a connection that is present was told")
        });
        self.wires.push(wire.clone());
        self.connections.push(connection);
        wire
    }

    /// What a browser asks with: an upgrade with a signed token.
    pub(crate) fn signed_request(&self, user: &str, mode: Mode) -> RequestInfo {
        let keys = JwtKeys::hs256(SECRET).expect("the secret is long enough");
        let now = self.runtime.block_on(async { ManualClock::new().utc() });
        let token = keys.issue(&Identity::new(user), Duration::from_secs(86_400), now);
        request(mode, Some(token.expose()))
    }

    /// How often the server wrote to anybody.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// Lets the tasks of the server work until it is so.
///
/// # Panics
/// If it never is.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    const LOOKS: usize = 1_000_000;
    for _ in 0..LOOKS {
        if is_so().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the server did not do what it was to do");
}

/// Lets the tasks of the server do what they have to do.
pub(crate) async fn settle() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

/// Decides on an upgrade as an adapter does.
pub(crate) async fn admit(
    online: &OnlineManager,
    request: &RequestInfo,
    known: Option<Identity>,
) -> Result<Admission, Refusal> {
    let mut extensions = Extensions::new();
    if let Some(identity) = known {
        extensions.insert(Arc::new(identity));
    }
    let uri = Uri::from_static("/ws");
    let visit = Visit::look(online, request.clone(), &uri, &extensions).await;
    visit.upgrade(Version::HTTP_11, false).await
}

fn request(mode: Mode, token: Option<&str>) -> RequestInfo {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::HOST, "test.example"),
        (header::CONNECTION, "Upgrade"),
        (header::UPGRADE, "websocket"),
        (header::SEC_WEBSOCKET_VERSION, "13"),
        (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if mode == Mode::Envelope {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(ENVELOPE_PROTOCOL));
    }
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is plain text");
        headers.insert(header::AUTHORIZATION, value);
    }
    RequestInfo::new(Method::GET, &Uri::from_static("/ws"), headers)
}

/// The session of a user who is marked by hand.
pub(crate) fn marked(n: usize) -> OnlineUser {
    OnlineUser {
        login_id: format!("u{n}"),
        token: token(n),
        device: "web".to_owned(),
        connect_time: chrono::DateTime::UNIX_EPOCH,
        last_activity: chrono::DateTime::UNIX_EPOCH,
        metadata: Default::default(),
    }
}

/// As long as a session id usually is.
pub(crate) fn token(n: usize) -> String {
    format!("{n:032x}")
}
