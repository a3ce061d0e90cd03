//! Which pages may connect.

use serde_json::json;

use crate::{Server, client::Dial};

/// The same origin, as it is by default.
pub const SAME: &[&str] = &["--grace-ms", "0"];
/// A list of two.
pub const LIST: &[&str] = &[
    "--grace-ms",
    "0",
    "--allow-origin",
    "http://good.example",
    "--allow-origin",
    "https://good.example:8443",
];

async fn denied(dial: impl Fn() -> Dial, envelope: Dial) {
    let refusal = dial().send().await;
    assert_eq!((refusal.status, &refusal.json()["code"]), (403, &json!(403)));
    let mut visible = envelope.open().await;
    assert_eq!(visible.expect_json("error").await["code"], "origin_denied");
    visible.expect_close(4403).await;
}

async fn all_denied(server: &Server, origins: &[&str]) {
    let token = server.login("alice").await;
    for origin in origins {
        let raw = || server.raw().token(&token).origin(origin);
        denied(raw, server.envelope().token(&token).origin(origin)).await;
    }
    server.expect_counts(0, 0).await;
}

async fn admitted(server: &Server, origin: &str) {
    let token = server.login("alice").await;
    server.raw().token(&token).origin(origin).open().await.expect_echo(origin).await;
    let mut client = server.envelope().token(&token).origin(origin).open().await;
    client.hello(json!({})).await;
}

/// The page that the server itself gave out.
pub async fn the_same_origin_is_admitted(server: &Server) {
    admitted(server, &format!("http://{}", server.address())).await;
}

/// No Origin is no browser.
pub async fn a_request_without_an_origin_is_a_program(server: &Server) {
    server.join("alice").await.expect_echo("a program").await;
}

/// Another port is another origin, and so on.
pub async fn every_other_origin_is_denied(server: &Server) {
    let (ip, port) = (server.address().ip(), server.address().port());
    let (other_port, other_host) = (format!("http://{ip}:{}", port ^ 1), format!("http://localhost:{port}"));
    let (no_port, suffix) = (format!("http://{ip}"), format!("http://{ip}:{port}.evil.example"));
    let (other_scheme, path) = (format!("ftp://{ip}:{port}"), format!("http://{ip}:{port}/page"));
    let user = format!("http://{ip}:{port}@evil.example");
    let others = [&other_port, &other_host, &no_port, &suffix, &other_scheme, &path, &user];
    all_denied(server, &others.map(String::as_str)).await;
    all_denied(server, &["null", "http://evil.example", "*", "not an origin"]).await;
}

/// Two of them are one too many, even if both are good.
pub async fn two_origins_are_denied(server: &Server) {
    let token = server.login("alice").await;
    let own = format!("http://{}", server.address());
    for second in [own.as_str(), "http://evil.example"] {
        let raw = || server.raw().token(&token).origin(&own).origin(second);
        denied(raw, server.envelope().token(&token).origin(&own).origin(second)).await;
    }
}

/// Before any work on the token: a page of another origin learns nothing about it.
pub async fn the_origin_is_looked_at_before_the_token(server: &Server) {
    let refusal = server.raw().token("forged").origin("http://evil.example").send().await;
    assert_eq!(refusal.status, 403);
}

/// The list is compared by scheme, host and port, the host in any case.
pub async fn a_list_admits_what_is_on_it_and_nothing_else(server: &Server) {
    for good in
        ["http://good.example", "http://good.example:80", "http://GOOD.example", "https://good.example:8443"]
    {
        admitted(server, good).await;
    }
    let own = format!("http://{}", server.address());
    let others =
        ["https://good.example", "http://good.example:8443", "http://sub.good.example", "null", &own];
    all_denied(server, &others).await;
}
