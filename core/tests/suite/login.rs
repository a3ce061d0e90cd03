//! How many sessions and connections, and who gives way.

use herenow::{
    Marked, OnlineManager, Refused,
    policy::{LoginPolicy, OnLimit},
    testing::{Connect, assert_all_gone, connect},
};

use crate::support::{millis, pass, secs, session, with};

fn online(policy: LoginPolicy) -> OnlineManager {
    with(|builder| builder.login_policy(policy))
}

fn login(online: &OnlineManager, token: &str, device: &str) -> Connect {
    Connect::new(online).user("u1").token(token).device(device)
}

#[tokio::test(start_paused = true)]
async fn the_oldest_session_gives_way_with_all_its_tabs() {
    let online = online(LoginPolicy::unlimited().max_per_user(1));
    let tabs = [login(&online, "t1", "web").open().await, login(&online, "t1", "web").open().await];
    let mut newest = login(&online, "t2", "web").open().await;
    for mut tab in tabs {
        assert_eq!(tab.expect_type("kicked").await["reason"], "replaced");
        assert_eq!(tab.expect_close().await, (4409, "replaced".to_owned()));
    }
    newest.expect_nothing(secs(1)).await;
    assert_eq!(online.get_connection_count().await, 1);
    // Replaced is not kicked: the token is still good, and takes the place back.
    let back = login(&online, "t1", "web").open().await;
    assert_eq!(newest.expect_close().await.0, 4409);
    back.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn the_newest_session_is_refused_before_the_upgrade_or_visibly() {
    let online = online(LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest));
    let first = login(&online, "t1", "web").open().await;
    assert_eq!(login(&online, "t2", "web").raw().start().await.unwrap_err().status(), 429);
    let mut visible = login(&online, "t2", "web").start().await.unwrap();
    assert_eq!(visible.expect_close().await, (4429, "too_many_devices".to_owned()));
    assert_eq!(online.mark_online(session("u1", "t2")).await, Marked::Refused(Refused::TooManyDevices));
    let tab = login(&online, "t1", "web").open().await;
    drop(tab);
    first.close(1000).await;
    let _ = online.kick_out("u1", "").await.unwrap();
    pass(millis(1)).await;
    login(&online, "t3", "web").open().await.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_per_device_counts_the_device_that_hello_names() {
    let online = online(LoginPolicy::unlimited().max_per_device(1));
    let hello = |token: &str, device: &str| {
        let hello = serde_json::json!({"type": "hello", "device": device});
        Connect::new(&online).user("u1").token(token).hello(hello).open()
    };
    let mut web = hello("t1", "web").await;
    let mut ios = hello("t2", "ios").await;
    let _web = hello("t3", "web").await;
    assert_eq!(web.expect_close().await.0, 4409);
    ios.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn one_session_for_each_type_of_device() {
    let online = online(LoginPolicy::unlimited().one_per_device_type());
    let mut firefox = login(&online, "t1", "web:firefox").open().await;
    let mut phone = login(&online, "t2", "ios").open().await;
    let _chrome = login(&online, "t3", "web:chrome").open().await;
    assert_eq!(firefox.expect_close().await.0, 4409);
    phone.expect_nothing(secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_comes_to_nothing_replaces_nobody_and_frees_its_place() {
    let online = online(LoginPolicy::unlimited().max_per_user(1));
    let mut first = login(&online, "t1", "web").open().await;
    drop(login(&online, "t2", "web").silent().start().await.unwrap());
    first.expect_nothing(secs(20)).await;
    assert_eq!(online.get_connection_count().await, 1);
    first.close(1000).await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn hand_marks_count_as_sessions() {
    let online = online(LoginPolicy::unlimited().max_per_user(1));
    online.mark_online(session("u1", "t1")).await;
    let mut phone = login(&online, "t2", "web").open().await;
    assert_eq!(online.get_user_sessions("u1").await.len(), 1);
    online.mark_online(session("u1", "t3")).await;
    assert_eq!(phone.expect_close().await.0, 4409);
    online.mark_offline_all("u1").await;
    assert_all_gone(&online).await;
}

#[tokio::test(start_paused = true)]
async fn connections_are_limited_per_node_user_and_address() {
    let peer = "192.0.2.1:1000".parse().unwrap();
    let online =
        with(|builder| builder.max_connections(4).max_connections_per_user(2).max_connections_per_address(3));
    let mut open = vec![connect(&online, "u1").await, connect(&online, "u1").await];
    let raw = |user: &str| Connect::new(&online).user(user).raw();
    assert_eq!(raw("u1").start().await.unwrap_err().status(), 429);
    open.push(raw("u2").peer(peer).open().await);
    open.push(raw("u3").peer(peer).open().await);
    assert_eq!(raw("u4").start().await.unwrap_err().status(), 503);
    for client in open {
        client.close(1000).await;
    }
    let mut open = Vec::new();
    for user in ["a", "b", "c"] {
        open.push(raw(user).peer(peer).open().await);
    }
    assert_eq!(raw("d").peer(peer).start().await.unwrap_err().status(), 429);
    drop(open);
    assert_all_gone(&online).await;
}
