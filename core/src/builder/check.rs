//! Settings that cannot work, alone or together, are found here: before the first connection.

use std::time::Duration;

use super::{Builder, MAX_LANES};
use crate::error::BuildError;

impl Builder {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        self.timing.check()?;
        self.inbound.check()?;
        self.outbox.check()?;
        self.resume.check()?;
        self.channels.check()?;
        self.login_policy.check()?;
        self.sources.check()?;
        self.origins.check_against(&self.sources)?;
        self.protocols.check()?;
        let never_zero = [
            ("kick_deadline", self.kick_deadline),
            ("deny_ttl", self.deny_ttl),
            ("pusher_timeout", self.pusher_timeout),
            ("authenticator_deadline", self.authenticator_deadline),
            ("engine_deadline", self.engine_deadline),
            ("hand_ttl", self.hand_ttl.unwrap_or(Duration::MAX)),
        ];
        if let Some((name, _)) = never_zero.into_iter().find(|(_, value)| value.is_zero()) {
            return Err(BuildError::Zero(name));
        }
        self.check_counts()
    }

    fn check_counts(&self) -> Result<(), BuildError> {
        if self.max_push > self.outbox.bytes {
            return Err(BuildError::Contradiction(
                "`max_push` is over the outbox's `bytes`: such a message would end every connection that is not idle",
            ));
        }
        if self.lanes == Some(0) || self.lanes.is_some_and(|lanes| lanes > MAX_LANES) {
            return Err(BuildError::Contradiction("`lanes` must be 1 to 4"));
        }
        if self.events_buffer == 0 {
            return Err(BuildError::Contradiction("`events_buffer` must hold at least one event"));
        }
        let limits = [self.max_connections, self.max_per_address, self.max_per_user];
        if limits.contains(&Some(0)) {
            return Err(BuildError::Contradiction("a limit of zero connections admits nobody"));
        }
        if matches!((self.max_connections, self.max_per_user), (Some(all), Some(user)) if user > all) {
            return Err(BuildError::Contradiction(
                "`max_connections_per_user` is over `max_connections` and can never be reached",
            ));
        }
        Ok(())
    }
}
