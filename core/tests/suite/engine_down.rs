//! A node without its engine: what it goes on with, what it says of it, and what is made good when the engine is back.

use herenow::{
    Deny, Marked, Notice, Refused, Remote, UserKey,
    auth::{AuthError, Credential, Identity},
    cluster::{Bucket, Health, OnEngineDown},
    http::RequestInfo,
    policy::LoginPolicy,
    testing::{Connect, assert_all_gone, connect, joined_nodes, two_nodes, until},
};
use serde_json::json;

use crate::support::{millis, pass, secs, session};

async fn anybody(_: Credential, _: RequestInfo) -> Result<Identity, AuthError> {
    Ok(Identity::new("u1"))
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_serves_its_own_and_says_what_it_cannot_know() {
    let [here, there] = two_nodes();
    let (mut near, _far) = (connect(&here, "u1").await, connect(&there, "u2").await);
    here.cut_off();
    assert_eq!(here.engine_health(), Health::Down);
    assert!(here.is_online("u1").await && !here.is_online("u2").await);
    let report = here.push_to_user("u1", "local").await.unwrap();
    assert_eq!(report.enqueued, 1);
    assert!(matches!(report.remote, Remote::Unavailable));
    assert_eq!(near.expect_push().await, "local");
    let kick = here.kick_out("u1", "").await.unwrap();
    assert_eq!(
        (kick.closed, kick.deny, kick.unreachable, kick.is_complete()),
        (1, Deny::LocalOnly, 1, false)
    );
    assert_eq!(Connect::new(&here).user("u1").raw().start().await.unwrap_err().status(), 401);
}

#[tokio::test(start_paused = true)]
async fn without_the_engine_a_login_is_decided_alone_or_refused() {
    for (on_down, admitted) in [(OnEngineDown::AdmitLocally, true), (OnEngineDown::Refuse503, false)] {
        let policy = LoginPolicy::unlimited().max_per_user(1);
        let [here, _there] =
            joined_nodes(|builder| builder.login_policy(policy.clone()).on_engine_down(on_down));
        here.cut_off();
        let login = |token: &str| Connect::new(&here).user("u1").token(token).raw().start();
        let first = login("t1").await;
        assert_eq!(first.is_ok(), admitted);
        if let Ok(mut first) = first {
            assert!(first.is_present().await);
            let mut second = login("t2").await.unwrap();
            assert!(second.is_present().await);
            assert_eq!(first.expect_close().await.0, 4409);
        } else {
            assert_eq!(login("t2").await.unwrap_err().status(), 503);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_logins_wait_for_the_engine_nobody_is_let_in_without_it_and_nobody_is_sent_away() {
    let [here, _there] = joined_nodes(|builder| builder.on_engine_down(OnEngineDown::Refuse503));
    let mut before = connect(&here, "u1").await;
    here.cut_off();
    let refusal = Connect::new(&here).user("u2").raw().start().await.unwrap_err();
    assert_eq!(refusal.status(), 503, "no policy is needed for that");
    assert_eq!(here.mark_online(session("u3", "t3")).await, Marked::Refused(Refused::Unavailable));
    here.push_to_user("u1", "hello").await.unwrap();
    assert_eq!(before.expect_push().await, "hello");
    here.heal();
    assert!(Connect::new(&here).user("u2").raw().start().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn where_that_is_wished_nobody_stays_on_a_node_that_hears_of_no_kick_out_for_too_long() {
    let [here, there] = joined_nodes(|builder| builder.close_without_engine(secs(30)));
    let mut client = connect(&here, "u1").await;
    let _elsewhere = connect(&there, "u2").await;
    here.cut_off();
    pass(secs(20)).await;
    here.heal();
    pass(secs(1)).await;
    here.cut_off();
    pass(secs(29)).await;
    assert!(Connect::new(&here).user("u3").raw().start().await.is_ok(), "it was not for so long");
    client.expect_nothing(millis(500)).await;
    pass(secs(1)).await;
    assert_eq!(client.expect_close().await.0, 4503);
    let login = || Connect::new(&here).user("u1").raw().start();
    assert_eq!(login().await.unwrap_err().status(), 503);
    assert_eq!(there.get_connection_count().await, 1, "the other one is not cut off from anybody");
    here.heal();
    until("it is back", async || login().await.is_ok()).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_on_its_way_as_all_are_sent_away_is_sent_away_too() {
    let [here, _there] = joined_nodes(|builder| {
        let limited = LoginPolicy::unlimited().max_per_user(5);
        builder.close_without_engine(secs(30)).login_policy(limited).authenticator(anybody)
    });
    let _first = connect(&here, "u0").await;
    here.cut_off();
    pass(millis(29_500)).await;
    here.stall();
    let mut coming = Connect::new(&here).first_message("a token").start().await.unwrap();
    assert_eq!(coming.expect_close().await.0, 4503);
    assert_eq!(here.get_connection_count().await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_healing_the_others_know_what_changed_meanwhile() {
    let [here, there] = two_nodes();
    let gone = connect(&here, "gone").await;
    let mut events = there.cluster_events();
    here.cut_off();
    let _came = connect(&here, "came").await;
    gone.close(1000).await;
    here.heal();
    until("the others know", async || there.is_online("came").await && !there.is_online("gone").await).await;
    let kinds: Vec<_> = std::iter::from_fn(|| events.try_recv())
        .filter_map(|notice| if let Notice::Event(event) = notice { Some(event.kind) } else { None })
        .collect();
    assert_eq!(kinds.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_kick_that_a_node_could_not_hear_is_carried_out_when_it_is_back() {
    let [here, there] = two_nodes();
    let mut victim = connect(&here, "u1").await;
    here.cut_off();
    let kick = there.kick_out("u1", "gone").await.unwrap();
    assert!(!kick.is_complete() && kick.unreachable == 1, "{kick:?}");
    assert!(here.is_online("u1").await);
    here.heal();
    assert_eq!(victim.expect_close().await.0, 4423);
    assert_all_gone(&here).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_admitted_alone_gives_way_when_the_node_is_back() {
    let one = LoginPolicy::unlimited().max_per_user(1);
    let [here, there] = joined_nodes(|builder| builder.login_policy(one.clone()));
    let mut alone = Connect::new(&here).user("u0").token("t0").open().await; // Starts the watch of the engine.
    here.cut_off();
    let mut first = Connect::new(&there).user("u1").token("t1").open().await;
    let second = Connect::new(&here).user("u1").token("t2").open().await;
    here.heal();
    assert_eq!(first.expect_close().await.0, 4409);
    until("one session", async || there.get_user_sessions("u1").await.len() == 1).await;
    alone.send_json(&json!({"type": "ping"}));
    alone.expect_type("pong").await;
    second.close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn a_hand_mark_kicked_while_its_node_was_cut_off_ends_when_it_is_back() {
    let [here, there] = two_nodes();
    for user in ["u1", "u2"] {
        assert_eq!(here.mark_online(session(user, "t1")).await, Marked::Online);
    }
    pass(millis(10)).await;
    here.cut_off();
    let _report = there.kick_out("u1", "gone").await.unwrap();
    here.heal();
    until("the mark is gone", async || !here.is_online("u1").await).await;
    assert!(here.is_online("u2").await);
    assert_eq!(here.mark_online(session("u1", "of a new login")).await, Marked::Online);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_cut_off_lists_its_own() {
    let [here, there] = two_nodes();
    let mut own = Vec::new();
    for user in ["u1", "u2", "u3"] {
        own.push(connect(&here, user).await);
    }
    let _far = connect(&there, "u0").await;
    // In the order of the directory, whoever is asked.
    let mut all: Vec<UserKey> = ["u0", "u1", "u2", "u3"].map(UserKey::from).into();
    all.sort_by_key(|user| (Bucket::of(user), user.clone()));
    let first = here.online_users(None, 2).await;
    assert_eq!(first.items, all[..2]);
    all.drain(..2);
    all.retain(|user| *user != UserKey::from("u0"));
    here.cut_off();
    let mut listed = here.get_online_users().await;
    listed.sort();
    assert_eq!(listed, ["u1", "u2", "u3"]);
    let rest = here.online_users(first.next, 2).await;
    assert_eq!(rest.items, all);
}
