//! Where in an application the library stands.

use serde_json::json;

use crate::Server;

/// Nothing special.
pub const OPTIONS: &[&str] = &["--grace-ms", "0"];

/// The whole of it below a path.
pub async fn everything_works_under_a_prefix(server: &Server) {
    let token = server.login("alice").await;
    let mut client = server.upgrade("/nested/ws").token(&token).join().await;
    client.expect_echo("nested").await;
    let get = async |path: &str| server.request("GET", path).token(&token).send().await;
    assert_eq!(get("/nested/me").await.ok()["loginId"], "alice");
    assert_eq!(get("/nested/presence/online/alice").await.ok()["content"]["online"], true);
    assert_eq!(server.upgrade("/nested/ws").send().await.status, 401);
}

/// The developer is told what to do.
pub async fn a_missing_layer_says_so(server: &Server) {
    let token = server.login("alice").await;
    let upgrade = server.upgrade("/bare/ws").token(&token).send().await;
    let extractor = server.request("GET", "/bare/me").token(&token).send().await;
    for answer in [upgrade, extractor] {
        assert_eq!((answer.status, &answer.json()["code"]), (500, &json!(500)));
        assert!(answer.json()["content"].as_str().is_some_and(|text| text.contains("Online")), "{answer:?}");
    }
}

/// What is watched: names from fixed sets, never a user or a token.
pub async fn metrics_and_health_can_be_read(server: &Server) {
    let token = server.login("a-user-nobody-else-is-called").await;
    let mut client = server.raw().token(&token).join().await;
    client.expect_echo("one").await;
    server.admin("broadcast", json!({"content": "x"})).await;
    let metrics = server.request("GET", "/metrics").send().await;
    let text = String::from_utf8(metrics.body).expect("it is text");
    for name in ["herenow_connections", "herenow_users_online", "herenow_pushes_total"] {
        assert!(text.contains(name), "{name} is missing in {text}");
    }
    assert!(!text.contains("a-user-nobody"), "a user is no label");
    assert_eq!(server.request("GET", "/healthz").send().await.ok()["engine"], "up");
}

/// A page needs no other server for its client, and fetches it again only where it is another one.
pub async fn the_browser_client_is_served_once_per_version(server: &Server) {
    for mount in ["", "/presence", "/nested/presence"] {
        let ask = |method: &str| server.request(method, &format!("{mount}/client.js"));
        let client = ask("GET").send().await;
        assert_eq!(client.status, 200, "it needs no user");
        assert_eq!(client.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(client.header("cache-control"), Some("no-cache"));
        assert_eq!(client.header("x-content-type-options"), Some("nosniff"));
        assert!(String::from_utf8_lossy(&client.body).contains("herenow"), "it is the script");
        let etag = client.header("etag").expect("it has a version").to_owned();
        assert!(etag.starts_with('"'), "a strong one: {etag}");
        for known in [etag.clone(), format!("\"other\", W/{etag}"), "*".to_owned()] {
            let again = ask("GET").header("If-None-Match", &known).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
            assert_eq!(again.header("etag"), Some(etag.as_str()));
        }
        let other = ask("GET").header("If-None-Match", "\"other\"").token("forged").send().await;
        assert_eq!((other.status, &other.body), (200, &client.body));
        let head = ask("HEAD").send().await;
        assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, Some(etag.as_str())));
    }
}
