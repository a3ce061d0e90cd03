//! A stream on its way to another node: what its client missed, and what it was in.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::recent::{Mark, Recent};
use crate::{Status, UserKey, auth::Token, connection::Conn, manager::Inner};

/// Everything that another node needs to go on with a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(super) user: UserKey,
    /// How many pushes there were.
    pub(super) count: u64,
    /// The last of them, WebSocket header included.
    frames: Vec<String>,
    /// Which pushes its client had lately.
    recent: Vec<Mark>,
    /// The channels it is in, and whether the application put it there.
    pub(super) subscribed: Vec<(Arc<str>, bool)>,
    /// The channels whose presence it watches.
    pub(super) presence: Vec<Arc<str>>,
    /// What it said of its user.
    pub(super) said: Option<Status>,
}

impl Moved {
    /// What there is of a connection now, without its pushes.
    pub(crate) fn seats_of(inner: &Inner, conn: &Conn) -> Self {
        let slot = conn.seats.lock();
        let (subscribed, presence) = match slot.held() {
            None => (Vec::new(), Vec::new()),
            Some(held) => (
                held.subscribed.iter().map(|seat| (seat.channel.shared_name(), seat.by_app)).collect(),
                held.presence.iter().map(|key| key.shared_name()).collect(),
            ),
        };
        drop(slot);
        let said = inner.registry.read(conn.user(), |state| {
            let own = state?.members().iter().find(|member| member.conn.id == conn.id)?;
            own.said()
        });
        let (frames, recent) = (Vec::new(), Vec::new());
        Self { user: conn.user().clone(), count: 0, frames, recent, subscribed, presence, said }
    }

    /// All there is of a connection now.
    pub(crate) fn of(inner: &Inner, conn: &Conn) -> Self {
        let (count, frames, recent) = conn.kept();
        let frames = frames.iter().map(|frame| BASE64_STANDARD.encode(frame)).collect();
        Self { count, frames, recent: recent.marks(), ..Self::seats_of(inner, conn) }
    }

    /// The same without its pushes.
    pub(super) fn seats(&self) -> Self {
        let Self { user, subscribed, presence, said, .. } = self;
        let (user, subscribed) = (user.clone(), subscribed.clone());
        let (frames, recent, presence, said) = (Vec::new(), Vec::new(), presence.clone(), said.clone());
        Self { user, count: 0, frames, recent, subscribed, presence, said }
    }

    /// The pushes it brings; `None` where they are none.
    pub(super) fn frames(&self) -> Option<Vec<Bytes>> {
        self.frames.iter().map(|frame| BASE64_STANDARD.decode(frame).ok().map(Bytes::from)).collect()
    }

    /// Which pushes its client had lately.
    pub(super) fn recent(&self) -> Recent {
        Recent::of(&self.recent)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Strings and numbers: nothing can fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        serde_json::from_slice(stored).ok()
    }
}

/// Where a node that stops leaves a stream. Who knows the token may have it: nothing in the store yields one.
pub(crate) fn store_key(token: &Token) -> String {
    let digest = Sha256::digest(token.expose().as_bytes());
    format!("resume:{}", BASE64_STANDARD.encode(&digest[..16]))
}
