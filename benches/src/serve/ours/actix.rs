//! On actix-web: in its own `HttpServer`, and in the server that gives sockets away.

use std::{error::Error, net::TcpListener};

use actix_server::Server;
use actix_web::{App, HttpResponse, HttpServer, rt::System, web};
use herenow_actix::{OnlineManager, OnlineMiddleware, OnlineUpgrade};

use super::Options;
use crate::serve;

pub(super) fn serve(options: &Options, gives_away: bool) -> Result<(), Box<dyn Error>> {
    System::new().block_on(async {
        let online = super::manager(options)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        serve::ready(listener.local_addr()?);
        let server = match gives_away {
            true => giving_away(&online, listener, options.threads)?,
            false => keeping(&online, listener, options.threads)?,
        };
        tokio::select! {
            ended = server => Ok(ended?),
            ended = super::obey(online) => ended,
        }
    })
}

fn keeping(
    online: &OnlineManager,
    listener: TcpListener,
    threads: usize,
) -> std::io::Result<actix_server::Server> {
    let online = online.clone();
    let app = move || App::new().wrap(OnlineMiddleware::new(&online)).route("/ws", web::get().to(ws));
    let server = herenow_actix::tune(HttpServer::new(app)).workers(threads).disable_signals();
    Ok(server.listen(listener)?.run())
}

fn giving_away(online: &OnlineManager, listener: TcpListener, threads: usize) -> std::io::Result<Server> {
    let online = online.clone();
    let app = move || App::new().wrap(OnlineMiddleware::new(&online)).route("/ws", web::get().to(ws));
    let server = Server::build().workers(threads).disable_signals();
    Ok(herenow_actix::serve(server, listener, app)?.run())
}

async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
    upgrade.start()
}
