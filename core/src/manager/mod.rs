//! [`OnlineManager`]: the facade. Its methods are short; what they do stands in the planes' own modules.

mod activity;
mod asks;
mod credentials;
mod facade;
mod hand;
mod heal;
mod hearing;
mod inner;
mod node;
mod page;
mod resync;
mod seats;
mod seen;
mod shutdown;
mod sweep;
mod tasks;

use std::{sync::Arc, time::Duration};

pub(crate) use hearing::Hearing;
pub(crate) use inner::{Inner, Parts};
pub use page::{Cursor, Page};

use crate::{
    MessagePusher, ShutdownReport,
    auth::{Action, Identity, TICKET_TTL, encode_ticket, new_ticket, ticket_key},
    builder::Builder,
    cluster::{EngineError, Health},
};

/// Who is online, and every way to reach them. A cheap clone; all clones are one manager.
///
/// ```
/// use herenow::{OnlineManager, OnlineUser};
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let online = OnlineManager::new();
/// let mut session = OnlineUser {
///     login_id: "alice".to_string(),
///     token: "a token".to_string(),
///     device: "web".to_string(),
///     connect_time: chrono::Utc::now(),
///     last_activity: chrono::Utc::now(),
///     metadata: Default::default(),
/// };
/// online.mark_online(session).await;
/// assert!(online.is_online("alice").await);
/// let report = online.push_to_user("bob", "Are you there?").await?;
/// assert_eq!(report.reached(), 0);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct OnlineManager {
    inner: Arc<Inner>,
}

impl OnlineManager {
    /// A manager with every default: this node alone, hand marks and pushers, no authenticator. Needs no runtime.
    #[allow(clippy::new_without_default, clippy::missing_panics_doc)]
    pub fn new() -> Self {
        // The defaults are checked by a test of the builder.
        Self::builder().build().unwrap_or_else(|error| unreachable!("the defaults build: {error}"))
    }

    /// Sets up a manager; every setter states its default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Adds a way to users that is no socket.
    pub async fn register_pusher(&self, pusher: Arc<dyn MessagePusher>) {
        self.inner.pushers.add(pusher);
    }

    // ---- Auth

    /// A one-time ticket for `?ticket=`: good once, for 30 s, on any node, for clients that can send a credential in
    /// no other way. Give it out only to the authenticated user whose identity this is.
    ///
    /// # Errors
    /// The engine's store could not be reached, or is full; tickets are switched off in the builder's `sources`.
    pub async fn issue_ticket(&self, identity: &Identity) -> Result<String, EngineError> {
        if !self.inner.config.sources.takes_tickets() {
            return Err(EngineError::Unsupported);
        }
        let ticket = new_ticket();
        let (key, stored) =
            (ticket_key(&ticket), encode_ticket(&identity.clone().seen_at(self.inner.clock.utc())));
        self.inner.in_time(self.inner.engine.put_once(&key, stored, TICKET_TTL)).await?;
        Ok(ticket)
    }

    /// Whether `who` may do something, by the builder's `authorize` policy; never across accounts.
    pub async fn is_allowed(&self, who: &Identity, action: &Action) -> bool {
        self.inner.allowed(who, action).await
    }

    // ---- The node

    /// How the engine is.
    pub fn engine_health(&self) -> Health {
        self.inner.engine_health()
    }

    /// Whether both are handles of one manager.
    ///
    /// ```
    /// use herenow::OnlineManager;
    ///
    /// let online = OnlineManager::new();
    /// assert!(online.is_same(&online.clone()) && !online.is_same(&OnlineManager::new()));
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Whether the manager was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.inner.is_closing()
    }

    /// Drains this node: new upgrades are refused with 503, what was accepted goes out, every client is told when to
    /// come back (4302 `drain`), and every connection is closed or cut at the latest after `deadline`.
    ///
    /// No framework's graceful shutdown covers upgraded sockets: call this before it.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        self.inner.shut_down(deadline).await
    }
}

impl Default for OnlineManager {
    fn default() -> Self {
        Self::new()
    }
}
