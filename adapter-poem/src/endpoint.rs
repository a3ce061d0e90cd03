//! [`OnlineEndpoint`]: [`OnlineUpgrade`] as a value to mount.

use herenow::{Hooks, Socket};
use poem::{Endpoint, FromRequest, Request, Response, Result};

use crate::upgrade::OnlineUpgrade;

/// An endpoint that upgrades whoever the middleware found: [`OnlineUpgrade`] without a handler, for every method, so
/// that WebSockets over HTTP/2 pass too.
///
/// ```
/// use herenow_poem::{OnlineEndpoint, OnlineManager, OnlineMiddleware, Reply};
/// use poem::{EndpointExt, Route};
///
/// let online = OnlineManager::new();
/// let ws = OnlineEndpoint::new().on_message(|connection, inbound| async move {
///     println!("{:?} says {inbound:?}", connection.user());
///     Ok(Reply::None)
/// });
/// let app = Route::new().at("/ws", ws).with(OnlineMiddleware::new(&online));
/// ```
#[derive(Clone, Debug, Default)]
pub struct OnlineEndpoint {
    hooks: Hooks,
}

impl OnlineEndpoint {
    /// Upgrades, and handles nothing that clients send.
    pub fn new() -> Self {
        Self::default()
    }

    herenow::adapter_hooks!(|endpoint| &mut endpoint.hooks);

    /// Serves each connection with a future of the application's own in place of `on_message`; when it returns, the
    /// connection closes with 1000.
    pub fn serve<F, Fut>(self, session: F) -> Self
    where
        F: Fn(Socket) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.hooked(|hooks| hooks.serve(session))
    }
}

impl Endpoint for OnlineEndpoint {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let mut upgrade = OnlineUpgrade::from_request_without_body(&request).await?;
        *upgrade.admission.hooks_mut() = self.hooks.clone();
        Ok(upgrade.start())
    }
}
