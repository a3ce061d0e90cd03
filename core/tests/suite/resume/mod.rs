//! What a client missed while it was away, in order, once.

mod acks;
mod ends;
mod hammer;
mod held;
mod nodes;

use herenow::{
    Hooks, OnlineManager, Refused, Target, UserKey,
    auth::{Identity, TokenId},
    policy::{LoginPolicy, Outbox, Overflow, Resume},
    testing::{Connect, TestClient, assert_all_gone, connect},
};
use serde_json::{Value, json};

use crate::support::{millis, online, pass, secs, with};

/// The `hello` of a client that comes back with so many pushes.
fn back(welcome: &Value, seq: u64) -> Value {
    json!({"type": "hello", "resume": {"token": welcome["resumeToken"], "seq": seq}})
}

async fn reconnect(online: &OnlineManager, user: &str, welcome: &Value, seq: u64) -> TestClient {
    Connect::new(online).user(user).hello(back(welcome, seq)).open().await
}

async fn push(online: &OnlineManager, n: usize) {
    online.push_to_user("u1", n.to_string()).await.unwrap();
}

async fn expect(client: &mut TestClient, numbers: impl IntoIterator<Item = usize>) {
    for n in numbers {
        assert_eq!(client.expect_push().await, n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_gets_what_it_missed_and_then_what_is_new() {
    let online = online();
    let mut client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(false), &json!(0)));
    push(&online, 0).await;
    expect(&mut client, [0]).await;
    client.vanish().await;
    for n in 1..4 {
        let report = online.push_to_user("u1", n.to_string()).await.unwrap();
        assert_eq!((report.matched, report.enqueued, report.held, report.reached()), (0, 0, 1, 0));
    }
    assert_eq!(online.get_connection_count().await, 0);
    let mut client = reconnect(&online, "u1", &welcome, 1).await;
    assert_eq!((&client.welcome()["resumed"], &client.welcome()["seq"]), (&json!(true), &json!(1)));
    assert_eq!(client.welcome()["connection"], welcome["connection"], "it is the same connection");
    assert_eq!(client.welcome()["resumeToken"], welcome["resumeToken"]);
    expect(&mut client, 1..4).await;
    push(&online, 4).await;
    expect(&mut client, [4]).await;
    client.expect_nothing(secs(1)).await;
    assert_eq!(online.get_connection_count().await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_all_of_it_gets_nothing_twice() {
    let online = online();
    let mut client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    push(&online, 0).await;
    expect(&mut client, [0]).await;
    client.vanish().await;
    let mut client = reconnect(&online, "u1", &welcome, 1).await;
    assert_eq!(client.welcome()["resumed"], true);
    client.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn broadcasts_wait_for_who_is_away_too() {
    let online = online();
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    let report = online.broadcast("news").await.unwrap();
    assert_eq!((report.matched, report.held), (0, 1));
    assert_eq!(reconnect(&online, "u1", &welcome, 0).await.expect_push().await, "news");
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_the_server_still_has_gives_way_to_the_new_one() {
    let online = online();
    let mut old = connect(&online, "u1").await;
    let welcome = old.welcome().clone();
    old.ignore_pings();
    push(&online, 0).await;
    let mut new = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!(new.welcome()["resumed"], true);
    expect(&mut new, [0]).await;
    expect(&mut old, [0]).await;
    assert_eq!(old.recv().await, None, "the old socket is let go of");
    push(&online, 1).await;
    expect(&mut new, [1]).await;
    assert_eq!((online.get_connection_count().await, online.get_online_count().await), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_missed_more_than_is_kept_starts_afresh() {
    let online = with(|builder| builder.resume(Resume { messages: 4, ..Resume::default() }));
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    for n in 0..5 {
        push(&online, n).await;
    }
    let mut client = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!((&client.welcome()["resumed"], &client.welcome()["seq"]), (&json!(false), &json!(0)));
    assert_ne!(client.welcome()["connection"], welcome["connection"]);
    client.expect_nothing(secs(1)).await;
    push(&online, 5).await;
    expect(&mut client, [5]).await;
}

#[tokio::test(start_paused = true)]
async fn bytes_bound_what_is_kept_as_messages_do() {
    let online = with(|builder| builder.resume(Resume { bytes: 1000, ..Resume::default() }));
    for (size, resumes) in [(300, true), (700, false)] {
        let client = connect(&online, "u1").await;
        let welcome = client.welcome().clone();
        client.vanish().await;
        for _ in 0..2 {
            online.push_to_user("u1", "x".repeat(size)).await.unwrap();
        }
        let client = reconnect(&online, "u1", &welcome, 0).await;
        assert_eq!(client.welcome()["resumed"], resumes, "{size}");
        client.close(1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledged_push_is_forgotten() {
    let online = with(|builder| builder.resume(Resume { messages: 4, ..Resume::default() }));
    let mut client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    for n in 0..8 {
        push(&online, n).await;
    }
    expect(&mut client, 0..8).await;
    client.send_json(&json!({"type": "ack", "seq": 6}));
    client.send_json(&json!({"type": "ack", "seq": 99}));
    client.send_json(&json!({"type": "auth", "id": 1, "token": ""}));
    client.expect_type("reply").await;
    client.vanish().await;
    let claims_less = reconnect(&online, "u1", &welcome, 5).await;
    assert_eq!(claims_less.welcome()["resumed"], false, "it said that it had six");
}

#[tokio::test(start_paused = true)]
async fn after_its_time_nobody_resumes() {
    let online = online();
    for (time, resumes) in [(secs(119), true), (secs(121), false)] {
        let client = connect(&online, "u1").await;
        let welcome = client.welcome().clone();
        client.vanish().await;
        pass(time).await;
        let client = reconnect(&online, "u1", &welcome, 0).await;
        assert_eq!(client.welcome()["resumed"], resumes, "{time:?}");
        client.close(1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_said_goodbye_left_nothing_to_resume() {
    let online = online();
    for (code, resumes) in [(Some(1000), false), (None, false), (Some(1001), true)] {
        let client = connect(&online, "u1").await;
        let welcome = client.welcome().clone();
        client.close(code).await;
        let client = reconnect(&online, "u1", &welcome, 0).await;
        assert_eq!(client.welcome()["resumed"], resumes, "{code:?}");
        client.close(1000).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_somebody_elses_or_of_nobodys_resumes_nothing() {
    let online = online();
    let mine = connect(&online, "u1").await;
    let welcome = mine.welcome().clone();
    mine.vanish().await;
    push(&online, 0).await;
    let mut thief = reconnect(&online, "u2", &welcome, 0).await;
    assert_eq!(thief.welcome()["resumed"], false);
    thief.expect_nothing(secs(1)).await;
    let forged = json!({"resumeToken": format!("{}AAAA", welcome["connection"].as_str().unwrap())});
    assert_eq!(reconnect(&online, "u1", &forged, 0).await.welcome()["resumed"], false);
    assert_eq!(reconnect(&online, "u1", &welcome, 7).await.welcome()["resumed"], false, "of a future");
    let malformed = Connect::new(&online).user("u1").hello(json!({"type": "hello", "resume": 5}));
    let mut malformed = malformed.start().await.unwrap();
    assert_eq!(malformed.expect_type("error").await["code"], "bad_frame");
}

#[tokio::test(start_paused = true)]
async fn a_tenants_user_of_the_same_name_resumes_nothing() {
    let online = online();
    let mine = connect(&online, "u1").await;
    let welcome = mine.welcome().clone();
    mine.vanish().await;
    let other = Connect::new(&online).user(UserKey::in_account("tenant", "u1")).hello(back(&welcome, 0));
    assert_eq!(other.open().await.welcome()["resumed"], false);
}

#[tokio::test(start_paused = true)]
async fn a_kick_a_log_out_and_a_login_elsewhere_end_what_was_kept() {
    let policy = LoginPolicy::unlimited().max_per_user(1);
    let online = with(|builder| builder.login_policy(policy));
    for end in ["kick", "kick of the token", "log out", "log out of all"] {
        let client = Connect::new(&online).user("u1").token(end).open().await;
        let welcome = client.welcome().clone();
        client.vanish().await;
        match end {
            "kick" => drop(online.kick_out("u1", "").await.unwrap()),
            "kick of the token" => drop(online.kick_out(Target::token(end), "").await.unwrap()),
            "log out" => online.mark_offline("u1", end).await,
            _ => online.mark_offline_all("u1").await,
        }
        pass(millis(1)).await; // A token that was looked at in the moment of the kick is older than the kick.
        let fresh = Identity::new("u1").token_id(TokenId::of("fresh"));
        let client = Connect::new(&online).identity(fresh).hello(back(&welcome, 0)).open().await;
        assert_eq!(client.welcome()["resumed"], false, "{end}");
        client.close(1000).await;
    }
    let first = Connect::new(&online).user("u1").token("first").open().await;
    let welcome = first.welcome().clone();
    let second = Connect::new(&online).user("u1").token("second").open().await;
    first.server_is_done().await;
    second.close(1000).await;
    let again = Connect::new(&online).user("u1").token("first").hello(back(&welcome, 0)).open().await;
    assert_eq!(again.welcome()["resumed"], false, "it was replaced");
}

#[tokio::test(start_paused = true)]
async fn a_kick_report_counts_sockets_and_not_what_is_kept() {
    let online = online();
    connect(&online, "u1").await.vanish().await;
    let here = Connect::new(&online).user("u1").token("other").open().await;
    let report = online.kick_out("u1", "").await.unwrap();
    assert_eq!((report.matched, report.closed, report.aborted), (1, 1, 0));
    drop(here);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn resuming_is_silent_within_the_grace_period() {
    let online = online();
    let mut events = online.events();
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    pass(secs(4)).await;
    let client = reconnect(&online, "u1", &welcome, 0).await;
    pass(secs(60)).await;
    client.close(1000).await;
    let mut kinds = Vec::new();
    while let Some(herenow::Notice::Event(event)) = events.try_recv() {
        kinds.push(event.kind);
    }
    assert_eq!(kinds, [herenow::EventKind::Online, herenow::EventKind::Offline]);
}

#[tokio::test(start_paused = true)]
async fn the_session_policy_counts_who_resumes_as_itself() {
    let online = with(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(1)));
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    let mut back = reconnect(&online, "u1", &welcome, 0).await;
    let newer = Connect::new(&online).user("u1").token("newer").open().await;
    assert_eq!(back.expect_close().await.0, 4409, "the resumed one gives way");
    drop(newer);
}

#[tokio::test(start_paused = true)]
async fn the_application_may_refuse_who_comes_back_and_it_stays_parked() {
    let online = online();
    let client = connect(&online, "u1").await;
    let welcome = client.welcome().clone();
    client.vanish().await;
    push(&online, 0).await;
    let refusing = Hooks::default().on_connect(|_| async { Err(Refused::Application("not now".into())) });
    let refused = Connect::new(&online).user("u1").hooks(refusing).hello(back(&welcome, 0));
    assert_eq!(refused.start().await.unwrap().expect_close().await.0, 4403);
    let mut client = reconnect(&online, "u1", &welcome, 0).await;
    expect(&mut client, [0]).await;
}

#[tokio::test(start_paused = true)]
async fn handles_of_the_application_stay_good_across_a_resume() {
    let online = online();
    let client = connect(&online, "u1").await;
    let (welcome, handle) = (client.welcome().clone(), client.connection().clone());
    client.vanish().await;
    handle.send("while away").unwrap();
    let mut client = reconnect(&online, "u1", &welcome, 0).await;
    assert_eq!(client.expect_push().await, "while away");
    handle.send("again").unwrap();
    assert_eq!(client.expect_push().await, "again");
    assert_eq!(client.connection().id(), handle.id());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_was_thrown_out_gets_what_it_missed() {
    let bounds = Outbox { messages: 4, ..Outbox::default() };
    let online = with(|builder| builder.outbox(bounds));
    let mut client = Connect::new(&online).user("u1").pipe(512).open().await;
    let welcome = client.welcome().clone();
    client.stop_reading();
    for n in 0..20 {
        push(&online, n).await;
    }
    client.read_on();
    let mut got = 0;
    while let Some(frame) = client.recv().await {
        got += usize::from(format!("{frame:?}").contains("push"));
    }
    let mut client = reconnect(&online, "u1", &welcome, got as u64).await;
    assert_eq!(client.welcome()["resumed"], true);
    expect(&mut client, got..20).await;
}

#[tokio::test(start_paused = true)]
async fn a_gap_counts_as_what_was_dropped() {
    let bounds = Outbox { messages: 4, overflow: Overflow::DropOldest, ..Outbox::default() };
    let online = with(|builder| builder.outbox(bounds));
    let mut client = Connect::new(&online).user("u1").pipe(512).open().await;
    client.stop_reading();
    for n in 0..20 {
        push(&online, n).await;
    }
    client.read_on();
    let (mut seq, mut gaps) = (0, 0);
    while seq < 20 {
        let frame: Value = serde_json::from_str(&client.expect_text().await).unwrap();
        match frame["type"].as_str().unwrap() {
            "push" => {
                assert_eq!(frame["data"], seq.to_string(), "a push stands at its own count");
                seq += 1;
            }
            "gap" => {
                seq += frame["count"].as_u64().unwrap();
                gaps += 1;
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((seq, gaps), (20, 1));
}

#[tokio::test(start_paused = true)]
async fn switched_off_nothing_is_kept() {
    let online = with(|builder| builder.resume(Resume::off()));
    let client = connect(&online, "u1").await;
    assert_eq!(client.welcome()["resumeToken"], Value::Null);
    client.vanish().await;
    assert_eq!(online.push_to_user("u1", "0").await.unwrap().held, 0);
}

#[tokio::test(start_paused = true)]
async fn who_ended_first_is_given_up_first_where_room_is_scarce() {
    let online = with(|builder| builder.resume(Resume { bytes: 1024, in_all: 4096, ..Resume::default() }));
    let mut welcomes = Vec::new();
    for _ in 0..5 {
        let client = connect(&online, "u1").await;
        welcomes.push(client.welcome().clone());
        client.vanish().await;
    }
    let mut resumed = Vec::new();
    for welcome in &welcomes {
        let client = reconnect(&online, "u1", welcome, 0).await;
        resumed.push(client.welcome()["resumed"] == true);
        client.close(1000).await;
    }
    assert!(!resumed[0], "{resumed:?}");
    assert!(resumed[4], "{resumed:?}");
}
