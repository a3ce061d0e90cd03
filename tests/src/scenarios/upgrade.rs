//! Handshakes that are none, and the subprotocol that is answered.

use crate::{Server, client::bearer};

/// Both modes.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];
/// Envelopes only.
pub const ENVELOPE: &[&str] = &["--grace-ms", "0", "--mode", "envelope"];
/// Raw only.
pub const RAW: &[&str] = &["--grace-ms", "0", "--mode", "raw"];

/// A page that is opened where a socket is meant.
pub async fn a_request_that_asks_for_no_websocket_is_told_to(server: &Server) {
    let token = server.login("alice").await;
    let plain = server.request("GET", "/ws").token(&token).send().await;
    assert_eq!((plain.status, plain.header("sec-websocket-version")), (426, Some("13")));
    for version in ["8", "14", "13, 8", ""] {
        let refusal = server.raw().token(&token).replacing("Sec-WebSocket-Version", version).send().await;
        assert_eq!(
            (refusal.status, refusal.header("sec-websocket-version")),
            (426, Some("13")),
            "{version:?}"
        );
    }
    assert_eq!(server.raw().token(&token).without("Sec-WebSocket-Version").send().await.status, 426);
}

/// Whatever RFC 6455 (4.2.1) forbids.
pub async fn a_malformed_handshake_is_refused_over_http(server: &Server) {
    let token = server.login("alice").await;
    let good = || server.envelope().token(&token);
    let broken = [
        good().replacing("Upgrade", "websocketx"),
        good().replacing("Upgrade", "h2c"),
        good().without("Connection"),
        good().replacing("Connection", "keep-alive"),
        good().without("Sec-WebSocket-Key"),
        good().replacing("Sec-WebSocket-Key", "c2hvcnQ="),
        good().replacing("Sec-WebSocket-Key", "not base64 at all, no!=="),
        good().header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        good().header("Host", "other.example"),
        good().method("POST").header("Content-Length", "0"),
        good().method("HEAD"),
        good().version("HTTP/1.0"),
    ];
    for dial in broken {
        let asked = format!("{dial:?}");
        assert_eq!(dial.send().await.status, 400, "{asked}");
    }
    server.expect_counts(0, 0).await;
}

/// Browsers and proxies write these lines in many ways.
pub async fn a_handshake_may_be_written_in_many_ways(server: &Server) {
    let token = server.login("alice").await;
    let good = || server.raw().token(&token);
    let ways = [
        good().replacing("Upgrade", "WebSocket"),
        good().replacing("Upgrade", "WEBSOCKET"),
        good().replacing("Connection", "keep-alive, Upgrade"),
        good().replacing("Connection", "keep-alive").header("Connection", "upgrade"),
        good().header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),
    ];
    for dial in ways {
        dial.open().await.expect_echo("fine").await;
    }
}

/// One of what was offered; where nothing was, none.
pub async fn exactly_one_offered_subprotocol_is_chosen(server: &Server) {
    let token = server.login("alice").await;
    let chosen = async |offer: &str| {
        let client = server.raw().token(&token).offer(offer).open().await;
        client.response().header("sec-websocket-protocol").map(str::to_owned)
    };
    let none = server.raw().token(&token).open().await;
    assert_eq!(none.response().header("sec-websocket-protocol"), None);
    assert_eq!(chosen("herenow.v1.raw").await.as_deref(), Some("herenow.v1.raw"));
    assert_eq!(chosen("x, herenow.v1.raw").await.as_deref(), Some("herenow.v1.raw"));
    assert_eq!(chosen("herenow.v1.raw, herenow.v1.json").await.as_deref(), Some("herenow.v1.json"));
}

/// A token alone is no subprotocol, and is never answered.
pub async fn an_offer_without_a_common_subprotocol_is_refused(server: &Server) {
    let token = server.login("alice").await;
    for offer in [bearer(&token), "chat".to_owned(), "herenow.v2.json".to_owned()] {
        let refusal = server.raw().token(&token).offer(&offer).send().await;
        assert_eq!((refusal.status, refusal.header("sec-websocket-protocol")), (400, None), "{offer}");
        assert!(
            !String::from_utf8_lossy(&refusal.body).contains(&offer),
            "nothing of the client's comes back"
        );
    }
}

/// A server of one mode says which.
pub async fn a_server_of_envelopes_refuses_raw_clients(server: &Server) {
    let token = server.login("alice").await;
    for dial in [server.raw(), server.raw().offer("herenow.v1.raw")] {
        let refusal = dial.token(&token).send().await;
        assert_eq!(refusal.status, 400);
        assert!(String::from_utf8_lossy(&refusal.body).contains("herenow.v1.json"));
    }
    server.join_enveloped("alice").await;
}

/// The other way round.
pub async fn a_server_of_raw_mode_refuses_clients_of_envelopes(server: &Server) {
    let token = server.login("alice").await;
    assert_eq!(server.envelope().token(&token).send().await.status, 400);
    server.raw().token(&token).open().await.expect_echo("raw").await;
    let both = server.envelope().offer("herenow.v1.raw").token(&token).open().await;
    assert_eq!(both.response().header("sec-websocket-protocol"), Some("herenow.v1.raw"));
}

/// A header that makes no sense there delays no answer, and holds no socket.
pub async fn an_upgrade_of_a_route_that_reads_a_body_is_answered(server: &Server) {
    for (method, path) in
        [("POST", "/login"), ("POST", "/presence/status"), ("PUT", "/me"), ("GET", "/healthz")]
    {
        for upgrade in ["websocket", "WebSocket", "h2c"] {
            let request =
                server.request(method, path).header("Connection", "Upgrade").header("Upgrade", upgrade);
            let status = request.send().await.status;
            assert!([200, 400, 401, 404, 405].contains(&status), "{method} {path} {upgrade}: {status}");
        }
    }
}
