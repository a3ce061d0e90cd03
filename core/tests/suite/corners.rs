//! Interleavings and abuses that a reader of the code found: each was a defect once.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use herenow::{
    Clock, Close, Hooks, LastSeen, MessagePusher, OnlineManager, PushMessage, PushWhen, PusherError, Socket,
    Target, UserKey,
    auth::{AuthError, Credential, Identity, TokenId},
    http::RequestInfo,
    policy::{Inbound, LoginPolicy, Outbox},
    testing::{Connect, ManualClock, assert_all_gone, connect, two_nodes, until},
};
use serde_json::json;

use crate::support::{alone, heard, millis, online, pass, secs, session, with};

#[tokio::test(start_paused = true)]
async fn a_session_that_pauses_still_receives_what_waited_meanwhile() {
    let online = with(|builder| builder.recheck(secs(0)).idle_after(secs(0)));
    let hooks = Hooks::default().serve(async |mut socket: Socket| {
        while let Some(inbound) = socket.recv().await {
            if inbound.body.as_text() == Some("0") {
                pass(millis(100)).await;
            }
            let _ = socket.send(inbound.body.as_text().unwrap_or_default());
        }
    });
    let mut client = Connect::new(&online).user("u1").raw().hooks(hooks).open().await;
    for n in 0..60 {
        client.send_text(&n.to_string());
    }
    for n in 0..60 {
        assert_eq!(client.expect_text().await, n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn to_end_all_other_sessions_spares_ones_own_on_another_node() {
    let [here, there] = two_nodes();
    let mut mine = Connect::new(&there).user("u1").token("mine").open().await;
    let mut tab = Connect::new(&there).user("u1").token("mine").open().await;
    let mut other = Connect::new(&here).user("u1").token("other").open().await;
    let own = mine.connection().id();
    let report = here.kick_out(Target::user("u1").except_connection(own), "elsewhere").await.unwrap();
    assert_eq!(report.matched, 1);
    assert_eq!(other.expect_close().await.0, 4423);
    pass(secs(200)).await; // Rechecks included.
    let _report = there.push_to_user("u1", "still here").await.unwrap();
    assert_eq!(
        (mine.expect_push().await, tab.expect_push().await),
        (json!("still here"), json!("still here"))
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_is_kicked_where_the_connection_to_spare_is_not_known() {
    let online = online();
    let gone = connect(&online, "u1").await;
    let id = gone.connection().id();
    gone.close(1000).await;
    let stays = connect(&online, "u1").await;
    assert!(online.kick_out(Target::user("u1").except_connection(id), "").await.is_err());
    assert!(online.is_online("u1").await);
    stays.close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_client_that_reads_none_are_bounded() {
    let online = with(|builder| builder.inbound(Inbound { frames_per_second: 0, ..Inbound::default() }));
    let client = Connect::new(&online).user("u1").pipe(64).open().await;
    client.stop_reading();
    for id in 1..5_000 {
        client.send_json(&json!({"type": "unknown", "id": id}));
    }
    client.server_is_done().await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_closes_before_it_is_present_replaces_nobody() {
    let online = with(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(1)));
    let mut old = Connect::new(&online).user("u1").token("old").open().await;
    let mut events = online.events();
    let hooks = Hooks::default().on_connect(async |_| {
        pass(millis(300)).await;
        Ok(())
    });
    let new = Connect::new(&online).user("u1").token("new").hooks(hooks).start().await.unwrap();
    new.close(1000).await;
    pass(secs(20)).await;
    assert!(heard(&mut events).is_empty());
    let _report = online.push_to_user("u1", "you").await.unwrap();
    assert_eq!(old.expect_push().await, "you");
}

#[tokio::test(start_paused = true)]
async fn a_kick_finds_a_connection_that_has_not_said_hello_yet() {
    let online = online();
    let mut waiting = Connect::new(&online).user("u1").silent().start().await.unwrap();
    until("registered", async || online.kick_out("u1", "now").await.unwrap().matched == 1).await;
    assert_eq!(waiting.expect_close().await.0, 4423);
    assert_all_gone(&online).await;
}

async fn whose(credential: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    Ok(Identity::new(credential.token.expose().split(':').next().unwrap_or_default().to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_refreshed_sessions_next_tab_replaces_nobody() {
    let one = LoginPolicy::unlimited().max_per_user(1);
    let online = with(|builder| builder.authenticator(whose).login_policy(one));
    let mut first = Connect::new(&online).bearer("alice:1").open().await;
    first.send_json(&json!({"type": "auth", "id": 1, "token": "alice:2"}));
    first.expect_type("reply").await;
    let second = Connect::new(&online).bearer("alice:2").open().await;
    pass(secs(5)).await;
    assert_eq!(online.get_connection_count().await, 2);
    let third = Connect::new(&online).bearer("alice:3").open().await;
    assert_eq!(first.expect_close().await.0, 4409);
    drop((second, third));
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl LastSeen for Store {
    async fn record(&self, user: &UserKey, _: DateTime<Utc>) {
        pass(millis(5)).await;
        assert_ne!(user.login_id(), "u0", "a store that panics loses its own record only");
        self.0.lock().unwrap().push(user.login_id().to_owned());
    }

    async fn last_seen(&self, _: &UserKey) -> Option<DateTime<Utc>> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_records_it_causes() {
    let store = Store::default();
    let online = alone(|builder| builder.last_seen(store.clone()));
    let mut clients = Vec::new();
    for n in 0..10 {
        clients.push(connect(&online, format!("u{n}").as_str()).await);
    }
    online.mark_online(session("marked", "t")).await;
    let _report = online.shutdown(secs(3)).await;
    assert_eq!(store.0.lock().unwrap().len(), 10, "u1 to u9 and the mark");
}

#[derive(Clone, Default)]
struct OnlineOnly(Arc<Mutex<Vec<String>>>);

#[async_trait::async_trait]
impl MessagePusher for OnlineOnly {
    async fn push(&self, login_id: &str, _: PushMessage) -> Result<(), PusherError> {
        self.0.lock().unwrap().push(login_id.to_owned());
        Ok(())
    }

    fn when(&self) -> PushWhen {
        PushWhen::Online
    }
}

#[tokio::test(start_paused = true)]
async fn pushers_hear_of_a_kick_as_of_somebody_who_was_online() {
    let pusher = OnlineOnly::default();
    let online = with(|builder| builder.pusher(pusher.clone()));
    let (first, second) = (connect(&online, "u1").await, connect(&online, "u2").await);
    let _report = online.kick_out("u1", "gone").await.unwrap();
    let token = second.connection().identity().token_id.to_string();
    let _report = online.kick_out(Target::token(token), "gone").await.unwrap();
    assert_eq!(*pusher.0.lock().unwrap(), ["u1", "u2"]);
    drop((first, second));
}

#[tokio::test(start_paused = true)]
async fn push_and_close_reaches_every_node_and_ends_marks() {
    let [here, there] = two_nodes();
    let mut clients = [connect(&here, "u1").await, connect(&there, "u1").await];
    here.mark_online(session("u1", "by hand")).await;
    let done = Close::app(4001, "done").unwrap();
    let _report = here.push_and_close("u1", "the last word", done).await.unwrap();
    for client in &mut clients {
        assert_eq!(client.expect_push().await, "the last word");
        assert_eq!(client.expect_close().await, (4001, "done".to_owned()));
    }
    pass(secs(6)).await;
    assert!(!here.is_online("u1").await);
}

/// Opens a connection of its own, as a pusher to a mail server does.
struct Dials(std::net::SocketAddr);

#[async_trait::async_trait]
impl MessagePusher for Dials {
    async fn push(&self, _: &str, _: PushMessage) -> Result<(), PusherError> {
        tokio::net::TcpStream::connect(self.0).await.map(drop).map_err(|error| PusherError(error.to_string()))
    }
}

#[tokio::test]
async fn a_pusher_may_open_connections_on_the_runtime_of_our_own() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let online = OnlineManager::builder().pusher(Dials(address)).build().unwrap();
    let report = online.push_to_user("u1", "mail").await.unwrap();
    assert_eq!(report.pushers, 1);
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_one_session_is_not_noticed_when_another_is_marked_offline() {
    let online = online();
    let mut events = online.events();
    let page = Connect::new(&online).user("u1").token("page").open().await;
    page.close(1001).await;
    online.mark_offline("u1", "some other token").await;
    let page = Connect::new(&online).user("u1").token("page").open().await;
    pass(secs(10)).await;
    assert_eq!(heard(&mut events).len(), 1);
    page.close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn identities_without_a_token_are_kicked_by_user_and_never_all_at_once() {
    let online = online();
    let nameless = |user: &str| Identity::new(user).token_id(TokenId::default());
    let first = Connect::new(&online).identity(nameless("u1")).open().await;
    let second = Connect::new(&online).identity(nameless("u2")).open().await;
    assert_eq!(online.kick_out("u1", "").await.unwrap().matched, 1);
    pass(secs(130)).await;
    assert!(online.is_online("u2").await);
    let third = Connect::new(&online).identity(nameless("u3")).open().await;
    drop((first, second, third));
}

#[tokio::test(start_paused = true)]
async fn at_most_256_refusals_are_shown_at_once_and_the_rest_are_plain_http() {
    let online = online();
    let refused = || Connect::new(&online).bearer("forged").silent();
    let mut shown = Vec::new();
    for _ in 0..256 {
        let client = refused().start().await.expect("a visible refusal");
        client.stop_reading();
        shown.push(client);
    }
    assert_eq!(refused().start().await.unwrap_err().status(), 401);
    drop(shown);
    until("room for another", async || refused().start().await.is_ok()).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_worth_what_its_token_is_when_it_is_redeemed() {
    let online = with(|builder| builder.authenticator(whose));
    let ticket = online.issue_ticket(&Identity::new("alice")).await.unwrap();
    pass(millis(1)).await;
    let _report = online.kick_out("alice", "").await.unwrap();
    assert_eq!(Connect::new(&online).ticket(&ticket).raw().start().await.unwrap_err().status(), 401);
    let soon = ManualClock::new().utc() + TimeDelta::seconds(10);
    let ticket = online.issue_ticket(&Identity::new("bob").expires_at(soon)).await.unwrap();
    pass(secs(11)).await;
    assert_eq!(Connect::new(&online).ticket(&ticket).raw().start().await.unwrap_err().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn a_kick_by_token_within_an_account_refuses_it_though_nobody_is_there() {
    let online = online();
    let token = TokenId::of("t1").to_string();
    let page = Connect::new(&online).user("u1").token("t1").open().await;
    page.close(1001).await;
    until("in grace", async || online.get_connection_count().await == 0).await;
    let _report = online.kick_out(Target::token(&token).within_account(""), "").await.unwrap();
    assert_eq!(Connect::new(&online).user("u1").token("t1").raw().start().await.unwrap_err().status(), 401);
    let tenant = Connect::new(&online).user(UserKey::in_account("tenant", "u1")).token("t1").open().await;
    drop(tenant);
}

#[tokio::test(start_paused = true)]
async fn a_push_whose_frame_never_fits_is_refused_and_ends_nobody() {
    let online =
        with(|builder| builder.max_push(64 * 1024).outbox(Outbox { bytes: 64 * 1024, ..Outbox::default() }));
    let mut client = connect(&online, "u1").await;
    assert!(online.push_to_user("u1", vec![0u8; 60 * 1024]).await.is_err());
    let _report = online.push_to_user("u1", "fits").await.unwrap();
    assert_eq!(client.expect_push().await, "fits");
}
