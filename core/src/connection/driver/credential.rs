//! A credential while its connection lives: refreshed in-band, and looked at again from time to time.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Done, Driver, PATIENCE};
use crate::{
    Close, Instant,
    auth::{Credential, Identity, Source, Token, Validity},
    connection::{source::Incoming, work::Task},
    kick::Denial,
    protocol::{ErrorCode, ServerMessage},
};

impl<R: Incoming> Driver<R> {
    pub(super) fn begin_refresh(&mut self, id: u64, token: Token, now: Instant) {
        if self.job.is_some() {
            let busy = "the credential is being looked at; try again";
            return self
                .conn
                .control(ServerMessage::refuse(Some(id), ErrorCode::TooManyRequests, busy).to_frame(), now);
        }
        let (inner, old) = (self.inner.clone(), self.conn.identity());
        self.job = Some(Box::pin(async move {
            let credential = Credential::new(token, Source::InBand);
            Done::Refreshed(id, inner.refreshed_identity(credential, &old).await)
        }));
    }

    pub(super) fn begin_recheck(&mut self) {
        if self.job.is_none() {
            let (inner, identity) = (self.inner.clone(), self.conn.identity());
            self.job = Some(Box::pin(async move {
                let denial = inner.denied(&identity).await;
                let limit = inner.config.authenticator_deadline;
                let validity = tokio::time::timeout(limit, inner.authenticator.recheck(&identity)).await;
                Done::Rechecked(validity.unwrap_or(Validity::Unavailable), denial)
            }));
        }
    }

    pub(super) fn refreshed(&mut self, id: u64, identity: Arc<Identity>, now: Instant) {
        let expires = self.expires(&identity, now);
        let left = expires.map(|at| at.saturating_duration_since(now).as_millis() as u64);
        let (at, user, token) = (self.inner.clock.utc(), identity.user.clone(), identity.token_id);
        // Looked up again under the user's lock: a kick that came since the first look-up is not missed.
        let deny = || self.inner.deny.find(&identity, at);
        if let Some(denial) = self.inner.registry.rename(&self.conn, identity.clone(), at, deny) {
            return self.say_goodbye(denial.into(), now);
        }
        self.inner.engine.reseat(&user, self.conn.id, token);
        self.machine.refreshed(expires, now);
        let result = left.and_then(|left| RawValue::from_string(format!("{{\"expiresIn\":{left}}}")).ok());
        self.conn.control(ServerMessage::Reply { id, result: result.as_deref() }.to_frame(), now);
        if self.inner.engine.is_clustered() {
            self.begin_recheck(); // For the cluster's entries.
        }
        if self.conn.seats.is_any_taken() {
            self.work.get_or_insert_default().push(Task::AuthorizeAnew);
        }
    }

    pub(super) fn rechecked(&mut self, validity: Validity, denial: Option<Denial>, now: Instant) {
        match (denial, validity) {
            (Some(denial), _) => return self.say_goodbye(denial.into(), now),
            (None, Validity::Revoked) => return self.say_goodbye(Close::UNAUTHORIZED, now),
            // The machine ends it at its own deadline, which knows the grace for a refresh; unless it has none.
            (None, Validity::Expired) if self.conn.identity().expires_at.is_none() => {
                return self.say_goodbye(Close::TOKEN_EXPIRED, now);
            }
            (None, Validity::Unavailable) => {
                self.unavailable += 1;
                if self.inner.config.fail_closed || self.unavailable >= PATIENCE {
                    self.say_goodbye(Close::OVERLOADED, now);
                }
                return;
            }
            _ => {}
        }
        self.unavailable = 0;
    }

    /// When the token's time is over, on the monotonic clock.
    pub(super) fn expires(&self, identity: &Identity, now: Instant) -> Option<Instant> {
        let left = (identity.expires_at? - self.inner.clock.utc()).to_std().unwrap_or_default();
        Some(now + left)
    }
}
