//! How many sessions a user may have at once, and who gives way.

use std::sync::Arc;

use crate::{auth::TokenId, connection::ConnectionId, error::BuildError};

/// What happens at the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnLimit {
    /// The oldest session gives way: it ends with 4409 `replaced` once the new one is there. The default.
    #[default]
    ReplaceOldest,
    /// The newest gives way: it is refused with 429, or 4429 `too_many_devices`.
    RefuseNewest,
}

/// How many *sessions* a user may have; the tabs of one token are one session.
///
/// ```
/// use herenow::policy::{LoginPolicy, OnLimit};
///
/// let policy = LoginPolicy::unlimited().max_per_user(3).one_per_device_type().on_limit(OnLimit::RefuseNewest);
/// # let _ = policy;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[must_use]
pub struct LoginPolicy {
    per_user: Option<usize>,
    per_device: Option<usize>,
    per_device_type: bool,
    on_limit: OnLimit,
}

impl LoginPolicy {
    /// No limit at all; the default.
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// At most `n` sessions of a user.
    pub fn max_per_user(mut self, n: usize) -> Self {
        self.per_user = Some(n);
        self
    }

    /// At most `n` sessions of a user on one device label.
    pub fn max_per_device(mut self, n: usize) -> Self {
        self.per_device = Some(n);
        self
    }

    /// One session of a user on each *type* of device: what stands before the first `:` or `/` of the label
    /// (`web`, of `web:firefox`).
    pub fn one_per_device_type(mut self) -> Self {
        self.per_device_type = true;
        self
    }

    /// Who gives way; the oldest by default.
    pub fn on_limit(mut self, on_limit: OnLimit) -> Self {
        self.on_limit = on_limit;
        self
    }

    /// Whether it limits nothing, so that nobody need be asked.
    pub fn is_unlimited(&self) -> bool {
        self.per_user.is_none() && self.per_device.is_none() && !self.per_device_type
    }

    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.per_user == Some(0) || self.per_device == Some(0) {
            return Err(BuildError::Contradiction("a login policy of zero sessions admits nobody"));
        }
        if matches!((self.per_user, self.per_device), (Some(user), Some(device)) if device > user) {
            return Err(BuildError::Contradiction(
                "`max_per_device` is over `max_per_user` and can never be reached",
            ));
        }
        Ok(())
    }

    /// Decides on one more seat beside those that are taken, oldest first. Pure: the engine calls it under the lock
    /// (or in the script) that also inserts, so that the decision holds.
    pub fn decide(&self, taken: &[Seat], new: &Seat) -> Decision {
        let mut replaced: Vec<ConnectionId> = Vec::new();
        let kind = device_type(&new.device);
        let rules = [
            (self.per_user, &(|_: &Seat| true) as &dyn Fn(&Seat) -> bool),
            (self.per_device, &|seat: &Seat| seat.device == new.device),
            (self.per_device_type.then_some(1), &|seat: &Seat| device_type(&seat.device) == kind),
        ];
        for (limit, applies) in rules {
            let Some(limit) = limit else { continue };
            let others = sessions(taken, &|seat| {
                seat.token != new.token && applies(seat) && !replaced.contains(&seat.connection)
            });
            let surplus = (others.len() + 1).saturating_sub(limit);
            if surplus > 0 && self.on_limit == OnLimit::RefuseNewest {
                return Decision::Refused;
            }
            let gone = &others[..surplus.min(others.len())];
            replaced
                .extend(taken.iter().filter(|seat| gone.contains(&seat.token)).map(|seat| seat.connection));
        }
        if replaced.is_empty() { Decision::Admitted } else { Decision::Replace(replaced) }
    }
}

/// The tokens of the seats that count, each once, oldest first.
fn sessions(taken: &[Seat], counts: &dyn Fn(&Seat) -> bool) -> Vec<TokenId> {
    let mut tokens = Vec::new();
    for seat in taken.iter().filter(|seat| counts(seat)) {
        if !tokens.contains(&seat.token) {
            tokens.push(seat.token);
        }
    }
    tokens
}

fn device_type(label: &str) -> &str {
    label.split([':', '/']).next().unwrap_or(label)
}

/// One connection's place under the login policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seat {
    /// The connection that takes it.
    pub connection: ConnectionId,
    /// Its session's token.
    pub token: TokenId,
    /// Its device label; empty where unknown.
    pub device: Arc<str>,
}

impl Seat {
    /// A seat of a connection.
    pub fn new(connection: ConnectionId, token: TokenId, device: impl Into<Arc<str>>) -> Self {
        Self { connection, token, device: device.into() }
    }
}

/// What a login policy decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// There is room.
    Admitted,
    /// There is, once these connections are closed; they are when the new one is present, not before.
    Replace(Vec<ConnectionId>),
    /// There is none.
    Refused,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seat(n: u64, token: u8, device: &str) -> Seat {
        Seat::new(ConnectionId::by_hand(1, n), TokenId::of(&format!("t{token}")), device)
    }

    #[test]
    fn the_tabs_of_one_token_are_one_session() {
        let policy = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
        assert_eq!(policy.decide(&[seat(1, 1, "web")], &seat(2, 1, "web")), Decision::Admitted);
        assert_eq!(policy.decide(&[seat(1, 1, "web")], &seat(2, 2, "web")), Decision::Refused);
    }

    #[test]
    fn the_oldest_session_gives_way_with_all_its_tabs() {
        let policy = LoginPolicy::unlimited().max_per_user(2);
        let taken = [seat(1, 1, "web"), seat(2, 2, "ios"), seat(3, 1, "web")];
        let gone = vec![taken[0].connection, taken[2].connection];
        assert_eq!(policy.decide(&taken, &seat(4, 3, "tv")), Decision::Replace(gone));
    }

    #[test]
    fn one_device_type_holds_one_session() {
        let policy = LoginPolicy::unlimited().one_per_device_type();
        let taken = [seat(1, 1, "web:firefox"), seat(2, 2, "ios")];
        assert_eq!(
            policy.decide(&taken, &seat(3, 3, "web/chrome")),
            Decision::Replace(vec![taken[0].connection])
        );
        assert_eq!(policy.decide(&taken, &seat(3, 3, "android")), Decision::Admitted);
    }

    #[test]
    fn a_device_limit_leaves_other_devices_alone() {
        let policy = LoginPolicy::unlimited().max_per_device(1).on_limit(OnLimit::RefuseNewest);
        assert_eq!(policy.decide(&[seat(1, 1, "web")], &seat(2, 2, "ios")), Decision::Admitted);
        assert_eq!(policy.decide(&[seat(1, 1, "web")], &seat(2, 2, "web")), Decision::Refused);
    }

    proptest! {
        #[test]
        fn after_a_decision_every_limit_holds(
            taken in prop::collection::vec((0u8..5, 0usize..3), 0..8),
            new in (0u8..5, 0usize..3),
            per_user in 1usize..4,
        ) {
            let devices = ["web", "ios", "web:b"];
            let policy = LoginPolicy::unlimited().max_per_user(per_user).one_per_device_type();
            let mut seats: Vec<Seat> = Vec::new();
            for (n, (token, device)) in taken.into_iter().chain([new]).enumerate() {
                let next = seat(n as u64, token, devices[device]);
                if let Decision::Replace(gone) = policy.decide(&seats, &next) {
                    seats.retain(|seat| !gone.contains(&seat.connection));
                }
                seats.push(next);
                prop_assert!(sessions(&seats, &|_| true).len() <= per_user);
            }
        }
    }
}
