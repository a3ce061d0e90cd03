//! What holds across nodes, on nodes joined in memory.

use herenow::{
    Cause, Certainty, EventKind, Events, PushMessage, Remote, Status, Target, UserKey,
    auth::{Identity, TokenId},
    policy::{LoginPolicy, OnLimit},
    testing::{Connect, assert_all_gone, connect, joined_nodes, two_nodes, until},
};
use serde_json::json;

use crate::support::{CLUSTERED, Sink, clustered, event, heard, millis, pass, secs, session};

/// What all nodes' `events()` heard together.
fn heard_by_all(listeners: &mut [Events]) -> Vec<(EventKind, String, Cause)> {
    listeners.iter_mut().flat_map(heard).collect()
}

#[tokio::test(start_paused = true)]
async fn a_user_is_online_on_every_node_and_told_once() {
    let nodes = joined_nodes::<3>(|builder| builder);
    let mut listeners = [nodes[0].events(), nodes[1].events(), nodes[2].events()];
    let mut clients = Vec::new();
    for node in &nodes {
        clients.push(connect(node, "u1").await);
    }
    for node in &nodes {
        assert!(node.is_online("u1").await);
        assert_eq!(node.get_online_users().await, ["u1"]);
        assert_eq!((node.get_online_count().await, node.get_connection_count().await), (1, 3));
        assert_eq!(node.get_user_sessions("u1").await.len(), 1);
        assert_eq!(node.online_users(None, 10).await.items, [UserKey::from("u1")]);
    }
    for client in clients {
        client.close(1000).await;
    }
    for node in &nodes {
        assert!(!node.is_online("u1").await);
        assert_all_gone(node).await;
    }
    let both =
        [event(EventKind::Online, "u1", Cause::Connect), event(EventKind::Offline, "u1", Cause::Disconnect)];
    let mut all = heard_by_all(&mut listeners);
    all.sort_by_key(|(kind, ..)| *kind != EventKind::Online);
    assert_eq!(all, both);
}

#[tokio::test(start_paused = true)]
async fn cluster_events_are_heard_on_every_node() {
    let [here, there] = two_nodes();
    let mut listeners = [here.cluster_events(), there.cluster_events()];
    connect(&here, "u1").await.close(1000).await;
    let both =
        [event(EventKind::Online, "u1", Cause::Connect), event(EventKind::Offline, "u1", Cause::Disconnect)];
    for listener in &mut listeners {
        assert_eq!(heard(listener), both);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_onto_another_node_is_silent() {
    let nodes = two_nodes();
    let mut listeners = [nodes[0].events(), nodes[1].events()];
    connect(&nodes[0], "u1").await.close(1001).await;
    let again = connect(&nodes[1], "u1").await;
    pass(secs(60)).await;
    assert_eq!(heard_by_all(&mut listeners), [event(EventKind::Online, "u1", Cause::Connect)]);
    drop(again);
}

#[tokio::test(start_paused = true)]
async fn a_push_finds_its_receivers_on_every_node() {
    let [here, there] = two_nodes();
    let (mut near, mut far) = (connect(&here, "u1").await, connect(&there, "u1").await);
    let report = here.push_to_user("u1", "Hello").await.unwrap();
    assert_eq!((report.matched, report.enqueued), (1, 1));
    let counts = report.remote.counts(secs(1)).await.unwrap();
    assert_eq!((counts.nodes, counts.matched, counts.enqueued), (1, 1, 1));
    let report = here.broadcast("All").await.unwrap();
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().enqueued, 1);
    let device = here.push(Target::connection(far.connection().id()), "You").await.unwrap();
    assert_eq!((device.matched, device.remote.counts(secs(1)).await.unwrap().enqueued), (0, 1));
    for text in ["Hello", "All"] {
        assert_eq!(near.expect_push().await, text);
    }
    for text in ["Hello", "All", "You"] {
        assert_eq!(far.expect_push().await, text);
    }
    near.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn one_message_is_the_same_on_every_node() {
    let [here, there] = two_nodes();
    let (mut near, mut far) = (connect(&here, "u1").await, connect(&there, "u1").await);
    for content in
        [PushMessage::new("text"), PushMessage::new(vec![0u8, 255]), PushMessage::new("x").metadata("k", "v")]
    {
        let _ = here.broadcast(content).await.unwrap();
        let push = near.expect_type("push").await;
        assert_eq!(push, far.expect_type("push").await);
    }
}

#[tokio::test(start_paused = true)]
async fn statuses_of_several_nodes_are_one() {
    let [here, there] = two_nodes();
    let (near, far) = (connect(&here, "u1").await, connect(&there, "u1").await);
    let status = async || (here.get_status("u1").await, there.get_status("u1").await);
    near.send_json(&json!({"type": "status", "status": "away"}));
    pass(millis(10)).await;
    assert_eq!(status().await, (Status::Online, Status::Online));
    far.send_json(&json!({"type": "status", "status": "busy"}));
    pass(millis(10)).await;
    assert_eq!(status().await, ("busy".into(), "busy".into()));
    here.set_away("u1").await;
    assert_eq!(status().await, (Status::Away, Status::Away));
}

#[tokio::test(start_paused = true)]
async fn a_kick_reaches_every_node_and_counts_them() {
    let nodes = joined_nodes::<3>(|builder| builder);
    let mut clients = Vec::new();
    for node in &nodes {
        clients.push(connect(node, "u1").await);
    }
    let mut listeners = [nodes[0].events(), nodes[1].events(), nodes[2].events()];
    let report = nodes[0].kick_out("u1", "Bye").await.unwrap();
    assert!(report.is_complete());
    assert_eq!((report.matched, report.closed, report.nodes, report.unreachable), (3, 3, 2, 0));
    for (client, node) in clients.iter_mut().zip(&nodes) {
        assert_eq!(client.expect_type("kicked").await["message"], "Bye");
        assert_eq!(client.expect_close().await.0, 4423);
        let refusal = Connect::new(node).user("u1").raw().start().await.unwrap_err();
        assert_eq!(refusal.status(), 401);
    }
    let offline =
        heard_by_all(&mut listeners).into_iter().filter(|event| event.0 == EventKind::Offline).count();
    assert_eq!(offline, 1);
}

#[tokio::test(start_paused = true)]
async fn a_far_victim_that_does_not_read_is_cut_at_the_deadline() {
    let [here, there] = two_nodes();
    let deaf = Connect::new(&there).user("u1").raw().pipe(16).open().await;
    deaf.stop_reading();
    for _ in 0..10 {
        let _ = there.push_to_user("u1", "filling up").await.unwrap();
    }
    let report = here.kick_out("u1", "").await.unwrap();
    assert_eq!((report.matched, report.aborted, report.nodes, report.unreachable), (1, 1, 1, 0));
    assert!(report.is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_ban_and_a_logout_hold_everywhere() {
    let [here, there] = two_nodes();
    let mut far = connect(&there, "u1").await;
    here.mark_offline_all("u1").await;
    assert_eq!(far.expect_close().await.0, 4424);
    let _ = here.kick_out("u1", herenow::KickOut::new().ban_for(secs(60))).await.unwrap();
    assert_eq!(Connect::new(&there).user("u1").raw().start().await.unwrap_err().status(), 403);
    there.lift_ban("u1").await.unwrap();
    pass(millis(1)).await;
    let fresh = Identity::new("u1").token_id(TokenId::of("fresh"));
    for node in [&here, &there] {
        let _back = Connect::new(node).identity(fresh.clone()).open().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_ban_of_whom_only_another_node_knows_holds_everywhere() {
    let [here, there] = two_nodes();
    let far = connect(&there, "u1").await;
    let target = Target::connection(far.connection().id());
    let report = here.kick_out(target, herenow::KickOut::new().ban_for(secs(60))).await.unwrap();
    assert_eq!((report.matched, report.closed), (1, 1));
    for node in [&here, &there] {
        let fresh = Connect::new(node).user("u1").token("another").raw().start().await;
        assert_eq!(fresh.unwrap_err().status(), 403, "banned, whatever its token");
    }
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_channel_is_banned_though_none_of_them_has_a_token() {
    let [here, there] = two_nodes();
    let login = |user: &str| Connect::new(&there).identity(Identity::new(user)).raw();
    let users = ["u1", "u2", "u3"];
    let mut clients = Vec::new();
    for user in users {
        let client = login(user).open().await;
        client.connection().join("room").unwrap();
        clients.push(client);
    }
    let kick = herenow::KickOut::new().ban_for(secs(60));
    assert_eq!(here.kick_out(herenow::ChannelKey::from("room"), kick).await.unwrap().matched, 3);
    for user in users {
        assert_eq!(login(user).start().await.unwrap_err().status(), 403, "{user}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_ends_what_is_on_its_way_to_another_node() {
    let [here, there] = two_nodes();
    let mut coming = Connect::new(&there).user("u1").silent().start().await.unwrap();
    here.mark_offline_all("u1").await;
    assert_eq!(coming.expect_close().await, (4424, "logged_out".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_kept_online_those_of_a_node_that_stops_come_back_one_after_the_other_all_the_same() {
    let [here, _there] = joined_nodes(|builder| builder.grace(secs(0)));
    let mut clients = Vec::new();
    for n in 0..8 {
        clients.push(connect(&here, format!("u{n}")).await);
    }
    here.shutdown(secs(1)).await;
    let mut last = 0;
    for client in &mut clients {
        last = last.max(client.expect_type("goodbye").await["reconnectInMs"].as_u64().unwrap());
    }
    assert!((500..=5000).contains(&last), "{last} ms");
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_across_nodes_and_the_replaced_is_closed_on_its_own() {
    let nodes = joined_nodes::<2>(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(1)));
    let login = |node: usize, token: &str| Connect::new(&nodes[node]).user("u1").token(token).open();
    let mut first = login(0, "t1").await;
    let mut second = login(1, "t2").await;
    assert_eq!(first.expect_close().await, (4409, "replaced".to_owned()));
    second.expect_nothing(secs(1)).await;
    let _third = login(0, "t3").await;
    assert_eq!(second.expect_close().await.0, 4409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_two_are_admitted_where_the_newest_is_refused() {
    let policy = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
    let nodes = joined_nodes::<3>(|builder| builder.login_policy(policy.clone()));
    for _ in 0..100 {
        let logins = (0..9).map(|n| {
            let connect = Connect::new(&nodes[n % 3]).user("u1").token(&format!("t{n}")).raw();
            tokio::spawn(async move {
                let mut client = connect.start().await.ok()?;
                client.is_present().await.then_some(client)
            })
        });
        let logins = futures_util::future::join_all(logins).await;
        let mut admitted: Vec<_> = logins.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(admitted.len(), 1);
        admitted.remove(0).close(1000).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_logins_at_once_on_three_nodes_exactly_one_stays() {
    let nodes = joined_nodes::<3>(|builder| builder.login_policy(LoginPolicy::unlimited().max_per_user(1)));
    for _ in 0..50 {
        let logins = (0..9).map(|n| {
            let connect = Connect::new(&nodes[n % 3]).user("u1").token(&format!("t{n}")).raw();
            tokio::spawn(async move {
                let mut client = connect.start().await.unwrap();
                client.is_present().await;
                client
            })
        });
        let clients = futures_util::future::join_all(logins).await;
        until("one is left", async || nodes[0].get_connection_count().await == 1).await;
        nodes[0].mark_offline_all("u1").await;
        for client in clients {
            client.unwrap().server_is_done().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_good_once_on_whichever_node() {
    let [here, there] = two_nodes();
    let ticket = here.issue_ticket(&Identity::new("u1")).await.unwrap();
    let client = Connect::new(&there).ticket(&ticket).open().await;
    assert_eq!(client.connection().user().login_id(), "u1");
    for node in [&here, &there] {
        assert_eq!(Connect::new(node).ticket(&ticket).raw().start().await.unwrap_err().status(), 401);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_dropped_takes_its_users_offline_once() {
    let [here, there, third] = joined_nodes::<3>(|builder| builder);
    let mut listeners = [here.events(), third.events()];
    there.mark_online(session("marked", "t")).await;
    let both = connect(&there, "both").await;
    let _also = connect(&here, "both").await;
    for listener in &mut listeners {
        heard(listener);
    }
    both.vanish().await;
    drop(there);
    until("offline", async || !here.is_online("marked").await).await;
    assert!(here.is_online("both").await);
    pass(secs(10)).await;
    assert_eq!(heard_by_all(&mut listeners), [event(EventKind::Offline, "marked", Cause::Shutdown)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_shuts_down_leaves_the_cluster() {
    let [here, there] = two_nodes();
    let _client = connect(&there, "u1").await;
    assert_eq!(there.shutdown(secs(1)).await.connections, 1);
    // For the grace period nobody notices: the client comes back to another node.
    assert!(here.is_online("u1").await);
    pass(secs(6)).await;
    assert!(!here.is_online("u1").await);
    let report = here.push_to_user("u1", "text").await.unwrap();
    assert!(matches!(report.remote, Remote::NotAsked));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_to_another_node_within_the_grace_period_was_never_away() {
    let [here, there] = two_nodes();
    let mut listeners = [here.events(), there.events()];
    let client = connect(&there, "u1").await;
    let _report = there.shutdown(secs(1)).await;
    drop(client);
    let client = connect(&here, "u1").await;
    pass(secs(10)).await;
    assert_eq!(heard_by_all(&mut listeners), [event(EventKind::Online, "u1", Cause::Connect)]);
    client.close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn of_several_users_elsewhere_those_are_for_the_offline_sink_for_whom_only_a_stream_waits() {
    let sink = Sink::default();
    let [here, there] = joined_nodes(|builder| builder.offline_sink(sink.clone()));
    let _far = connect(&there, "far").await;
    drop(connect(&there, "cut off").await);
    until("its stream waits", async || there.sessions("cut off").await.is_empty()).await;
    let report = here.push_to_users(["far", "cut off", "nowhere"], "text").await.unwrap();
    let counts = report.remote.counts(secs(1)).await.unwrap();
    assert_eq!((counts.enqueued, counts.held), (1, 1));
    pass(secs(3)).await;
    let mut stored = sink.0.lock().unwrap().clone();
    stored.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [("cut off", Certainty::Unknown), ("nowhere", Certainty::Certain)];
    assert_eq!(stored, expected.map(|(user, certainty)| (user.to_owned(), certainty)));
}

#[tokio::test(start_paused = true)]
async fn whoever_is_reached_of_several_users_stands_for_nobody_else() {
    let sink = Sink::default();
    let [here, there] = joined_nodes(|builder| builder.offline_sink(sink.clone()));
    let _tabs = [connect(&here, "on both").await, connect(&there, "on both").await];
    connect(&there, "held there").await.vanish().await;
    connect(&here, "held here").await.vanish().await;
    let report = here.push_to_users(["on both", "held there", "held here"], "text").await.unwrap();
    let counts = report.remote.counts(secs(1)).await.unwrap();
    assert_eq!((report.enqueued, report.held, counts.enqueued, counts.held), (1, 1, 1, 1));
    pass(secs(3)).await;
    assert_eq!(sink.0.lock().unwrap().clone(), [("held there".to_owned(), Certainty::Unknown)]);
    pass(secs(200)).await;
    assert_eq!(
        sink.0.lock().unwrap()[1..],
        [("held here".to_owned(), Certainty::Certain)],
        "nobody came back"
    );
}

#[tokio::test(start_paused = true)]
async fn the_offline_sink_waits_for_the_other_nodes() {
    let sink = Sink::default();
    let [here, there] = joined_nodes(|builder| builder.offline_sink(sink.clone()));
    let _far = connect(&there, "far").await;
    let _ = here.push_to_users(["far", "nowhere"], "text").await.unwrap();
    pass(secs(3)).await;
    assert_eq!(*sink.0.lock().unwrap(), [("nowhere".to_owned(), Certainty::Certain)]);
    here.cut_off();
    let _ = here.push_to_user("far", "text").await.unwrap();
    pass(secs(3)).await;
    assert_eq!(sink.0.lock().unwrap()[1], ("far".to_owned(), Certainty::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_gone_holds_no_seats() {
    let one = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
    let [here, there] = joined_nodes(|builder| builder.login_policy(one.clone()));
    there.mark_online(session("u1", "t1")).await;
    let refused = Connect::new(&here).user("u1").token("t2").raw().start().await;
    assert_eq!(refused.unwrap_err().status(), 429);
    drop(there); // As a crash would: nobody gave anything back.
    until("a seat", async || Connect::new(&here).user("u1").token("t2").raw().start().await.is_ok()).await;
}

/// Every test of this suite, on a node of several.
#[test]
fn what_holds_on_one_node_holds_for_the_clients_of_one_of_several() {
    if clustered() {
        return; // This is that run.
    }
    let mut suite = std::process::Command::new(std::env::current_exe().unwrap());
    let run = suite.env(CLUSTERED, "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{out}{err}");
}
