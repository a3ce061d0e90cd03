//! Ways to a user that are no socket: [`MessagePusher`] and the ready [`InMemoryPusher`].

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::StreamExt;
use parking_lot::{Mutex, RwLock};

use crate::{MessageType, PushMessage, UserKey, room::Room};

/// When a pusher is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PushWhen {
    /// For every message. The default.
    #[default]
    Always,
    /// For users who are online.
    Online,
    /// For users who are not.
    Offline,
}

/// A pusher failed; its text goes to the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PusherError(pub String);

/// A way to a user that is no socket of ours: mobile push, mail, a queue.
///
/// Pushers run beside each other, each under a time limit (builder: `pusher_timeout`, default 5 s); one that fails,
/// panics or hangs fails only itself.
///
/// ```
/// use herenow::{MessagePusher, PushMessage, PusherError};
///
/// struct Mail;
///
/// #[async_trait::async_trait]
/// impl MessagePusher for Mail {
///     async fn push(&self, login_id: &str, message: PushMessage) -> Result<(), PusherError> {
///         println!("mail to {login_id}: {}", message.message_id);
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait MessagePusher: Send + Sync + 'static {
    /// Pushes a message to one user of the default account.
    ///
    /// # Errors
    /// Whatever went wrong; it is logged and counted, and nobody else's push fails for it.
    async fn push(&self, login_id: &str, message: PushMessage) -> Result<(), PusherError>;

    /// Pushes a message to a user of any account. By default, users of named accounts are passed by: their login ids
    /// mean somebody else here.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    async fn push_to(&self, user: &UserKey, message: PushMessage) -> Result<(), PusherError> {
        match user.account() {
            None => self.push(user.login_id(), message).await,
            Some(_) => Err(PusherError("this pusher serves the default account only".into())),
        }
    }

    /// Whether it takes messages of this type; all by default.
    fn supports(&self, message_type: &MessageType) -> bool {
        let _ = message_type;
        true
    }

    /// When it is asked; always by default.
    fn when(&self) -> PushWhen {
        PushWhen::Always
    }
}

/// Keeps messages in memory, for tests and for polling clients: the latest 100 of each of 10,000 users.
#[derive(Clone, Default)]
pub struct InMemoryPusher {
    mailboxes: Arc<Mutex<Mailboxes>>,
}

#[derive(Default)]
struct Mailboxes {
    by_user: HashMap<String, VecDeque<PushMessage>>,
    order: VecDeque<String>,
}

impl InMemoryPusher {
    /// The most messages kept for one user.
    pub const MAX_MESSAGES: usize = 100;
    /// The most users messages are kept for; the one whose first message is oldest goes first.
    pub const MAX_USERS: usize = 10_000;

    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The messages kept for a user, oldest first.
    pub async fn get_messages(&self, login_id: &str) -> Vec<PushMessage> {
        let boxes = self.mailboxes.lock();
        boxes.by_user.get(login_id).map(|messages| messages.iter().cloned().collect()).unwrap_or_default()
    }

    /// Forgets the messages of a user.
    pub async fn clear_messages(&self, login_id: &str) {
        let mut boxes = self.mailboxes.lock();
        boxes.by_user.remove(login_id);
        boxes.order.retain(|user| user != login_id);
    }
}

#[async_trait]
impl MessagePusher for InMemoryPusher {
    async fn push(&self, login_id: &str, message: PushMessage) -> Result<(), PusherError> {
        let mut boxes = self.mailboxes.lock();
        if !boxes.by_user.contains_key(login_id) {
            if boxes.order.len() >= Self::MAX_USERS
                && let Some(oldest) = boxes.order.pop_front()
            {
                boxes.by_user.remove(&oldest);
            }
            boxes.order.push_back(login_id.to_owned());
        }
        let messages = boxes.by_user.entry(login_id.to_owned()).or_default();
        if messages.len() >= Self::MAX_MESSAGES {
            messages.pop_front();
        }
        messages.push_back(message);
        Ok(())
    }
}

impl fmt::Debug for InMemoryPusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryPusher").field("users", &self.mailboxes.lock().order.len()).finish()
    }
}

/// The pushers of a manager.
#[derive(Default)]
pub(crate) struct Pushers {
    list: RwLock<Vec<Arc<dyn MessagePusher>>>,
}

impl Pushers {
    pub(crate) fn add(&self, pusher: Arc<dyn MessagePusher>) {
        self.list.write().push(pusher);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.read().is_empty()
    }

    fn that_take(&self, kind: &MessageType) -> Vec<Arc<dyn MessagePusher>> {
        self.list.read().iter().filter(|pusher| pusher.supports(kind)).cloned().collect()
    }
}

impl fmt::Debug for Pushers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} pushers", self.list.read().len())
    }
}

/// Calls of pushers under way at once, for one push.
const AT_ONCE: usize = 64;

/// Asks every pusher that fits for every user, each call a task of its own: isolated, limited in time. Returns for
/// each user how many took the message.
pub(crate) async fn run_pushers(
    pushers: &Pushers,
    room: &Room,
    limit: Duration,
    users: Vec<(UserKey, bool)>,
    message: &PushMessage,
) -> Vec<(UserKey, usize)> {
    let pushers = pushers.that_take(&message.message_type);
    if pushers.is_empty() {
        return Vec::new();
    }
    let one_user = |(user, online): (UserKey, bool)| {
        let fitting: Vec<_> = pushers.iter().filter(|pusher| fits(pusher.when(), online)).cloned().collect();
        async move {
            let calls =
                fitting.into_iter().map(|pusher| call(pusher, room, limit, user.clone(), message.clone()));
            let took = futures_util::future::join_all(calls).await.into_iter().filter(|took| *took).count();
            (user, took)
        }
    };
    futures_util::stream::iter(users).map(one_user).buffer_unordered(AT_ONCE).collect().await
}

fn fits(when: PushWhen, online: bool) -> bool {
    match when {
        PushWhen::Always => true,
        PushWhen::Online => online,
        PushWhen::Offline => !online,
    }
}

async fn call(
    pusher: Arc<dyn MessagePusher>,
    room: &Room,
    limit: Duration,
    user: UserKey,
    message: PushMessage,
) -> bool {
    let task = async move { tokio::time::timeout(limit, pusher.push_to(&user, message)).await };
    let Some(task) = room.spawn(task) else { return false };
    let problem = match task.await {
        Ok(Ok(Ok(()))) => return true,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(_)) => "timed out".to_owned(),
        Err(panic) => panic.to_string(),
    };
    metrics::counter!(crate::observe::PUSHER_FAILURES).increment(1);
    tracing::warn!(?problem, "a message pusher failed");
    false
}
