//! Who comes to a channel and who leaves it, as its watchers are told: users, not tabs, each thing once and in order.

use serde_json::{Value, json};

use crate::{
    Server,
    client::{Client, Watcher},
};

/// A grace longer than any scenario: who is offline in here is so at once, not after it.
pub const OPTIONS: &[&str] = &["--grace-ms", "60000", "--event-window-ms", "10"];
/// For the scenario that waits for the end of it.
pub const SHORT_GRACE: &[&str] = &["--grace-ms", "300", "--event-window-ms", "10"];
const GRACE_MS: i64 = 300;
/// None, and each event at once.
pub const AT_ONCE: &[&str] = &["--grace-ms", "0", "--event-window-ms", "0"];
/// A window that many fit into.
pub const WINDOW: &[&str] = &["--grace-ms", "0", "--event-window-ms", "1000"];
/// A channel of more than three is told by its amounts.
pub const FEW: &[&str] = &["--grace-ms", "0", "--event-window-ms", "0", "--presence-users", "3"];
/// A token's end is the connection's.
pub const EXPIRY: &[&str] = &["--grace-ms", "60000", "--event-window-ms", "10", "--expiry-grace-ms", "0"];
/// Who is silent is soon noticed.
pub const HEARTBEAT: &[&str] =
    &["--grace-ms", "100", "--event-window-ms", "10", "--heartbeat-ms", "400", "--timeout-ms", "400"];
/// One session of a user.
pub const REPLACE: &[&str] = &["--grace-ms", "60000", "--event-window-ms", "10", "--max-per-user", "1"];
/// A slow reader stays, and misses what does not fit.
pub const SLOW: &[&str] = &[
    "--grace-ms",
    "0",
    "--event-window-ms",
    "0",
    "--overflow",
    "drop-newest",
    "--outbox-messages",
    "10",
    "--heartbeat-ms",
    "60000",
];

const ROOM: &str = "room";

async fn watcher(server: &Server) -> Watcher {
    Watcher::new(server.join_enveloped("watcher").await, ROOM).await
}

async fn member(server: &Server, login_id: &str) -> Client {
    member_as(server, &server.login(login_id).await).await
}

/// A member with a token that may be used again, as a browser's is.
async fn member_as(server: &Server, token: &str) -> Client {
    let mut client = server.envelope().token(token).open().await;
    client.hello(json!({})).await;
    client.subscribe(ROOM).await;
    client
}

/// Whatever happened before is told by now: the next thing that the watcher hears is that somebody else comes.
async fn nothing_else(server: &Server, watcher: &mut Watcher) {
    let mut marker = member(server, "marker").await;
    watcher.expect("join", "subscribe", "marker").await;
    marker.unsubscribe(ROOM).await;
    watcher.expect("leave", "unsubscribe", "marker").await;
    marker.close(1000).await;
}

async fn say(client: &mut Client, status: &str) {
    client.json(&json!({"type": "status", "status": status})).await;
}

/// The first subscription of a user is a `join`, the end of its last one a `leave`.
pub async fn a_user_joins_and_leaves(server: &Server) {
    let mut watcher = watcher(server).await;
    assert_eq!(watcher.state()["users"], json!([]), "to watch is not to be there");
    let data = json!({"name": "Alice", "age": 18});
    let mut alice = server.join_as(&json!({"loginId": "alice", "data": data})).await;
    let before = crate::utc_millis();
    alice.subscribe(ROOM).await;
    let join = watcher.expect("join", "subscribe", "alice").await;
    assert_eq!((&join["user"]["data"], &join["status"]), (&data, &json!("online")));
    let time = join["time"].as_i64().expect("a time");
    assert!((before..=crate::utc_millis()).contains(&time), "{join}");
    assert_eq!(watcher.amounts(), (1, 1));
    alice.unsubscribe(ROOM).await;
    let leave = watcher.expect("leave", "unsubscribe", "alice").await;
    assert_eq!(leave["user"]["data"], data);
    assert_eq!(watcher.amounts(), (0, 0));
    alice.subscribe(ROOM).await;
    watcher.expect("join", "subscribe", "alice").await;
    nothing_else(server, &mut watcher).await;
}

/// A second tab is no event, and a closed one is none while the other is there; a phone is as a tab is.
pub async fn tabs_and_devices_of_a_user_are_one_member(server: &Server) {
    let mut watcher = watcher(server).await;
    let token = server.login_as(&json!({"loginId": "alice", "device": "web"})).await;
    let phone = server.login_as(&json!({"loginId": "alice", "device": "ios"})).await;
    let mut tab = member_as(server, &token).await;
    watcher.expect("join", "subscribe", "alice").await;
    let other_tab = member_as(server, &token).await;
    let mut phone = member_as(server, &phone).await;
    nothing_else(server, &mut watcher).await;
    assert_eq!(watcher.amounts(), (3, 1), "three clients, one user, and the marker is gone");
    other_tab.close(1000).await;
    server.expect_sessions("alice", 2).await;
    tab.unsubscribe(ROOM).await;
    nothing_else(server, &mut watcher).await;
    assert_eq!(watcher.amounts(), (1, 1));
    phone.unsubscribe(ROOM).await;
    watcher.expect("leave", "unsubscribe", "alice").await;
    nothing_else(server, &mut watcher).await;
}

/// A closed tab is `offline` where it was the last; unlike a lost one it has no grace.
pub async fn whoever_closes_the_last_tab_is_offline(server: &Server) {
    let mut watcher = watcher(server).await;
    let alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    alice.close(1000).await;
    let offline = watcher.expect("offline", "disconnect", "alice").await;
    assert_eq!(offline["status"], "offline");
    assert_eq!(watcher.amounts(), (0, 0));
    let _alice = member(server, "alice").await;
    watcher.expect("online", "reconnect", "alice").await;
    nothing_else(server, &mut watcher).await;
}

/// A page that reloads is away for a moment, and nobody notices.
pub async fn a_reload_is_silent(server: &Server) {
    let mut watcher = watcher(server).await;
    let token = server.login("alice").await;
    let mut alice = member_as(server, &token).await;
    watcher.expect("join", "subscribe", "alice").await;
    for code in [Some(1001), None] {
        match code {
            Some(code) => drop(alice.close(code).await),
            None => drop(alice), // The network, for a moment.
        }
        server.expect_counts(2, 1).await;
        let asked = json!({"type": "hereNow", "channels": [ROOM], "includeUsers": true});
        let room = watcher.client().request(asked).await["content"]["channels"][ROOM].clone();
        assert_eq!((&room["clientAmount"], &room["userAmount"]), (&json!(0), &json!(1)));
        assert_eq!(room["users"], json!([{"id": "alice", "data": ""}]));
        alice = member_as(server, &token).await;
        nothing_else(server, &mut watcher).await;
        assert_eq!(watcher.amounts(), (1, 1));
    }
    alice.unsubscribe(ROOM).await;
    watcher.expect("leave", "unsubscribe", "alice").await;
}

/// A kick is `offline` at once, and what comes after it is a first time.
pub async fn a_kick_is_offline_at_once(server: &Server) {
    let mut watcher = watcher(server).await;
    let kick = || json!({"loginId": "alice", "reason": "x"});
    let mut alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    tokio::join!(server.admin("kick", kick()), alice.expect_close(4423));
    watcher.expect("offline", "kicked", "alice").await;
    // Within her grace period too.
    let alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    drop(alice);
    server.expect_counts(2, 1).await;
    server.admin("kick", kick()).await;
    watcher.expect("offline", "kicked", "alice").await;
    assert_eq!(watcher.amounts(), (0, 0));
    nothing_else(server, &mut watcher).await;
}

/// 顶下线: the session that gives way is out of its channels, and the new one is in none of them by itself.
pub async fn a_replaced_session_is_out_of_its_channels(server: &Server) {
    let mut watcher = watcher(server).await;
    let mut first = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    let mut second = server.join_enveloped("alice").await;
    first.expect_close(4409).await;
    watcher.expect("offline", "replaced", "alice").await;
    second.subscribe(ROOM).await;
    watcher.expect("join", "subscribe", "alice").await;
    nothing_else(server, &mut watcher).await;
}

/// A token's end is an end without a return.
pub async fn an_expired_token_is_offline_with_its_cause(server: &Server) {
    let mut watcher = watcher(server).await;
    let token = server.login_as(&json!({"loginId": "alice", "ttlSeconds": 1.5})).await;
    let mut alice = member_as(server, &token).await;
    watcher.expect("join", "subscribe", "alice").await;
    alice.expect_close(4301).await;
    watcher.expect("offline", "expired", "alice").await;
    let _alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
}

/// A socket that is cut is `offline` when the grace period is over, as of the moment when it was cut.
pub async fn a_crash_is_offline_after_the_grace_period(server: &Server) {
    let mut watcher = watcher(server).await;
    let mut alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    alice.expect_silence().await;
    drop(alice);
    let offline = watcher.expect("offline", "disconnect", "alice").await;
    let (time, now) = (offline["time"].as_i64().expect("a time"), crate::utc_millis());
    assert!(time + GRACE_MS <= now, "{offline}, heard at {now}");
    // She is back after it was told, and is no stranger; by her own will she leaves, and is one.
    let mut alice = member(server, "alice").await;
    watcher.expect("online", "reconnect", "alice").await;
    alice.unsubscribe(ROOM).await;
    watcher.expect("leave", "unsubscribe", "alice").await;
    alice.subscribe(ROOM).await;
    watcher.expect("join", "subscribe", "alice").await;
    // No `leave` follows an `offline`.
    alice.reset();
    watcher.expect("offline", "disconnect", "alice").await;
    nothing_else(server, &mut watcher).await;
}

/// Nobody says goodbye for a peer that is silent.
pub async fn a_silent_peer_is_offline_with_its_cause(server: &Server) {
    let mut watcher = watcher(server).await;
    let mut alice = member(server, "alice").await;
    watcher.expect("join", "subscribe", "alice").await;
    alice.mute();
    tokio::join!(alice.expect_close(4504), watcher.expect("offline", "timeout", "alice"));
}

/// A status is the user's: it changes when that of all its clients together does.
pub async fn a_status_is_an_update(server: &Server) {
    let mut watcher = watcher(server).await;
    let (mut tab, mut phone) = (member(server, "alice").await, member(server, "alice").await);
    watcher.expect("join", "subscribe", "alice").await;
    say(&mut tab, "away").await;
    tab.expect_silence().await;
    nothing_else(server, &mut watcher).await;
    for status in ["away", "in a call", "online"] {
        say(&mut tab, status).await;
        say(&mut phone, status).await;
        let update = watcher.expect("update", "status", "alice").await;
        assert_eq!(update["status"], status);
        if status != "away" {
            phone.expect_silence().await;
        }
        nothing_else(server, &mut watcher).await;
    }
    // Of somebody who is not in the channel, nobody in there hears.
    let mut bob = server.join_enveloped("bob").await;
    say(&mut bob, "away").await;
    server.expect_status("bob", "away").await;
    nothing_else(server, &mut watcher).await;
}

/// Who comes later is told who is there, and from then on what happens.
pub async fn a_state_and_what_follows_make_the_whole(server: &Server) {
    let mut first = watcher(server).await;
    let bob = json!({"loginId": "bob", "data": "18 years old"});
    let mut bob = server.join_as(&bob).await;
    bob.subscribe(ROOM).await;
    let mut alice = member(server, "alice").await;
    let _tab = member(server, "alice").await;
    say(&mut bob, "busy").await;
    first.expect("join", "subscribe", "bob").await;
    first.expect("join", "subscribe", "alice").await;
    first.expect("update", "status", "bob").await;

    let mut second = Watcher::new(alice, ROOM).await;
    let state = second.state().clone();
    let users = json!([
        {"id": "alice", "data": "", "status": "online"},
        {"id": "bob", "data": "18 years old", "status": "busy"},
    ]);
    assert_eq!((&state["users"], &state["more"]), (&users, &json!(false)), "{state}");
    assert_eq!(second.amounts(), (3, 2));
    bob.close(1000).await;
    for watcher in [&mut first, &mut second] {
        watcher.expect("offline", "disconnect", "bob").await;
        assert_eq!(watcher.amounts(), (2, 1));
    }
    alice = server.join_enveloped("watcher").await;
    let state = alice.subscribe_presence(ROOM).await;
    assert_eq!(state["users"], json!([{"id": "alice", "data": "", "status": "online"}]));
}

/// The end of a presence subscription is its end.
pub async fn whoever_watches_no_more_hears_nothing(server: &Server) {
    let mut client = server.join_enveloped("watcher").await;
    client.subscribe_presence(ROOM).await;
    client.subscribe_presence("another room").await;
    let mut alice = member(server, "alice").await;
    assert_eq!(client.expect_json("presence").await["channel"], ROOM);
    let end = json!({"type": "unsubscribePresence", "channel": ROOM});
    assert_eq!(client.request(end).await, json!({}));
    alice.unsubscribe(ROOM).await;
    alice.subscribe("another room").await;
    assert_eq!(client.expect_json("presence").await["channel"], "another room");
    client.expect_silence().await;
}

/// A buddy list: single users, wherever they are.
pub async fn a_watched_user_is_told_of_without_a_channel(server: &Server) {
    let mut bob = server.join_enveloped("bob").await;
    say(&mut bob, "busy").await;
    server.expect_status("bob", "busy").await;
    let mut watcher = server.join_enveloped("watcher").await;
    let users = json!(["alice", "bob"]);
    let answer = watcher.request(json!({"type": "watch", "users": users})).await;
    assert_eq!(answer["users"][0], json!({"id": "alice", "status": "offline"}));
    assert_eq!((&answer["users"][1]["id"], &answer["users"][1]["status"]), (&json!("bob"), &json!("busy")));

    let event = async |watcher: &mut Client| {
        let frame = watcher.expect_json("presence").await;
        for absent in ["channel", "ver", "clientAmount", "userAmount"] {
            assert!(frame.get(absent).is_none(), "{absent}: {frame}");
        }
        let events = frame["events"].as_array().expect("events").clone();
        assert_eq!(events.len(), 1, "{frame}");
        events[0].clone()
    };
    let told =
        |event: &Value| (event["action"].clone(), event["user"]["id"].clone(), event["status"].clone());
    let mut alice = server.join_enveloped("alice").await;
    assert_eq!(told(&event(&mut watcher).await), (json!("online"), json!("alice"), json!("online")));
    let _tab = server.join_enveloped("alice").await;
    say(&mut bob, "away").await;
    assert_eq!(told(&event(&mut watcher).await), (json!("update"), json!("bob"), json!("away")));
    let kick = json!({"loginId": "alice", "reason": "x"});
    tokio::join!(server.admin("kick", kick), alice.expect_close(4423));
    let offline = event(&mut watcher).await;
    assert_eq!(told(&offline), (json!("offline"), json!("alice"), json!("offline")));
    assert_eq!(offline["cause"], "kicked", "{offline}");

    let no_more = json!({"type": "unwatch", "users": ["alice"]});
    watcher.request(no_more).await;
    let _alice = server.join_enveloped("alice").await;
    say(&mut bob, "online").await;
    assert_eq!(told(&event(&mut watcher).await), (json!("update"), json!("bob"), json!("online")));
    watcher.expect_silence().await;
}

/// Whom one may not see, one may not watch, and a list has its limit.
pub async fn a_list_of_watched_users_has_its_rules(server: &Server) {
    let mut watcher = server.join_enveloped("watcher").await;
    let watch = |users: Value| json!({"type": "watch", "users": users});
    for users in [json!("alice"), json!([""]), json!(["a\u{0}"]), json!([1]), Value::Null] {
        watcher.refused(watch(users), "bad_frame").await;
    }
    let many: Vec<String> = (0..1001).map(|n| format!("u{n}")).collect();
    watcher.refused(watch(json!(many)), "limit_exceeded").await;
    // A user of another account has the same name, and is another.
    watcher.request(watch(json!(["alice"]))).await;
    let _tenants = server.join_as(&json!({"loginId": "alice", "tenant": "t1"})).await;
    watcher.expect_silence().await;
    let _ours = server.join_enveloped("alice").await;
    assert_eq!(watcher.expect_json("presence").await["events"][0]["user"]["id"], "alice");
}

/// However many come within the window, watchers get one frame.
pub async fn many_who_come_within_the_window_are_one_frame(server: &Server) {
    const MANY: usize = 100;
    let mut watcher = watcher(server).await;
    let mut clients = Vec::new();
    for n in 0..MANY {
        clients.push(server.join_enveloped(&format!("u{n:03}")).await);
    }
    let subscriptions = clients.iter_mut().map(|client| client.subscribe(ROOM));
    futures_util::future::join_all(subscriptions).await;
    let mut users = Vec::new();
    for _ in 0..MANY {
        let event = watcher.next().await;
        assert_eq!((&event["action"], &event["cause"]), (&json!("join"), &json!("subscribe")));
        users.push(event["user"]["id"].as_str().expect("an id").to_owned());
    }
    users.sort();
    assert!(users.iter().enumerate().all(|(n, user)| *user == format!("u{n:03}")), "each once: {users:?}");
    assert_eq!(watcher.amounts(), (MANY as u64, MANY as u64));
    // One frame, or a few where this machine took longer than the window to subscribe them all.
    assert!(watcher.frames() <= MANY / 10, "{} frames", watcher.frames());
}

/// Where there is no window, each event is a frame of its own, at once and in order.
pub async fn without_a_window_each_event_is_a_frame(server: &Server) {
    let mut watcher = watcher(server).await;
    let mut alice = server.join_enveloped("alice").await;
    for _ in 0..20 {
        alice.subscribe(ROOM).await;
        alice.unsubscribe(ROOM).await;
    }
    for _ in 0..20 {
        watcher.expect("join", "subscribe", "alice").await;
        watcher.expect("leave", "unsubscribe", "alice").await;
    }
    assert_eq!(watcher.frames(), 40);
}

/// Above the bound nobody is named, and clearly below it everybody is again, without being asked for.
pub async fn a_large_channel_is_told_by_its_amounts(server: &Server) {
    let mut watcher = server.join_enveloped("watcher").await;
    watcher.json(&json!({"type": "subscribePresence", "id": 1, "channel": ROOM})).await;
    watcher.expect_json("reply").await;
    assert_eq!(watcher.expect_json("presenceState").await["more"], false);
    let mut members = Vec::new();
    for n in 0..5u64 {
        members.push(member(server, &format!("u{n}")).await);
        let told = match n {
            3 => watcher.expect_json("presenceState").await,
            _ => watcher.expect_json("presence").await,
        };
        assert_eq!(told["userAmount"], n + 1, "{told}");
        let named = told["events"].as_array().or(told["users"].as_array()).map_or(0, Vec::len);
        assert_eq!(named, usize::from(n < 3), "{told}");
        assert_eq!(told["more"] == true, n == 3, "{told}");
    }
    while let Some(member) = members.pop() {
        member.close(1000).await;
        let text = watcher.expect_text().await;
        let told: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(told["userAmount"], members.len(), "{told}");
        if told["type"] == "presenceState" {
            assert_eq!(
                (told["users"].as_array().map(Vec::len), &told["more"]),
                (Some(members.len()), &json!(false))
            );
            return;
        }
    }
    panic!("the members of a small channel were never named again");
}

/// A watcher that reads nothing has no room for what happens, and nobody waits for it.
pub async fn a_watcher_that_does_not_read_costs_nobody_anything(server: &Server) {
    let token = server.login("sleeper").await;
    let mut sleeper = server.envelope().small_window().token(&token).open().await;
    sleeper.hello(json!({})).await;
    sleeper.subscribe_presence(ROOM).await;
    let fill = json!({"loginId": "sleeper", "content": "x".repeat(50_000)});
    let mut pushes = 0;
    while server.admin("push", fill.clone()).await["dropped"] == 0 {
        pushes += 1;
        assert!(pushes < 1000, "somebody takes all that");
    }
    let mut watcher = watcher(server).await;
    let mut alice = server.join_enveloped("alice").await;
    for _ in 0..50 {
        alice.subscribe(ROOM).await;
        watcher.expect("join", "subscribe", "alice").await;
        alice.unsubscribe(ROOM).await;
        watcher.expect("leave", "unsubscribe", "alice").await;
    }
    assert_eq!(server.user("sleeper").await["online"], true);
    drop(sleeper);
}
