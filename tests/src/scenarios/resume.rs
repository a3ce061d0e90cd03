//! What a client missed while its socket was gone: in order, once.

use serde_json::{Value, json};

use crate::{
    Server,
    client::{Client, TEXT, masked},
};

/// Everything by default.
pub const OPTIONS: &[&str] = &[];
/// A slow reader loses the oldest of what waits.
pub const DROPS: &[&str] = &["--overflow", "drop-oldest", "--outbox-messages", "8"];

/// A client that knows how far it is.
struct Resuming<'a> {
    server: &'a Server,
    token: String,
    socket: Client,
    resume: Value,
    seq: u64,
}

impl<'a> Resuming<'a> {
    async fn join(server: &'a Server, login_id: &str) -> Self {
        let token = server.login(login_id).await;
        let mut socket = server.envelope().token(&token).open().await;
        let welcome = socket.hello(json!({})).await;
        assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(false), &json!(0)));
        Self { server, token, socket, resume: welcome["resumeToken"].clone(), seq: 0 }
    }

    /// A new socket, which says what the old one had; the old one is returned as it is.
    async fn back(&mut self) -> (Client, Value) {
        let mut socket = self.server.envelope().token(&self.token).open().await;
        let welcome = socket.hello(json!({"resume": {"token": self.resume, "seq": self.seq}})).await;
        (std::mem::replace(&mut self.socket, socket), welcome)
    }

    async fn expect(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            assert_eq!(self.socket.expect_json("push").await["data"], n.to_string());
            self.seq += 1;
        }
    }
}

async fn push(server: &Server, login_id: &str, content: impl ToString) -> Value {
    server.admin("push", json!({"loginId": login_id, "content": content.to_string()})).await
}

/// Closed, reset, within a frame, or still there: whatever happened to the old socket.
pub async fn a_client_that_was_cut_gets_what_it_missed_in_order_and_once(server: &Server) {
    let mut client = Resuming::join(server, "alice").await;
    let mut pushed = 0;
    for round in 0..40 {
        for _ in 0..3 {
            push(server, "alice", pushed).await;
            pushed += 1;
        }
        let read = pushed - round % 3;
        client.expect(client.seq..read.max(client.seq)).await;
        if round % 8 == 0 {
            client.socket.json(&json!({"type": "ack", "seq": client.seq})).await;
        }
        if round % 4 == 2 {
            let half = &masked(0x80 | TEXT, b"{\"type\":\"pong\"}")[..5];
            client.socket.write(half).await;
        }
        let (old, welcome) = client.back().await;
        assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(true), &json!(client.seq)), "{round}");
        match round % 4 {
            0 => old.reset(),
            1 => drop(old.close(1001).await),
            _ => drop(old),
        }
    }
    client.expect(client.seq..pushed).await;
    server.expect_counts(1, 1).await;
}

/// The report says so, and a new socket gets it.
pub async fn a_push_to_somebody_who_is_away_is_held(server: &Server) {
    let mut client = Resuming::join(server, "alice").await;
    let (parted, _) = client.back().await;
    drop(parted);
    let gone = server.envelope().token(&client.token).open().await;
    drop(std::mem::replace(&mut client.socket, gone));
    crate::eventually("its socket is gone", async || server.counts().await.1 == 0).await;
    let report = push(server, "alice", 0).await;
    assert_eq!((&report["matched"], &report["held"]), (&json!(0), &json!(1)), "{report}");
    let (_, welcome) = client.back().await;
    assert_eq!(welcome["resumed"], true);
    client.expect(0..1).await;
}

/// It is the user's own, and a secret beside its token.
pub async fn the_resume_token_of_somebody_else_is_worth_nothing(server: &Server) {
    let victim = Resuming::join(server, "alice").await;
    push(server, "alice", "private").await;
    for resume in [victim.resume.clone(), json!("x"), json!("0".repeat(46))] {
        let mut thief = server.envelope().token(&server.login("mallory").await).open().await;
        let welcome = thief.hello(json!({"resume": {"token": resume, "seq": 0}})).await;
        assert_eq!((&welcome["resumed"], &welcome["user"]), (&json!(false), &json!("mallory")));
        push(server, "mallory", "own").await;
        assert_eq!(thief.expect_json("push").await["data"], "own");
        thief.close(1000).await;
    }
    server.expect_counts(1, 1).await;
}

/// What was kept goes with the session.
pub async fn a_kick_ends_what_was_kept(server: &Server) {
    let mut client = Resuming::join(server, "alice").await;
    client.socket.reset();
    server.expect_counts(1, 0).await; // In the grace period.
    let report = server.admin("kick", json!({"loginId": "alice", "reason": "out"})).await;
    assert_eq!(report["matched"], 0, "{report}");
    client.token = server.login("alice").await;
    client.socket = server.envelope().token(&client.token).open().await;
    let welcome = client.socket.hello(json!({"resume": {"token": client.resume, "seq": 0}})).await;
    assert_eq!(welcome["resumed"], false);
}

/// More than is kept by default.
pub async fn who_missed_too_much_starts_afresh(server: &Server) {
    let mut client = Resuming::join(server, "alice").await;
    let (old, _) = client.back().await;
    drop(old);
    client.socket.reset();
    server.expect_counts(1, 0).await;
    for n in 0..65 {
        push(server, "alice", n).await;
    }
    client.socket = server.envelope().token(&client.token).open().await;
    let welcome = client.socket.hello(json!({"resume": {"token": client.resume, "seq": 0}})).await;
    assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(false), &json!(0)));
    push(server, "alice", "new").await;
    assert_eq!(client.socket.expect_json("push").await["data"], "new");
}

/// `Last-Event-ID` is all that a browser says.
pub async fn a_listener_of_events_comes_back_by_its_last_id(server: &Server) {
    let token = server.login("alice").await;
    let listen = || server.request("GET", "/presence/events").token(&token);
    let mut events = listen().listen().await;
    let mut id = events.expect("welcome").await.1.id.expect("every push and the welcome have an id");
    for round in 0..5 {
        push(server, "alice", format!("heard {round}")).await;
        let (heard, event) = events.expect("push").await;
        assert_eq!(heard["data"], format!("heard {round}"));
        id = event.id.unwrap_or(id);
        if round % 2 == 0 {
            drop(events);
            server.expect_counts(1, 0).await;
        }
        push(server, "alice", format!("missed {round}")).await;
        events = listen().header("Last-Event-ID", &id).listen().await;
        assert_eq!(events.expect("welcome").await.0["resumed"], true, "{round}");
        let (missed, event) = events.expect("push").await;
        assert_eq!(missed["data"], format!("missed {round}"));
        id = event.id.expect("a push has an id");
        assert!(id.starts_with(&format!("{}.", 2 * (round + 1))), "{id}");
    }
    server.expect_counts(1, 1).await;
}

/// Both sides count the same, whatever was dropped.
pub async fn a_gap_stands_for_what_a_slow_reader_lost(server: &Server) {
    let token = server.login("alice").await;
    let mut client = server.envelope().small_window().token(&token).open().await;
    client.hello(json!({})).await;
    let (all, filler) = (300, "x".repeat(64 * 1024));
    for n in 0..all {
        push(server, "alice", format!("{n} {filler}")).await;
    }
    let (mut seq, mut gaps) = (0, 0);
    while seq < all {
        let frame: Value = serde_json::from_str(&client.expect_text().await).expect("JSON");
        match frame["type"].as_str() {
            Some("push") => {
                let text = frame["data"].as_str().expect("a text");
                assert_eq!(text.split(' ').next(), Some(&*seq.to_string()));
                seq += 1;
            }
            Some("gap") => {
                seq += frame["count"].as_u64().expect("a count");
                gaps += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(gaps > 0, "the kernel took 300 messages of 64 KiB");
    assert_eq!(seq, all);
}
