//! The node on actix-web: the same in its words.

use actix_web::{App, HttpResponse, HttpServer, web};
use herenow_actix::{OnlineManager, OnlineMiddleware, OnlineUpgrade};
use tokio::net::TcpListener;

use super::{LOBBY, talk};

pub(super) async fn serve(
    online: OnlineManager,
    listener: TcpListener,
    ended: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let app = move || {
        App::new()
            .wrap(OnlineMiddleware::new(&online))
            .route("/ws", web::get().to(ws))
            .service(web::scope("/presence").configure(herenow_actix::routes()))
    };
    let server =
        herenow_actix::tune(HttpServer::new(app)).disable_signals().listen(listener.into_std()?)?.run();
    let handle = server.handle();
    let stop = async move {
        ended.await;
        handle.stop(true).await;
    };
    let (served, ()) = tokio::join!(server, stop);
    served
}

async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
    upgrade
        .device("actix")
        .join(LOBBY)
        .on_message(|from, inbound| talk::answer("actix", from, inbound))
        .start()
}
