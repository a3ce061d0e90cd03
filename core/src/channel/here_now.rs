//! `hereNow`: who is in channels, now. One question, one serializer, for the socket, REST and the application
//! (`docs/PROTOCOL.md`, section 4).

use std::{borrow::Borrow, collections::HashSet, io, iter, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{Hub, Snapshot, name::check_channel};
use crate::{
    ChannelKey,
    auth::{Action, Identity},
    cluster::{Found, Lookup},
    error::InvalidInput,
    manager::Inner,
    protocol::{ErrorCode, WireError},
};

/// The most bytes of an answer to somebody else: what an outbox holds by default.
pub(crate) const MAX_ANSWER: usize = 1024 * 1024;

/// Which channels to look into, and how closely; asked by [`OnlineManager::here_now`](crate::OnlineManager::here_now).
///
/// ```
/// use herenow::HereNow;
///
/// let amounts = HereNow::of(["lobby", "sports"]);
/// let members = HereNow::of(["lobby"]).include_users().distinct().limit(10).in_account("tenant-1");
/// # let _ = (amounts, members);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it is a question; `OnlineManager::here_now` answers it"]
pub struct HereNow {
    account: Option<Arc<str>>,
    channels: Vec<String>,
    include_users: bool,
    distinct: bool,
    limit: usize,
}

impl HereNow {
    /// The most channels of one request of a client; an application may ask for any number.
    pub const MAX_CHANNELS: usize = 100;
    /// How many users are listed per channel where nobody says.
    pub const DEFAULT_LIMIT: usize = 1000;
    /// The most users listed per channel.
    pub const MAX_LIMIT: usize = 10_000;

    /// Asks how many are in these channels of the default account; a name given twice is one.
    pub fn of<C: Into<String>>(channels: impl IntoIterator<Item = C>) -> Self {
        let mut channels: Vec<String> = channels.into_iter().map(Into::into).collect();
        let mut seen = HashSet::new();
        let is_new: Vec<bool> = channels.iter().map(|channel| seen.insert(channel.as_str())).collect();
        let mut is_new = is_new.into_iter();
        channels.retain(|_| is_new.next() == Some(true));
        let limit = Self::DEFAULT_LIMIT;
        Self { account: None, channels, include_users: false, distinct: false, limit }
    }

    /// Asks who they are too. Default: only how many.
    pub fn include_users(self) -> Self {
        Self { include_users: true, ..self }
    }

    /// Lists a user once. Default: once for each of its clients.
    pub fn distinct(self) -> Self {
        Self { distinct: true, ..self }
    }

    /// Lists at most so many users of a channel, 1 to 10,000; what lies outside counts as the nearest. The amounts
    /// count everybody all the same. Default 1,000.
    pub fn limit(self, users: usize) -> Self {
        Self { limit: users, ..self }
    }

    /// Asks for the channels of a named account; an empty name is the default account.
    pub fn in_account(self, name: impl AsRef<str>) -> Self {
        Self { account: Some(name.as_ref()).filter(|name| !name.is_empty()).map(Arc::from), ..self }
    }

    /// As a client's request says it.
    pub(crate) fn asked(
        channels: Vec<String>,
        include_users: bool,
        distinct: bool,
        limit: Option<u64>,
    ) -> Self {
        let limit = limit.map_or(Self::DEFAULT_LIMIT, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        Self { include_users, distinct, limit, ..Self::of(channels) }
    }

    /// Whether somebody else may ask so much.
    fn check(&self) -> Result<(), WireError> {
        let refuse = |code, message: String| Err(WireError::new(code, message));
        let (count, most) = (self.channels.len(), Self::MAX_CHANNELS);
        if count == 0 {
            return refuse(ErrorCode::BadFrame, "name at least one channel".to_owned());
        }
        if count > most {
            let message = format!("{count} channels in one request; the limit is {most}");
            return refuse(ErrorCode::LimitExceeded, message);
        }
        if !(1..=Self::MAX_LIMIT).contains(&self.limit) {
            let code = if self.limit == 0 { ErrorCode::BadFrame } else { ErrorCode::LimitExceeded };
            return refuse(code, format!("`limit` must be a number from 1 to {}", Self::MAX_LIMIT));
        }
        self.channels.iter().try_for_each(|channel| check_channel(channel)).map_err(|problem| {
            let code = match problem {
                InvalidInput::TooLong { .. } => ErrorCode::LimitExceeded,
                _ => ErrorCode::BadFrame,
            };
            WireError::new(code, problem.to_string())
        })
    }

    /// What the channels of this node are like now, one after the other as they are asked for.
    fn look<'a>(&'a self, hub: &'a Hub) -> impl Iterator<Item = HereNowChannel> + 'a {
        let listed = if self.include_users { self.listed() } else { 0 };
        self.channels.iter().map(move |channel| {
            self.describe(channel, hub.snapshot(self.account.as_deref(), channel, listed))
        })
    }

    /// What the channels are like now, on all nodes together; where the engine does not answer, on this one. Within
    /// `most` bytes, or the rest of the channels is left unasked: what there is then is too much to be written.
    async fn look_around(&self, inner: &Inner, most: usize) -> Vec<HereNowChannel> {
        if !inner.engine.is_clustered() {
            return self.look(&inner.channels).collect();
        }
        let listed = if self.include_users { self.listed() } else { 0 };
        let (mut channels, mut weight) = (Vec::with_capacity(self.channels.len()), 0);
        for name in &self.channels {
            let channel = ChannelKey::in_account(self.account.as_deref().unwrap_or_default(), name.as_str());
            let snapshot = match inner.lookup(Lookup::Members { channel, listed }).await {
                Ok(Found::Members(members)) => Snapshot::from(members),
                _ => inner.channels.snapshot(self.account.as_deref(), name, listed),
            };
            let channel = self.describe(name, snapshot);
            weight += channel.weight();
            channels.push(channel);
            if weight > most {
                break;
            }
        }
        channels
    }

    fn listed(&self) -> usize {
        self.limit.clamp(1, Self::MAX_LIMIT)
    }

    fn describe(&self, channel: &str, snapshot: Snapshot) -> HereNowChannel {
        let Snapshot { client_amount, user_amount, users } = snapshot;
        // Within the grace period a user has no client, and is there all the same.
        let times = |clients: usize| if self.distinct { 1 } else { clients.max(1) };
        let listed = users.into_iter().flat_map(|user| {
            let times = times(user.clients);
            iter::repeat_n(HereNowUser { id: user.user.login_id().into(), data: user.data }, times)
        });
        let users = self.include_users.then(|| listed.take(self.listed()).collect());
        HereNowChannel { channel: channel.to_owned(), client_amount, user_amount, users }
    }
}

/// Answers the application.
pub(crate) async fn report(inner: &Inner, asked: &HereNow) -> HereNowReport {
    HereNowReport { channels: asked.look_around(inner, usize::MAX).await }
}

/// Answers somebody else with the body as JSON, of the channels of its own account: each as far as the policy allows,
/// all of them or none. `most` bounds the body in bytes, as [`MAX_ANSWER`] does.
pub(crate) async fn answer(
    inner: &Inner,
    who: &Identity,
    asked: HereNow,
    most: usize,
) -> Result<String, WireError> {
    asked.check()?;
    for channel in &asked.channels {
        let action = Action::HereNow { channel: channel.as_str().into() };
        if !inner.allowed(who, &action).await {
            return Err(WireError::new(ErrorCode::Forbidden, refused(channel)));
        }
    }
    let asked = asked.in_account(who.user.account().unwrap_or_default());
    if inner.engine.is_clustered() {
        let channels = asked.look_around(inner, most).await;
        return write(|| channels.iter(), most);
    }
    write(|| asked.look(&inner.channels), most)
}

fn refused(channel: &str) -> String {
    if cfg!(debug_assertions) {
        return format!(
            "not allowed: HereNow of channel {channel:?} (OnlineManager::builder().authorize(..) decides)"
        );
    }
    format!("not allowed: HereNow of channel {channel:?}")
}

/// Who was in some channels, in the order asked. It serializes to the whole answer of `docs/PROTOCOL.md`, section 4:
/// `{"code":200,"content":{"channels":{"a":{…}}}}`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HereNowReport {
    /// Each channel that was asked for; one that nobody is in has zeros.
    pub channels: Vec<HereNowChannel>,
}

impl HereNowReport {
    /// One of the channels that were asked for.
    pub fn channel(&self, name: &str) -> Option<&HereNowChannel> {
        self.channels.iter().find(|channel| channel.channel == name)
    }
}

/// One channel of a [`HereNowReport`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HereNowChannel {
    /// Its name.
    pub channel: String,
    /// The connections that are subscribed.
    pub client_amount: usize,
    /// The users these belong to, and those within their grace period.
    pub user_amount: usize,
    /// Who they are, in the order of their login ids; `None` where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<Vec<HereNowUser>>,
}

/// Bytes of `{"id":""}`.
const LEAST: usize = 9;

impl HereNowChannel {
    /// How many bytes of JSON its list takes at least.
    fn weight(&self) -> usize {
        let data = |user: &HereNowUser| user.data.as_ref().map_or(0, |data| data.get().len());
        self.users.iter().flatten().map(|user| LEAST + user.id.len() + data(user)).sum()
    }
}

/// One user of a [`HereNowChannel`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct HereNowUser {
    /// The login id.
    pub id: Arc<str>,
    /// The user's public data; `""` in JSON where there is none.
    #[serde(serialize_with = "or_empty")]
    pub data: Option<Arc<RawValue>>,
}

fn or_empty<S: Serializer>(data: &Option<Arc<RawValue>>, serializer: S) -> Result<S::Ok, S::Error> {
    match data {
        Some(data) => data.serialize(serializer),
        None => serializer.serialize_str(""),
    }
}

impl Serialize for HereNowReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Answer::of(|| self.channels.iter()).serialize(serializer)
    }
}

/// The one shape of every answer.
#[derive(Serialize)]
#[serde(bound = "Channels<F>: Serialize")]
struct Answer<F> {
    code: u16,
    content: Content<F>,
}

#[derive(Serialize)]
#[serde(bound = "Channels<F>: Serialize")]
struct Content<F> {
    channels: Channels<F>,
}

impl<F> Answer<F> {
    fn of(channels: F) -> Self {
        Self { code: 200, content: Content { channels: Channels(channels) } }
    }
}

/// The channels by their names, each made when it is its turn.
struct Channels<F>(F);

impl<F, I> Serialize for Channels<F>
where
    F: Fn() -> I,
    I: Iterator<Item: Borrow<HereNowChannel>>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for channel in (self.0)() {
            let channel = channel.borrow();
            map.serialize_entry(&channel.channel, channel)?;
        }
        map.end()
    }
}

/// Channel by channel, so that no more than one is held, and no more than `most` bytes are written.
fn write<F, I>(channels: F, most: usize) -> Result<String, WireError>
where
    F: Fn() -> I,
    I: Iterator<Item: Borrow<HereNowChannel>>,
{
    let mut body = Bounded { bytes: Vec::new(), most };
    if serde_json::to_writer(&mut body, &Answer::of(channels)).is_err() {
        let message = format!(
            "the answer would be over {most} bytes: ask for fewer channels, a smaller `limit` or `distinct`"
        );
        return Err(WireError::new(ErrorCode::LimitExceeded, message));
    }
    // What serde_json writes is UTF-8.
    String::from_utf8(body.bytes).map_err(|_| WireError::new(ErrorCode::Internal, "the answer is no text"))
}

/// A buffer that takes no more than so many bytes.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
