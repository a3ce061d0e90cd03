//! How watchers are told: state first, then what happened, a window at a time, and amounts where users are many.

use herenow::policy::Channels;
use serde_json::{Value, json};

use super::{at_once, expected, next, tab, told, watcher, windowed};
use crate::support::{millis, now, pass, secs};

fn ver(frame: &Value) -> u64 {
    frame["ver"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_state_comes_behind_the_reply_and_every_frame_counts_on_from_it() {
    let online = at_once(|builder| builder);
    let mut client = tab(&online, "u1", "lobby").await;
    client.send_json(&json!({"type": "subscribePresence", "id": 77, "channel": "lobby"}));
    assert_eq!(client.expect_type("reply").await, json!({"type": "reply", "id": 77, "result": {}}));
    let state = client.expect_type("presenceState").await;
    assert!(ver(&state) > 0 && ver(&state) < 1 << 53);
    let own = json!([{"id": "u1", "data": "", "status": "online"}]);
    assert_eq!((&state["channel"], &state["users"], &state["more"]), (&json!("lobby"), &own, &json!(false)));
    for n in 1..4 {
        let mut other = tab(&online, "u2", "lobby").await;
        let frame = client.expect_presence().await;
        assert_eq!((ver(&frame), &frame["channel"]), (ver(&state) + 2 * n - 1, &json!("lobby")));
        other.unsubscribe("lobby").await;
        assert_eq!(ver(&client.expect_presence().await), ver(&state) + 2 * n);
    }
    assert_eq!(ver(&client.subscribe_presence("lobby").await), ver(&state) + 6);
}

#[tokio::test(start_paused = true)]
async fn what_happens_within_a_window_is_one_frame_in_order() {
    let online = windowed(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let began = now();
    let mut one = tab(&online, "u1", "lobby").await;
    let other = tab(&online, "u2", "lobby").await;
    one.unsubscribe("lobby").await;
    one.subscribe("lobby").await;
    other.close(1000).await;
    let (events, amounts) = told(&watcher.expect_presence().await);
    assert!(now() - began >= millis(100) && now() - began < millis(120));
    let all = [
        "join u1 by subscribe",
        "join u2 by subscribe",
        "leave u1 by unsubscribe",
        "join u1 by subscribe",
        "offline u2 by disconnect",
    ];
    assert_eq!((events, amounts), (all.map(str::to_owned).to_vec(), (1, 1)));
    watcher.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_state_within_a_window_may_hold_what_the_next_frame_tells() {
    let online = windowed(|builder| builder);
    let mut first = watcher(&online, "lobby").await;
    let _member = tab(&online, "u1", "lobby").await;
    let mut second = herenow::testing::connect(&online, "second").await;
    let state = second.subscribe_presence("lobby").await;
    assert_eq!(state["users"][0]["id"], "u1");
    let frame = second.expect_presence().await;
    assert_eq!(ver(&frame), ver(&state) + 1);
    assert_eq!(first.expect_presence().await, frame);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_joins_within_a_window_are_one_frame_for_each_watcher() {
    let online = windowed(|builder| builder);
    let mut members = Vec::new();
    for n in 0..1000 {
        members.push(herenow::testing::connect(&online, format!("u{n:04}")).await);
    }
    let mut watchers = [watcher(&online, "lobby").await, watcher(&online, "lobby").await];
    for member in &members {
        member.connection().join("lobby").unwrap();
    }
    for watcher in &mut watchers {
        let frame = watcher.expect_presence().await;
        let (events, amounts) = told(&frame);
        assert_eq!((events.len(), amounts), (1000, (1000, 1000)));
        assert!(events.is_sorted(), "in the order of the joins");
        watcher.expect_nothing(secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_no_more_is_told_no_more() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let reply = watcher.request(json!({"type": "unsubscribePresence", "channel": "lobby"})).await;
    assert_eq!(reply["result"], json!({}));
    let mut member = tab(&online, "u1", "lobby").await;
    watcher.expect_nothing(secs(1)).await;
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!(state["userAmount"], 1);
    member.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn above_the_bound_there_are_amounts_only_and_below_it_a_list_again() {
    let online = windowed(|builder| builder.channels(Channels { presence_users: 8, ..Channels::default() }));
    let mut watcher = watcher(&online, "lobby").await;
    let mut members = Vec::new();
    for n in 0..8 {
        members.push(tab(&online, &format!("u{n}"), "lobby").await);
    }
    let (events, amounts) = told(&watcher.expect_presence().await);
    assert_eq!((events.len(), amounts), (8, (8, 8)));
    members.push(tab(&online, "u8", "lobby").await);
    let state = watcher.expect_type("presenceState").await;
    assert_eq!(
        (&state["users"], &state["more"], &state["userAmount"]),
        (&json!([]), &json!(true), &json!(9))
    );
    members.push(tab(&online, "u9", "lobby").await);
    let frame = watcher.expect_presence().await;
    assert_eq!((told(&frame), ver(&frame)), ((vec![], (10, 10)), ver(&state) + 1));
    let asked = watcher.subscribe_presence("lobby").await;
    assert_eq!((&asked["users"], &asked["more"], ver(&asked)), (&json!([]), &json!(true), ver(&frame)));
    for _ in 0..2 {
        members.pop().unwrap().close(1000).await;
    }
    assert_eq!(told(&watcher.expect_presence().await), (vec![], (8, 8)), "not yet clearly below");
    members.pop().unwrap().close(1000).await;
    let state = watcher.expect_type("presenceState").await;
    assert_eq!((state["users"].as_array().unwrap().len(), &state["more"]), (7, &json!(false)));
    members.pop().unwrap().close(1000).await;
    assert_eq!(next(&mut watcher).await, expected("offline u6 by disconnect", 6, 6));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_no_outbox_takes_is_amounts_too() {
    let online = at_once(|builder| {
        let outbox = herenow::policy::Outbox { bytes: 8192, ..Default::default() };
        builder.outbox(outbox).max_push(8192)
    });
    let mut watcher = watcher(&online, "lobby").await;
    let hello = json!({"type": "hello", "data": "x".repeat(3000)});
    let mut members = Vec::new();
    for user in ["u1", "u2"] {
        let mut member = herenow::testing::Connect::new(&online).user(user).hello(hello.clone()).open().await;
        member.subscribe("lobby").await;
        members.push(member);
    }
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let state = watcher.expect_type("presenceState").await;
    assert_eq!(
        (&state["users"], &state["more"], &state["userAmount"]),
        (&json!([]), &json!(true), &json!(2))
    );
    drop(members);
}

#[tokio::test(start_paused = true)]
async fn too_much_for_one_frame_is_told_as_a_state() {
    let online = windowed(|builder| builder.channels(Channels { presence_users: 4, ..Channels::default() }));
    let mut watcher = watcher(&online, "lobby").await;
    let member = herenow::testing::connect(&online, "u1").await;
    for _ in 0..5 {
        member.connection().join("lobby").unwrap();
        assert!(member.connection().leave("lobby"));
    }
    member.connection().join("lobby").unwrap();
    let state = watcher.expect_type("presenceState").await;
    assert_eq!((&state["users"][0]["id"], &state["more"]), (&json!("u1"), &json!(false)));
    assert!(member.connection().leave("lobby"));
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_does_not_read_costs_the_others_nothing() {
    let online = windowed(|builder| {
        let outbox = herenow::policy::Outbox { messages: 4, ..Default::default() };
        builder.outbox(outbox)
    });
    let mut stuck = herenow::testing::Connect::new(&online).user("stuck").pipe(256).open().await;
    stuck.subscribe_presence("lobby").await;
    stuck.stop_reading();
    let mut watcher = watcher(&online, "lobby").await;
    for n in 0..12 {
        tab(&online, &format!("u{n}"), "lobby").await.close(1000).await;
        assert_eq!(told(&watcher.expect_presence().await).0.len(), 2);
        pass(millis(200)).await;
    }
    assert!(!stuck.connection().is_open());
    stuck.server_is_done().await;
}
