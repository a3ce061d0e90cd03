//! Away and custom words.

use herenow::{
    Status,
    testing::{connect, next_event, until},
};
use serde_json::json;

use crate::support::{heard, millis, online, pass, secs, session, with};

#[tokio::test(start_paused = true)]
async fn a_user_is_away_when_every_connection_is() {
    let online = online();
    let (one, other) = (connect(&online, "u1").await, connect(&online, "u1").await);
    one.send_json(&json!({"type": "status", "status": "away"}));
    pass(secs(1)).await;
    assert_eq!(online.get_status("u1").await, Status::Online);
    other.send_json(&json!({"type": "status", "status": "away"}));
    until("away", async || online.get_status("u1").await == Status::Away).await;
    assert!(online.is_online("u1").await);
    one.send_json(&json!({"type": "status", "status": "online"}));
    until("online", async || online.get_status("u1").await == Status::Online).await;
}

#[tokio::test(start_paused = true)]
async fn set_away_is_an_update_until_the_user_says_otherwise() {
    let online = online();
    let phone = connect(&online, "u1").await;
    let mut events = online.events();
    online.set_away("u1").await;
    online.set_away("u1").await;
    assert_eq!(next_event(&mut events).await.status, Status::Away);
    assert!(heard(&mut events).is_empty());
    phone.send_json(&json!({"type": "status", "status": "online"}));
    assert_eq!(next_event(&mut events).await.status, Status::Online);
    online.set_status("u1", Status::Offline).await.unwrap();
    assert!(online.is_online("u1").await && heard(&mut events).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_word_that_is_none_is_refused_and_changes_nothing() {
    let online = online();
    let _phone = connect(&online, "u1").await;
    let longest = "x".repeat(Status::MAX_WORD);
    for word in [String::new(), format!("{longest}x"), "two\nlines".to_owned()] {
        let error = online.set_status("u1", Status::Custom(word.into())).await.unwrap_err();
        assert!(error.to_string().contains("status"), "{error}");
    }
    assert_eq!(online.get_status("u1").await, Status::Online);
    online.set_status("u1", Status::from(&*longest)).await.unwrap();
    assert_eq!(online.get_status("u1").await, Status::from(&*longest));
}

#[tokio::test(start_paused = true)]
async fn the_word_set_last_on_a_connection_that_is_not_away_is_the_users() {
    let online = online();
    let (one, other) = (connect(&online, "u1").await, connect(&online, "u1").await);
    let status = async |client: &herenow::testing::TestClient, word: &str, now: &str| {
        client.send_json(&json!({"type": "status", "status": word}));
        until(now, async || online.get_status("u1").await.as_str() == now).await;
        pass(secs(1)).await;
    };
    status(&one, "busy", "busy").await;
    status(&other, "in a call", "in a call").await;
    status(&other, "away", "busy").await;
    status(&one, "away", "away").await;
}

#[tokio::test(start_paused = true)]
async fn statuses_in_quick_succession_are_coalesced_and_the_last_one_holds() {
    let online = online();
    let phone = connect(&online, "u1").await;
    let mut events = online.events();
    for n in 0..50 {
        phone.send_json(&json!({"type": "status", "status": format!("word {n}")}));
    }
    until("the last word", async || online.get_status("u1").await.as_str() == "word 49").await;
    assert!(heard(&mut events).len() <= 3);
}

#[tokio::test(start_paused = true)]
async fn idle_for_five_minutes_is_away_and_activity_wakes() {
    let online = online();
    let phone = connect(&online, "u1").await;
    pass(secs(299)).await;
    assert_eq!(online.get_status("u1").await, Status::Online);
    pass(millis(1100)).await;
    assert_eq!(online.get_status("u1").await, Status::Away);
    online.update_activity("u1", "token of u1").await;
    assert_eq!(online.get_status("u1").await, Status::Online);
    pass(secs(301)).await;
    assert_eq!(online.get_status("u1").await, Status::Away);
    phone.send_json(&json!({"type": "message", "data": 1}));
    until("awake", async || online.get_status("u1").await == Status::Online).await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_mark_is_idle_as_a_socket_is() {
    let online = online();
    online.mark_online(session("u1", "t1")).await;
    pass(secs(305)).await;
    assert_eq!(online.get_status("u1").await, Status::Away);
    online.update_activity("u1", "t1").await;
    assert_eq!(online.get_status("u1").await, Status::Online);
    pass(secs(305)).await;
    assert_eq!(online.get_status("u1").await, Status::Away);
}

#[tokio::test(start_paused = true)]
async fn idle_time_zero_is_never_away() {
    let online = with(|builder| builder.idle_after(secs(0)));
    let _phone = connect(&online, "u1").await;
    online.mark_online(session("u2", "t")).await;
    pass(secs(100_000)).await;
    for user in ["u1", "u2"] {
        assert_eq!(online.get_status(user).await, Status::Online);
    }
}

#[tokio::test(start_paused = true)]
async fn an_away_tab_reloads_silently_and_comes_back_awake() {
    let online = online();
    let phone = connect(&online, "u1").await;
    online.set_away("u1").await;
    phone.close(1001).await;
    assert_eq!(online.get_status("u1").await, Status::Away);
    let _again = connect(&online, "u1").await;
    assert_eq!(online.get_status("u1").await, Status::Online);
}
