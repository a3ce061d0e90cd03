//! [`Rendezvous`]: what an application sees.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    farewell::{self, Told},
    last_word::{LastWord, Mark},
};
use crate::{
    Builder, Close, Connection, Hooks, OnlineManager, PushMessage, PushReport, Reply, ShutdownReport, Target,
    UserKey,
    auth::{Identity, TokenId},
    cluster::{EngineError, OnEngineDown},
    error::{BuildError, InvalidInput, PushError},
    http::Modes,
    limits::{MAX_LOGIN_ID, check_name},
    manager::Inner,
    policy::LoginPolicy,
    push::Encoded,
};

/// What a page is told at its end where the application sets nothing else.
const EXPIRED: &str = r#"{"status":"expired"}"#;
/// Tabs of one key.
const PER_KEY: usize = 8;
/// Pages of all keys.
const IN_ALL: usize = 10_000;

/// Where pages wait before anybody is logged in: a login by QR code or on a television, a payment that is made on the
/// phone.
///
/// A connection belongs to a **key** that the application makes up, hears what is said to the key, and ends in one of
/// four ways: a **last word** (close 1000), its **time is over** (4410 `session_ended`, at the exact deadline), the page
/// leaves, or its network is lost. After each of them [`count`](Self::count) is what it was before. It speaks raw mode, so
/// a page receives the application's own JSON and nothing else.
///
/// A rendezvous is a manager of its own: who waits is no online user, and has limits, heartbeats and a shutdown of its
/// own. Clones share everything; keep one in the application's state.
///
/// # How page, phone and server play together
/// 1. The page asks the server for a session. The server stores it with its end, answers with a code to show and a key
///    to wait with, and the page opens a WebSocket, whose handler calls [`Guest::wait`](crate::http::Guest::wait) with
///    the key and the stored end.
/// 2. The phone, logged in, reads the code and tells the server: [`tell`](Self::tell) says "scanned" to the page.
/// 3. The phone confirms. The server changes the session in its own store, once and for all, and calls
///    [`finish`](Self::finish) with what the page needs to log in. The page receives it, the socket closes with 1000.
/// 4. A page that was just reloading comes back, and is told then: the last word is kept for it.
///
/// Who knows the key hears the last word, so it is a secret: random, at least 128 bits. Others can see a code on a
/// screen. Where the last word carries a token, let the page wait with a key that is not in the code, or bind the session
/// to a cookie of the page and check it in the handler.
///
/// ```
/// use std::time::Duration;
/// use herenow::{Admission, Finished, Rendezvous, http::{Guest, Refusal}};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let waiting = Rendezvous::new();
///
/// // The handler of the page's WebSocket; an adapter's `GuestUpgrade` has the same `wait`.
/// async fn page(guest: Guest, waiting: &Rendezvous) -> Result<Admission, Refusal> {
///     let ends_at = chrono::Utc::now() + Duration::from_secs(300); // as stored with the session
///     guest.wait(waiting, "9f86d081884c7d65", ends_at).await
/// }
///
/// // The phone has read the code, and confirms.
/// waiting.tell("9f86d081884c7d65", r#"{"status":"scanned"}"#).await?;
/// let last = r#"{"status":"confirmed","web_token":"…"}"#;
/// let keep_until = chrono::Utc::now() + Duration::from_secs(60);
/// let told = waiting.finish("9f86d081884c7d65", last, keep_until).await?;
/// assert_eq!(told, Finished::Kept); // the page was reloading just then
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Rendezvous {
    manager: OnlineManager,
    expired: Arc<(Encoded, Close)>,
}

/// What became of a last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a last word may have told nobody"]
#[non_exhaustive]
pub enum Finished {
    /// So many connections were told it, on all nodes that answered, and close.
    Told(usize),
    /// Nobody was there. The first to connect until `keep_until` is told.
    Kept,
    /// Nobody was there, and `keep_until` was over: nobody will be told.
    Nobody,
    /// The last word of this key was said before. This one tells nobody.
    Before,
}

/// Why a last word could not be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FinishError {
    /// The key or the message cannot be taken, or the rendezvous was shut down.
    #[error(transparent)]
    Message(#[from] PushError),
    /// Nobody was there, and the engine could not keep it.
    #[error("nobody was there, and the last word could not be kept: {0}")]
    NotKept(#[source] EngineError),
}

impl Rendezvous {
    /// A rendezvous with every default, on this node alone. Needs no runtime.
    #[allow(clippy::missing_panics_doc)] // The defaults are checked by a test.
    pub fn new() -> Self {
        Self::with(Self::builder()).unwrap_or_else(|error| unreachable!("the defaults build: {error}"))
    }

    /// The settings to begin with: those of [`OnlineManager::builder`], with at most 8 connections of one key
    /// ([`max_connections_per_user`](Builder::max_connections_per_user)) and 10,000 in all on a node
    /// ([`max_connections`](Builder::max_connections)). No limit per address: behind a proxy all have the proxy's.
    pub fn builder() -> Builder {
        OnlineManager::builder().max_connections_per_user(PER_KEY).max_connections(IN_ALL)
    }

    /// A rendezvous of these settings. Origins, limits, heartbeat, clock and engine are the builder's; the engine is one
    /// of its own, not the one of another manager. There is no grace, no recheck and no login policy, and raw mode is all
    /// it speaks.
    ///
    /// # Errors
    /// [`BuildError`], for settings that cannot work.
    pub fn with(builder: Builder) -> Result<Self, BuildError> {
        let manager = builder
            .modes(Modes::Raw)
            .grace(Duration::ZERO)
            .expiry_grace(Duration::ZERO)
            .recheck(Duration::ZERO)
            .idle_after(Duration::ZERO)
            .login_policy(LoginPolicy::unlimited())
            .build()?;
        Ok(Self { manager, expired: expired(EXPIRED.into()) })
    }

    /// What a page is told when its time is over. Default: `{"status":"expired"}`.
    #[must_use]
    pub fn on_expiry(mut self, message: impl Into<PushMessage>) -> Self {
        self.expired = expired(message.into());
        self
    }

    /// Tells everyone who waits for the key, on every node, and lets them wait on. Nobody being there is no error: look
    /// at the report. It is not kept: who connects later is told how far things are by the handler (`on_connect`), and
    /// who is just connecting to this node may hear it twice.
    ///
    /// Dropped before it returns, the message may have gone out or not.
    ///
    /// # Errors
    /// [`PushError`]: nothing was attempted.
    pub async fn tell(&self, key: &str, message: impl Into<PushMessage>) -> Result<PushReport, PushError> {
        let (user, message) = (user(key)?, message.into());
        let inner = self.inner();
        inner.push_allowed()?;
        message.check(inner.config.max_push)?;
        farewell::tell_pending(inner, &user, &message);
        self.manager.push(Target::user(user), message).await
    }

    /// Says the last word: everyone who waits for the key, on every node, receives it and is closed with 1000 once it
    /// is written, each exactly once. Where nobody
    /// is there, or nobody's browser answers, it is kept until `keep_until` and told to the first who connects; the
    /// engine's store keeps it as it is. A moment that is over keeps nothing.
    ///
    /// Until `keep_until` a second call for the key tells nobody. That is for a phone that asks twice; of two different
    /// last words at the same moment, the application's own store has to choose one.
    ///
    /// Dropped before it returns, it goes on by itself.
    ///
    /// # Errors
    /// [`FinishError`]. After `NotKept` a second call tries again.
    pub async fn finish(
        &self,
        key: &str,
        message: impl Into<PushMessage>,
        keep_until: DateTime<Utc>,
    ) -> Result<Finished, FinishError> {
        let user = user(key).map_err(PushError::from)?;
        let inner = self.inner();
        inner.push_allowed()?;
        let last = message.into();
        last.check(inner.config.max_push)?;
        let word = LastWord { message: last, until: keep_until };
        let said = inner.room.spawn(say(inner.clone(), user, word));
        match said {
            Some(said) => said.await.unwrap_or(Err(PushError::ShutDown.into())),
            None => Err(PushError::ShutDown.into()),
        }
    }

    /// Ends the waiting for a key now, as if its time were over, and forgets a last word that is kept. Returns how many
    /// connections were told. A page may connect again: it is the handler that knows which keys there are.
    ///
    /// # Errors
    /// [`PushError`], for a key that cannot be.
    pub async fn expire(&self, key: &str) -> Result<usize, PushError> {
        let user = user(key)?;
        // First, so that nobody connects and hears it after this has returned.
        let _ = LastWord::take(self.inner(), key).await;
        let (last, close) = &*self.expired;
        Ok(farewell::tell_all(self.inner(), &user, last, close, None).await.count())
    }

    /// Connections that wait, for all keys and on all nodes.
    pub async fn count(&self) -> usize {
        self.manager.get_connection_count().await
    }

    /// Whether anybody waits for the key, on any node.
    pub async fn is_waiting(&self, key: &str) -> bool {
        self.manager.is_online(key).await
    }

    /// Drains this node: who waits is closed with 4302 `drain`, so that the page comes back to another node; who is new
    /// is refused with 503. See [`OnlineManager::shutdown`].
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.manager.shutdown(deadline).await
    }

    pub(crate) fn manager(&self) -> &OnlineManager {
        &self.manager
    }

    fn inner(&self) -> &Arc<Inner> {
        self.manager.inner()
    }

    /// Who waits: the key as a user, and a token of its own, so that two tabs are two.
    pub(crate) fn guest(&self, key: &str, expires_at: DateTime<Utc>) -> Result<Identity, InvalidInput> {
        let guest = Identity::new(user(key)?).token_id(TokenId::hash(&Uuid::now_v7().to_string()));
        // Whose time is over looks for a last word before it is told so: no deadline hurries it.
        let over = expires_at <= self.inner().clock.utc();
        Ok(if over { guest } else { guest.expires_at(expires_at) })
    }

    pub(crate) fn hooks(&self, mut hooks: Hooks, guest: &Identity) -> Hooks {
        hooks.expires_with(self.expired.clone());
        let (waiting, over) = (self.clone(), guest.expires_at.is_none());
        hooks.on_present(move |connection: Connection| {
            // A task of its own: a word that was taken is told or put back, though the page leaves meanwhile.
            waiting.inner().room.spawn(look(waiting.clone(), connection, over));
        });
        hooks.on_message(async |_, _| Ok(Reply::None))
    }
}

impl Default for Rendezvous {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendezvous").field("manager", &self.manager).finish_non_exhaustive()
    }
}

fn expired(message: PushMessage) -> Arc<(Encoded, Close)> {
    Arc::new((Encoded::new(Arc::new(message)), Close::SESSION_ENDED))
}

fn user(key: &str) -> Result<UserKey, InvalidInput> {
    check_name("key", key, MAX_LOGIN_ID)?;
    Ok(UserKey::new(key))
}

/// What a connection does first: the word that was kept for it. Where its time is `over`, it is told so after that.
async fn look(waiting: Rendezvous, connection: Connection, over: bool) {
    let (inner, conn) = (waiting.inner(), &connection.conn);
    let key = connection.user().login_id();
    match LastWord::take(inner, key).await {
        Ok(Some(word)) => farewell::hand_over(inner, conn, key, word).await,
        Err(error) if inner.config.on_engine_down == OnEngineDown::Refuse503 => {
            tracing::warn!(%error, "nobody knows whether a last word is kept for a page; it is sent away");
            connection.close(Close::OVERLOADED);
        }
        _ if over => drop(farewell::tell(inner, conn, &waiting.expired.0, &waiting.expired.1)),
        _ => {}
    }
}

/// The steps of [`Rendezvous::finish`].
async fn say(inner: Arc<Inner>, user: UserKey, word: LastWord) -> Result<Finished, FinishError> {
    let (key, until) = (user.login_id(), word.until);
    if Mark::find(&inner, key).await.is_some() {
        return Ok(Finished::Before);
    }
    let kept = word.keep(&inner, key).await;
    let last = Encoded::new(Arc::new(word.message));
    let told = farewell::tell_all(&inner, &user, &last, &Close::NORMAL, Some(until)).await;
    let count = told.count();
    if count > 0 {
        Mark::Told.leave(&inner, key, until).await;
        inner.room.spawn(take_back(inner.clone(), user, told));
        return Ok(Finished::Told(count));
    }
    match (kept, Mark::find(&inner, key).await) {
        (Err(error), _) => Err(FinishError::NotKept(error)),
        (Ok(false), _) => Ok(Finished::Nobody),
        (Ok(true), None) => {
            Mark::Kept.leave(&inner, key, until).await;
            Ok(Finished::Kept)
        }
        // Another one, at the same moment.
        (Ok(true), Some(Mark::Kept)) => Ok(Finished::Before),
        (Ok(true), Some(Mark::Told)) => {
            let _ = LastWord::take(&inner, key).await; // Its time ends it too.
            Ok(Finished::Before)
        }
    }
}

/// The word is kept until somebody has heard it: a socket takes bytes for a while when its network is lost.
async fn take_back(inner: Arc<Inner>, user: UserKey, told: Told) {
    if told.was_heard().await {
        let _ = LastWord::take(&inner, user.login_id()).await; // Its time ends it too.
    }
}
