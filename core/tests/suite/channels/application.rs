//! What an application does with channels itself: it joins connections, and hears what happens.

use herenow::{
    Cause, ChannelKey, EventKind, Hooks, JoinError, Notice, Status, UserKey,
    policy::Channels,
    testing::{Connect, assert_all_gone, connect},
};
use serde_json::json;

use super::{at_once, expected, next, tab, watcher};
use crate::support::{event, heard, online, pass, secs, with};

#[tokio::test(start_paused = true)]
async fn a_connection_joins_by_its_hooks_as_soon_as_it_is_present() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let hooks = Hooks::default().join("lobby").join("sports").join("lobby").join("");
    let mut page = Connect::new(&online).user("u1").hooks(hooks).open().await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(page.connection().channels(), ["lobby".into(), "sports".into()]);
    assert_eq!(online.publish("sports", "1:0").await.unwrap().matched, 1);
    assert_eq!(page.expect_push().await, "1:0");
    let twice = page.request(json!({"type": "subscribe", "channel": "lobby"})).await;
    assert_eq!(twice["error"]["code"], "already_subscribed");
    page.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_on_connect_joins_waits_until_the_connection_is_present() {
    let online = at_once(|builder| builder);
    let mut watcher = watcher(&online, "lobby").await;
    let hooks = Hooks::default().on_connect(async |connection: herenow::Connection| {
        connection.join("lobby").unwrap();
        connection.join("left at once").unwrap();
        assert!(connection.leave("left at once") && !connection.leave("never joined"));
        assert_eq!(connection.manager().publish("lobby", "too early").await.unwrap().matched, 0);
        Ok(())
    });
    let mut page = Connect::new(&online).user("u1").hooks(hooks).open().await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(page.connection().channels(), ["lobby".into()]);
    page.expect_nothing(secs(1)).await;
    let refusing = Hooks::default().join("lobby").on_connect(async |connection: herenow::Connection| {
        connection.join("sports").unwrap();
        Err(herenow::Refused::Application("not today".into()))
    });
    let mut refused = Connect::new(&online).user("u2").hooks(refusing).start().await.unwrap();
    assert_eq!(refused.expect_close().await.0, 4403);
    watcher.expect_nothing(secs(1)).await;
    assert_eq!(online.channels(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_present_connection_is_found_by_its_id() {
    let online = online();
    let mut raw = Connect::new(&online).user("u1").raw().open().await;
    let mut silent = Connect::new(&online).user("u2").silent().start().await.unwrap();
    let id = raw.connection().id();
    let found = online.connection(id).unwrap();
    assert_eq!((found.id(), found.user()), (id, &UserKey::from("u1")));
    found.join("lobby").unwrap();
    assert_eq!(online.publish("lobby", "found").await.unwrap().matched, 1);
    assert_eq!(raw.expect_text().await, "found");
    raw.close(1000).await;
    assert!(online.connection(id).is_none());
    let nobody = online.connection("000000000000000000000000".parse().unwrap());
    assert!(nobody.is_none(), "{nobody:?}");
    assert_eq!(silent.expect_close().await.0, 4507);
}

#[tokio::test(start_paused = true)]
async fn joining_says_what_is_wrong() {
    let online = with(|builder| {
        builder.channels(Channels { max_channels: 2, max_channels_in_all: 3, ..Channels::default() })
    });
    let (one, other) = (connect(&online, "u1").await, connect(&online, "u2").await);
    let connection = one.connection().clone();
    assert!(matches!(connection.join("a\nb"), Err(JoinError::Invalid(_))));
    assert_eq!((connection.join("a"), connection.join("b"), connection.join("a")), (Ok(()), Ok(()), Ok(())));
    assert_eq!(connection.join("c"), Err(JoinError::TooMany { limit: 2 }));
    assert_eq!(other.connection().join("c"), Ok(()));
    assert_eq!(other.connection().join("d"), Err(JoinError::Full));
    assert!(connection.leave("b"));
    assert_eq!(other.connection().join("d"), Ok(()));
    one.close(1000).await;
    assert_eq!(connection.join("a"), Err(JoinError::Closed));
    drop(other);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn events_tell_who_comes_into_channels_and_leaves_them() {
    let online = online();
    let mut events = online.events();
    let phone = connect(&online, "u1").await;
    phone.connection().join("lobby").unwrap();
    let tablet = connect(&online, "u1").await;
    tablet.connection().join("lobby").unwrap();
    phone.connection().leave("lobby");
    tablet.close(1000).await;
    phone.connection().join("lobby").unwrap();
    phone.vanish().await;
    assert_all_gone(&online).await;
    let expected = [
        event(EventKind::Online, "u1", Cause::Connect),
        event(EventKind::Join, "u1", Cause::Subscribe),
        event(EventKind::Leave, "u1", Cause::Disconnect),
        event(EventKind::Join, "u1", Cause::Reconnect),
        event(EventKind::Offline, "u1", Cause::Disconnect),
        event(EventKind::Leave, "u1", Cause::Disconnect),
    ];
    assert_eq!(heard(&mut events), expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_channel_names_it_and_comes_back_from_json() {
    let online = online();
    let mut events = online.cluster_events();
    let phone = connect(&online, &UserKey::in_account("tenant", "u1")).await;
    phone.connection().join("lobby").unwrap();
    events.try_recv().unwrap();
    let Some(Notice::Event(join)) = events.try_recv() else { panic!() };
    assert_eq!((join.channel.as_deref(), join.status.clone()), (Some("lobby"), Status::Online));
    let json = serde_json::to_value(&join).unwrap();
    assert_eq!(
        (&json["kind"], &json["channel"], &json["cause"]),
        (&json!("join"), &json!("lobby"), &json!("subscribe"))
    );
    let back: herenow::Event = serde_json::from_value(json).unwrap();
    assert_eq!((back.kind, back.channel, back.user), (join.kind, join.channel, join.user));
}

#[tokio::test(start_paused = true)]
async fn a_listener_hears_of_its_channel_as_it_happens_and_of_no_other() {
    let online =
        with(|builder| builder.authorize(|_: &herenow::auth::Identity, _: &herenow::auth::Action| true));
    let mut lobby = online.subscribe_presence("lobby");
    let mut theirs = online.subscribe_presence(ChannelKey::in_account("tenant", "lobby"));
    assert_eq!(online.channels(), 2);
    let mut page = tab(&online, "u1", "lobby").await;
    page.subscribe("sports").await;
    online.set_away("u1").await;
    page.unsubscribe("lobby").await;
    let mut told = Vec::new();
    while let Some(Notice::Event(event)) = lobby.try_recv() {
        assert_eq!(event.channel.as_deref(), Some("lobby"));
        told.push((event.kind, event.cause, event.status));
    }
    let expected = [
        (EventKind::Join, Cause::Subscribe, Status::Online),
        (EventKind::Update, Cause::Status, Status::Away),
        (EventKind::Leave, Cause::Unsubscribe, Status::Away),
    ];
    assert_eq!(told, expected);
    assert!(theirs.try_recv().is_none());
    drop((lobby, theirs));
    assert_eq!(online.channels(), 1, "only the one that somebody is in");
    page.close(1000).await;
    assert_eq!(online.channels(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_too_slow_is_told_how_much_it_missed_and_ends_with_the_manager() {
    let online = with(|builder| builder.events_buffer(2));
    let mut lobby = online.subscribe_presence("lobby");
    let mut nowhere = online.subscribe_presence("no\nname");
    let phone = connect(&online, "u1").await;
    for _ in 0..3 {
        phone.connection().join("lobby").unwrap();
        phone.connection().leave("lobby");
    }
    assert!(matches!(lobby.recv().await, Some(Notice::Missed(4))));
    assert!(matches!(lobby.recv().await, Some(Notice::Event(_))) && lobby.recv().await.is_some());
    assert!(nowhere.recv().await.is_none());
    phone.close(1000).await;
    drop(online);
    pass(secs(10)).await;
    assert!(lobby.recv().await.is_none());
}
