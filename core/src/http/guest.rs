//! Who connects without a token: the application says who it is.

use std::{mem, sync::Arc};

use ::http::{Extensions, Uri, Version};
use chrono::{DateTime, Utc};

use super::{Refusal, RequestInfo, Visit};
use crate::{Admission, OnlineManager, Rendezvous, auth::Identity};

/// A request that wants a WebSocket, where the application and no token says who it is: a page before its login, a
/// share link, a device that showed a certificate.
///
/// Nothing was looked at yet. [`admit`](Self::admit) and [`wait`](Self::wait) check what an upgrade has to pass: the
/// handshake, the Origin by the manager's `origins`, its limits.
#[derive(Clone, Debug)]
pub struct Guest {
    request: RequestInfo,
    version: Version,
    extended_connect: bool,
}

impl Guest {
    /// What a request says; `extended_connect` where HTTP/2 asked with `:protocol = websocket`.
    pub fn new(request: RequestInfo, version: Version, extended_connect: bool) -> Self {
        Self { request, version, extended_connect }
    }

    /// What the request said.
    pub fn request(&self) -> &RequestInfo {
        &self.request
    }

    /// Decides on the upgrade of whoever the application says this is; a credential in the request is not looked at.
    ///
    /// The application vouches for the identity: it is asked for no token, and looked at again only by the manager's
    /// `recheck`. Give it a [`token_id`](Identity::token_id) of its own for each session, as
    /// [`Visit::look`] explains.
    ///
    /// ```
    /// use herenow::{Admission, OnlineManager, auth::Identity, http::{Guest, Refusal}};
    ///
    /// async fn by_link(guest: Guest, online: &OnlineManager, reader: &str) -> Result<Admission, Refusal> {
    ///     guest.admit(online, Identity::new(reader).device("link")).await
    /// }
    /// ```
    ///
    /// # Errors
    /// Whatever speaks against it, before any 101, as from [`Visit::upgrade`].
    pub async fn admit(self, online: &OnlineManager, identity: Identity) -> Result<Admission, Refusal> {
        identity.check().map_err(|problem| Refusal::from(problem).closing())?;
        let mut extensions = Extensions::new();
        extensions.insert(Arc::new(identity));
        let visit = Visit::look(online, self.request, &Uri::default(), &extensions).await;
        visit.upgrade(self.version, self.extended_connect).await
    }

    /// Decides on the upgrade of a page that waits at a [`Rendezvous`] for the last word of `key`, until `expires_at`.
    ///
    /// A page that comes when the time is over is upgraded all the same, told so and closed: it could see nothing of
    /// an HTTP status. Call it with the deadline that the application stored with the key, not with a fresh one: a
    /// reload wins no time.
    ///
    /// The [`Hooks`](crate::Hooks) of the admission are the application's, but for `at_expiry`. Without a handler of its
    /// own, what the page sends is read and dropped.
    ///
    /// # Errors
    /// Whatever speaks against it, before any 101: as from [`Visit::upgrade`], and 400 for a key that is no login id.
    pub async fn wait(
        self,
        rendezvous: &Rendezvous,
        key: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<Admission, Refusal> {
        let guest = rendezvous.guest(key, expires_at).map_err(|problem| Refusal::from(problem).closing())?;
        let mut admission = self.admit(rendezvous.manager(), guest.clone()).await?;
        let hooks = admission.hooks_mut();
        *hooks = rendezvous.hooks(mem::take(hooks), &guest);
        Ok(admission)
    }
}
