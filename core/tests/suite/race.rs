//! A kick and a connect at the same moment, on several threads and in real time.

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use herenow::{
    Cause, OnlineManager, Target,
    auth::{Identity, TokenId},
    policy::{LoginPolicy, OnLimit},
    testing::{Connect, Frame, assert_all_gone},
};
use tokio::sync::Barrier;

use crate::support::session;

/// Reads to the end, whether the last word was a kick's; `None` where the upgrade was refused. What is pushed after
/// the kick must not come.
async fn fate(connect: Connect, barrier: Arc<Barrier>) -> Option<bool> {
    barrier.wait().await;
    let mut client = connect.start().await.ok()?;
    let mut kicked = false;
    while let Some(frame) = client.recv().await {
        match frame {
            Frame::Close(code, _) => kicked = code == 4423,
            other => assert_ne!(other, Frame::Text("late".to_owned()), "fed after the kick"),
        }
    }
    client.server_is_done().await;
    Some(kicked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_kick_racing_a_connect_leaves_no_socket_of_the_token_in_1000_rounds() {
    let online = OnlineManager::builder().build().unwrap();
    let (mut met, mut refused) = (0, 0);
    for round in 0..1000 {
        let token = format!("t{round}");
        let barrier = Arc::new(Barrier::new(2));
        let connect = Connect::new(&online).user("u1").token(&token).raw();
        let connecting = tokio::spawn(fate(connect, barrier.clone()));
        barrier.wait().await;
        for _ in 0..round % 7 {
            tokio::task::yield_now().await; // Meets every stage of the handshake in some round.
        }
        let report = online.kick_out(Target::token(&token), "").await.unwrap();
        assert!(report.is_complete());
        // From here on no push finds it and nobody lists it, though its task may still be ending.
        assert_eq!(online.push(Target::token(&token), "late").await.unwrap().matched, 0);
        assert!(online.get_user_sessions("u1").await.is_empty());
        match connecting.await.unwrap() {
            Some(kicked) => {
                assert!(kicked, "round {round}: its socket ended by something else than the kick");
                met += 1;
            }
            None => refused += 1,
        }
        assert!(Connect::new(&online).user("u1").token(&token).raw().start().await.is_err());
        assert_eq!(online.get_connection_count().await, 0);
    }
    println!("{met} met the kick on their way, {refused} were refused");
    assert!(met > 0 && refused > 0, "the race was none: {met} met, {refused} refused");
    assert_all_gone(&online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_gives_way_to_a_login_at_the_same_moment_is_told_that_it_was_replaced() {
    let policy = LoginPolicy::unlimited().max_per_user(1);
    let online = OnlineManager::builder().login_policy(policy).build().unwrap();
    for round in 0..300 {
        let barrier = Arc::new(Barrier::new(8));
        let logins: FuturesUnordered<_> = (0..8)
            .map(|n| {
                let connect = Connect::new(&online).user("u1").token(&format!("t{n}")).raw();
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    connect.start().await.unwrap().expect_close().await
                })
            })
            .collect();
        // The one that is left has nobody to give way to.
        let ended: Vec<_> = logins.take(7).map(Result::unwrap).collect().await;
        assert!(ended.iter().all(|end| *end == (4409, "replaced".to_owned())), "round {round}: {ended:?}");
        online.mark_offline_all("u1").await;
    }
    assert_all_gone(&online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_logins_at_once_exactly_one_is_admitted_where_the_newest_is_refused() {
    let policy = LoginPolicy::unlimited().max_per_user(1).on_limit(OnLimit::RefuseNewest);
    let online = OnlineManager::builder().login_policy(policy).build().unwrap();
    for _ in 0..100 {
        let logins = (0..8).map(|n| {
            let identity = Identity::new("u1").token_id(TokenId::of(&format!("t{n}")));
            let connect = Connect::new(&online).identity(identity).raw();
            tokio::spawn(async move {
                let mut client = connect.start().await.ok()?;
                client.is_present().await.then_some(client)
            })
        });
        let admitted: Vec<_> = futures_util::future::join_all(logins).await;
        let admitted: Vec<_> = admitted.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(admitted.len(), 1);
        for client in admitted {
            client.close(1000).await;
        }
    }
    assert_all_gone(&online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_logins_at_once_exactly_one_stays_where_the_oldest_gives_way() {
    let online =
        OnlineManager::builder().login_policy(LoginPolicy::unlimited().max_per_user(1)).build().unwrap();
    for _ in 0..100 {
        let logins = (0..8).map(|n| {
            let identity = Identity::new("u1").token_id(TokenId::of(&format!("t{n}")));
            let connect = Connect::new(&online).identity(identity).raw();
            tokio::spawn(async move { connect.start().await.unwrap() })
        });
        let clients: Vec<_> = futures_util::future::join_all(logins).await;
        let mut clients: Vec<_> = clients.into_iter().map(Result::unwrap).collect();
        for client in &mut clients {
            client.is_present().await;
        }
        herenow::testing::until("one session is left", async || {
            online.get_connection_count().await == 1 && online.get_user_sessions("u1").await.len() == 1
        })
        .await;
        online.mark_offline_all("u1").await;
    }
    assert_all_gone(&online).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_a_user_alternate_however_its_connections_race() {
    let online =
        OnlineManager::builder().grace(std::time::Duration::ZERO).events_buffer(100_000).build().unwrap();
    let mut events = online.events();
    let workers = (0..4).map(|worker| {
        let online = online.clone();
        tokio::spawn(async move {
            for n in 0..500 {
                let token = format!("t{worker}");
                match n % 3 {
                    0 => drop(online.mark_online(session("u1", &token)).await),
                    1 => online.mark_offline("u1", &token).await,
                    _ => Connect::new(&online).user("u1").token(&token).raw().open().await.close(1000).await,
                }
            }
            online.mark_offline("u1", &format!("t{worker}")).await;
        })
    });
    for done in futures_util::future::join_all(workers).await {
        done.unwrap();
    }
    let heard = crate::support::heard(&mut events);
    assert!(heard.len().is_multiple_of(2) && !heard.is_empty());
    for (index, (kind, _, cause)) in heard.iter().enumerate() {
        let expected = [herenow::EventKind::Online, herenow::EventKind::Offline][index % 2];
        assert_eq!(*kind, expected, "event {index}, {cause:?}");
        assert!(index % 2 == 1 || *cause == Cause::Connect);
    }
    assert_all_gone(&online).await;
}
