//! The OpenAPI document of the REST routes, against the server that runs: every answer is one that it names, and what
//! it names is there.

mod document;
mod structure;

use std::collections::BTreeSet;

use document::{Ask, Document};
use herenow::http::Route;
use herenow_conformance::Server;
use serde_json::{Value, json};

/// Those whose server mounts `/presence-admin` beside `/presence`, where `root` is an admin.
const ADAPTERS: [&str; 4] = ["axum", "actix", "actix-fast", "poem"];
/// Where the routes are mounted, and which.
const MOUNTS: [(&str, &[Route]); 2] = [("/presence", Route::OPEN), ("/presence-admin", Route::ALL)];

#[tokio::test]
async fn the_document_is_openapi_and_has_every_route_that_is_mounted_and_no_others() {
    for adapter in ADAPTERS {
        let server = Server::here(adapter, &[]).await;
        for (mount, routes) in MOUNTS {
            let document = Document::fetch(&server, mount).await;
            structure::check(&document.json);
            let named: BTreeSet<_> = document
                .operations()
                .map(|(method, path, _)| (method.to_uppercase(), path.to_owned()))
                .collect();
            let mounted: BTreeSet<_> =
                routes.iter().map(|route| (route.method().to_string(), route.path().to_owned())).collect();
            assert_eq!(named, mounted, "{adapter} {mount}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn every_path_is_there_with_its_methods_and_no_others() {
    for adapter in ADAPTERS {
        let server = Server::here(adapter, &[]).await;
        for (mount, _) in MOUNTS {
            let document = Document::fetch(&server, mount).await;
            for (path, item) in document.paths() {
                for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
                    let target = format!("{}{}", document.base(), path.replace("{login_id}", "alice"));
                    let status = server.request(method, &target).send().await.status;
                    let is_named = item.contains_key(&method.to_lowercase());
                    assert_eq!(
                        [404, 405].contains(&status),
                        !is_named,
                        "{adapter} {method} {target}: {status}"
                    );
                }
            }
        }
        for route in Route::ALL.iter().filter(|route| !Route::OPEN.contains(route)) {
            let token = server.login("root").await;
            let path = format!("/presence{}", route.path());
            assert_eq!(
                server.request("POST", &path).token(&token).send().await.status,
                404,
                "{adapter} {path}"
            );
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn every_answer_is_one_that_the_document_names_in_its_shape() {
    for adapter in ADAPTERS {
        for (mount, _) in MOUNTS {
            let server = Server::here(adapter, &[]).await;
            let mut document = Document::fetch(&server, mount).await;
            let tokens = Tokens::of(&server).await;
            let (mut alice, carol) = (server.join("alice").await, server.join("carol").await);
            alice.expect_answer("join:lobby").await;
            nobody(&mut document, &server).await;
            users(&mut document, &server, &tokens).await;
            bad_requests(&mut document, &server, &tokens, adapter).await;
            if mount == "/presence-admin" {
                admins(&mut document, &server, &tokens).await;
            }
            drop((alice, carol));
            forbidden(&mut document, &server, &tokens).await;
            document.every_answer_was_seen_but([408, 500, 503, 429]);
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_stream_over_the_limit_of_sessions_is_answered_as_the_document_says() {
    for adapter in ADAPTERS {
        let server = Server::here(adapter, &["--max-per-user", "1", "--on-limit", "refuse"]).await;
        let mut document = Document::fetch(&server, "/presence").await;
        let alice = server.join("alice").await;
        let another = server.login("alice").await;
        document.check(&server, Ask::get("/events").token(&another), 429).await;
        drop(alice);
        server.stop().await;
    }
}

struct Tokens {
    root: String,
    bob: String,
    alice: String,
}

impl Tokens {
    async fn of(server: &Server) -> Self {
        let (root, bob) = (server.login("root").await, server.login("bob").await);
        Self { root, bob, alice: server.login("alice").await }
    }
}

/// The body that the document gives as an example; none where the operation takes none.
fn example(document: &Document, path: &str) -> Option<Value> {
    let body = &document.json["paths"][path]["post"]["requestBody"]["content"]["application/json"];
    body.get("example").cloned()
}

/// Every operation as a request that is good but for who sends it.
fn good_requests(document: &Document) -> Vec<Ask> {
    let ask = |(method, path, _): (&str, &str, &Value)| match (method, path) {
        ("get", "/online/{login_id}") => Ask::get(path).at("/online/alice"),
        ("get", "/herenow") => Ask::get(path).at("/herenow?channel=lobby"),
        ("get", _) => Ask::get(path),
        _ => Ask::post(path, example(document, path)),
    };
    document.operations().map(ask).collect()
}

async fn nobody(document: &mut Document, server: &Server) {
    for ask in good_requests(document) {
        let expected = if ask.is_for_anybody() { 200 } else { 401 };
        document.check(server, ask.clone(), expected).await;
        document.check(server, ask.token("forged"), expected).await;
    }
}

async fn users(document: &mut Document, server: &Server, tokens: &Tokens) {
    let all = "/herenow?channel=lobby&channels=nobody,lobby&includeUsers=true&distinct=1&limit=10&appkey=k";
    let lobby = document.check(server, Ask::get("/herenow").at(all).token(&tokens.bob), 200).await;
    assert_eq!(lobby["content"]["channels"]["lobby"]["users"][0]["id"], "alice", "{lobby}");
    for ask in good_requests(document).into_iter().filter(|ask| !ask.is_for_admins()) {
        document.check(server, ask.token(&tokens.bob), 200).await;
    }
    let page =
        document.check(server, Ask::get("/online").at("/online?limit=1").token(&tokens.bob), 200).await;
    let next = page["content"]["next"].as_str().expect("two are online").to_owned();
    let second = Ask::get("/online").at(&format!("/online?limit=1&cursor={next}"));
    let page = document.check(server, second.token(&tokens.bob), 200).await;
    assert_ne!(page["content"]["users"][0]["id"], next.as_str());
    let user = |id: &str| Ask::get("/online/{login_id}").at(&format!("/online/{id}"));
    document.check(server, user("nobody").token(&tokens.bob), 200).await;
    let oneself = document.check(server, user("alice").token(&tokens.alice), 200).await;
    assert!(oneself["content"]["sessions"][0]["handle"].is_string());
    let ticket = document.check(server, Ask::post("/ticket", None).token(&tokens.bob), 200).await;
    let ticket = ticket["content"]["ticket"].as_str().expect("a ticket");
    document.check(server, Ask::get("/online").at(&format!("/online?ticket={ticket}")), 200).await;
    let etag = server.request("GET", &format!("{}/client.js", document.base())).send().await;
    let etag = etag.header("etag").expect("a version");
    document.check(server, Ask::get("/client.js").header("If-None-Match", etag), 304).await;
    let stopped = Ask::get("/events").header("Last-Event-ID", "stop").token(&tokens.bob);
    document.check(server, stopped, 204).await;
}

async fn bad_requests(document: &mut Document, server: &Server, tokens: &Tokens, adapter: &str) {
    let large = Value::String("x".repeat(70_000));
    for ask in good_requests(document) {
        let token = if ask.is_for_admins() { &tokens.root } else { &tokens.bob };
        let ask = ask.token(token);
        if ask.is_for_anybody() {
            continue;
        }
        let two = ask.clone().header("Cookie", &format!("token={}", tokens.alice));
        document.check(server, two.header("Sec-Fetch-Site", "same-origin"), 400).await;
        if ask.method == "POST" {
            document.check(server, ask.clone().body(large.clone()), 413).await;
        }
        if ask.body.is_some() {
            for bad in [json!({"nonsense": 1}), json!([]), json!("text"), Value::Null] {
                document.check(server, ask.clone().body(bad), 400).await;
            }
        }
    }
    for (path, query) in [
        ("/online", "limit=0"),
        ("/online", "limit=many"),
        ("/online", "cursor=%FF"),
        ("/herenow", ""),
        ("/herenow", "channel="),
        ("/herenow", "channel=lobby&includeUsers=perhaps"),
        ("/herenow", "channel=lobby&limit=10001"),
    ] {
        let ask = Ask::get(path).at(&format!("{path}?{query}"));
        document.check(server, ask.token(&tokens.bob), 400).await;
    }
    let secret = Ask::get("/herenow").at("/herenow?channel=secret-plans");
    document.check(server, secret.token(&tokens.bob), 403).await;
    for id in ["%00", "%FF", &"x".repeat(129)] {
        if adapter == "poem" && id == "%FF" {
            // poem's own router refuses what is no UTF-8, with a text of its own, before any route is found.
            let path = format!("{}/online/{id}", document.base());
            assert_eq!(server.request("GET", &path).token(&tokens.bob).send().await.status, 400);
            continue;
        }
        let ask = Ask::get("/online/{login_id}").at(&format!("/online/{id}"));
        document.check(server, ask.token(&tokens.bob), 400).await;
    }
    let many = json!({"users": vec!["x"; 201]});
    document.check(server, Ask::post("/status", Some(many)).token(&tokens.bob), 400).await;
}

async fn admins(document: &mut Document, server: &Server, tokens: &Tokens) {
    let handle = Ask::get("/online/{login_id}").at("/online/carol").token(&tokens.root);
    let carol = document.check(server, handle, 200).await;
    let handle = &carol["content"]["sessions"][0]["handle"];
    let unknown = "0".repeat(24);
    for whom in [
        json!({"loginId": "alice"}),
        json!({"loginId": "alice", "device": "web"}),
        json!({"loginId": "nobody"}),
        json!({"token": handle}),
        json!({"connection": unknown}),
    ] {
        let mut push = whom.clone();
        push["content"] = json!({"any": ["json", 1, null]});
        document.check(server, Ask::post("/push", Some(push)).token(&tokens.root), 200).await;
        if whom["loginId"] != "alice" {
            document.check(server, Ask::post("/kick", Some(whom)).token(&tokens.root), 200).await;
        }
    }
    for bad in [
        json!({}),
        json!({"device": "web"}),
        json!({"loginId": "alice", "token": "t"}),
        json!({"loginId": "alice", "connection": unknown}),
        json!({"connection": "none"}),
        json!({"loginId": ""}),
        json!({"loginId": "alice", "banSeconds": 0}),
        json!({"loginId": "alice", "banSeconds": 4_000_000_000_u64}),
    ] {
        document.check(server, Ask::post("/kick", Some(bad)).token(&tokens.root), 400).await;
    }
    for kind in ["No word", "x".repeat(33).as_str()] {
        let push = json!({"loginId": "alice", "content": "", "kind": kind});
        document.check(server, Ask::post("/push", Some(push)).token(&tokens.root), 400).await;
    }
    for ask in good_requests(document).into_iter().filter(Ask::is_for_admins) {
        document.check(server, ask.clone().token(&tokens.bob), 403).await;
        document.check(server, ask.token(&tokens.root), 200).await;
    }
}

/// Whoever is banned may do nothing, however good the request.
async fn forbidden(document: &mut Document, server: &Server, tokens: &Tokens) {
    server.admin("kick", json!({"loginId": "alice", "reason": "", "banSeconds": 600})).await;
    for ask in good_requests(document).into_iter().filter(|ask| !ask.is_for_anybody()) {
        document.check(server, ask.token(&tokens.alice), 403).await;
    }
}
