//! [`OnlineManager`]: the facade. Its methods are short; what they do stands in the planes' own modules.

mod channels;
mod hand;
mod heal;
mod inner;
mod node;
mod page;
mod resync;
mod seen;
mod shutdown;
mod sweep;
mod tasks;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
pub(crate) use inner::{Hearing, Inner, Parts};
pub use page::{Cursor, Page};
use tracing::Instrument;

use crate::{
    AccountUser, AckReport, ChannelKey, Events, KickOut, KickReport, Marked, MessagePusher, NamesUser,
    OnlineUser, PushMessage, PushReport, Refused, Session, ShutdownReport, Status, Target, UserKey, UserRef,
    auth::{Action, Identity, TICKET_TTL, TokenId, encode_ticket, new_ticket, ticket_key},
    builder::Builder,
    cluster::{Answer, AskTo, EngineError, Found, Health, Lookup, Query, Wish},
    error::{InvalidInput, KickError, PushError},
    kick, observe,
    presence::Interest,
    push, resume,
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

    // ---- Marks by hand

    /// Marks a session online by hand: a connection without a socket, one for each user and token, which ends by
    /// `mark_offline`, a kick or `hand_ttl`. Marked again, it keeps its `connect_time` and counts as active.
    pub async fn mark_online(&self, user: impl Into<AccountUser>) -> Marked {
        self.inner.mark(user.into()).await
    }

    /// As [`mark_online`](Self::mark_online), with the refusal as an error.
    ///
    /// # Errors
    /// [`Refused`]: an id that cannot be taken, a kicked token, a ban, the login policy.
    pub async fn try_mark_online(&self, user: impl Into<AccountUser>) -> Result<Marked, Refused> {
        self.inner.try_mark(user.into()).await
    }

    /// Ends one session of a user, hand mark and sockets (4424 `logged_out`), on every node. The token stays good.
    pub async fn mark_offline(&self, login_id: impl NamesUser, token: &str) {
        self.log_out(login_id, Some(TokenId::of(token))).await;
    }

    /// Ends every session of a user, on every node. The tokens stay good; see [`kick_out`](Self::kick_out).
    pub async fn mark_offline_all(&self, login_id: impl NamesUser) {
        self.log_out(login_id, None).await;
    }

    async fn log_out(&self, user: impl NamesUser, token: Option<TokenId>) {
        kick::log_out(&self.inner, user.named(), token);
        let user: UserKey = user.into();
        self.ask_owners(|| (user.clone(), Query::LogOut { user, token })).await;
    }

    // ---- Presence

    /// Whether a user is online, on any node; never fails and never scans. In the grace period after a disconnect,
    /// yes.
    pub async fn is_online(&self, login_id: impl NamesUser) -> bool {
        self.get_status(login_id).await.is_online()
    }

    /// A user's status, on all nodes together.
    pub async fn get_status(&self, login_id: impl NamesUser) -> Status {
        self.inner.status(login_id).await
    }

    /// Distinct users online on all nodes, of all accounts. Counted as they come and go, not by a scan.
    pub async fn get_online_count(&self) -> usize {
        if self.inner.engine.is_clustered()
            && let Ok(Found::Count(count)) = self.inner.lookup(Lookup::Count).await
        {
            return count;
        }
        self.inner.registry.users()
    }

    /// Sockets and streams that are open, on all nodes; hand marks are none.
    pub async fn get_connection_count(&self) -> usize {
        let others = self.ask_others(|| Query::Connections).await;
        let elsewhere: usize =
            others.iter().map(|answer| if let Answer::Connections(n) = answer { *n } else { 0 }).sum();
        self.inner.registry.sockets() + elsewhere
    }

    /// The login ids of everybody online in the default account: O(n), for small installations and tests. See
    /// [`online_users`](Self::online_users) for pages.
    pub async fn get_online_users(&self) -> Vec<String> {
        let mut users = Vec::new();
        self.inner
            .each_online(|user| {
                if user.account().is_none() {
                    users.push(user.login_id().to_owned());
                }
            })
            .await;
        users
    }

    /// The users online in every account, a page at a time; `None` begins.
    pub async fn online_users(&self, cursor: Option<Cursor>, limit: usize) -> Page<UserKey> {
        self.inner.page(cursor, limit).await
    }

    /// The sessions of a user on all nodes, in the seeds' shape; tabs of one token are one. `token` is the handle.
    pub async fn get_user_sessions(&self, login_id: impl NamesUser) -> Vec<OnlineUser> {
        let sessions = self.sessions_of(login_id.named()).await.into_iter();
        sessions.map(|session| hand::online_user(login_id.named(), session)).collect()
    }

    /// The sessions of a user on all nodes, each with its status; tabs of one token are one.
    pub async fn sessions(&self, login_id: impl NamesUser) -> Vec<Session> {
        self.sessions_of(login_id.named()).await
    }

    async fn sessions_of(&self, user: UserRef<'_>) -> Vec<Session> {
        let mut sessions = self.inner.sessions_here(user);
        for answer in self.ask_owners(|| (user.to_key(), Query::Sessions(user.to_key()))).await {
            if let Answer::Sessions(others) = answer {
                others.into_iter().for_each(|other| hand::merge(&mut sessions, other));
            }
        }
        sessions
    }

    /// Counts as activity of one session: its user is no longer idle.
    pub async fn update_activity(&self, login_id: impl NamesUser, token: &str) {
        let token = Some(TokenId::of(token));
        if !self.inner.touch_session(login_id.named(), token) {
            let user: UserKey = login_id.into();
            self.ask_owners(|| (user.clone(), Query::Touch { user, token })).await;
        }
    }

    /// Sets a user away by hand, on every connection, until it says otherwise.
    pub async fn set_away(&self, login_id: impl NamesUser) {
        let _ = self.set_status(login_id, Status::Away).await; // No word that could be wrong.
    }

    /// Sets what every connection of a user says: online, away or a word of the application's.
    /// [`Status::Offline`] changes nothing; see [`mark_offline_all`](Self::mark_offline_all).
    ///
    /// # Errors
    /// The word is empty, longer than [`Status::MAX_WORD`], or has characters that are not shown as they are written:
    /// nothing is changed.
    pub async fn set_status(&self, login_id: impl NamesUser, status: Status) -> Result<(), InvalidInput> {
        status.check()?;
        self.inner.say_all(login_id.named(), &status);
        let user: UserKey = login_id.into();
        self.ask_owners(|| (user.clone(), Query::Say { user, status })).await;
        Ok(())
    }

    /// Remembers that a user was here just now.
    pub async fn update_last_seen(&self, login_id: impl NamesUser) {
        let user = login_id.into();
        self.inner.touch_session(&user, None);
        self.inner.mine.remember(&user, self.inner.clock.utc());
    }

    /// When a user was last here, on any node: of somebody online the latest activity, else the last disconnect, as the
    /// nodes remember it or the application's own store.
    pub async fn last_seen(&self, login_id: impl NamesUser) -> Option<DateTime<Utc>> {
        self.inner.last_seen_of(&[login_id.into()], None).await.into_iter().flatten().next()
    }

    /// Every transition of the cluster that this node made: each comes on exactly one node, so "write last seen" and
    /// "send a mail" hang on it. A listener that is too slow is told `Missed(n)` and holds nobody up.
    pub fn events(&self) -> Events {
        self.inner.mine.events.listen()
    }

    /// Every transition of the cluster, on every node.
    ///
    /// Where there are several nodes, this one asks the others for all of it from the first listener on, and until the last
    /// is gone; what happens before the question has arrived is not told.
    pub fn cluster_events(&self) -> Events {
        let engine = &self.inner.engine;
        if !engine.is_clustered() {
            return self.inner.mine.cluster.listen();
        }
        let inner = Arc::downgrade(&self.inner);
        let interest = Interest::until(move || {
            if let Some(inner) = inner.upgrade().filter(|inner| !inner.mine.cluster.is_heard()) {
                inner.engine.wishes(&Wish::Everything, false);
            }
        });
        let events = self.inner.mine.cluster.listen_with(Some(interest));
        engine.wishes(&Wish::Everything, true);
        events
    }

    // ---- Push

    /// Pushes a message to whoever the target names. Nobody being there is no error: look at
    /// [`PushReport::reached`].
    ///
    /// Dropped before it returns, the message may have gone out or not.
    ///
    /// # Errors
    /// [`PushError`]: nothing was attempted.
    pub async fn push(
        &self,
        target: impl Into<Target>,
        message: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        let target = target.into();
        let span = observe::push_span(&self.inner.config, &target);
        push::push(&self.inner, target, message.into(), None).instrument(span).await
    }

    /// Pushes, asks the clients of envelope mode to acknowledge, and waits until every one that took it has, or until
    /// `deadline`. Clients of this node only; one that is away and comes back in time counts.
    ///
    /// Dropped before it returns, the message may have gone out or not.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// ```
    /// use std::time::Duration;
    /// use herenow::{OnlineManager, Target};
    ///
    /// # async fn example(online: OnlineManager) -> Result<(), herenow::PushError> {
    /// let report = online.push_with_ack("alice", "Your turn", Duration::from_secs(5)).await?;
    /// if report.acked.is_empty() {
    ///     // Nobody has seen it: send a mail.
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn push_with_ack(
        &self,
        target: impl Into<Target>,
        message: impl Into<PushMessage>,
        deadline: Duration,
    ) -> Result<AckReport, PushError> {
        let target = target.into();
        let span = observe::push_span(&self.inner.config, &target);
        resume::push_with_ack(&self.inner, target, message.into(), deadline).instrument(span).await
    }

    /// Pushes to one user.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_to_user(
        &self,
        login_id: impl Into<UserKey>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(Target::user(login_id), content).await
    }

    /// Pushes to several users; one who is offline costs the others nothing.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_to_users<U: Into<UserKey>>(
        &self,
        login_ids: impl IntoIterator<Item = U>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(Target::users(login_ids), content).await
    }

    /// Pushes to everyone of the default account; resolves when every lane has written or queued it.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn broadcast(&self, content: impl Into<PushMessage>) -> Result<PushReport, PushError> {
        self.push(Target::everyone(), content).await
    }

    /// Pushes to the subscribers of a channel, on every node; in envelope mode the push names the channel. Nobody being
    /// there is no error. A channel names no user: nothing goes to the offline sink, and pushers are asked for the
    /// members that are on this node.
    ///
    /// ```
    /// use herenow::testing;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let online = testing::builder().build()?;
    /// let mut phone = testing::connect(&online, "u1").await;
    /// phone.connection().join("lobby")?;
    /// assert_eq!(online.publish("lobby", "Welcome!").await?.matched, 1);
    /// assert_eq!(phone.expect_push().await, "Welcome!");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn publish(
        &self,
        channel: impl Into<ChannelKey>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(channel.into(), content).await
    }

    /// Pushes a whole message, type and metadata included, to one user.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_message_to_user(
        &self,
        login_id: impl Into<UserKey>,
        message: PushMessage,
    ) -> Result<PushReport, PushError> {
        self.push(Target::user(login_id), message).await
    }

    // ---- Kick-out

    /// Ends what the target names, on every node, and refuses its tokens from now on. When it returns, every socket
    /// of it is closed or cut; the report says whether all went well.
    ///
    /// A fresh login after it is accepted, unless the kick bans. Dropped on the way, it is done in part: what was
    /// taken is closed by its own deadlines.
    ///
    /// # Errors
    /// [`KickError`]: nothing was attempted.
    pub async fn kick_out(
        &self,
        target: impl Into<Target>,
        kick: impl Into<KickOut>,
    ) -> Result<KickReport, KickError> {
        let target = target.into();
        let span = observe::kick_span(&self.inner.config, &target);
        kick::kick(&self.inner, target, kick.into()).instrument(span).await
    }

    /// Kicks a user out with a text for people.
    ///
    /// # Errors
    /// As [`kick_out`](Self::kick_out).
    pub async fn kick_out_notify(
        &self,
        login_id: impl Into<UserKey>,
        reason: impl Into<String>,
    ) -> Result<KickReport, KickError> {
        self.kick_out(Target::user(login_id), KickOut::because(reason)).await
    }

    /// Pushes a last message to one user and then closes its connections properly, on every node, with a code of the
    /// application's own (4000–4299) or one of the table. The tokens stay good.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_and_close(
        &self,
        login_id: impl Into<UserKey>,
        content: impl Into<PushMessage>,
        close: crate::Close,
    ) -> Result<PushReport, PushError> {
        let user = login_id.into();
        let report = self.push(Target::user(&user), content).await?;
        if matches!(report.remote, crate::report::Remote::Pending(_)) {
            // The push is on its way before the question is, and what arrives with it is taken in before it there.
            let _ = self.in_time(self.inner.engine.caught_up()).await;
        }
        kick::close_user(&self.inner, &user, &close);
        self.ask_owners(|| (user.clone(), Query::Close { user, close })).await;
        Ok(report)
    }

    /// Lifts every ban of a user, on every node that can be reached.
    ///
    /// # Errors
    /// The engine's store could not be reached.
    pub async fn lift_ban(&self, login_id: impl Into<UserKey>) -> Result<(), EngineError> {
        let user = login_id.into();
        self.inner.deny.lift(&user);
        if !self.inner.engine.is_clustered() {
            return Ok(());
        }
        self.in_time(self.inner.engine.lift_ban(&user)).await?;
        self.ask_others(|| Query::LiftBan(user)).await;
        Ok(())
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
        self.in_time(self.inner.engine.put_once(&key, stored, TICKET_TTL)).await?;
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

    /// No answer within the engine's deadline is an error like any other.
    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let answer = tokio::time::timeout(self.inner.config.engine_deadline, asked).await;
        answer.unwrap_or_else(|_| Err(EngineError::Unavailable("no answer in time".into())))
    }

    /// Where nobody has anything of the user, nobody is asked.
    async fn ask_owners(&self, query: impl FnOnce() -> (UserKey, Query)) -> Vec<Answer> {
        let to_owners = || {
            let (user, query) = query();
            (AskTo::Owners(user), query)
        };
        self.ask(to_owners).await
    }

    async fn ask_others(&self, query: impl FnOnce() -> Query) -> Vec<Answer> {
        self.ask(|| (AskTo::Others, query())).await
    }

    async fn ask(&self, query: impl FnOnce() -> (AskTo, Query)) -> Vec<Answer> {
        if !self.inner.engine.is_clustered() {
            return Vec::new();
        }
        let (to, query) = query();
        let answers = self.inner.engine.ask(to, query.encode(), self.inner.config.engine_deadline).await;
        answers.answers.iter().filter_map(|answer| Answer::decode(answer).ok()).collect()
    }
}

impl Default for OnlineManager {
    fn default() -> Self {
        Self::new()
    }
}
