//! The server over real sockets: who takes too long for a request's head is cut, and nobody else.

use std::{net::SocketAddr, time::Duration};

use herenow_poem::serve_with_acceptor;
use poem::{Route, get, handler, listener::TcpAcceptor, web::RemoteAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

#[handler]
fn peer(RemoteAddr(peer): &RemoteAddr) -> String {
    peer.as_socket_addr().map(|peer| peer.ip().to_string()).unwrap_or_default()
}

async fn start(head_timeout: Duration) -> (SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let acceptor = TcpAcceptor::from_tokio(listener).expect("an address");
    let server = serve_with_acceptor(acceptor, Route::new().at("/", get(peer))).head_timeout(head_timeout);
    tokio::spawn(server.until(async { drop(stopped.await) }));
    (address, stop)
}

/// What comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let end = tokio::time::timeout(Duration::from_secs(10), stream.read_to_string(&mut text)).await;
    let _ = end.expect("the server closes in time");
    text
}

#[tokio::test]
async fn who_takes_too_long_for_the_head_of_a_request_is_cut() {
    let (address, _stop) = start(Duration::from_millis(300)).await;
    let (line, header) = ("GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\nX-Drip: ");
    // A lone P may yet become HTTP/2; after the header bytes drip on, which must not keep it alive.
    for (beginning, drips) in
        [("", false), ("P", false), ("PRI * HTTP", false), (line, false), (header, true)]
    {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        let drip = async {
            while !drips || write.write_all(b"x").await.is_ok() {
                pace.tick().await;
            }
        };
        let mut answer = Vec::new();
        let ends =
            async { tokio::time::timeout(Duration::from_secs(10), read.read_to_end(&mut answer)).await };
        let ended = tokio::select! { ended = ends => ended, () = drip => Ok(Ok(0)) };
        assert!(ended.is_ok(), "{beginning:?} is held");
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{beginning:?}");
    }
}

#[tokio::test]
async fn a_request_in_time_is_answered_and_knows_its_peer() {
    let (address, stop) = start(Duration::from_secs(5)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
    stop.send(()).unwrap();
    let refused = async || TcpStream::connect(address).await.is_err();
    let deadline = tokio::time::timeout(Duration::from_secs(5), async {
        while !refused().await {
            tokio::task::yield_now().await;
        }
    });
    deadline.await.expect("the listener closes with the shutdown");
}
