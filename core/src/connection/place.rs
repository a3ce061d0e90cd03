//! The place a connection holds in every limit, from before the 101 to its end: given back by `Drop`, on every path.

use std::{
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
};

use super::id::ConnectionId;
use crate::{Refused, UserKey, auth::Identity, manager::Inner, policy::Seat};

/// What else a place counts in.
#[derive(Default)]
struct Counted {
    address: Option<IpAddr>,
    user: Option<UserKey>,
    seat: Option<Seat>,
    /// Who gives way once this connection is present.
    replaced: Vec<ConnectionId>,
}

pub(crate) struct Place {
    inner: Arc<Inner>,
    pub(crate) id: ConnectionId,
    /// `None` where nothing but the place itself is limited.
    counted: Option<Box<Counted>>,
    /// Its lane keeps the connection.
    stays: bool,
}

impl Place {
    /// A place on this node; replaces nobody.
    pub(crate) fn take(inner: &Arc<Inner>, address: Option<IpAddr>) -> Result<Self, Refused> {
        if inner.is_closing() {
            return Err(Refused::ShutDown);
        }
        let taken = inner.places.fetch_add(1, Ordering::AcqRel);
        let full = inner.config.max_connections.is_some_and(|limit| taken >= limit);
        if full || !address.is_none_or(|address| inner.by_address.take(address)) {
            inner.places.fetch_sub(1, Ordering::AcqRel);
            return Err(if full { Refused::Full } else { Refused::TooManyConnections });
        }
        let id = inner.lanes.reserve();
        let address = address.filter(|_| inner.by_address.limit().is_some());
        let counted =
            address.map(|address| Box::new(Counted { address: Some(address), ..Counted::default() }));
        Ok(Self { inner: inner.clone(), id, counted, stays: false })
    }

    /// A place among the user's connections and sessions, for a connection that may have been here before; a second
    /// call, once the device is known, decides anew.
    pub(crate) async fn seat(&mut self, identity: &Identity, id: ConnectionId) -> Result<(), Refused> {
        let (inner, policy) = (&self.inner, &self.inner.config.login_policy);
        inner.engine_allows()?;
        if policy.is_unlimited() && inner.by_user.limit().is_none() {
            return Ok(());
        }
        let counted = self.counted.get_or_insert_default();
        if counted.user.is_none() {
            if !inner.by_user.take(identity.user.clone()) {
                return Err(Refused::TooManyConnections);
            }
            counted.user = Some(identity.user.clone());
        }
        let seat = Seat::new(id, identity.token_id, identity.device_label());
        if policy.is_unlimited() || counted.seat.as_ref() == Some(&seat) {
            return Ok(());
        }
        if let Some(before) = counted.seat.take().filter(|before| before.connection != id) {
            inner.engine.release(&identity.user, before.connection);
        }
        // Before the wait: whoever gives up on it gives the seat back, which the engine may have taken all the same.
        counted.seat = Some(seat.clone());
        counted.replaced = inner.take_seat(&identity.user, &seat).await?;
        Ok(())
    }

    /// The connection that was here before takes over; the id that was reserved for a new one is free.
    pub(crate) fn adopt(&mut self, id: ConnectionId) {
        self.inner.lanes.remove(std::mem::replace(&mut self.id, id));
    }

    /// The connection is parked: its lane keeps it, and every limit is free of it.
    pub(crate) fn leave_parked(mut self) {
        self.stays = true;
    }

    /// Who gives way; asked once, when the connection is present.
    pub(crate) fn replaced(&mut self) -> Vec<ConnectionId> {
        self.counted.as_mut().map(|counted| std::mem::take(&mut counted.replaced)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.stays {
            self.inner.lanes.remove(self.id);
        }
        self.inner.places.fetch_sub(1, Ordering::AcqRel);
        let Some(counted) = &self.counted else { return };
        if let Some(address) = &counted.address {
            self.inner.by_address.give(address);
        }
        if let Some(user) = &counted.user {
            self.inner.by_user.give(user);
            if let Some(seat) = &counted.seat {
                self.inner.engine.release(user, seat.connection);
            }
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("id", &self.id).finish_non_exhaustive()
    }
}
