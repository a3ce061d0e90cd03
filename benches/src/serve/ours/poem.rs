//! On poem, served by `herenow_poem::serve`.

use std::{error::Error, future::pending};

use herenow_poem::{OnlineEndpoint, OnlineMiddleware};
use poem::{EndpointExt as _, Route, listener::TcpAcceptor};
use tokio::net::TcpListener;

use super::Options;
use crate::serve;

pub(super) async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let online = super::manager(options)?;
    let app = Route::new().at("/ws", OnlineEndpoint::new()).with(OnlineMiddleware::new(&online));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    serve::ready(listener.local_addr()?);
    let server = herenow_poem::serve_with_acceptor(TcpAcceptor::from_tokio(listener)?, app);
    tokio::select! {
        ended = server.until(pending()) => Ok(ended?),
        ended = super::obey(online) => ended,
    }
}
