//! Who joins, leaves, is gone and comes back: a user's first and last client, and nobody else's.

use chrono::TimeDelta;
use herenow::{
    KickOut, Target, UserKey,
    auth::{Identity, TokenId},
    policy::{Channels, LoginPolicy},
    testing::{Connect, assert_all_gone, connect},
};
use serde_json::{Value, json};

use super::{at_once, expected, next, tab, watcher};
use crate::support::{millis, pass, secs, timed};

#[tokio::test(start_paused = true)]
async fn only_the_first_and_the_last_tab_of_a_user_are_told() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let mut one = tab(&online, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let mut other = tab(&online, "u1", "lobby").await;
    one.unsubscribe("lobby").await;
    let mut third = tab(&online, "u1", "lobby").await;
    third.unsubscribe("lobby").await;
    watcher.expect_nothing(secs(1)).await;
    other.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
    one.subscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
}

#[tokio::test(start_paused = true)]
async fn two_devices_of_a_user_are_one_member_with_two_clients() {
    let online = at_once(|builder| builder);
    let mut phone = Connect::new(&online).user("u1").token("t1").device("ios").open().await;
    let mut laptop = Connect::new(&online).user("u1").token("t2").device("web").open().await;
    phone.subscribe("lobby").await;
    laptop.subscribe("lobby").await;
    let mut watcher = Connect::new(&online).user("watcher").open().await;
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!((&state["clientAmount"], &state["userAmount"]), (&json!(2), &json!(1)));
    assert_eq!(state["users"], json!([{"id": "u1", "data": "", "status": "online"}]));
    phone.close(1000).await;
    watcher.expect_nothing(secs(10)).await;
    laptop.close(1000).await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_tab_is_offline_at_once_and_its_return_is_online() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    tab(&online, "u1", "lobby").await.close(1000).await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    pass(secs(119)).await;
    tab(&online, "u1", "lobby").await.close(1000).await;
    assert_eq!(next(&mut watcher).await, expected("online u1 by reconnect", 1, 1));
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    pass(secs(121)).await;
    let mut late = tab(&online, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    late.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
    late.close(1000).await;
    watcher.expect_nothing(secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_remembered_everybody_joins() {
    let online = at_once(|builder| {
        let window = Channels { event_window: secs(0), remember: secs(0), ..Channels::default() };
        builder.channels(window)
    });
    let mut watcher = watcher(&online, "lobby").await;
    for _ in 0..2 {
        tab(&online, "u1", "lobby").await.close(1000).await;
        assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
        assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_silent_and_meanwhile_the_user_is_there_without_a_client() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let page = tab(&online, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    page.close(1001).await;
    pass(millis(4900)).await;
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!((&state["clientAmount"], &state["userAmount"]), (&json!(0), &json!(1)));
    assert_eq!(state["users"][0]["id"], "u1");
    let page = tab(&online, "u1", "lobby").await;
    watcher.expect_nothing(secs(20)).await;
    page.close(1000).await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_crash_is_offline_after_the_grace_period_as_of_the_crash() {
    let (online, clock) = timed(|builder| {
        builder.event_window(secs(0)).authorize(|_: &Identity, _: &herenow::auth::Action| true)
    });
    let mut watcher = watcher(&online, "lobby").await;
    let page = tab(&online, "u1", "lobby").await;
    watcher.expect_presence().await;
    pass(secs(10)).await;
    let lost = herenow::Clock::utc(&clock);
    page.vanish().await;
    watcher.expect_nothing(millis(4900)).await;
    let frame = watcher.expect_presence().await;
    assert!((herenow::Clock::utc(&clock) - lost - TimeDelta::seconds(5)).num_milliseconds().abs() <= 2);
    let event = &frame["events"][0];
    assert_eq!((&event["action"], &event["cause"]), (&json!("offline"), &json!("disconnect")));
    assert_eq!((&event["status"], &event["time"]), (&json!("offline"), &json!(lost.timestamp_millis())));
    assert_eq!(event["lastSeen"], event["time"]);
}

#[tokio::test(start_paused = true)]
async fn the_grace_of_an_earlier_crash_does_not_end_a_later_one() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    tab(&online, "u1", "lobby").await.vanish().await;
    watcher.expect_presence().await;
    pass(secs(4)).await;
    tab(&online, "u1", "lobby").await.vanish().await;
    watcher.expect_nothing(millis(4900)).await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_a_crash_is_offline_at_once() {
    let online = at_once(|builder| builder.grace(secs(0)));
    let mut watcher = watcher(&online, "lobby").await;
    tab(&online, "u1", "lobby").await.vanish().await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_kick_is_offline_at_once_and_forgets() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let page = tab(&online, "u1", "lobby").await;
    page.stop_reading(); // It answers nothing: nobody waits for that.
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let (report, event) = tokio::join!(online.kick_out("u1", "Bye"), next(&mut watcher));
    assert_eq!(event, expected("offline u1 by kicked", 0, 0));
    assert_eq!(report.unwrap().matched, 1);
    pass(secs(1)).await;
    let mut page = Connect::new(&online).user("u1").token("fresh").open().await;
    page.subscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_kick_or_a_log_out_within_the_grace_period_ends_it() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    tab(&online, "u1", "lobby").await.vanish().await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert!(online.kick_out("u1", "").await.unwrap().is_complete());
    assert_eq!(next(&mut watcher).await, expected("offline u1 by kicked", 0, 0));
    let page = Connect::new(&online).user("u2").token("t2").open().await;
    page.connection().join("lobby").unwrap();
    let other = Connect::new(&online).user("u2").token("t3").open().await;
    page.vanish().await;
    assert_eq!(next(&mut watcher).await, expected("join u2 by subscribe", 1, 1));
    online.mark_offline("u2", "t2").await;
    assert_eq!(next(&mut watcher).await, expected("offline u2 by loggedOut", 0, 0));
    watcher.expect_nothing(secs(10)).await;
    drop(other);
}

#[tokio::test(start_paused = true)]
async fn who_is_offline_everywhere_is_in_no_channel_by_grace() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let (page, other) = (tab(&online, "u1", "lobby").await, connect(&online, "u1").await);
    watcher.expect_presence().await;
    page.vanish().await;
    pass(secs(3)).await;
    other.close(1000).await;
    assert!(!online.is_online("u1").await);
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    watcher.expect_nothing(secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_gone_from_a_channel_and_online_elsewhere_is_shown_so() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let (page, _other) = (tab(&online, "u1", "lobby").await, connect(&online, "u1").await);
    watcher.expect_presence().await;
    page.close(1000).await;
    let event = watcher.expect_presence().await["events"][0].clone();
    assert_eq!((&event["action"], &event["status"]), (&json!("offline"), &json!("online")));
    assert_eq!(event.get("lastSeen"), None);
}

#[tokio::test(start_paused = true)]
async fn replaced_expired_and_logged_out_are_offline_with_their_cause() {
    let policy = LoginPolicy::unlimited().max_per_user(1);
    let (online, clock) = timed(|builder| {
        let everything = |_: &Identity, _: &herenow::auth::Action| true;
        builder.event_window(secs(0)).authorize(everything).login_policy(policy)
    });
    let mut watcher = watcher(&online, "lobby").await;
    let until = herenow::Clock::utc(&clock) + secs(60);
    let identity = |token: &str| Identity::new("u1").token_id(TokenId::of(token));
    let mut old = Connect::new(&online).identity(identity("t1")).open().await;
    old.subscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let mut new = Connect::new(&online).identity(identity("t2").expires_at(until)).open().await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by replaced", 0, 0));
    new.subscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    pass(secs(84)).await;
    watcher.expect_nothing(millis(500)).await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by expired", 0, 0));
    let mut last = Connect::new(&online).identity(identity("t3")).open().await;
    last.subscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    online.mark_offline_all("u1").await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by loggedOut", 0, 0));
    drop(watcher);
    drop((old, new, last));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_status_is_told_in_every_channel_and_stands_in_the_state() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let mut page = tab(&online, "u1", "lobby").await;
    watcher.expect_presence().await;
    for (said, shown) in [("away", "away"), ("in a call", "in a call"), ("online", "online")] {
        pass(secs(1)).await;
        page.send_json(&json!({"type": "status", "status": said}));
        let event = watcher.expect_presence().await["events"][0].clone();
        assert_eq!((&event["action"], &event["cause"]), (&json!("update"), &json!("status")));
        assert_eq!(event["status"], shown);
    }
    online.set_away("u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["status"], "away");
    assert_eq!(watcher.subscribe_presence("lobby").await["users"][0]["status"], "away");
    // A second connection that is awake makes its user so, in channels that it is not in, too.
    let other = connect(&online, "u1").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["status"], "online");
    other.close(1000).await;
    assert_eq!(watcher.expect_presence().await["events"][0]["status"], "away");
    page.unsubscribe("lobby").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "leave");
}

#[tokio::test(start_paused = true)]
async fn public_data_comes_with_every_event_and_state() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let hello = json!({"type": "hello", "data": {"name": "Alice"}});
    let mut page = Connect::new(&online).user("u1").hello(hello).open().await;
    page.subscribe("lobby").await;
    assert_eq!(watcher.expect_presence().await["events"][0]["user"]["data"], json!({"name": "Alice"}));
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!(state["users"], json!([{"id": "u1", "data": {"name": "Alice"}, "status": "online"}]));
    page.close(1000).await;
    assert_eq!(watcher.expect_presence().await["events"][0]["user"]["data"], json!({"name": "Alice"}));
}

#[tokio::test(start_paused = true)]
async fn accounts_never_see_each_others_channels() {
    let online = at_once(|builder| builder);
    let mut own = watcher(&online, "lobby").await;
    let tenant = |user: &str| Connect::new(&online).user(UserKey::in_account("tenant", user));
    let mut theirs = tenant("watcher").open().await;
    let state = theirs.subscribe_presence("lobby").await;
    assert_eq!(state["users"], json!([]));
    let mut member = tenant("u1").open().await;
    member.subscribe("lobby").await;
    assert_eq!(next(&mut theirs).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(own.subscribe_presence("lobby").await["userAmount"], 0);
    assert_eq!(online.publish("lobby", "ours").await.unwrap().matched, 0);
    let push = online.push(Target::channel_in("tenant", "lobby"), "theirs").await.unwrap();
    assert_eq!(push.matched, 1);
    assert_eq!(member.expect_push().await, "theirs");
    own.expect_nothing(secs(1)).await;
    assert_eq!(online.channels(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_channels_that_everybody_left() {
    let online = at_once(|builder| builder);
    let mut clients = Vec::new();
    for n in 0..20 {
        let mut client = tab(&online, &format!("u{n}"), &format!("room {}", n % 3)).await;
        client.subscribe("lobby").await;
        client.subscribe_presence("lobby").await;
        clients.push(client);
    }
    assert_eq!(online.channels(), 4);
    for (n, client) in clients.into_iter().enumerate() {
        if n % 2 == 0 { client.vanish().await } else { client.close(1000).await }
    }
    assert_all_gone(&online).await;
    assert_eq!(online.channels(), 0);
    let state: Value = watcher(&online, "lobby").await.subscribe_presence("lobby").await;
    assert_eq!(state["userAmount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_kick_of_a_channel_ends_whoever_is_subscribed_to_it() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let mut inside = tab(&online, "u1", "lobby").await;
    let mut spared = tab(&online, "u2", "lobby").await;
    let outside = Connect::new(&online).user("u1").token("another").open().await;
    watcher.expect_presence().await;
    watcher.expect_presence().await;
    let kick = online.kick_out(Target::channel("lobby").except_user("u2"), KickOut::because("Closing time"));
    let (report, kicked) = tokio::join!(kick, async { inside.expect_type("kicked").await });
    let report = report.unwrap();
    assert!(report.is_complete() && report.matched == 1, "{report:?}");
    assert_eq!(kicked["message"], "Closing time");
    assert_eq!(next(&mut watcher).await, expected("offline u1 by kicked", 1, 1));
    assert!(outside.connection().is_open() && spared.connection().is_open());
    assert!(Connect::new(&online).user("u1").raw().start().await.is_err(), "its token is refused");
    let refused = online.kick_out(Target::user("u2").except_channel("lobby"), "").await;
    assert!(refused.unwrap_err().to_string().contains("except_channel"));
    spared.unsubscribe("lobby").await;
}
