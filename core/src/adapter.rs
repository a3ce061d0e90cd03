//! What all adapters have alike, written once. Hidden: for the adapters of this repository, and without any promise.
//!
//! Types cannot come from here, since a framework's traits can only be implemented by the crate that owns the type.
//! So they are macros, to be expanded in each adapter; what is no type is a function.

use std::{future::Future, sync::Arc, time::Duration};

use ::http::{Extensions, Method, Response, Uri, header};
pub use bytes::Bytes;
pub use chrono::{DateTime, Utc};

use crate::{
    OnlineManager,
    auth::Identity,
    http::{Api, Body, Refusal, RequestInfo, Route, Visit},
};

/// Looks at a request, and leaves what it learns in the extensions: the [`Visit`], and the `Arc<Identity>` where the
/// request names a user.
pub async fn look(
    manager: &OnlineManager,
    request: RequestInfo,
    uri: &Uri,
    extensions: &mut Extensions,
) -> Visit {
    let visit = Visit::look(manager, request, uri, extensions).await;
    match visit.user() {
        Ok(Some(identity)) => drop(extensions.insert(identity)),
        Ok(None) => {}
        // Whom an earlier layer named and this one refuses is nobody for whoever comes after it.
        Err(_) => drop(extensions.remove::<Arc<Identity>>()),
    }
    extensions.insert(visit.clone());
    visit
}

/// Refuses what `Option<CurrentUser>` would make nobody of, in frameworks whose `Option<T>` swallows every error:
/// ambiguous credentials, and a store that cannot be asked. Upgrades refuse by themselves, visibly.
///
/// # Errors
/// The refusal to answer with in place of the handler.
pub fn refuse_undecided(visit: &Visit) -> Result<(), Refusal> {
    if is_upgrade(visit.request()) {
        return Ok(());
    }
    visit.maybe_user().map(drop)
}

/// Refuses whoever is no valid user. In a debug build it tells the developer about a route that cannot refuse visibly.
///
/// # Errors
/// The refusal to answer with in place of the handler.
pub fn refuse_nobody(visit: &Visit) -> Result<(), Refusal> {
    if cfg!(debug_assertions) && is_upgrade(visit.request()) {
        tracing::warn!(
            path = ?visit.request().path(),
            "a route that upgrades must not stand behind `require_user()`: a browser sees nothing of its refusals"
        );
    }
    visit.require_user().map(drop)
}

fn is_upgrade(request: &RequestInfo) -> bool {
    request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT
}

/// How long the body of a REST route may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may leave unread what was sent, before the kernel ends its connection.
const USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Sets up a socket that a server keeps for itself: `TCP_NODELAY`, since a push would wait for the acknowledgement of the
/// one before, and `TCP_USER_TIMEOUT` (on Linux and Android), since no one else ends a client that does not read.
pub fn tune(socket: &tokio::net::TcpStream) {
    let _ = socket.set_nodelay(true);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let _ = socket2::SockRef::from(socket).set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// Answers a REST route. Where it takes a body, first the user, since nobody's body is not worth reading, then at most
/// [`Api::MAX_BODY`] bytes. `read` gets that limit and returns `None` for a body that is longer or breaks off.
///
/// # Errors
/// The refusal to answer with.
pub async fn answer<F>(
    api: &Api,
    visit: &Visit,
    route: Route,
    target: &str,
    read: impl FnOnce(usize) -> F,
) -> Result<Response<Body>, Refusal>
where
    F: Future<Output = Option<Bytes>>,
{
    let body = match api.may_read_body(visit, route)? {
        0 => Bytes::new(),
        limit => match tokio::time::timeout(BODY_TIMEOUT, read(limit)).await {
            Ok(body) => body.ok_or_else(|| Refusal::too_large(limit))?,
            Err(_) => return Err(Refusal::body_timeout()),
        },
    };
    Ok(api.handle(visit, route, target, &body).await)
}

/// The adapter's `Rejection`: a newtype over the [`Refusal`], for the framework's own error trait. `$layer` says how
/// an application adds the layer.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_rejection {
    ($layer:literal) => {
        /// Why an extractor refused: status, headers and JSON body of the [`Refusal`](herenow::http::Refusal).
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Rejection(pub(crate) $crate::http::Refusal);

        impl Rejection {
            /// The request did not come through the layer.
            pub(crate) fn missing_layer() -> Self {
                Self($crate::http::Refusal::misconfigured(concat!(
                    "herenow knows nothing of this request: is ",
                    $layer,
                    "?"
                )))
            }

            /// The refusal as data.
            pub fn refusal(&self) -> &$crate::http::Refusal {
                &self.0
            }
        }

        impl From<$crate::http::Refusal> for Rejection {
            fn from(refusal: $crate::http::Refusal) -> Self {
                Self(refusal)
            }
        }

        impl ::std::fmt::Display for Rejection {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.0.message())
            }
        }

        impl ::std::error::Error for Rejection {}
    };
}

/// The extractors `CurrentUser`, `MaybeUser` and `Online`, each with `of(&Visit)`: the adapter implements its
/// framework's trait by it.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_extractors {
    () => {
        /// The user who asks. Refuses the request with 401 where there is none.
        #[derive(Clone, Debug)]
        pub struct CurrentUser(::std::sync::Arc<$crate::auth::Identity>);

        impl CurrentUser {
            /// The login id, as the application knows it.
            pub fn login_id(&self) -> &str {
                self.0.user.login_id()
            }

            /// Everything the authenticator learnt.
            pub fn identity(&self) -> &::std::sync::Arc<$crate::auth::Identity> {
                &self.0
            }

            fn of(visit: &$crate::http::Visit) -> Result<Self, $crate::http::Refusal> {
                visit.require_user().map(Self)
            }
        }

        impl ::std::ops::Deref for CurrentUser {
            type Target = $crate::auth::Identity;

            fn deref(&self) -> &$crate::auth::Identity {
                &self.0
            }
        }

        /// The user who asks, if it is one: a credential that is no good counts as nobody.
        ///
        /// Still refuses two different credentials in one request, and where the store of tokens cannot be asked.
        #[derive(Clone, Debug)]
        pub struct MaybeUser(
            /// The user.
            pub Option<CurrentUser>,
        );

        impl MaybeUser {
            fn of(visit: &$crate::http::Visit) -> Result<Self, $crate::http::Refusal> {
                Ok(Self(visit.maybe_user()?.map(CurrentUser)))
            }
        }

        /// The manager of the layer.
        #[derive(Clone, Debug)]
        pub struct Online(
            /// The manager.
            pub $crate::OnlineManager,
        );

        impl Online {
            fn of(visit: &$crate::http::Visit) -> Result<Self, $crate::http::Refusal> {
                Ok(Self(visit.manager().clone()))
            }
        }

        impl ::std::ops::Deref for Online {
            type Target = $crate::OnlineManager;

            fn deref(&self) -> &$crate::OnlineManager {
                &self.0
            }
        }
    };
}

/// Methods for the `impl` of anything that carries [`Hooks`](crate::Hooks), of which the closure-like argument says
/// where they are: `adapter_hooks!(|upgrade| upgrade.admission.hooks_mut());`.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_hooks {
    (|$this:ident| $hooks:expr) => {
        /// Handles what the client sends; see [`Hooks::on_message`](herenow::Hooks::on_message). Default: it is
        /// refused.
        pub fn on_message<F, Fut>(self, handler: F) -> Self
        where
            F: Fn($crate::Connection, $crate::Inbound) -> Fut + Send + Sync + 'static,
            Fut: ::std::future::Future<Output = Result<$crate::Reply, $crate::HandlerError>> + Send + 'static,
        {
            self.hooked(|hooks| hooks.on_message(handler))
        }

        /// Runs before the connection is present, and may refuse it; see
        /// [`Hooks::on_connect`](herenow::Hooks::on_connect).
        pub fn on_connect<F, Fut>(self, handler: F) -> Self
        where
            F: Fn($crate::Connection) -> Fut + Send + Sync + 'static,
            Fut: ::std::future::Future<Output = Result<(), $crate::Refused>> + Send + 'static,
        {
            self.hooked(|hooks| hooks.on_connect(handler))
        }

        /// Runs exactly once, after the connection has ended; see
        /// [`Hooks::on_disconnect`](herenow::Hooks::on_disconnect).
        pub fn on_disconnect<F, Fut>(self, handler: F) -> Self
        where
            F: Fn($crate::Connection, $crate::Ended) -> Fut + Send + Sync + 'static,
            Fut: ::std::future::Future<Output = ()> + Send + 'static,
        {
            self.hooked(|hooks| hooks.on_disconnect(handler))
        }

        /// Names the device where the token does not.
        pub fn device(self, label: impl Into<::std::sync::Arc<str>>) -> Self {
            self.hooked(|hooks| hooks.device(label))
        }

        /// Puts the connection into a channel as soon as it is present; see [`Hooks::join`](herenow::Hooks::join).
        pub fn join(self, channel: impl Into<::std::sync::Arc<str>>) -> Self {
            self.hooked(|hooks| hooks.join(channel))
        }

        fn hooked(mut self, change: impl FnOnce($crate::Hooks) -> $crate::Hooks) -> Self {
            let $this = &mut self;
            let hooks: &mut $crate::Hooks = $hooks;
            *hooks = change(::std::mem::take(hooks));
            self
        }
    };
}

/// Methods for the `impl` of an adapter's `OnlineUpgrade`, which has a field `admission` and a method
/// `start(self) -> $Response`. The arguments before the type are the documentation of `serve`'s example.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_upgrade {
    ($(#[$example:meta])* $Response:ty) => {
        /// Who it is; `None` where the first message has to say, or where the upgrade only shows a refusal.
        pub fn identity(&self) -> Option<&::std::sync::Arc<$crate::auth::Identity>> {
            self.admission.identity()
        }

        $crate::adapter_hooks!(|upgrade| upgrade.admission.hooks_mut());

        /// Upgrades, and serves the connection with a future of the application's own in place of `on_message`; when it
        /// returns, the connection closes with 1000.
        ///
        $(#[$example])*
        pub fn serve<F, Fut>(self, session: F) -> $Response
        where
            F: Fn($crate::Socket) -> Fut + Send + Sync + 'static,
            Fut: ::std::future::Future<Output = ()> + Send + 'static,
        {
            self.hooked(|hooks| hooks.serve(session)).start()
        }
    };
}

/// Methods for the `impl` of an adapter's `GuestUpgrade {guest, socket}`; the adapter has
/// `OnlineUpgrade::of(Admission, socket) -> Result<OnlineUpgrade, Rejection>`.
#[doc(hidden)]
#[macro_export]
macro_rules! adapter_guest {
    () => {
        /// What the request said.
        pub fn request(&self) -> &$crate::http::RequestInfo {
            self.guest.request()
        }

        /// Admits whoever the application says this is; a credential in the request is not looked at. See
        /// [`Guest::admit`](herenow::http::Guest::admit).
        ///
        /// # Errors
        /// Whatever speaks against it, before any 101.
        pub async fn admit(
            self,
            online: &$crate::OnlineManager,
            identity: $crate::auth::Identity,
        ) -> Result<OnlineUpgrade, Rejection> {
            OnlineUpgrade::of(self.guest.admit(online, identity).await?, self.socket)
        }

        /// Admits a page that waits for the last word of `key`, until `expires_at`. See
        /// [`Guest::wait`](herenow::http::Guest::wait).
        ///
        /// # Errors
        /// Whatever speaks against it, before any 101.
        pub async fn wait(
            self,
            rendezvous: &$crate::Rendezvous,
            key: &str,
            expires_at: $crate::adapter::DateTime<$crate::adapter::Utc>,
        ) -> Result<OnlineUpgrade, Rejection> {
            OnlineUpgrade::of(self.guest.wait(rendezvous, key, expires_at).await?, self.socket)
        }
    };
}
