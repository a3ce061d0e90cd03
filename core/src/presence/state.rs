//! One user's presence as a plain value: connections, statuses, grace. No lock, no clock, no I/O.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::diff::Cause;
use crate::{
    Status,
    auth::TokenId,
    connection::{Conn, ConnectionId},
};

/// One connection as its user's presence knows it.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) conn: Arc<Conn>,
    pub(crate) token: TokenId,
    standing: Standing,
    away_by_hand: bool,
    idle: bool,
    /// The word set on this connection, and when in the user's order.
    word: Option<Box<(u32, Option<Arc<str>>)>>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A kick finds it, and nobody else.
    Pending,
    Present,
    /// Ended, and kept for a client that may come back: pushes and kicks find it; it makes nobody online.
    Parked,
}

impl Member {
    pub(crate) fn pending(conn: Arc<Conn>, token: TokenId) -> Self {
        Self { conn, token, standing: Standing::Pending, away_by_hand: false, idle: false, word: None }
    }

    /// One whose client is to come back.
    pub(crate) fn parked(conn: Arc<Conn>, token: TokenId) -> Self {
        Self { standing: Standing::Parked, ..Self::pending(conn, token) }
    }

    pub(crate) fn is_present(&self) -> bool {
        self.standing == Standing::Present
    }

    pub(crate) fn is_parked(&self) -> bool {
        self.standing == Standing::Parked
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.idle
    }

    fn is_away(&self) -> bool {
        self.away_by_hand || self.idle
    }

    /// What was said on it of its user; `None` where nothing was.
    pub(crate) fn said(&self) -> Option<Status> {
        match &self.word {
            _ if self.away_by_hand => Some(Status::Away),
            Some(said) => Some(said.1.clone().map_or(Status::Online, Status::Custom)),
            None => None,
        }
    }

    /// What this connection alone would make its user.
    pub(crate) fn status(&self) -> Status {
        match (&self.word, self.is_away()) {
            (_, true) => Status::Away,
            (Some(said), false) => said.1.clone().map_or(Status::Online, Status::Custom),
            (None, false) => Status::Online,
        }
    }
}

/// Connections of one user: of most there is one, which takes no allocation.
pub(crate) type Members = SmallVec<[Member; 1]>;

/// A user who left and may come back unnoticed.
#[derive(Clone, Debug)]
pub(crate) struct Grace {
    /// Whose end began it.
    pub(crate) token: TokenId,
    /// Tells this grace from a later one.
    pub(crate) serial: u64,
    status: Status,
    pub(crate) cause: Cause,
    /// When the last connection ended.
    pub(crate) since: DateTime<Utc>,
}

/// Everything a node knows of one user's presence.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserState {
    members: Members,
    more: Option<Box<More>>,
}

/// What is known of few users.
#[derive(Clone, Debug, Default)]
struct More {
    grace: Option<Box<Grace>>,
    /// How many words were set: which of two connections' is the later one.
    words: u32,
    data: Option<Arc<RawValue>>,
}

impl UserState {
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn present(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_present())
    }

    pub(crate) fn grace(&self) -> Option<&Grace> {
        self.more.as_ref()?.grace.as_deref()
    }

    /// The user's public data, where an identity carried some.
    pub(crate) fn data(&self) -> Option<Arc<RawValue>> {
        self.more.as_ref()?.data.clone()
    }

    pub(crate) fn set_data(&mut self, data: Arc<RawValue>) {
        self.more().data = Some(data);
    }

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Whether nothing at all is known of the user.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.grace().is_none()
    }

    /// The user's status: of the connections that are not away the word set last; away if all are; in the grace
    /// period what it was.
    pub(crate) fn status(&self) -> Status {
        match (&*self.members, self.grace()) {
            ([], None) => return Status::Offline,
            ([only], None) => return if only.is_present() { only.status() } else { Status::Offline },
            _ => {}
        }
        let awake = || self.present().filter(|member| !member.is_away());
        let spoken = awake().filter_map(|member| member.word.as_deref()).max_by_key(|said| said.0);
        match (spoken, awake().count(), self.present().count()) {
            (Some((_, Some(word))), ..) => Status::Custom(word.clone()),
            (_, 1.., _) => Status::Online,
            (_, 0, 1..) => Status::Away,
            (_, 0, 0) => self.grace().map_or(Status::Offline, |grace| grace.status.clone()),
        }
    }

    pub(crate) fn insert(&mut self, member: Member) {
        self.members.push(member);
    }

    /// A pending connection becomes present; false where a kick took it meanwhile.
    pub(crate) fn open(&mut self, id: ConnectionId) -> bool {
        let Some(member) = self.find(id) else { return false };
        member.standing = Standing::Present;
        self.expire(|_| true);
        true
    }

    /// A parked connection becomes present with the socket of a pending one, which is out then. What was said on it
    /// is said still.
    pub(crate) fn resume(&mut self, parked: ConnectionId, pending: ConnectionId) -> Option<Member> {
        let index = self.members.iter().position(|member| member.conn.id == pending)?;
        self.members.iter().find(|member| member.conn.id == parked && member.is_parked())?;
        let pending = self.members.remove(index);
        let member = self.find(parked)?;
        let token = std::mem::replace(&mut member.token, pending.token);
        (member.standing, member.idle) = (Standing::Present, false);
        let resumed = Member { token, ..pending };
        self.expire(|_| true);
        Some(resumed)
    }

    /// Takes a connection out; a second time finds nothing. With `grace`, the last present one leaves the user
    /// online until [`expire`](Self::expire). What is to be `parked` stays, and makes nobody online.
    pub(crate) fn remove(
        &mut self,
        id: ConnectionId,
        grace: Option<(u64, DateTime<Utc>)>,
        cause: Cause,
        parks: bool,
    ) -> Option<Member> {
        let index = self.members.iter().position(|member| member.conn.id == id)?;
        let status = self.status();
        let member = if parks {
            let before = self.members[index].clone();
            self.members[index].standing = Standing::Parked;
            before
        } else {
            self.members.remove(index)
        };
        if member.is_present() && self.present().next().is_none() {
            let token = member.token;
            match grace.map(|(serial, since)| Grace { token, serial, status, cause, since }) {
                Some(grace) => self.more().grace = Some(Box::new(grace)),
                None => drop(self.expire(|_| true)),
            }
        }
        Some(member)
    }

    /// Takes out all that match; what is left of a grace period ends with them.
    pub(crate) fn take(&mut self, mut matches: impl FnMut(&Member) -> bool) -> Members {
        let (gone, kept) = std::mem::take(&mut self.members).into_iter().partition(|member| matches(member));
        self.members = kept;
        gone
    }

    /// Ends the grace period, if it is one that is meant; returns it.
    pub(crate) fn expire(&mut self, is_meant: impl Fn(&Grace) -> bool) -> Option<Grace> {
        let more = self.more.as_mut()?;
        let ended = more.grace.take_if(|grace| is_meant(grace));
        if let More { grace: None, words: 0, data: None } = &**more {
            self.more = None;
        }
        ended.map(|grace| *grace)
    }

    /// Sets what a connection says of its user. `Offline` cannot be said and changes nothing.
    pub(crate) fn say(&mut self, status: &Status, which: impl Fn(&Member) -> bool) {
        let more = self.more();
        more.words = more.words.wrapping_add(1);
        let order = more.words;
        for member in self.members.iter_mut().filter(|member| which(member)) {
            match status {
                Status::Away => member.away_by_hand = true,
                Status::Online => {
                    (member.away_by_hand, member.idle) = (false, false);
                    member.word = Some(Box::new((order, None)));
                }
                Status::Custom(word) => {
                    (member.away_by_hand, member.idle) = (false, false);
                    member.word = Some(Box::new((order, Some(word.clone()))));
                }
                Status::Offline => {}
            }
        }
    }

    /// Sets whether a connection is idle.
    pub(crate) fn set_idle(&mut self, id: ConnectionId, idle: bool) {
        if let Some(member) = self.find(id) {
            member.idle = idle;
        }
    }

    /// A refreshed connection goes by its new token.
    pub(crate) fn rename(&mut self, id: ConnectionId, token: TokenId) -> Option<TokenId> {
        self.find(id).map(|member| std::mem::replace(&mut member.token, token))
    }

    pub(crate) fn is_idle(&self, id: ConnectionId) -> bool {
        self.members.iter().any(|member| member.conn.id == id && member.idle)
    }

    fn find(&mut self, id: ConnectionId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.conn.id == id)
    }
}
