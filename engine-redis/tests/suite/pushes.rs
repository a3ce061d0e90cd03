//! Pushes to other nodes, and what their receipts say.

use std::time::Duration;

use bytes::Bytes;
use herenow::{
    ChannelKey, RemoteCounts, Status, UserKey,
    cluster::{Engine, EngineError, Health, Leave, Reach, Receipt, Wish},
};

use crate::support::{Node, Proxy, Redis, eventually, quick, within};

const SECOND: Duration = Duration::from_secs(1);

async fn counts(receipt: Receipt) -> RemoteCounts {
    let Receipt::Pending(counts) = receipt else { panic!("others were to be told: {receipt:?}") };
    within("the receipt", 3 * SECOND, counts).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_alone_sends_nothing() {
    let redis = Redis::start().await;
    let alone = Node::up(quick(&redis.url())).await;
    // Until a beat after the subscription, another may have come unheard.
    eventually("it knows", 3 * SECOND, || {
        matches!(alone.engine.route(Reach::Everyone, Bytes::new()), Receipt::Alone)
    })
    .await;
    assert!(matches!(alone.engine.route(Reach::Node(alone.id()), Bytes::new()), Receipt::Alone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_sums_up_what_the_others_did() {
    let redis = Redis::start().await;
    let nodes = [
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
    ];
    let [a, b, c] = &nodes;
    a.wait_for_others().await;
    let sum = counts(a.engine.route(Reach::Everyone, Bytes::from_static(b"all"))).await;
    assert_eq!((sum.nodes, sum.matched, sum.enqueued, sum.held), (2, 6, 4, 0));
    assert_eq!((a.heard(b"all"), b.heard(b"all"), c.heard(b"all")), (0, 1, 1), "not to itself");

    let sum = counts(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"one"))).await;
    assert_eq!((sum.nodes, b.heard(b"one"), c.heard(b"one")), (1, 1, 0));

    let nowhere = a.id() ^ b.id() ^ c.id() ^ 1;
    let sum = counts(a.engine.route(Reach::Node(nowhere), Bytes::from_static(b"none"))).await;
    assert_eq!(sum, RemoteCounts::default(), "nobody is waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_to_the_nodes_that_have_its_users_and_to_those_alone() {
    let redis = Redis::start().await;
    let nodes = [
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
    ];
    let [a, b, c] = &nodes;
    a.wait_for_others().await;
    ["alice", "bob"].iter().for_each(|user| b.comes(user));
    ["bob", "carol"].iter().for_each(|user| c.comes(user));
    a.comes("dave");
    // Also says that what they told before has been written.
    assert_eq!((b.status("alice").await, c.status("carol").await), (Status::Online, Status::Online));

    let to = |users: &[&str], push: &'static [u8]| {
        let users: Vec<UserKey> = users.iter().map(|&user| user.into()).collect();
        match &users[..] {
            [one] => a.engine.route(Reach::User(one), Bytes::from_static(push)),
            several => a.engine.route(Reach::Users(several), Bytes::from_static(push)),
        }
    };
    let heard = |push: &[u8]| [a.heard(push), b.heard(push), c.heard(push)];
    assert_eq!(counts(to(&["alice"], b"one")).await.nodes, 1);
    assert_eq!(heard(b"one"), [0, 1, 0]);
    assert_eq!(counts(to(&["bob"], b"both")).await.nodes, 2);
    assert_eq!(heard(b"both"), [0, 1, 1]);
    assert_eq!(counts(to(&["dave"], b"own")).await.nodes, 0, "delivered here already");
    assert_eq!(counts(to(&["nobody"], b"none")).await.nodes, 0);
    assert_eq!(counts(to(&["alice", "bob", "carol", "dave"], b"all")).await.nodes, 2);
    assert_eq!(heard(b"all"), [0, 1, 1], "each once, however many of them it has");
    b.goes("alice");
    assert_eq!(b.status("alice").await, Status::Offline);
    assert_eq!(counts(to(&["alice"], b"gone")).await.nodes, 0);

    let lobby = ChannelKey::from("lobby");
    c.wishes(Wish::Pushes(lobby.clone()));
    c.status("carol").await;
    let receipt = a.engine.route(Reach::Channel(&lobby), Bytes::from_static(b"channel"));
    assert_eq!(counts(receipt).await.nodes, 1);
    assert_eq!(heard(b"channel"), [0, 0, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_to_one_and_to_several_keep_their_order() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    b.comes("alice");
    b.comes("bob");
    b.status("alice").await;
    let (alice, both) = (UserKey::from("alice"), [UserKey::from("alice"), UserKey::from("bob")]);
    for n in 0..3000u32 {
        let frame = Bytes::copy_from_slice(&n.to_be_bytes());
        let to = if n % 7 == 0 { Reach::Users(&both) } else { Reach::User(&alice) };
        assert!(matches!(a.engine.route(to, frame), Receipt::Pending(_)));
    }
    within("all left", 5 * SECOND, a.engine.caught_up()).await.unwrap();
    within("all came", 5 * SECOND, b.engine.caught_up()).await.unwrap();
    let pushes = b.local.pushes.lock();
    let came = pushes.iter().map(|push| u32::from_be_bytes(push[..].try_into().unwrap()));
    assert!(came.eq(0..3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_node_retired_is_kept_for_others() {
    let redis = Redis::start().await;
    let nodes = [
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
        Node::up(quick(&redis.url())).await,
    ];
    let [a, leaves, heir] = &nodes;
    a.wait_for_others().await;
    leaves.comes("alice");
    leaves.status("alice").await;
    let alice = UserKey::from("alice");
    let before = counts(a.engine.route(Reach::User(&alice), Bytes::from_static(b"before"))).await;
    assert_eq!((before.nodes, before.held), (1, 0));
    within("it retires", 3 * SECOND, leaves.engine.retire(60 * SECOND)).await.unwrap();
    let after = counts(a.engine.route(Reach::User(&alice), Bytes::from_static(b"after"))).await;
    assert_eq!((after.nodes, after.held), (0, 1));
    let all = counts(a.engine.route(Reach::Everyone, Bytes::from_static(b"all"))).await;
    assert_eq!((all.matched, all.held, heir.heard(b"all")), (3, 1, 1));
    assert_eq!(leaves.heard(b"all"), 0, "kept, not delivered");
    leaves.engine.shutdown(Leave::Linger(60 * SECOND)).await;
    counts(a.engine.route(Reach::Node(leaves.id()), Bytes::from_static(b"last"))).await;
    let left = heir.engine.left(leaves.id(), &[]).await.unwrap();
    assert_eq!((left.frames, left.end), (vec!["after".into(), "all".into(), "last".into()], vec![3]));
    assert_eq!(heir.engine.left(leaves.id(), &[2]).await.unwrap().frames, [&b"last"[..]]);
    assert_eq!((leaves.heard(b"before"), leaves.heard(b"after")), (1, 0));
    assert_eq!(heir.status("alice").await, Status::Online, "for as long as it lingers");
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_arrive_in_the_order_in_which_they_were_sent() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    b.local.pushes.lock().clear();
    const PUSHES: u32 = 20_000;
    for n in 0..PUSHES {
        let frame = Bytes::copy_from_slice(&n.to_be_bytes());
        // Some wait for their receipts and some do not.
        let receipt = a.engine.route(if n % 2 == 0 { Reach::Everyone } else { Reach::Node(b.id()) }, frame);
        assert!(matches!(receipt, Receipt::Pending(_)));
        if n % 1000 == 0 {
            assert_eq!(counts(receipt).await.nodes, 1);
        }
    }
    eventually("all have come", 10 * SECOND, || b.local.pushes.lock().len() >= PUSHES as usize).await;
    let pushes = b.local.pushes.lock();
    let came: Vec<u32> = pushes.iter().map(|push| u32::from_be_bytes(push[..].try_into().unwrap())).collect();
    assert!(came.iter().copied().eq(0..PUSHES));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_caught_up_has_what_had_left_any_node_before() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    for round in 1..=20 {
        for _ in 0..500 {
            drop(a.engine.route(Reach::Everyone, Bytes::from_static(b"push")));
        }
        within("it left", 3 * SECOND, a.engine.caught_up()).await.unwrap();
        within("it came", 3 * SECOND, b.engine.caught_up()).await.unwrap();
        assert_eq!(b.heard(b"push"), round * 500);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_hear_is_waited_for_two_seconds() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let slow = quick(&proxy.url()).heartbeat(5 * SECOND).lease(60 * SECOND);
    let (a, deaf) = (Node::up(quick(&redis.url())).await, Node::up(slow).await);
    let b = Node::up(quick(&redis.url())).await;
    eventually("both are known", 5 * SECOND, || a.health() == Health::Up).await;
    a.wait_for_others().await;
    let sum = counts(a.engine.route(Reach::Everyone, Bytes::from_static(b"before"))).await;
    assert_eq!(sum.nodes, 2);
    assert_eq!(proxy.deafen(), 1);
    let receipt = a.engine.route(Reach::Everyone, Bytes::from_static(b"after"));
    let sum = counts(receipt).await;
    assert_eq!((sum.nodes, b.heard(b"after"), deaf.heard(b"after")), (1, 1, 0), "what came is the sum");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_at_once_and_what_is_in_it_is_sent() {
    let redis = Redis::start().await;
    let config = quick(&redis.url()).command_timeout(5 * SECOND).queue(1000, 1 << 20).lease(60 * SECOND);
    let (a, b) = (Node::up(config).await, Node::up(quick(&redis.url()).lease(60 * SECOND)).await);
    a.wait_for_others().await;
    b.local.pushes.lock().clear();
    redis.freeze();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..100_000 {
        match a.engine.route(Reach::Everyone, Bytes::from_static(b"push")) {
            Receipt::Pending(_) => taken += 1,
            Receipt::Unavailable => refused += 1,
            other => panic!("{other:?}"),
        }
        tokio::task::yield_now().await;
    }
    let large = a.engine.route(Reach::Everyone, Bytes::from(vec![0; 2 << 20]));
    assert!(matches!(large, Receipt::Unavailable), "larger than all there is room for");
    redis.thaw();
    assert!(refused > 0 && (1000..=1000 + 9 * 256).contains(&taken), "{taken} taken, {refused} refused");
    eventually("what was taken arrives", 10 * SECOND, || b.heard(b"push") == taken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_fail_at_once_while_redis_is_down() {
    let mut redis = Redis::start().await;
    let (a, _b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    redis.kill();
    a.wait_for(Health::Down).await;
    assert!(matches!(a.engine.route(Reach::Everyone, Bytes::new()), Receipt::Unavailable));
    assert!(matches!(a.engine.route(Reach::Node(1), Bytes::new()), Receipt::Unavailable));
    assert!(matches!(a.engine.caught_up().await, Err(EngineError::Unavailable(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_connection_still_carried_is_not_carried_out_after_what_came_later() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let (a, b) = (Node::up(quick(&proxy.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    let resyncs = a.resyncs();
    proxy.hold();
    drop(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"early")));
    eventually("other connections are used", 3 * SECOND, || {
        a.resyncs() > resyncs && a.health() == Health::Up
    })
    .await;
    let late = counts(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"late"))).await;
    assert_eq!((late.nodes, b.heard(b"late"), b.heard(b"early")), (1, 1, 0));
    proxy.release();
    within("b has all there is", SECOND, b.engine.caught_up()).await.unwrap();
    redis.beats(5).await;
    assert_eq!(b.heard(b"early"), 0, "it came too late");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_too_slow_drops_pushes_and_stays_alive() {
    let redis = Redis::start().await;
    let slow = quick(&redis.url()).queue(100, 1 << 20);
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(slow).await);
    a.wait_for_others().await;
    let (mut health, resyncs) = (b.engine.health(), b.resyncs());
    health.borrow_and_update();
    b.local.hold_up(true);
    for _ in 0..10_000 {
        drop(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"push")));
    }
    within("all left", 3 * SECOND, a.engine.caught_up()).await.unwrap();
    redis.beats(10).await;
    assert_eq!(b.heard(b"push"), 0);
    b.local.hold_up(false);
    within("what was kept is delivered", 3 * SECOND, b.engine.caught_up()).await.unwrap();
    let heard = b.heard(b"push");
    assert!((100..5000).contains(&heard), "{heard}");
    assert!(!health.has_changed().unwrap(), "its beats went on, and none was missed: {:?}", b.health());
    assert_eq!(b.resyncs(), resyncs, "pushes are not looked up anew");
    let sum = counts(a.engine.route(Reach::Node(b.id()), Bytes::from_static(b"again"))).await;
    assert_eq!((sum.nodes, b.heard(b"again")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_on_the_channels_is_ignored() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    for noise in ["", "noise", "\u{1}", "\u{1}p123", "\u{2}p12345678901234", "\u{1}r1", "\u{1}e", "\u{1}q"] {
        assert_eq!(redis.run::<usize>(&["PUBLISH", "herenow:all", noise]).await, 2);
    }
    let sum = counts(a.engine.route(Reach::Everyone, Bytes::from_static(b"sense"))).await;
    assert_eq!((sum.nodes, b.heard(b"sense")), (1, 1));
}
