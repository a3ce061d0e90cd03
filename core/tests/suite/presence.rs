//! Who is here, from the first connection to the end of the grace period.

use chrono::{DateTime, Utc};
use herenow::{
    Cause::{Connect as Came, Disconnect, LoggedOut, Timeout},
    Clock, EventKind, LastSeen, Marked, Notice, Refused, Target, UserKey,
    policy::LoginPolicy,
    testing::{Connect, assert_all_gone, connect, next_event, until},
};

use crate::support::{event, heard, millis, online, pass, secs, session, timed, with};

#[tokio::test(start_paused = true)]
async fn closing_one_of_two_tabs_of_one_token_changes_nothing() {
    let online = online();
    let mut events = online.events();
    let (one, other) = (connect(&online, "u1").await, connect(&online, "u1").await);
    assert_eq!((online.get_online_count().await, online.get_connection_count().await), (1, 2));
    assert_eq!(online.get_user_sessions("u1").await.len(), 1);
    one.close(1000).await;
    assert!(online.is_online("u1").await);
    assert_eq!((online.get_online_count().await, online.get_connection_count().await), (1, 1));
    other.close(1000).await;
    assert!(!online.is_online("u1").await);
    let both = [event(EventKind::Online, "u1", Came), event(EventKind::Offline, "u1", Disconnect)];
    assert_eq!(heard(&mut events), both);
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn two_devices_are_two_sessions_of_one_user() {
    let online = online();
    let phone = Connect::new(&online).user("u1").token("t1").device("ios").open().await;
    let laptop = Connect::new(&online).user("u1").token("t2").device("web").open().await;
    let mut devices: Vec<_> =
        online.get_user_sessions("u1").await.into_iter().map(|session| session.device).collect();
    devices.sort();
    assert_eq!(devices, ["ios", "web"]);
    phone.close(1000).await;
    assert_eq!(online.get_user_sessions("u1").await.len(), 1);
    assert!(online.is_online("u1").await);
    laptop.close(None).await;
    assert!(!online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn marking_again_keeps_the_connect_time_and_tells_nobody() {
    let online = online();
    let mut events = online.events();
    let first = session("u1", "t1");
    assert_eq!(online.mark_online(first.clone()).await, Marked::Online);
    pass(secs(60)).await;
    assert_eq!(online.mark_online(session("u1", "t1")).await, Marked::Already);
    let [found] = online.get_user_sessions("u1").await.try_into().unwrap();
    assert_eq!(found.connect_time, first.connect_time);
    assert!(found.last_activity >= first.connect_time + secs(60));
    assert!(found.token.starts_with("tok_"));
    assert_eq!(heard(&mut events), [event(EventKind::Online, "u1", Came)]);
    online.mark_offline("u1", &found.token).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_mark_and_a_socket_keep_each_other_online() {
    let online = online();
    let mut events = online.events();
    online.mark_online(session("u1", "t1")).await;
    let phone = connect(&online, "u1").await;
    assert_eq!(online.get_connection_count().await, 1);
    phone.close(1000).await;
    assert!(online.is_online("u1").await);
    let phone = connect(&online, "u1").await;
    online.mark_offline("u1", "t1").await;
    assert!(online.is_online("u1").await);
    phone.close(1000).await;
    let both = [event(EventKind::Online, "u1", Came), event(EventKind::Offline, "u1", Disconnect)];
    assert_eq!(heard(&mut events), both);
}

#[tokio::test(start_paused = true)]
async fn logging_out_ends_sockets_too_and_leaves_the_token_good() {
    let online = online();
    let mut events = online.events();
    let mut phone = Connect::new(&online).user("u1").token("t1").open().await;
    let mut laptop = Connect::new(&online).user("u1").token("t2").open().await;
    online.mark_offline("u1", "t1").await;
    assert_eq!(phone.expect_close().await, (4424, "logged_out".to_owned()));
    online.mark_offline_all("u1").await;
    assert_eq!(laptop.expect_close().await.0, 4424);
    let both = [event(EventKind::Online, "u1", Came), event(EventKind::Offline, "u1", LoggedOut)];
    assert_eq!(heard(&mut events), both);
    Connect::new(&online).user("u1").token("t1").open().await.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_within_the_grace_period_is_silent() {
    let online = online();
    let mut events = online.events();
    connect(&online, "u1").await.close(1001).await;
    pass(millis(4900)).await;
    assert!(online.is_online("u1").await && online.get_online_users().await == ["u1"]);
    assert_eq!((online.get_online_count().await, online.get_connection_count().await), (1, 0));
    assert!(online.get_user_sessions("u1").await.is_empty());
    let again = connect(&online, "u1").await;
    pass(secs(60)).await;
    assert_eq!(heard(&mut events), [event(EventKind::Online, "u1", Came)]);
    again.close(1000).await;
    assert_eq!(heard(&mut events), [event(EventKind::Offline, "u1", Disconnect)]);
}

#[tokio::test(start_paused = true)]
async fn a_network_loss_is_offline_after_five_seconds_as_of_the_loss() {
    let (online, clock) = timed(|builder| builder);
    let phone = connect(&online, "u1").await;
    let mut events = online.events();
    pass(secs(10)).await;
    let lost = clock.utc();
    phone.vanish().await;
    pass(millis(4900)).await;
    assert!(online.is_online("u1").await && heard(&mut events).is_empty());
    let offline = next_event(&mut events).await;
    assert_eq!((offline.kind, offline.cause), (EventKind::Offline, Disconnect));
    assert!((clock.utc() - lost - chrono::TimeDelta::seconds(5)).num_milliseconds().abs() <= 2);
    assert_eq!((offline.at - lost).num_milliseconds(), 0);
    assert_eq!(online.last_seen("u1").await, Some(offline.at));
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_period_a_loss_is_offline_at_once() {
    let online = with(|builder| builder.grace(secs(0)));
    connect(&online, "u1").await.vanish().await;
    assert!(!online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn a_grace_period_ends_with_a_log_out() {
    let online = online();
    let mut events = online.events();
    connect(&online, "u1").await.vanish().await;
    online.mark_offline_all("u1").await;
    assert!(!online.is_online("u1").await);
    pass(secs(10)).await;
    let both = [event(EventKind::Online, "u1", Came), event(EventKind::Offline, "u1", LoggedOut)];
    assert_eq!(heard(&mut events), both);
}

#[tokio::test(start_paused = true)]
async fn the_grace_period_of_an_earlier_loss_does_not_end_a_later_one() {
    let online = online();
    connect(&online, "u1").await.vanish().await;
    pass(secs(4)).await;
    connect(&online, "u1").await.vanish().await;
    pass(secs(4)).await;
    assert!(online.is_online("u1").await);
    pass(millis(1100)).await;
    assert!(!online.is_online("u1").await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_gone_after_forty_seconds() {
    let online = online();
    let mut events = online.events();
    let phone = connect(&online, "u1").await;
    phone.ignore_pings();
    pass(millis(39_900)).await;
    assert_eq!(online.get_connection_count().await, 1);
    pass(millis(200)).await;
    phone.server_is_done().await;
    assert_eq!(online.get_connection_count().await, 0);
    until("offline after the grace period", async || !online.is_online("u1").await).await;
    assert_eq!(heard(&mut events)[1], event(EventKind::Offline, "u1", Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_pings_stays_for_days() {
    let online = with(|builder| builder.idle_after(secs(0)));
    let (envelope, raw) = (connect(&online, "u1").await, Connect::new(&online).user("u2").raw().open().await);
    pass(secs(2 * 24 * 60 * 60)).await;
    assert_eq!(online.get_connection_count().await, 2);
    drop((envelope, raw));
}

#[tokio::test(start_paused = true)]
async fn a_hand_mark_ends_by_its_time_to_live() {
    let online = with(|builder| builder.hand_ttl(secs(60)));
    let mut events = online.events();
    online.mark_online(session("u1", "t1")).await;
    pass(secs(50)).await;
    online.mark_online(session("u1", "t1")).await;
    pass(secs(50)).await;
    assert!(online.is_online("u1").await);
    pass(secs(11)).await;
    assert_eq!(heard(&mut events)[1], event(EventKind::Offline, "u1", Timeout));
}

#[tokio::test(start_paused = true)]
async fn the_late_end_of_an_old_socket_never_removes_a_newer_one() {
    let online = with(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(1)));
    let mut events = online.events();
    let old = Connect::new(&online).user("u1").token("t1").open().await;
    old.stop_reading();
    let new = Connect::new(&online).user("u1").token("t2").open().await;
    assert_eq!(online.get_connection_count().await, 1);
    old.server_is_done().await;
    assert!(online.is_online("u1").await && online.get_connection_count().await == 1);
    assert_eq!(heard(&mut events), [event(EventKind::Online, "u1", Came)]);
    new.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn last_seen_outlives_the_user_and_reaches_the_applications_store() {
    use std::sync::{Arc, Mutex};
    type Seen = (UserKey, DateTime<Utc>);
    #[derive(Clone, Default)]
    struct Column(Arc<Mutex<Vec<Seen>>>);
    #[async_trait::async_trait]
    impl LastSeen for Column {
        async fn record(&self, user: &UserKey, at: DateTime<Utc>) {
            self.0.lock().unwrap().push((user.clone(), at));
        }
        async fn last_seen(&self, user: &UserKey) -> Option<DateTime<Utc>> {
            (user.login_id() == "long ago").then_some(DateTime::UNIX_EPOCH)
        }
    }
    let column = Column::default();
    let (online, clock) = timed(|builder| builder.last_seen(column.clone()));
    let phone = connect(&online, "u1").await;
    pass(secs(7)).await;
    let closed = clock.utc();
    phone.close(1000).await;
    pass(secs(3600)).await;
    assert_eq!(online.last_seen("u1").await, Some(closed));
    assert_eq!(online.last_seen("long ago").await, Some(DateTime::UNIX_EPOCH));
    assert_eq!(online.last_seen("never").await, None);
    assert_eq!(*column.0.lock().unwrap(), [(UserKey::from("u1"), closed)]);
    online.update_last_seen("u1").await;
    assert_eq!(online.last_seen("u1").await, Some(clock.utc()));
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lags_is_told_how_much_it_missed() {
    let online = with(|builder| builder.events_buffer(2));
    let mut events = online.events();
    for user in ["a", "b", "c", "d", "e"] {
        online.mark_online(session(user, "t")).await;
    }
    assert!(matches!(events.recv().await, Some(Notice::Missed(3))));
    assert_eq!(next_event(&mut events).await.user.login_id(), "d");
    assert_eq!(next_event(&mut events).await.user.login_id(), "e");
}

#[tokio::test(start_paused = true)]
async fn accounts_never_meet() {
    let online = online();
    let tenant = UserKey::in_account("tenant", "u1");
    let mut own = connect(&online, "u1").await;
    let mut other = connect(&online, &tenant).await;
    assert_eq!(online.get_online_users().await, ["u1"]);
    assert_eq!(online.online_users(None, 10).await.items.len(), 2);
    assert_eq!(online.push_to_user("u1", "own").await.unwrap().reached(), 1);
    assert_eq!(online.broadcast("everyone here").await.unwrap().reached(), 1);
    assert_eq!(online.push(Target::account("tenant"), "everyone there").await.unwrap().reached(), 1);
    assert_eq!(online.push(Target::all_accounts(), "all").await.unwrap().reached(), 2);
    for text in ["own", "everyone here", "all"] {
        assert_eq!(own.expect_push().await, text);
    }
    for text in ["everyone there", "all"] {
        assert_eq!(other.expect_push().await, text);
    }
    assert_eq!(online.kick_out("u1", "").await.unwrap().matched, 1);
    assert!(online.is_online(&tenant).await && !online.is_online("u1").await);
    assert_eq!(online.mark_online(session("u1", "t9").in_account("tenant")).await, Marked::Online);
    assert_eq!(online.get_user_sessions(&tenant).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn pages_list_everybody_once() {
    let online = online();
    for n in 0..100 {
        online.mark_online(session(&format!("u{n:02}"), "t")).await;
    }
    let (mut users, mut cursor) = (Vec::new(), None);
    loop {
        let page = online.online_users(cursor, 7).await;
        assert!(page.items.len() <= 7);
        users.extend(page.items.iter().map(|user| user.login_id().to_owned()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    users.sort();
    assert_eq!(users, (0..100).map(|n| format!("u{n:02}")).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn ids_that_cannot_be_shown_or_stored_are_refused() {
    let online = online();
    for bad in
        [session("", "t"), session("a\u{202e}b", "t"), session(&"x".repeat(129), "t"), session("a", "")]
    {
        let refused = online.mark_online(bad).await;
        assert!(matches!(refused, Marked::Refused(Refused::Invalid(_))), "{refused:?}");
    }
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_handshake_leaves_nothing() {
    let online = online();
    let mut silent = Connect::new(&online).user("u1").silent().start().await.unwrap();
    assert!(!online.is_online("u1").await);
    assert_eq!(silent.expect_close().await, (4507, "auth_timeout".to_owned()));
    drop(Connect::new(&online).user("u1").silent().start().await.unwrap());
    assert!(Connect::new(&online).raw().start().await.is_err());
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_manager_leaves_no_task_behind() {
    let tasks = tokio::runtime::Handle::current().metrics();
    let online = online();
    online.mark_online(session("u1", "t")).await;
    drop(online);
    until("its tasks have ended", async || tasks.num_alive_tasks() == 0).await;
}
