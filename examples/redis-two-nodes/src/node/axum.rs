//! The node on axum.

use axum::{Router, response::Response, routing::any};
use herenow_axum::{OnlineLayer, OnlineManager, OnlineUpgrade};
use tokio::net::TcpListener;

use super::{LOBBY, talk};

pub(super) async fn serve(
    online: OnlineManager,
    listener: TcpListener,
    ended: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/ws", any(ws))
        .nest("/presence", herenow_axum::routes())
        .layer(OnlineLayer::new(&online));
    herenow_axum::serve(listener, app).until(ended).await
}

async fn ws(upgrade: OnlineUpgrade) -> Response {
    upgrade.device("axum").join(LOBBY).on_message(|from, inbound| talk::answer("axum", from, inbound)).start()
}
