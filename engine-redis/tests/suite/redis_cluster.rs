//! A Redis Cluster: its masters share the load, slots move, a master is lost and comes back.

use std::time::Duration;

use bytes::Bytes;
use herenow::{
    Status,
    cluster::{AskTo, ClusterEvent, Engine, Found, Health, Lookup, Reach, Receipt, Wish},
};

use crate::support::{Masters, Node, eventually, within};

const SECOND: Duration = Duration::from_secs(1);
/// Enough to have some in every part.
const USERS: usize = 300;

fn user(n: usize) -> String {
    format!("u{n}")
}

async fn two(masters: &Masters) -> [Node; 2] {
    let nodes = [Node::up(masters.config()).await, Node::up(masters.config()).await];
    nodes[0].wait_for_others().await;
    (0..USERS).for_each(|n| nodes[n % 2].comes(&user(n)));
    nodes
}

async fn count(node: &Node) -> usize {
    match node.engine.lookup(Lookup::Count).await {
        Ok(Found::Count(count)) => count,
        other => panic!("{other:?}"),
    }
}

async fn all_are_there(node: &Node) {
    for _ in 0..1_000 {
        if count(node).await == USERS {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("{} of {USERS} are there", count(node).await);
}

/// A push to each user that is at the other node; says how many arrived.
async fn pushes(from: &Node, to: &Node, parity: usize, word: &str) -> usize {
    let mut receipts = Vec::new();
    for n in (0..USERS).filter(|n| n % 2 == parity) {
        let key = user(n).as_str().into();
        receipts.push(from.engine.route(Reach::User(&key), Bytes::from(format!("{word} {n}"))));
    }
    for receipt in receipts {
        if let Receipt::Pending(counts) = receipt {
            let _ = within("a receipt", 3 * SECOND, counts).await;
        }
    }
    (0..USERS).filter(|n| to.heard(format!("{word} {n}").as_bytes()) == 1).count()
}

/// Nobody was told of anybody's coming or going but at the beginning.
fn transitions(node: &Node) -> usize {
    let events = node.local.events.lock();
    events.iter().filter(|event| matches!(event, ClusterEvent::Made(_) | ClusterEvent::Heard(_))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_masters_are_used_as_one() {
    let masters = Masters::start().await;
    let [a, b] = &two(&masters).await;
    for node in [a, b] {
        all_are_there(node).await;
    }
    for master in &masters.all {
        assert!(master.run::<usize>(&["DBSIZE"]).await > 0, "each has a part");
    }
    let page = a.engine.lookup(Lookup::Page { after: None, limit: USERS + 1 }).await;
    assert!(matches!(page, Ok(Found::Users(users)) if users.len() == USERS));
    assert_eq!(pushes(a, b, 1, "there").await, USERS / 2);
    let Receipt::Pending(counts) = a.engine.route(Reach::Everyone, Bytes::from_static(b"all")) else {
        panic!()
    };
    assert_eq!(within("counts", SECOND, counts).await.unwrap().nodes, 1);
    let query = Bytes::from_static(b"kick");
    let answers = a.engine.ask(AskTo::OthersSurely, query.clone(), 3 * SECOND).await;
    assert_eq!((answers.answers.len(), b.asked(&query)), (1, 1));

    a.wishes(Wish::User("u1".into()));
    a.engine.lookup(Lookup::Status("u1".into())).await.unwrap();
    b.goes("u1");
    let heard = || a.local.events.lock().iter().any(|event| matches!(event, ClusterEvent::Heard(_)));
    eventually("a hears of whom it watches", 3 * SECOND, heard).await;
    assert_eq!(a.status("u1").await, Status::Offline);
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_are_followed() {
    let masters = Masters::start().await;
    let [a, b] = &two(&masters).await;
    all_are_there(a).await;
    let told = transitions(a) + transitions(b);
    let nodes: Vec<String> = masters.all[0].run(&["KEYS", "*:nodes"]).await;
    for nodes in nodes {
        let slot: u16 = masters.all[0].run(&["CLUSTER", "KEYSLOT", &nodes]).await;
        masters.move_slot(&slot.to_string(), 0, 1).await;
    }
    assert_eq!(masters.all[0].run::<usize>(&["DBSIZE"]).await, 0);
    let is_whole = || a.health() == Health::Up && b.health() == Health::Up;
    // A commands' connection that nobody uses does not find out.
    b.comes("one more");
    b.goes("one more");
    eventually("both found the new owner", 10 * SECOND, is_whole).await;
    for attempt in 0..100 {
        if pushes(a, b, 1, &format!("attempt {attempt}")).await == USERS / 2 {
            break;
        }
        assert!(attempt < 99, "pushes do not reach everybody");
    }
    all_are_there(b).await;
    assert!(transitions(a) + transitions(b) <= told + 2, "nobody but one more came or went");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_lost_takes_its_parts_and_gives_them_back() {
    let mut masters = Masters::start().await;
    let [a, b] = &two(&masters).await;
    all_are_there(a).await;
    let told = transitions(a) + transitions(b);
    masters.all[2].kill();
    a.wait_for(Health::Down).await;
    let reached = pushes(a, b, 1, "while it is away").await;
    assert!((1..USERS / 2).contains(&reached), "{reached}: those of the other masters");
    masters.all[2].restart().await;
    masters.whole().await;
    eventually("both are whole", 10 * SECOND, || a.health() == Health::Up && b.health() == Health::Up).await;
    all_are_there(b).await;
    assert_eq!(pushes(a, b, 1, "again").await, USERS / 2);
    assert_eq!(transitions(a) + transitions(b), told, "nobody came or went");
}
