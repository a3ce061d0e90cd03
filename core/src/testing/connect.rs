//! Opening a connection without a server: the request is made up, all that follows is the real thing.

use std::{net::SocketAddr, sync::Arc};

use ::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header};
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::TestClient;
use crate::{
    Connection, Hooks, Io, OnlineManager, UserKey,
    auth::{Identity, TokenId},
    http::{ENVELOPE_PROTOCOL, Refusal, RequestInfo, Visit},
    protocol::Mode,
};

/// What fits into the pipe before the writer has to wait.
const PIPE: usize = 64 * 1024;

/// Opens a connection of a user, in envelope mode, and waits until it is present. Connections of one user share a
/// token, as browser tabs do; [`Connect`] has the options.
///
/// # Panics
/// If it is refused.
pub async fn connect(online: &OnlineManager, user: impl Into<UserKey>) -> TestClient {
    Connect::new(online).user(user).open().await
}

/// A connection to be opened.
///
/// ```
/// use herenow::testing::{self, Connect};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let online = testing::builder().build().unwrap();
/// let phone = Connect::new(&online).user("u1").token("t1").device("ios").raw().open().await;
/// assert_eq!(phone.connection().identity().device_label(), "ios");
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Connect {
    online: OnlineManager,
    identity: Option<Identity>,
    hello: Option<Value>,
    mode: Mode,
    uri: Uri,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    hooks: Hooks,
    pipe: usize,
}

impl Connect {
    /// A connection in envelope mode that brings no credential yet.
    pub fn new(online: &OnlineManager) -> Self {
        Self {
            online: online.clone(),
            identity: None,
            hello: Some(json!({"type": "hello"})),
            mode: Mode::Envelope,
            uri: Uri::from_static("/ws"),
            headers: HeaderMap::new(),
            peer: None,
            hooks: Hooks::default(),
            pipe: PIPE,
        }
    }

    /// The user, as an earlier layer would have found out; its token is `token of {login_id}`.
    pub fn user(self, user: impl Into<UserKey>) -> Self {
        let user = user.into();
        let token = TokenId::of(&format!("token of {}", user.login_id()));
        self.identity(Identity::new(user).token_id(token))
    }

    /// The identity, as an earlier layer would have found out.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The token of the user named before.
    pub fn token(self, token: &str) -> Self {
        self.change(|identity| identity.token_id(TokenId::of(token)))
    }

    /// The device of the user named before.
    pub fn device(self, device: &str) -> Self {
        self.change(|identity| identity.device(device))
    }

    fn change(mut self, f: impl FnOnce(Identity) -> Identity) -> Self {
        self.identity = self.identity.map(f);
        self
    }

    /// A token in `Authorization`, for the authenticator.
    pub fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// A token in the first message, for the authenticator.
    pub fn first_message(self, token: &str) -> Self {
        self.hello(json!({"type": "hello", "token": token}))
    }

    /// A one-time ticket.
    pub fn ticket(mut self, ticket: &str) -> Self {
        self.uri = format!("/ws?ticket={ticket}").parse().expect("a ticket stands in a URL as it is");
        self
    }

    /// The first message. Default: a `hello` with nothing in it.
    pub fn hello(mut self, hello: Value) -> Self {
        self.hello = Some(hello);
        self
    }

    /// Sends no first message by itself; to be used with [`start`](Self::start).
    pub fn silent(mut self) -> Self {
        self.hello = None;
        self
    }

    /// Raw mode: no subprotocol, no envelopes.
    pub fn raw(mut self) -> Self {
        self.mode = Mode::Raw;
        self
    }

    /// What the application hangs on the connection.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// A header of the request.
    ///
    /// # Panics
    /// If the value cannot stand in one.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.append(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// The address it comes from. Default: unknown.
    pub fn peer(mut self, peer: SocketAddr) -> Self {
        self.peer = Some(peer);
        self
    }

    /// How many bytes fit into the pipe, in each direction, as into a socket's buffer. Default 64 KiB.
    pub fn pipe(mut self, bytes: usize) -> Self {
        self.pipe = bytes;
        self
    }

    /// Opens it and waits until it is present; in envelope mode `welcome` is read.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn open(self) -> TestClient {
        let mut client = match self.start().await {
            Ok(client) => client,
            Err(refusal) => panic!("the upgrade was refused: {refusal:?}"),
        };
        if !client.is_present().await {
            panic!("refused after the upgrade: {:?}", client.expect_close().await);
        }
        client
    }

    /// Opens it, and waits for nothing beyond the upgrade: it may become present, or be told why not.
    ///
    /// # Errors
    /// The refusal, where the answer is HTTP and no upgrade.
    pub async fn start(self) -> Result<TestClient, Refusal> {
        let visit = self.visit().await;
        let mut admission = visit.upgrade(Version::HTTP_11, false).await?;
        let (tell, joined) = oneshot::channel();
        *admission.hooks_mut() = watched(self.hooks, tell);
        let (ours, theirs) = tokio::io::duplex(self.pipe);
        let driver = tokio::spawn(admission.drive(Io::boxed(theirs), Bytes::new()));
        let client = TestClient::new(self.mode, ours, driver, joined);
        if let (Mode::Envelope, Some(hello)) = (self.mode, &self.hello) {
            client.send_json(hello);
        }
        Ok(client)
    }

    async fn visit(&self) -> Visit {
        let mut headers = self.headers.clone();
        for (name, value) in [
            (header::HOST, "test.example"),
            (header::CONNECTION, "Upgrade"),
            (header::UPGRADE, "websocket"),
            (header::SEC_WEBSOCKET_VERSION, "13"),
            (header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.mode == Mode::Envelope {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(ENVELOPE_PROTOCOL));
        }
        let mut request = RequestInfo::new(Method::GET, &self.uri, headers);
        if let Some(peer) = self.peer {
            request = request.with_peer(peer);
        }
        let mut extensions = Extensions::new();
        if let Some(identity) = &self.identity {
            extensions.insert(Arc::new(identity.clone()));
        }
        Visit::look(&self.online, request, &self.uri, &extensions).await
    }
}

/// The same hooks, which also tell the test which connection it is.
fn watched(mut hooks: Hooks, tell: oneshot::Sender<Connection>) -> Hooks {
    let (own, tell) = (hooks.on_connect.take(), Arc::new(Mutex::new(Some(tell))));
    hooks.on_connect(move |connection| {
        let (own, tell) = (own.clone(), tell.lock().take());
        async move {
            tell.map(|tell| tell.send(connection.clone()));
            match own {
                Some(own) => own(connection).await,
                None => Ok(()),
            }
        }
    })
}
