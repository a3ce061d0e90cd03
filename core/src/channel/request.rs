//! What a client asks about channels: each request is allowed or not, done, and answered.

use std::{borrow::Cow, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    entering::{By, Entered, JoinError},
    here_now::{self, HereNow},
    name::ChannelKey,
    viewing::view,
};
use crate::{
    Content, PushMessage, Status, Target, UserKey,
    auth::{Action, Identity},
    clock::later,
    connection::{Batch, Conn},
    manager::Inner,
    protocol::{Ask, ErrorCode, ServerMessage, WireError},
    push,
};

/// Statuses that are looked up at once for one request.
const AT_ONCE: usize = 32;
/// In the metadata of what a client publishes: who it was. No client can say it of another.
const FROM: &str = "from";
/// How long all of these may take together.
const LAST_SEEN_LIMIT: Duration = Duration::from_secs(1);

/// Does what a client asks for, and answers it, whatever becomes of it: a policy that panics or hangs costs this
/// request alone.
pub(crate) async fn answer(inner: Arc<Inner>, conn: Arc<Conn>, id: u64, ask: Ask) {
    let request = Request { inner: &inner, conn: &conn, id };
    let done = AssertUnwindSafe(request.run(ask)).catch_unwind().await;
    let error = match done {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => {
            tracing::error!(
                "a client's request about channels panicked, in the `authorize` policy or a store"
            );
            WireError::new(ErrorCode::Internal, "the server failed at this request")
        }
    };
    conn.control(ServerMessage::Refusal { id, error }.to_frame(), inner.clock.now());
}

/// The token was refreshed: what its new identity may not do any more ends, and the client is told.
pub(crate) async fn authorize_anew(inner: Arc<Inner>, conn: Arc<Conn>) {
    for ended in authorize_as(&inner, &conn, &conn.identity()).await {
        conn.control(ended, inner.clock.now());
    }
}

/// Ends what an identity may not do; returns what its client is to be told. On a resume, before it is a client again.
pub(crate) async fn authorize_as(inner: &Arc<Inner>, conn: &Arc<Conn>, who: &Identity) -> Vec<Bytes> {
    let request = Request { inner, conn, id: 0 };
    let mut ended = Vec::new();
    let (subscribed, presence, watched) = {
        let slot = conn.seats.lock();
        let Some(held) = slot.held() else { return ended };
        let asked = held.subscribed.iter().filter(|seat| !seat.by_app);
        let subscribed: Vec<Arc<str>> = asked.map(|seat| seat.channel.shared_name()).collect();
        let presence: Vec<Arc<str>> = held.presence.iter().map(ChannelKey::shared_name).collect();
        (subscribed, presence, held.watched.iter().cloned().collect::<Vec<UserKey>>())
    };
    for channel in subscribed {
        let action = Action::Subscribe { channel: channel.clone() };
        if request.is_still_allowed(who, &action).await == Some(false)
            && inner.channels.unsubscribe(conn, &channel, || ())
        {
            ended.push(told_end(&action));
        }
    }
    for channel in presence {
        let action = Action::SubscribePresence { channel: channel.clone() };
        if request.is_still_allowed(who, &action).await == Some(false)
            && inner.channels.unsubscribe_presence(conn, &channel)
        {
            ended.push(told_end(&action));
        }
    }
    for user in watched {
        let action = Action::SeeStatus { user: user.clone() };
        if request.is_still_allowed(who, &action).await == Some(false)
            && inner.channels.unwatch(conn, [&user])
        {
            ended.push(told_end(&action));
        }
    }
    ended
}

/// Users that a connection begins to watch: what happens to them follows once this is dropped, behind the answer.
struct Starting<'a> {
    request: &'a Request<'a>,
    users: Vec<UserKey>,
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let Request { inner, conn, .. } = self.request;
        inner.channels.watch_answered(conn, &self.users);
    }
}

struct Request<'a> {
    inner: &'a Arc<Inner>,
    conn: &'a Arc<Conn>,
    id: u64,
}

impl Request<'_> {
    async fn run(&self, ask: Ask) -> Result<(), WireError> {
        match ask {
            Ask::Subscribe { channel } => self.subscribe(&channel).await,
            Ask::Unsubscribe { channel } => self.unsubscribe(&channel),
            Ask::SubscribePresence { channel } => self.subscribe_presence(&channel).await,
            Ask::UnsubscribePresence { channel } => self.unsubscribe_presence(&channel),
            Ask::HereNow { channels, include_users, distinct, limit } => {
                let asked = HereNow::of(channels).limit(limit.unwrap_or(HereNow::DEFAULT_LIMIT));
                let asked = if include_users { asked.include_users() } else { asked };
                self.here_now(if distinct { asked.distinct() } else { asked }).await
            }
            Ask::Watch { users } => self.watch(users).await,
            Ask::Unwatch { users } => self.unwatch(&users),
            Ask::Publish { channel, data } => self.publish(&channel, data).await,
        }
    }

    async fn subscribe(&self, channel: &str) -> Result<(), WireError> {
        self.allow(&[Action::Subscribe { channel: channel.into() }]).await?;
        match self.inner.channels.subscribe(self.conn, channel, By::Client, || self.done())? {
            Entered::Now => Ok(()),
            Entered::Before => {
                let message = format!("this connection is subscribed to channel {channel:?} already");
                Err(WireError::new(ErrorCode::AlreadySubscribed, message))
            }
        }
    }

    fn unsubscribe(&self, channel: &str) -> Result<(), WireError> {
        match self.inner.channels.unsubscribe(self.conn, channel, || self.done()) {
            true => Ok(()),
            false => {
                Err(not_subscribed(&format!("this connection is not subscribed to channel {channel:?}")))
            }
        }
    }

    async fn subscribe_presence(&self, channel: &str) -> Result<(), WireError> {
        self.allow(&[Action::SubscribePresence { channel: channel.into() }]).await?;
        let key = ChannelKey::beside(self.conn.user(), channel);
        key.check().map_err(JoinError::from)?;
        let _viewing = view(self.inner, &key).await.map_err(JoinError::from)?;
        self.room().await;
        Ok(self.inner.channels.subscribe_presence(self.conn, channel, || self.done())?)
    }

    fn unsubscribe_presence(&self, channel: &str) -> Result<(), WireError> {
        if !self.inner.channels.unsubscribe_presence(self.conn, channel) {
            let message = format!("this connection is not subscribed to the presence of channel {channel:?}");
            return Err(not_subscribed(&message));
        }
        self.done();
        Ok(())
    }

    async fn here_now(&self, asked: HereNow) -> Result<(), WireError> {
        self.room().await;
        // No more than an outbox takes.
        let most = here_now::MAX_ANSWER.min(self.inner.config.bounds.outbox.bytes / 2);
        let who = self.conn.identity();
        let body = self.in_time(here_now::answer(self.inner, &who, asked, most)).await??;
        let body = RawValue::from_string(body).map_err(|error| internal(&error.to_string()))?;
        self.reply_with_data(&body);
        Ok(())
    }

    async fn publish(&self, channel: &str, data: Box<RawValue>) -> Result<(), WireError> {
        self.allow(&[Action::Publish { channel: channel.into() }]).await?;
        let target = Target::from(ChannelKey::beside(self.conn.user(), channel));
        let message = PushMessage::new(Content::Json(data)).metadata(FROM, self.conn.user().login_id());
        let report = push::push(self.inner, target, message, None).await;
        let matched = report.map_err(|error| refused_push(&error))?.matched;
        self.reply(&Matched { matched });
        Ok(())
    }

    /// All of them or none: a request is refused whole.
    async fn watch(&self, users: Vec<String>) -> Result<(), WireError> {
        let mut users: Vec<UserKey> = users.into_iter().map(|id| beside(self.conn.user(), id)).collect();
        users.sort();
        users.dedup();
        self.inner.channels.check_watched(users.len())?; // Before the policy is asked about each.
        let actions: Vec<Action> =
            users.iter().map(|user| Action::SeeStatus { user: user.clone() }).collect();
        self.allow(&actions).await?;
        let starting = Starting { request: self, users: self.inner.channels.begin_watch(self.conn, &users)? };
        let states = match self.in_time(self.states_of(&users)).await {
            Ok(states) => states,
            Err(late) => {
                self.inner.channels.unwatch(self.conn, &starting.users);
                return Err(late);
            }
        };
        let statuses = states.iter().map(|state| &state.status);
        self.inner.channels.watch_known(self.conn, users.iter().zip(statuses));
        self.reply_with_data(&States { users: states });
        Ok(())
    }

    fn unwatch(&self, users: &[String]) -> Result<(), WireError> {
        let users: Vec<UserKey> = users.iter().map(|id| beside(self.conn.user(), id.as_str())).collect();
        self.inner.channels.unwatch(self.conn, &users);
        self.done();
        Ok(())
    }

    async fn states_of(&self, users: &[UserKey]) -> Vec<UserState> {
        let statuses = futures_util::stream::iter(users.to_vec()).map(|user| self.inner.status(user));
        let statuses: Vec<Status> = statuses.buffered(AT_ONCE).collect().await;
        let offline: Vec<UserKey> = users
            .iter()
            .zip(&statuses)
            .filter(|(_, status)| !status.is_online())
            .map(|(user, _)| user.clone())
            .collect();
        let mut seen = self.last_seen_of(&offline).await.into_iter();
        let state = |(user, status): (&UserKey, Status)| {
            let last_seen = if status.is_online() { None } else { seen.next().flatten() };
            UserState { id: user.login_id().into(), status, last_seen }
        };
        users.iter().zip(statuses).map(state).collect()
    }

    /// A store that does not answer costs the answer nothing but this.
    async fn last_seen_of(&self, users: &[UserKey]) -> Vec<Option<i64>> {
        if users.is_empty() {
            return Vec::new();
        }
        let until = later(self.inner.clock.now(), LAST_SEEN_LIMIT);
        let seen = self.inner.last_seen_of(users, Some(until)).await;
        seen.into_iter().map(|at| at.map(|at| at.timestamp_millis())).collect()
    }

    /// Asks the policy, of one action after the other, within one deadline.
    async fn allow(&self, actions: &[Action]) -> Result<(), WireError> {
        let who = self.conn.identity();
        let refused = async {
            for action in actions {
                if !self.inner.allowed(&who, action).await {
                    return Some(action);
                }
            }
            None
        };
        match self.in_time(refused).await? {
            None => Ok(()),
            Some(action) => Err(WireError::new(ErrorCode::Forbidden, not_allowed(action))),
        }
    }

    /// `None` where the policy does not say: then it is asked again at the next refresh.
    async fn is_still_allowed(&self, who: &Identity, action: &Action) -> Option<bool> {
        let asked = AssertUnwindSafe(self.inner.allowed(who, action)).catch_unwind();
        self.in_time(asked).await.ok()?.ok()
    }

    async fn in_time<T>(&self, asked: impl Future<Output = T>) -> Result<T, WireError> {
        let limit = self.inner.config.authenticator_deadline;
        let late = || WireError::new(ErrorCode::Timeout, "the server took too long; try again");
        tokio::time::timeout(limit, asked).await.map_err(|_| late())
    }

    /// Waits until the client has read what it was sent: a large answer to one that does not read would end it.
    async fn room(&self) {
        std::future::poll_fn(|_| self.conn.poll_idle()).await;
    }

    fn done(&self) {
        self.reply(&Nothing {});
    }

    fn reply(&self, result: &impl Serialize) {
        self.conn.control(self.frame(result), self.inner.clock.now());
    }

    /// Behind the pushes: it may be too long for the lane of the control frames.
    fn reply_with_data(&self, result: &impl Serialize) {
        let batch = Batch::other(self.frame(result));
        self.conn.push(&batch, &self.inner.config.bounds, self.inner.clock.now());
    }

    fn frame(&self, result: &impl Serialize) -> bytes::Bytes {
        // Strings, numbers and valid JSON: nothing can fail.
        let result = serde_json::value::to_raw_value(result).ok();
        ServerMessage::Reply { id: self.id, result: result.as_deref() }.to_frame()
    }
}

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Matched {
    matched: usize,
}

#[derive(Serialize)]
struct States {
    users: Vec<UserState>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserState {
    id: Arc<str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<i64>,
}

/// A user of the same account.
fn beside(user: &UserKey, login_id: impl AsRef<str>) -> UserKey {
    UserKey::in_account(user.account().unwrap_or_default(), login_id)
}

fn told_end(action: &Action) -> Bytes {
    ServerMessage::refuse(None, ErrorCode::Forbidden, not_allowed(action)).to_frame()
}

/// Names what was asked for, and in a debug build who decides.
fn not_allowed(action: &Action) -> String {
    let what = match (action.channel(), action.user()) {
        (Some(channel), _) => format!("{} of channel {channel:?}", action.name()),
        (None, Some(user)) => format!("{} of user {:?}", action.name(), user.login_id()),
        (None, None) => action.name().to_owned(),
    };
    let hook = if cfg!(debug_assertions) { " (OnlineManager::builder().authorize(..) decides)" } else { "" };
    format!("not allowed: {what}{hook}")
}

fn not_subscribed(message: &str) -> WireError {
    WireError::new(ErrorCode::NotSubscribed, message.to_owned())
}

fn internal(message: &str) -> WireError {
    WireError::new(ErrorCode::Internal, message.to_owned())
}

fn refused_push(error: &crate::PushError) -> WireError {
    let code = match error {
        crate::PushError::TooLarge { .. } => ErrorCode::LimitExceeded,
        crate::PushError::ShutDown => ErrorCode::Internal,
        _ => ErrorCode::BadFrame,
    };
    WireError::new(code, error.to_string())
}

impl From<JoinError> for WireError {
    fn from(error: JoinError) -> Self {
        use crate::error::InvalidInput;
        // What the application sets is no news to its clients.
        let (code, message) = match &error {
            JoinError::TooMany { limit } => {
                (ErrorCode::LimitExceeded, format!("this connection may be in {limit} channels"))
            }
            JoinError::Full => {
                (ErrorCode::LimitExceeded, "the server has no room for another channel".into())
            }
            JoinError::Invalid(InvalidInput::TooLong { .. }) => (ErrorCode::LimitExceeded, error.to_string()),
            JoinError::Invalid(_) => (ErrorCode::BadFrame, error.to_string()),
            JoinError::Closed => (ErrorCode::Internal, error.to_string()),
        };
        Self::new(code, Cow::Owned(message))
    }
}
