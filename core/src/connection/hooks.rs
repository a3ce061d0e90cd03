//! What an application hangs on a connection: [`Hooks`].

use std::{
    fmt,
    future::Future,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    handler::{Connection, Ended, HandlerError, Reply, Socket},
    inbound::Inbound,
    machine::Rules,
};
use crate::{Close, PushMessage, Refused, policy, protocol::Mode, push::Encoded};

/// Most connections have none, and share these.
static NONE: LazyLock<Arc<Hooks>> = LazyLock::new(Arc::default);

type OnMessage = dyn Fn(Connection, Inbound) -> BoxFuture<'static, Result<Reply, HandlerError>> + Send + Sync;
type OnConnect = dyn Fn(Connection) -> BoxFuture<'static, Result<(), Refused>> + Send + Sync;
type OnDisconnect = dyn Fn(Connection, Ended) -> BoxFuture<'static, ()> + Send + Sync;
type OnPresent = dyn Fn(Connection) + Send + Sync;
type Session = dyn Fn(Socket) -> BoxFuture<'static, ()> + Send + Sync;

/// Everything an application hung on a connection; empty by default.
#[derive(Clone, Default)]
pub struct Hooks {
    pub(crate) on_message: Option<Arc<OnMessage>>,
    pub(crate) on_connect: Option<Arc<OnConnect>>,
    pub(crate) on_disconnect: Option<Arc<OnDisconnect>>,
    rare: Option<Box<Rare>>,
}

/// What few connections have: every one holds its hooks as long as it lasts.
#[derive(Clone, Default)]
struct Rare {
    session: Option<Arc<Session>>,
    device: Option<Arc<str>>,
    at_expiry: Option<Arc<(Encoded, Close)>>,
    joins: Vec<Arc<str>>,
    on_present: Option<Arc<OnPresent>>,
}

impl Hooks {
    /// Handles what the client sends, one message at a time and in order. A handler that never returns stops no
    /// ping, push or kick; its future is dropped when its connection ends.
    #[must_use]
    pub fn on_message<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Connection, Inbound) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Reply, HandlerError>> + Send + 'static,
    {
        self.on_message = Some(Arc::new(move |connection, inbound| Box::pin(handler(connection, inbound))));
        self
    }

    /// Runs before the connection is present, and may refuse it; what it sends arrives first.
    #[must_use]
    pub fn on_connect<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Connection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        self.on_connect = Some(Arc::new(move |connection| Box::pin(handler(connection))));
        self
    }

    /// Runs exactly once for each connection that was present, after it is out of the registry.
    #[must_use]
    pub fn on_disconnect<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(Connection, Ended) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_disconnect = Some(Arc::new(move |connection, ended| Box::pin(handler(connection, ended))));
        self
    }

    /// Serves the connection with a future of the application's own, in place of `on_message`; when it returns, the
    /// connection closes with 1000.
    #[must_use]
    pub fn serve<F, Fut>(mut self, session: F) -> Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.rare().session = Some(Arc::new(move |socket| Box::pin(session(socket))));
        self
    }

    /// Names the device where the token does not.
    #[must_use]
    pub fn device(mut self, device: impl Into<Arc<str>>) -> Self {
        self.rare().device = Some(device.into());
        self
    }

    /// Puts the connection into a channel of its user's account as soon as it is present, beside others named so. Nobody
    /// is asked for permission: the application says so. A name that no channel can have, and one too many, is logged.
    #[must_use]
    pub fn join(mut self, channel: impl Into<Arc<str>>) -> Self {
        self.rare().joins.push(channel.into());
        self
    }

    /// Says what the connection is told, and closed with, when its identity's time is over. Default: 4301
    /// `token_expired` and nothing before it.
    ///
    /// The deadline is the identity's [`expires_at`](crate::auth::Identity::expires_at) to the moment, in envelope mode too: the
    /// builder's `expiry_grace` does not count. In raw mode the message goes out as it is, in envelope mode as a
    /// push. A connection whose time is over when it opens is told at once.
    #[must_use]
    pub fn at_expiry(mut self, message: impl Into<PushMessage>, close: Close) -> Self {
        self.expires_with(Arc::new((Encoded::new(Arc::new(message.into())), close)));
        self
    }

    /// As [`at_expiry`](Self::at_expiry), shared by many connections.
    pub(crate) fn expires_with(&mut self, last: Arc<(Encoded, Close)>) {
        self.rare().at_expiry = Some(last);
    }

    /// Runs once the connection is present: ours, beside all that the application hangs there.
    pub(crate) fn on_present(&mut self, hook: impl Fn(Connection) + Send + Sync + 'static) {
        self.rare().on_present = Some(Arc::new(hook));
    }

    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.rare.as_ref()?.session.as_ref()
    }

    /// The device that the application names.
    pub(crate) fn device_named(&self) -> Option<&str> {
        self.rare.as_ref()?.device.as_deref()
    }

    /// The channels it is put into.
    pub(crate) fn joins(&self) -> &[Arc<str>] {
        self.rare.as_ref().map_or(&[], |rare| &rare.joins)
    }

    /// The connection is present.
    pub(crate) fn present(&self, connection: impl FnOnce() -> Connection) {
        if let Some(hook) = self.rare.as_ref().and_then(|rare| rare.on_present.as_ref()) {
            hook(connection());
        }
    }

    /// For a connection to hold.
    pub(crate) fn shared(self) -> Arc<Self> {
        let Self { on_message: None, on_connect: None, on_disconnect: None, rare: None } = self else {
            return Arc::new(self);
        };
        NONE.clone()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The last frame and the close in place of this one, where the application says them.
    pub(crate) fn expired(&self, close: &Close, mode: Mode) -> Option<(Bytes, Close)> {
        let (message, own) =
            &**self.rare.as_ref()?.at_expiry.as_ref().filter(|_| *close == Close::TOKEN_EXPIRED)?;
        Some((message.frame(mode).clone(), own.clone()))
    }

    /// The rules of a connection with these hooks.
    pub(crate) fn rules(&self, rules: &Arc<Rules>) -> Arc<Rules> {
        let expires = self.rare.as_ref().is_some_and(|rare| rare.at_expiry.is_some());
        if !expires || rules.timing.expiry_grace.is_zero() {
            return rules.clone();
        }
        let timing = policy::Timing { expiry_grace: Duration::ZERO, ..rules.timing.clone() };
        Arc::new(Rules { timing, inbound: rules.inbound.clone() })
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("on_message", &self.on_message.is_some())
            .field("on_connect", &self.on_connect.is_some())
            .field("on_disconnect", &self.on_disconnect.is_some())
            .field("joins", &self.joins())
            .field("session", &self.session().is_some())
            .finish_non_exhaustive()
    }
}
