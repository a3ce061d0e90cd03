//! sa-token-core on axum's own WebSocket with its defaults: `WsAuthManager` lets in and marks online, `OnlineManager` pushes
//! through a pusher of the application's.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{State, WebSocketUpgrade},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::any,
    serve::ListenerExt as _,
};
use sa_token_core::{OnlineManager, SaTokenConfig, SaTokenManager, TokenInfo, TokenValue, WsAuthManager};
use sa_token_storage_memory::MemoryStorage;
use tokio::net::TcpListener;

use super::{Push, pump};
use crate::serve;

mod pusher;
mod token;

use pusher::SocketPusher;
use token::TokenOfSubject;

/// So many people have logged in before they connect: more than any workload has.
const PEOPLE: usize = 50_000;

#[derive(Clone)]
struct Site {
    ws_auth: Arc<WsAuthManager>,
    pusher: Arc<SocketPusher>,
}

struct Online {
    manager: Arc<OnlineManager>,
    turn: AtomicUsize,
}

pub(super) async fn serve() -> Result<(), Box<dyn Error>> {
    let online = Arc::new(OnlineManager::local());
    let pusher = Arc::new(SocketPusher::default());
    online.register_pusher(pusher.clone()).await;
    let manager = SaTokenManager::new(Arc::new(MemoryStorage::new()), SaTokenConfig::default());
    for number in 0..PEOPLE {
        let user = format!("u{number}");
        manager.login_with_token_info(TokenInfo::new(TokenValue::new(user.clone()), user)).await?;
    }
    let manager = manager.with_online_manager(Arc::clone(&online)); // not before: a login marks online as well
    let ws_auth = Arc::new(WsAuthManager::with_extractor(Arc::new(manager), Arc::new(TokenOfSubject)));

    let app = Router::new().route("/ws", any(ws)).with_state(Site { ws_auth, pusher });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    tokio::select! {
        ended = axum::serve(listener, app) => Ok(ended?),
        ended = super::obey(Online { manager: online, turn: AtomicUsize::new(0) }) => ended,
    }
}

async fn ws(State(site): State<Site>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let headers = headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let session = match site.ws_auth.authenticate(&headers, &HashMap::new()).await {
        Ok(session) => session,
        Err(error) => return (StatusCode::UNAUTHORIZED, error.to_string()).into_response(),
    };
    upgrade.on_upgrade(async move |socket| {
        let messages = site.pusher.join(&session).await;
        pump::run(socket, messages).await;
        site.pusher.leave(&session).await;
        let _ = site.ws_auth.end_ws_session(&session).await;
    })
}

impl Push for Online {
    async fn to_all(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        Ok(self.manager.broadcast(payload.to_owned()).await?)
    }

    async fn to_next(&self, payload: &str) -> Result<(), Box<dyn Error>> {
        let users = self.manager.get_online_count().await?.max(1);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        Ok(self.manager.push_to_user(&format!("u{}", turn % users), payload.to_owned()).await?)
    }
}
