//! Both servers over real sockets: what actix does around an upgrade, and what it must not do.

mod support;

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use support::*;

#[tokio::test]
async fn an_upgrade_where_none_can_be_does_not_make_a_body_endless() {
    for kind in BOTH {
        let server = Server::start(kind);
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        for (line, headers, sent) in [
            ("POST /body", "", ""),
            ("POST /body", "Content-Length: 5\r\n", "hello"),
            ("PUT /body", "Content-Length: 5\r\n", "hello, and what is no body"),
            ("POST /body", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
            ("POST /body", "Upgrade: h2c\r\n", ""),
            ("POST /nowhere", "Content-Length: 0\r\n", ""),
            ("POST /ws", "", ""),
            ("HEAD /ws", "", ""),
            ("CONNECT a.example:80", "", ""),
        ] {
            let mut client = server.connect().await;
            let head = client.ask(&(request(line, &format!("{upgrade}{headers}")) + sent)).await;
            assert_eq!(
                (head.status(), head.header("connection")),
                (400, Some("close")),
                "{kind:?} {line} {headers}"
            );
            client.rest().await; // What follows such a head is never taken for another request.
        }
        for header in ["h2c", "websocketx"] {
            let mut client = server.connect().await;
            let other = format!("Connection: Upgrade\r\nUpgrade: {header}\r\nContent-Length: 5\r\n");
            assert_eq!(
                client.answer(&(request("POST /body", &other) + "hello")).await.1,
                "hello",
                "{kind:?}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn routes_middleware_and_data_are_there_for_an_upgrade() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        let head = client.ask(&upgrade("/in/lobby/ws/", "alice")).await;
        assert_eq!((head.status(), head.header("x-outer")), (101, Some("yes")), "{kind:?}");
        assert_eq!((head.header("connection"), head.header("upgrade")), (Some("upgrade"), Some("websocket")));
        assert_eq!((head.header("transfer-encoding"), head.header("content-length")), (None, None));
        client.send(b"?").await;
        assert_eq!(client.frame().await, b"app data, of the scope, lobby");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_upgrade_may_follow_other_requests() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        for _ in 0..3 {
            assert_eq!(client.answer(&request("GET /me", "")).await.1, "alice");
        }
        // All at once, with a first message that does not wait for the 101.
        let others = request("GET /me", "")
            + &request("POST /body", "Content-Length: 2\r\n")
            + "hi"
            + &request("GET /big", "");
        client.write(&[others.as_bytes(), upgrade("/ws", "bob").as_bytes(), &frame(b"early")].concat()).await;
        for expected in ["alice", "hi", &"x".repeat(BIG)] {
            let head = client.head().await;
            assert_eq!(client.exactly(expected.len()).await, expected.as_bytes(), "{head:?}");
        }
        assert_eq!(client.head().await.status(), 101);
        assert_eq!(client.frame().await, b"early", "{kind:?}");
        server.online.push_to_user("bob", "late").await.unwrap();
        assert_eq!(client.frame().await, b"late");
        drop(client);
        server.until_connections(0).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_refused_upgrade_ends_its_connection() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        let (head, body) = client.answer(&upgrade("/ws", "forged")).await;
        assert_eq!((head.status(), head.header("connection")), (401, Some("close")), "{kind:?}");
        assert_eq!(body, r#"{"code":401,"content":"a valid token is needed"}"#);
        assert_eq!(client.rest().await, b"");
        let mut client = server.connect().await;
        assert_eq!(client.answer(&upgrade("/nowhere", "alice")).await.0.status(), 404);
        assert_eq!(client.rest().await, b"");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_101_that_a_middleware_holds_back_is_no_connection() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        assert_eq!(client.answer(&upgrade("/other", "alice")).await.1, "no", "{kind:?}");
        client.rest().await;
        server.until_connections(0).await;
        // The middleware waits for the end of the body; no frame precedes the 101.
        let mut client = server.connect().await;
        client.write(&[upgrade("/whole", "alice").as_bytes(), &frame(b"echo")].concat()).await;
        let early = timeout(A_WHILE, client.0.read_u8()).await;
        assert!(early.is_err(), "{kind:?} {early:?}");
        drop(client);
        server.until_connections(0).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn another_ones_protocol_works_beside() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut client = server.connect().await;
        assert_eq!(client.ask(&upgrade("/theirs", "alice")).await.status(), 101, "{kind:?}");
        for said in [b"no frame".as_slice(), b"at all"] {
            client.write(said).await;
            assert_eq!(client.exactly(said.len()).await, said);
        }
        drop(client);
        server.stop().await;
    }
}

#[tokio::test]
async fn who_takes_too_long_for_the_head_of_a_request_is_cut() {
    for kind in BOTH {
        let server = Server::start(kind);
        let cut = ["", "G", "GET /me HTTP/1.1\r\nHost: a.example\r\n"].map(async |beginning| {
            let mut client = server.connect().await;
            client.write(beginning.as_bytes()).await;
            let rest = client.rest().await;
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{kind:?} {beginning:?} {rest:?}");
        });
        futures_util::future::join_all(cut).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn more_than_actix_keeps_before_the_101_ends_the_connection_and_less_arrives() {
    let server = Server::start(Kind::GivenAway);
    let (word, many) = ([b'x'; 100], frame(&[b'x'; 100]).repeat(40));
    let mut client = server.connect().await;
    client.write(&[upgrade("/ws", "alice").as_bytes(), &many, &frame(b"last")].concat()).await;
    assert_eq!(client.head().await.status(), 101);
    for _ in 0..40 {
        assert_eq!(client.frame().await, word);
    }
    assert_eq!(client.frame().await, b"last");
    let mut late = server.connect().await;
    late.write(&[upgrade("/ws", "alice").as_bytes(), &many.repeat(10)].concat()).await;
    assert_eq!(late.head().await.status(), 101);
    assert_eq!(late.rest().await, b"");
    server.until_connections(1).await;
    server.stop().await;
}

#[tokio::test]
async fn users_of_all_workers_meet_and_a_shutdown_says_goodbye_to_all() {
    for kind in BOTH {
        let server = Server::start(kind);
        let mut clients = Vec::new();
        for n in 0..6 {
            clients.push(server.open(&format!("user{n}")).await);
        }
        assert_eq!(server.online.get_online_count().await, 6);
        assert_eq!(server.online.broadcast("all").await.unwrap().enqueued, 6, "{kind:?}");
        for client in &mut clients {
            assert_eq!(client.frame().await, b"all");
        }
        let address = server.address;
        let mut idle = server.connect().await;
        assert_eq!(idle.answer(&request("GET /me", "")).await.1, "alice");
        let stopped = tokio::spawn(server.stop());
        for client in &mut clients {
            let goodbye = client.rest().await;
            assert_eq!(
                (goodbye[0], &goodbye[2..4]),
                (0x88, [0x10, 0xCE].as_slice()),
                "a close frame with 4302"
            );
        }
        assert_eq!(idle.rest().await, b"");
        stopped.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "{kind:?}");
    }
}

/// A client that says goodbye and does not wait for the answer.
#[tokio::test]
async fn what_came_before_the_end_is_heard() {
    for kind in BOTH {
        let mut server = Server::start(kind);
        for _ in 0..20 {
            let mut client = server.open("alice").await;
            client.write(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]).await;
            drop(client);
            let code = timeout(PATIENCE, server.ended.recv()).await.expect("it ends").unwrap();
            assert_eq!(code, 1000, "{kind:?}: not 1006, as if it was lost");
        }
        server.stop().await;
    }
}

/// actix itself would hold the socket for as long as the client does.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_ends_the_socket_of_a_kicked_client_that_does_not_read() {
    let server = Server::start(Kind::Kept);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    assert_eq!(client.ask(&upgrade("/ws", "alice")).await.status(), 101);
    server.until_connections(1).await;
    let ports = (server.address.port(), client.0.local_addr().unwrap().port());
    assert!(is_established(ports));
    let word = "x".repeat(500_000); // More than all buffers of the kernel take of them.
    for _ in 0..32 {
        server.online.push_to_user("alice", word.as_str()).await.unwrap();
    }
    let report = server.online.kick_out("alice", "go").await.unwrap();
    assert_eq!((report.lingering, report.is_complete()), (1, false), "{report:?}");
    assert_eq!(server.online.get_connection_count().await, 0);
    until("the user timeout of 15 s", Duration::from_secs(30), async || !is_established(ports)).await;
    server.stop().await;
}
