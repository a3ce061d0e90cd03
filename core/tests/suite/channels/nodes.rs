//! Channels whose members sit on several nodes: everybody sees one channel.

use herenow::{
    Builder, EventKind, HereNow, Notice, OnlineManager, Target,
    auth::{Action, Identity},
    testing::{self, TestNode, joined_nodes},
};
use serde_json::json;

use super::{expected, next, tab, watcher};
use crate::support::{heard, millis, pass, secs};

fn nodes<const N: usize>() -> [TestNode; N] {
    set_up(|builder| builder)
}

fn set_up<const N: usize>(more: impl Fn(Builder) -> Builder) -> [TestNode; N] {
    joined_nodes(|builder| {
        let at_once = builder.event_window(std::time::Duration::ZERO);
        more(at_once.authorize(|_: &Identity, _: &Action| true))
    })
}

async fn amounts(online: &OnlineManager) -> (usize, usize) {
    let report = online.here_now(HereNow::of(["lobby"])).await;
    (report.channels[0].client_amount, report.channels[0].user_amount)
}

#[tokio::test(start_paused = true)]
async fn watchers_on_every_node_are_told_of_members_on_every_node() {
    let [here, there, third] = nodes();
    let _first = tab(&there, "u1", "lobby").await;
    let mut watchers = [watcher(&here, "lobby").await, watcher(&third, "lobby").await];
    let state = watchers[0].subscribe_presence("lobby").await;
    assert_eq!(state["users"], json!([{"id": "u1", "data": "", "status": "online"}]));
    let second = tab(&third, "u2", "lobby").await;
    there.set_away("u1").await;
    for watcher in &mut watchers {
        assert_eq!(next(watcher).await, expected("join u2 by subscribe", 2, 2));
        assert_eq!(next(watcher).await, expected("update u1 by status", 2, 2));
    }
    second.close(1000).await;
    for watcher in &mut watchers {
        assert_eq!(next(watcher).await, expected("offline u2 by disconnect", 1, 1));
    }
    assert_eq!((here.channels(), there.channels(), amounts(&third).await), (1, 1, (1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_user_with_a_tab_on_each_node_is_one_member() {
    let [here, there] = nodes();
    let mut watcher = watcher(&here, "lobby").await;
    let (mut events, mut others) = (here.events(), there.events());
    let one = tab(&here, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    let mut two = tab(&there, "u1", "lobby").await;
    assert_eq!(amounts(&here).await, (2, 1));
    one.close(1000).await;
    watcher.expect_nothing(secs(10)).await;
    assert_eq!(amounts(&there).await, (1, 1));
    two.unsubscribe("lobby").await;
    assert_eq!(next(&mut watcher).await, expected("leave u1 by unsubscribe", 0, 0));
    let mut kinds: Vec<EventKind> = Vec::new();
    kinds.extend(heard(&mut events).iter().chain(&heard(&mut others)).map(|event| event.0));
    kinds.retain(|kind| matches!(kind, EventKind::Join | EventKind::Leave));
    assert_eq!(kinds, [EventKind::Join, EventKind::Leave], "each is made once, on one node");
}

#[tokio::test(start_paused = true)]
async fn here_now_lists_the_members_of_all_nodes_in_the_order_of_their_ids() {
    let [here, there] = nodes();
    let (_two, _one) = (tab(&here, "u2", "lobby").await, tab(&there, "u1", "lobby").await);
    let _also = tab(&there, "u2", "lobby").await;
    let report = here.here_now(HereNow::of(["lobby"]).include_users()).await;
    let ids = |report: &herenow::HereNowReport| -> Vec<String> {
        report.channels[0].users.iter().flatten().map(|user| user.id.to_string()).collect()
    };
    assert_eq!(ids(&report), ["u1", "u2", "u2"]);
    let distinct = HereNow::of(["lobby"]).include_users().distinct();
    assert_eq!(ids(&there.here_now(distinct.clone().limit(1)).await), ["u1"]);
    here.cut_off();
    assert_eq!(ids(&here.here_now(distinct).await), ["u2"], "what this node knows");
}

#[tokio::test(start_paused = true)]
async fn who_moves_to_another_node_within_the_grace_period_was_never_away() {
    let [here, there] = nodes();
    let mut watcher = watcher(&here, "lobby").await;
    let member = tab(&there, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    member.vanish().await;
    pass(secs(4)).await;
    let member = tab(&here, "u1", "lobby").await;
    watcher.expect_nothing(secs(30)).await;
    member.vanish().await;
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 0, 0));
    let _member = tab(&there, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("online u1 by reconnect", 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_node_that_dies_are_offline_once() {
    let [here, there, third] = nodes();
    let mut watcher = watcher(&here, "lobby").await;
    let mut listener = third.subscribe_presence("lobby");
    let member = tab(&there, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await.0, "join u1 by subscribe");
    member.vanish().await;
    drop(there);
    assert_eq!(next(&mut watcher).await, expected("offline u1 by shutdown", 0, 0));
    watcher.expect_nothing(secs(10)).await;
    let mut kinds = Vec::new();
    while let Some(Notice::Event(event)) = listener.try_recv() {
        kinds.push(event.kind);
    }
    assert_eq!(kinds, [EventKind::Join, EventKind::Leave]);
}

#[tokio::test(start_paused = true)]
async fn what_a_node_missed_while_it_was_cut_off_its_watchers_are_told_when_it_is_back() {
    let [here, there] = nodes();
    let mut watcher = watcher(&here, "lobby").await;
    let gone = tab(&there, "u1", "lobby").await;
    let _stays = tab(&there, "u2", "lobby").await;
    for user in ["u1", "u2"] {
        assert_eq!(next(&mut watcher).await.0, format!("join {user} by subscribe"));
    }
    let mut listener = here.subscribe_presence("lobby");
    here.cut_off();
    gone.close(1000).await;
    let _comes = tab(&there, "u3", "lobby").await;
    watcher.expect_nothing(secs(10)).await;
    here.heal();
    let mut told = vec![next(&mut watcher).await.0, next(&mut watcher).await.0];
    told.sort();
    assert_eq!(told, ["join u3 by subscribe", "offline u1 by disconnect"]);
    assert!(matches!(listener.recv().await, Some(Notice::Resync)));
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!(state["userAmount"], 2);
}

#[tokio::test(start_paused = true)]
async fn who_watches_users_is_told_after_a_gap_what_it_does_not_know_and_no_more() {
    let [here, there] = nodes();
    let mut watcher = testing::connect(&here, "watcher").await;
    let leaves = testing::connect(&there, "u1").await;
    let _stays = testing::connect(&there, "u2").await;
    let answer = watcher.request(json!({"type": "watch", "users": ["u1", "u2", "u3"]})).await;
    assert_eq!(answer["result"]["users"][2]["status"], "offline");
    here.cut_off();
    leaves.close(1000).await;
    watcher.expect_nothing(secs(10)).await;
    here.heal();
    let told = watcher.expect_presence().await;
    let [event] = told["events"].as_array().unwrap().as_slice() else { panic!("one event: {told}") };
    assert_eq!((&event["user"]["id"], &event["action"]), (&json!("u1"), &json!("offline")), "{told}");
    watcher.expect_nothing(secs(10)).await;
    for _ in 0..2 {
        here.cut_off();
        here.heal();
    }
    watcher.expect_nothing(secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn who_watches_users_is_told_after_a_gap_though_the_engine_is_late() {
    let [here, there] = nodes();
    let mut watcher = testing::connect(&here, "watcher").await;
    let leaves = testing::connect(&there, "u1").await;
    watcher.request(json!({"type": "watch", "users": ["u1"]})).await;
    here.cut_off();
    leaves.close(1000).await;
    here.stall();
    here.heal();
    watcher.expect_nothing(secs(5)).await;
    here.go_on();
    assert_eq!(watcher.expect_presence().await["events"][0]["action"], "offline");
    watcher.expect_nothing(secs(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_goes_before_its_list_came_leaves_the_others_theirs() {
    let [here, there] = nodes();
    let _member = tab(&there, "u1", "room").await;
    let mut stays = testing::connect(&here, "stays").await;
    let goes = testing::connect(&here, "goes").await;
    here.stall();
    for client in [&stays, &goes] {
        client.send_json(&json!({"type": "subscribePresence", "channel": "room", "id": 1}));
        pass(millis(100)).await;
    }
    goes.vanish().await;
    here.go_on();
    assert_eq!(stays.expect_type("reply").await["result"], json!({}));
    assert_eq!(stays.expect_type("presenceState").await["users"].as_array().map(Vec::len), Some(1));
    let _another = tab(&there, "u2", "room").await;
    assert_eq!(stays.expect_presence().await["events"][0]["user"]["id"], "u2");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_tells_who_comes_to_it_and_leaves_to_later_who_went() {
    let [here, there] = nodes();
    let mut watcher = watcher(&here, "lobby").await;
    let mut friend = testing::connect(&here, "friend").await;
    friend.request(json!({"type": "watch", "users": ["u1", "u2"]})).await;
    let leaves = tab(&here, "u1", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 1, 1));
    assert_eq!(friend.expect_presence().await["events"][0]["action"], "online");
    here.cut_off();
    let _comes = tab(&here, "u2", "lobby").await;
    assert_eq!(next(&mut watcher).await, expected("join u2 by subscribe", 2, 2));
    let told = friend.expect_presence().await;
    assert_eq!(
        (&told["events"][0]["user"]["id"], &told["events"][0]["action"]),
        (&json!("u2"), &json!("online"))
    );
    // It may be on another node, for all that is known.
    leaves.close(1000).await;
    watcher.expect_nothing(secs(10)).await;
    friend.expect_nothing(secs(10)).await;
    here.heal();
    assert_eq!(next(&mut watcher).await, expected("offline u1 by disconnect", 1, 1));
    let told = friend.expect_presence().await;
    assert_eq!(
        (&told["events"][0]["user"]["id"], &told["events"][0]["action"]),
        (&json!("u1"), &json!("offline"))
    );
    watcher.expect_nothing(secs(10)).await;
    friend.expect_nothing(secs(10)).await;
    assert!(there.is_online("u2").await);
}

#[tokio::test(start_paused = true)]
async fn who_watches_while_the_node_is_cut_off_sees_its_own_and_then_all() {
    let [here, there] = nodes();
    let _far = tab(&there, "u1", "lobby").await;
    let _near = tab(&here, "u2", "lobby").await;
    here.cut_off();
    let mut watcher = watcher(&here, "lobby").await;
    let state = watcher.subscribe_presence("lobby").await;
    assert_eq!(state["users"].as_array().unwrap().len(), 1);
    here.heal();
    assert_eq!(next(&mut watcher).await, expected("join u1 by subscribe", 2, 2));
}

#[tokio::test(start_paused = true)]
async fn what_is_published_reaches_subscribers_everywhere_but_for_those_left_out() {
    let [here, there] = nodes();
    let mut near = tab(&here, "u1", "lobby").await;
    let mut far = tab(&there, "u2", "lobby").await;
    let mut muted = tab(&there, "u3", "lobby").await;
    muted.subscribe("muted").await;
    let report = here.push(Target::channel("lobby").except_channel("muted"), "hello").await.unwrap();
    assert_eq!(report.matched, 1);
    let counts = report.remote.counts(secs(1)).await.unwrap();
    assert_eq!((counts.nodes, counts.enqueued), (1, 1));
    for client in [&mut near, &mut far] {
        assert_eq!(client.expect_push().await, "hello");
    }
    muted.expect_nothing(secs(1)).await;
    far.unsubscribe("lobby").await;
    muted.unsubscribe("lobby").await;
    let report = here.publish("lobby", "nobody").await.unwrap();
    assert_eq!(report.remote.counts(secs(1)).await.unwrap().nodes, 0, "no node is told that has nobody");
}

#[tokio::test(start_paused = true)]
async fn cluster_events_tell_of_channels_on_all_nodes_while_somebody_listens() {
    let [here, there] = nodes();
    let _before = tab(&there, "u0", "lobby").await;
    let mut events = here.cluster_events();
    let member = tab(&there, "u1", "lobby").await;
    member.close(1000).await;
    let heard = heard(&mut events);
    let kinds: Vec<_> = heard.iter().map(|event| (event.0, event.1.as_str())).collect();
    let expected = [EventKind::Online, EventKind::Join, EventKind::Leave, EventKind::Offline];
    let mut sorted = kinds.clone();
    sorted.sort_by_key(|(kind, _)| expected.iter().position(|one| one == kind));
    assert_eq!(sorted, expected.map(|kind| (kind, "u1")));
}
