//! Channels: who subscribes hears what is published, and nobody else does.

use serde_json::{Value, json};

use crate::{Server, client::Client, eventually};

/// Nothing special.
pub const OPTIONS: &[&str] = &["--grace-ms", "0", "--event-window-ms", "0"];

async fn subscriber(server: &Server, login_id: &str, channel: &str) -> Client {
    let mut client = server.join_enveloped(login_id).await;
    client.subscribe(channel).await;
    client
}

/// An admin's push to a channel; returns how many connections were meant and how many took it.
async fn push(server: &Server, channel: &str, content: &str) -> (Value, Value) {
    let report = server.admin("push", json!({"channel": channel, "content": content})).await;
    assert_eq!(report["offline"], json!([]), "a channel names nobody: {report}");
    (report["matched"].clone(), report["enqueued"].clone())
}

/// A push to a channel is for its subscribers.
pub async fn a_push_to_a_channel_reaches_its_subscribers_and_nobody_else(server: &Server) {
    let (mut alice, mut bob) = (subscriber(server, "alice", "a").await, subscriber(server, "bob", "b").await);
    let mut carol = server.join_enveloped("carol").await;
    assert_eq!(push(server, "a", "for a").await, (json!(1), json!(1)));
    assert_eq!(push(server, "b", "for b").await, (json!(1), json!(1)));
    assert_eq!(push(server, "c", "for nobody").await, (json!(0), json!(0)));
    assert_eq!(alice.expect_push("a").await, "for a");
    assert_eq!(bob.expect_push("b").await, "for b");
    for client in [&mut alice, &mut bob, &mut carol] {
        client.expect_silence().await;
    }
    server.admin("broadcast", json!({"content": "for all"})).await;
    let push = alice.expect_json("push").await;
    assert!(push["data"] == "for all" && push.get("channel").is_none(), "{push}");
}

/// A client publishes where the policy lets it, subscribed or not; what it is subscribed to, it hears from itself too.
pub async fn what_a_client_publishes_reaches_every_subscriber_the_sender_too(server: &Server) {
    let (mut alice, mut bob) = (subscriber(server, "alice", "a").await, subscriber(server, "bob", "a").await);
    let mut carol = server.join_enveloped("carol").await;
    assert_eq!(alice.publish("a", json!({"text": "hello", "n": [1, null]})).await, 2);
    assert_eq!(carol.publish("a", json!("from outside")).await, 2);
    assert_eq!(carol.publish("b", json!(null)).await, 0);
    for client in [&mut alice, &mut bob] {
        let push = client.expect_json("push").await;
        assert_eq!((&push["channel"], &push["metadata"]), (&json!("a"), &json!({"from": "alice"})));
        assert_eq!(push["data"], json!({"text": "hello", "n": [1, null]}));
        assert_eq!(client.expect_push("a").await, "from outside");
    }
    carol.expect_silence().await;
}

/// Two connections of a user are two subscribers, each by its own will.
pub async fn every_connection_subscribes_for_itself(server: &Server) {
    let mut first = subscriber(server, "alice", "a").await;
    let mut second = server.join_enveloped("alice").await;
    assert_eq!(push(server, "a", "one").await.0, 1);
    second.subscribe("a").await;
    assert_eq!(push(server, "a", "two").await.0, 2);
    first.unsubscribe("a").await;
    assert_eq!(push(server, "a", "three").await.0, 1);
    assert_eq!((first.expect_push("a").await, first.expect_push("a").await), (json!("one"), json!("two")));
    first.expect_silence().await;
    assert_eq!(
        (second.expect_push("a").await, second.expect_push("a").await),
        (json!("two"), json!("three"))
    );
}

/// The end of a subscription is its end.
pub async fn whoever_unsubscribes_or_leaves_hears_no_more(server: &Server) {
    let mut alice = subscriber(server, "alice", "a").await;
    let bob = subscriber(server, "bob", "a").await;
    assert_eq!(server.channels().await, 1);
    alice.unsubscribe("a").await;
    assert_eq!(push(server, "a", "for bob").await.0, 1);
    alice.expect_silence().await;
    bob.close(1000).await;
    server.expect_counts(1, 1).await;
    assert_eq!(push(server, "a", "for nobody").await.0, 0);
    eventually("an empty channel is none", async || server.channels().await == 0).await;
    alice.subscribe("a").await;
    assert_eq!(push(server, "a", "again").await.0, 1);
    assert_eq!(alice.expect_push("a").await, "again");
}

/// What is there already and what is not are told apart from success.
pub async fn a_second_subscription_and_the_end_of_none_are_told_so(server: &Server) {
    let mut alice = subscriber(server, "alice", "a").await;
    let request = |kind: &str, channel: &str| json!({"type": kind, "channel": channel});
    let why = alice.refused(request("subscribe", "a"), "already_subscribed").await;
    assert!(why.contains('a'), "{why}");
    alice.refused(request("unsubscribe", "b"), "not_subscribed").await;
    alice.refused(request("unsubscribePresence", "a"), "not_subscribed").await;
    // Of who is there one may ask again, as whoever missed something does: that is no second subscription.
    let (state, again) = (alice.subscribe_presence("a").await, alice.subscribe_presence("a").await);
    assert_eq!(state, again);
    assert_eq!(alice.request(request("unsubscribePresence", "a")).await, json!({}));
    alice.refused(request("unsubscribePresence", "a"), "not_subscribed").await;
    assert_eq!(push(server, "a", "once").await.0, 1);
    assert_eq!(alice.expect_push("a").await, "once");
    alice.expect_silence().await;
}

/// The policy is asked for each of them, and its refusal names what and where.
pub async fn a_channel_that_is_refused_is_named(server: &Server) {
    let mut alice = server.join_enveloped("alice").await;
    let mut root = server.join_enveloped("root").await;
    for (kind, action) in
        [("subscribe", "Subscribe"), ("subscribePresence", "SubscribePresence"), ("publish", "Publish")]
    {
        let request = json!({"type": kind, "channel": "secret-plans", "data": "x"});
        let why = alice.refused(request.clone(), "forbidden").await;
        assert!(why.contains(action) && why.contains("secret-plans"), "{why}");
        root.request(request).await;
    }
    assert_eq!(push(server, "secret-plans", "for root").await.0, 1);
    alice.subscribe("public").await;
    alice.expect_silence().await;
}

/// A name is 1 to 255 bytes that can be shown; a request that breaks that ends nothing.
pub async fn names_that_cannot_be_are_refused(server: &Server) {
    let mut alice = server.join_enveloped("alice").await;
    let long = "x".repeat(256);
    for kind in ["subscribe", "unsubscribe", "subscribePresence", "unsubscribePresence", "publish"] {
        for (channel, code) in [
            (json!(""), "bad_frame"),
            (json!("a\u{0}b"), "bad_frame"),
            (json!("a\nb"), "bad_frame"),
            (json!("a\u{202e}b"), "bad_frame"),
            (json!(7), "bad_frame"),
            (Value::Null, "bad_frame"),
            (json!(long), "limit_exceeded"),
        ] {
            alice.refused(json!({"type": kind, "channel": channel, "data": 1}), code).await;
        }
    }
    alice.refused(json!({"type": "publish", "channel": "a"}), "bad_frame").await;
    let deep = (0..65).fold(json!(1), |inner, _| json!([inner]));
    alice.refused(json!({"type": "publish", "channel": "a", "data": deep}), "bad_frame").await;
    for name in ["x".repeat(255).as_str(), "大厅", "a b", "a/b?c=d&e#f", "{*}", "__proto__", "e\u{301}"] {
        alice.subscribe(name).await;
        assert_eq!(push(server, name, "here").await.0, 1, "{name}");
        assert_eq!(alice.expect_push(name).await, "here");
    }
    let unnamed = json!({"type": "subscribe", "channel": "z"});
    alice.json(&unnamed).await;
    assert_eq!(alice.expect_json("error").await["code"], "bad_frame", "a request has an id");
}

/// The welcome says how many; what is over is refused, and there is room again after an end.
pub async fn a_connection_has_so_many_channels_and_no_more(server: &Server) {
    let mut alice = server.envelope().token(&server.login("alice").await).open().await;
    let welcome = alice.hello(json!({})).await;
    let most = welcome["limits"]["maxChannels"].as_u64().expect("a limit");
    assert_eq!(most, 128);
    for n in 0..most {
        alice.subscribe(&format!("c{n}")).await;
    }
    let one_more = json!({"type": "subscribe", "channel": "one more"});
    alice.refused(one_more.clone(), "limit_exceeded").await;
    assert_eq!(server.channels().await, most);
    alice.unsubscribe("c7").await;
    assert_eq!(alice.request(one_more).await, json!({}));
    // Another connection has its own.
    subscriber(server, "alice", "c7").await.close(1000).await;
}

/// A channel of an account is another channel than that of another, whatever its name.
pub async fn accounts_with_channels_of_one_name_never_meet(server: &Server) {
    let mut ours = subscriber(server, "alice", "lobby").await;
    let mut theirs = server.join_as(&json!({"loginId": "alice", "tenant": "t1"})).await;
    theirs.subscribe("lobby").await;
    assert_eq!(push(server, "lobby", "for ours").await.0, 1);
    let to_theirs = json!({"channel": "lobby", "tenant": "t1", "content": "for theirs"});
    assert_eq!(server.admin("push", to_theirs).await["matched"], 1);
    assert_eq!(theirs.publish("lobby", json!("among theirs")).await, 1);
    assert_eq!(ours.expect_push("lobby").await, "for ours");
    ours.expect_silence().await;
    assert_eq!(theirs.expect_push("lobby").await, "for theirs");
    assert_eq!(theirs.expect_push("lobby").await, "among theirs");
    theirs.expect_silence().await;
}

/// To a channel, to a user, to everybody, from a client: one order for everyone.
pub async fn pushes_to_a_channel_keep_their_order_among_all_others(server: &Server) {
    let mut alice = subscriber(server, "alice", "a").await;
    let mut bob = subscriber(server, "bob", "a").await;
    for n in 0..200_u64 {
        match n % 4 {
            0 => assert_eq!(push(server, "a", &n.to_string()).await, (json!(2), json!(2))),
            1 => drop(server.admin("broadcast", json!({"content": n.to_string()})).await),
            2 => assert_eq!(bob.publish("a", json!(n.to_string())).await, 2),
            _ => {
                for login_id in ["alice", "bob"] {
                    let to_one = json!({"loginId": login_id, "content": n.to_string()});
                    assert_eq!(server.admin("push", to_one).await["enqueued"], 1);
                }
            }
        }
    }
    for client in [&mut alice, &mut bob] {
        for n in 0..200_u64 {
            assert_eq!(client.expect_json("push").await["data"], n.to_string());
        }
        client.expect_silence().await;
    }
}

/// Many at once, without waiting for any reply: everybody hears each once, and what one sender says in its order.
pub async fn a_burst_is_heard_once_and_in_the_order_of_each_sender(server: &Server) {
    let mut clients = Vec::new();
    for n in 0..5 {
        clients.push(subscriber(server, &format!("u{n}"), "a").await);
    }
    let mut senders = Vec::new();
    for n in 0..3 {
        senders.push(server.join_enveloped(&format!("sender{n}")).await);
    }
    for id in 1..=100 {
        for (n, sender) in senders.iter_mut().enumerate() {
            let data = json!([n, id]);
            sender.json(&json!({"type": "publish", "id": id, "channel": "a", "data": data})).await;
        }
    }
    for client in &mut clients {
        let mut heard = [0, 0, 0];
        for _ in 0..300 {
            let data = client.expect_push("a").await;
            let sender = data[0].as_u64().and_then(|n| heard.get_mut(usize::try_from(n).ok()?));
            let last = sender.expect("one of the three");
            *last += 1;
            assert_eq!(data[1], *last, "{data}");
        }
        client.expect_silence().await;
    }
    for sender in &mut senders {
        for id in 1..=100 {
            let reply = sender.expect_json("reply").await;
            assert_eq!((&reply["id"], &reply["result"]["matched"]), (&json!(id), &json!(5)));
        }
    }
}

/// Requests that are sent without waiting are done one after the other.
pub async fn requests_are_done_in_the_order_in_which_they_came(server: &Server) {
    let mut alice = server.join_enveloped("alice").await;
    for (id, kind) in (1..).zip(["subscribe", "subscribe", "unsubscribe", "unsubscribe", "subscribe"]) {
        alice.json(&json!({"type": kind, "id": id, "channel": "a"})).await;
    }
    let codes = [None, Some("already_subscribed"), None, Some("not_subscribed"), None];
    for (id, code) in (1..).zip(codes) {
        let reply = alice.expect_json("reply").await;
        assert_eq!((&reply["id"], reply["error"]["code"].as_str()), (&json!(id), code), "{reply}");
    }
    assert_eq!(push(server, "a", "x").await.0, 1);
}

/// A client of raw mode cannot ask; the application may have it in a channel, and hears of it as of any member.
pub async fn a_raw_client_is_in_the_channels_that_the_application_says(server: &Server) {
    let mut raw = server.join("alice").await;
    let mut enveloped = subscriber(server, "bob", "lobby").await;
    raw.expect_answer("join:lobby").await;
    assert_eq!(push(server, "lobby", "hello").await, (json!(2), json!(2)));
    assert_eq!(raw.expect_text().await, "hello", "the content and nothing else");
    assert_eq!(enveloped.expect_push("lobby").await, "hello");
    let asked = json!({"type": "hereNow", "channels": ["lobby"], "includeUsers": true});
    let lobby = enveloped.request(asked).await["content"]["channels"]["lobby"].clone();
    let users = json!([{"id": "alice", "data": ""}, {"id": "bob", "data": ""}]);
    assert_eq!((&lobby["clientAmount"], &lobby["users"]), (&json!(2), &users));
    raw.expect_answer("leave:lobby").await;
    assert_eq!(push(server, "lobby", "bye").await.0, 1);
    raw.expect_echo("nothing more").await;
    let mut second = server.join_enveloped("carol").await;
    let joined = second.request(json!({"type": "message", "data": "join:lobby"})).await;
    assert_eq!(joined, "join:lobby");
    second.refused(json!({"type": "subscribe", "channel": "lobby"}), "already_subscribed").await;
}

/// A kick, a lost network, a clean close: nobody stays behind in a channel.
pub async fn whoever_is_gone_is_in_no_channel(server: &Server) {
    for round in ["kick", "close", "cut", "reset"] {
        let mut alice = subscriber(server, "alice", "a").await;
        alice.subscribe_presence("b").await;
        match round {
            "kick" => {
                let kick = json!({"loginId": "alice", "reason": "x"});
                tokio::join!(server.admin("kick", kick), alice.expect_close(4423));
            }
            "close" => drop(alice.close(1000).await),
            "cut" => drop(alice),
            _ => alice.reset(),
        }
        server.expect_counts(0, 0).await;
        eventually(&format!("{round}: no channel is left"), async || server.channels().await == 0).await;
    }
}
