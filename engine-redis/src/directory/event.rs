//! What scripts tell: written by Lua, read here.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use herenow::{
    Cause, ChannelKey, Event, EventKind, Status, UserKey,
    cluster::{Change, ClusterEvent, Member, MemberNow},
};
use redis::Value;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    keys::{channel_of, member_of, user_field, user_of},
    record,
};

/// What goes along with a change: scripts pass it on as it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Body {
    cause: Cause,
    /// Milliseconds since 1970.
    at: i64,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Arc<RawValue>>,
}

impl Body {
    pub(crate) fn of(change: &Change) -> Vec<u8> {
        let Change { cause, at, status, data, .. } = change.clone();
        Self { cause, at: at.timestamp_millis(), status, data }.encode()
    }

    /// A node died.
    pub(crate) fn shutdown(at: DateTime<Utc>) -> Vec<u8> {
        let (cause, at) = (Cause::Shutdown, at.timestamp_millis());
        Self { cause, at, status: Status::Offline, data: None }.encode()
    }

    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default() // Words and numbers: nothing can fail.
    }

    /// A time that no calendar has is none.
    fn at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.at).unwrap_or(DateTime::UNIX_EPOCH)
    }
}

/// A transition that a call made, as its script answers it.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) field: String,
    kind: u8,
    status: Status,
}

impl Made {
    /// All of an answer.
    pub(crate) fn all(answer: &Value) -> Vec<Self> {
        let Value::Array(all) = answer else { return Vec::new() };
        all.iter().filter_map(Self::of).collect()
    }

    fn of(value: &Value) -> Option<Self> {
        let Value::Array(parts) = value else { return None };
        let [Value::BulkString(field), Value::BulkString(kind), Value::Int(rank), Value::BulkString(word)] =
            &parts[..]
        else {
            return None;
        };
        let word = std::str::from_utf8(word).ok()?;
        let status = record::status(u8::try_from(*rank).ok()?, word);
        Some(Self { field: String::from_utf8(field.clone()).ok()?, kind: *kind.first()?, status })
    }

    /// A user went of whom nothing was there any more.
    pub(crate) fn offline(user: &UserKey) -> Self {
        Self { field: user_field(user), kind: b'f', status: Status::Offline }
    }

    /// The user's transition, for the reason of its change.
    pub(crate) fn of_user(self, change: &Change) -> Option<ClusterEvent> {
        self.event(user_of(&self.field), None, change)
    }

    /// The member's.
    pub(crate) fn of_member(self, channel: &ChannelKey, change: &Change) -> Option<ClusterEvent> {
        self.event(member_of(channel, &self.field), Some(channel), change)
    }

    fn event(&self, user: UserKey, channel: Option<&ChannelKey>, change: &Change) -> Option<ClusterEvent> {
        let kind = kind_of(self.kind)?;
        let gone = matches!(kind, EventKind::Offline | EventKind::Leave);
        let status = if gone { change.status.clone() } else { self.status.clone() };
        let status = if kind == EventKind::Offline { Status::Offline } else { status };
        let (cause, at, data) = (change.cause, change.at, change.data.clone());
        Some(ClusterEvent::Made(event(kind, user, status, channel, (cause, at, data))))
    }
}

fn kind_of(letter: u8) -> Option<EventKind> {
    Some(match letter {
        b'o' => EventKind::Online,
        b'f' => EventKind::Offline,
        b'u' => EventKind::Update,
        b'j' => EventKind::Join,
        b'l' => EventKind::Leave,
        _ => return None,
    })
}

type Why = (Cause, DateTime<Utc>, Option<Arc<RawValue>>);

fn event(
    kind: EventKind,
    user: UserKey,
    status: Status,
    channel: Option<&ChannelKey>,
    (cause, at, data): Why,
) -> Event {
    let mut event = Event::new(kind, user, status, cause, at);
    event.channel = channel.map(|channel| channel.name().into());
    event.data = data;
    event
}

/// Reads what was told, one after the other; it ends where it cannot go on.
pub(crate) fn told(body: &[u8]) -> impl Iterator<Item = ClusterEvent> {
    let mut rest = Reader(body);
    std::iter::from_fn(move || match rest.byte()? {
        b'U' => rest.user(),
        b'M' => rest.member(),
        _ => None,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<&'a str> {
        let len = self.byte()?;
        std::str::from_utf8(self.take(usize::from(len))?).ok()
    }

    fn number(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Option<&'a str> {
        let len = self.number()?;
        std::str::from_utf8(self.take(usize::try_from(len).ok()?)?).ok()
    }

    fn body(&mut self) -> Option<Body> {
        serde_json::from_str(self.long()?).ok()
    }

    fn user(&mut self) -> Option<ClusterEvent> {
        let kind = kind_of(self.byte()?)?;
        let status = record::status(self.byte()?, self.short()?);
        let user = user_of(self.long()?);
        let body = self.body()?;
        let why = (body.cause, body.at(), body.data);
        Some(ClusterEvent::Heard(event(kind, user, status, None, why)))
    }

    fn member(&mut self) -> Option<ClusterEvent> {
        let kind = kind_of(self.byte()?);
        let status = record::status(self.byte()?, self.short()?);
        let (field, channel) = (self.long()?, channel_of(self.long()?));
        let ver = self.short()?.parse().ok()?;
        let (clients, data) = (self.number()?, record::json(self.long()?));
        let body = self.body()?;
        let status = if kind == Some(EventKind::Leave) { body.status.clone() } else { status };
        let (cause, at, data) = (body.cause, body.at(), data.or(body.data));
        let member = Member { user: member_of(&channel, field), clients, status, data };
        Some(ClusterEvent::Member(MemberNow { channel, ver, kind, member, cause, at }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_costs_nothing_but_itself() {
        for at in [i64::MAX, i64::MIN] {
            let body = Body { cause: Cause::Connect, at, status: Status::Online, data: None };
            let read: Body = serde_json::from_slice(&body.encode()).unwrap();
            assert_eq!(read.at(), DateTime::UNIX_EPOCH);
        }
    }
}
