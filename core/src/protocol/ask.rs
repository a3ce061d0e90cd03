//! What a client may ask about channels and about other users.

use serde_json::value::RawValue;

use super::client::{BadFrame, ClientMessage, Fields, Text, read};
use crate::limits::{MAX_CHANNEL, MAX_LOGIN_ID};

/// A request about channels, or about users that are watched.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ask {
    /// To receive what is published to a channel, and to be a member of it.
    Subscribe {
        /// The channel.
        channel: String,
    },
    /// To do so no more.
    Unsubscribe {
        /// The channel.
        channel: String,
    },
    /// To be told who comes to a channel and who leaves it.
    SubscribePresence {
        /// The channel.
        channel: String,
    },
    /// To be told so no more.
    UnsubscribePresence {
        /// The channel.
        channel: String,
    },
    /// Who is in channels now.
    HereNow {
        /// The channels.
        channels: Vec<String>,
        /// Whether the users are listed.
        include_users: bool,
        /// Whether a user with several clients is listed once.
        distinct: bool,
        /// How many users of a channel are listed at most.
        limit: Option<usize>,
    },
    /// To be told when single users come, go or change their status.
    Watch {
        /// Their login ids.
        users: Vec<String>,
    },
    /// To be told so no more.
    Unwatch {
        /// Their login ids.
        users: Vec<String>,
    },
    /// To send something to the subscribers of a channel.
    Publish {
        /// The channel.
        channel: String,
        /// Any JSON.
        data: Box<RawValue>,
    },
}

impl Ask {
    /// How many bytes the client said.
    pub(crate) fn size(&self) -> usize {
        let sum = |names: &[String]| names.iter().map(String::len).sum();
        match self {
            Self::Subscribe { channel }
            | Self::Unsubscribe { channel }
            | Self::SubscribePresence { channel }
            | Self::UnsubscribePresence { channel } => channel.len(),
            Self::HereNow { channels, .. } => sum(channels),
            Self::Watch { users } | Self::Unwatch { users } => sum(users),
            Self::Publish { channel, data } => channel.len() + data.get().len(),
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn ask(
        &self,
        kind: &str,
        read: impl FnOnce(&Self) -> Result<Ask, BadFrame>,
    ) -> Result<ClientMessage, BadFrame> {
        let id = self.required_id(kind)?;
        read(self).map(|ask| ClientMessage::Ask { id, ask })
    }

    pub(super) fn subscribe(&self) -> Result<Ask, BadFrame> {
        self.named("subscribe").map(|channel| Ask::Subscribe { channel })
    }

    pub(super) fn unsubscribe(&self) -> Result<Ask, BadFrame> {
        self.named("unsubscribe").map(|channel| Ask::Unsubscribe { channel })
    }

    pub(super) fn subscribe_presence(&self) -> Result<Ask, BadFrame> {
        self.named("subscribePresence").map(|channel| Ask::SubscribePresence { channel })
    }

    pub(super) fn unsubscribe_presence(&self) -> Result<Ask, BadFrame> {
        self.named("unsubscribePresence").map(|channel| Ask::UnsubscribePresence { channel })
    }

    pub(super) fn here_now(&self) -> Result<Ask, BadFrame> {
        let channels = self.names("hereNow", "channels", self.channels, MAX_CHANNEL)?;
        let include_users = self.truth("includeUsers", self.include_users)?;
        let distinct = self.truth("distinct", self.distinct)?;
        let limit = match self.limit {
            None => None,
            Some(limit) => Some(read(Some(limit)).filter(|limit| *limit > 0).ok_or_else(|| {
                self.fault("`limit` must be an integer above zero: how many users of a channel are listed")
            })?),
        };
        Ok(Ask::HereNow { channels, include_users, distinct, limit })
    }

    pub(super) fn watch(&self) -> Result<Ask, BadFrame> {
        self.names("watch", "users", self.users, MAX_LOGIN_ID).map(|users| Ask::Watch { users })
    }

    pub(super) fn unwatch(&self) -> Result<Ask, BadFrame> {
        self.names("unwatch", "users", self.users, MAX_LOGIN_ID).map(|users| Ask::Unwatch { users })
    }

    pub(super) fn publish(&self) -> Result<Ask, BadFrame> {
        let channel = self.named("publish")?;
        let needs = "`publish` needs `data`: any JSON for the channel's subscribers";
        let data = self.data.ok_or_else(|| self.fault(needs))?.to_owned();
        if depth(data.get()) > MAX_DEPTH {
            return Err(self.fault(format!("`data` of `publish` is over {MAX_DEPTH} levels deep")));
        }
        Ok(Ask::Publish { channel, data })
    }

    /// The channel that a request names.
    fn named(&self, kind: &str) -> Result<String, BadFrame> {
        let channel = self.name("channel", self.channel, MAX_CHANNEL)?;
        channel.ok_or_else(|| self.fault(format!("`{kind}` needs `channel`: the channel's name, a string")))
    }

    fn names(
        &self,
        kind: &str,
        field: &'static str,
        value: Option<&'a RawValue>,
        limit: usize,
    ) -> Result<Vec<String>, BadFrame> {
        let Some(list) = read::<Vec<Text<'a>>>(value) else {
            return Err(self.fault(format!("`{kind}` needs `{field}`: an array of strings")));
        };
        let checked = |Text(name): Text<'a>| {
            crate::limits::check_name(field, &name, limit).map_err(|error| self.invalid(error))?;
            Ok(name.into_owned())
        };
        list.into_iter().map(checked).collect()
    }

    fn truth(&self, field: &str, value: Option<&'a RawValue>) -> Result<bool, BadFrame> {
        let Some(value) = value else { return Ok(false) };
        read(Some(value)).ok_or_else(|| self.fault(format!("`{field}` must be `true` or `false`")))
    }
}

/// How deep lists and objects may stand in each other in what others have to read: parsers give up, at 128 some.
const MAX_DEPTH: usize = 64;

/// How deep lists and objects stand in each other, in JSON that was read once.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        for (json, expected) in [
            ("1", 0),
            ("[]", 1),
            (r#"{"a":[{}]}"#, 3),
            (r#""[[[""#, 0),
            (r#"["\"[[", [1]]"#, 2),
            ("[[],[[]],[]]", 3),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }
}
