//! Who is refused: stored once, kept over a Redis that loses everything, and no more than it has to be.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use herenow::{
    Clock, Denial, DenyEntry, SystemClock, UserKey,
    auth::Identity,
    cluster::{AskTo, Engine, Health},
};

use crate::support::{Node, Proxy, Redis, eventually, quick};

const SECOND: Duration = Duration::from_secs(1);
const KEY: &str = "herenow:deny:u:u1";

fn in_an_hour() -> DateTime<Utc> {
    SystemClock.utc() + TimeDelta::hours(1)
}

fn ban(user: &str) -> DenyEntry {
    DenyEntry::Ban { user: user.into(), device: None, until: in_an_hour() }
}

fn kicked(at: DateTime<Utc>) -> DenyEntry {
    DenyEntry::Before {
        user: "u1".into(),
        device: None,
        at,
        spare: Vec::new(),
        until: at + TimeDelta::hours(1),
    }
}

/// What a node says of somebody who logged in just now.
async fn denial(node: &Node, user: &str) -> Option<Denial> {
    let mut who = Identity::new(UserKey::from(user));
    who.issued_at = Some(SystemClock.utc() - TimeDelta::minutes(1));
    node.engine.is_denied(&who).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_lost_everything_is_told_anew_who_is_refused() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    let banned = ban("u1");
    a.engine.deny(std::slice::from_ref(&banned)).await.unwrap();
    // As the core does on every node: from the kick that tells of it.
    b.local.denied.lock().push(banned);
    assert_eq!(denial(&b, "u1").await, Some(Denial::Banned));
    redis.run::<String>(&["FLUSHALL"]).await;
    redis.wait_for(&["EXISTS", KEY], "it is stored again", |there: &usize| *there == 1).await;
    b.wait_for(Health::Up).await;
    assert_eq!(denial(&b, "u1").await, Some(Denial::Banned));
    assert_eq!(denial(&b, "u2").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_stored_is_stored_once_redis_is_back_unless_it_was_lifted() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.port()).await;
    let node = Node::up(quick(&proxy.url())).await;
    proxy.cut();
    node.wait_for(Health::Down).await;
    let entries = [ban("u1"), ban("lifted")];
    assert!(node.engine.deny(&entries).await.is_err());
    // The core's own table, out of which the other one was taken.
    node.local.denied.lock().push(entries[0].clone());
    proxy.heal();
    node.wait_for(Health::Up).await;
    let stored = |there: &usize| *there == 1;
    redis.wait_for(&["EXISTS", KEY], "it is stored", stored).await;
    assert_eq!((denial(&node, "u1").await, denial(&node, "lifted").await), (Some(Denial::Banned), None));
    node.engine.lift_ban(&"u1".into()).await.unwrap();
    assert_eq!(denial(&node, "u1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kick_that_redis_refused_while_it_took_no_writes_is_told_and_stored_once_it_does() {
    let redis = Redis::start().await;
    let (a, b) = (Node::up(quick(&redis.url())).await, Node::up(quick(&redis.url())).await);
    a.wait_for_others().await;
    // As after the loss of its replicas. No connection breaks.
    redis.run::<String>(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    a.wait_for(Health::Down).await;
    assert!(a.engine.deny(&[kicked(SystemClock.utc())]).await.is_err());
    a.engine.ask(AskTo::OthersSurely, "kick".into(), SECOND / 10).await;
    assert_eq!(b.asked(b"kick"), 0);
    redis.run::<String>(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    eventually("it is carried out", 5 * SECOND, || b.asked(b"kick") == 1).await;
    redis.wait_for(&["EXISTS", KEY], "it is stored", |there: &usize| *there == 1).await;
    assert_eq!(denial(&b, "u1").await, Some(Denial::Kicked));
    redis.beats(20).await;
    assert_eq!(b.asked(b"kick"), 1, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_kicked_all_the_time_has_one_entry() {
    let redis = Redis::start().await;
    let node = Node::up(quick(&redis.url())).await;
    let now = SystemClock.utc();
    for second in 0..20 {
        node.engine.deny(&[kicked(now + TimeDelta::seconds(second))]).await.unwrap();
    }
    // An older one that comes late says nothing new.
    node.engine.deny(&[kicked(now)]).await.unwrap();
    assert_eq!(redis.run::<usize>(&["HLEN", KEY]).await, 1);
    let device =
        |device: &str| DenyEntry::Ban { user: "u1".into(), device: Some(device.into()), until: in_an_hour() };
    node.engine.deny(&[device("phone"), device("desk"), ban("u1")]).await.unwrap();
    assert_eq!(redis.run::<usize>(&["HLEN", KEY]).await, 4);
    // Neither says all that the other one does.
    let (at, until) = (now + TimeDelta::seconds(60), now + TimeDelta::seconds(90));
    let sooner = DenyEntry::Before { user: "u1".into(), device: None, at, spare: Vec::new(), until };
    node.engine.deny(&[sooner]).await.unwrap();
    assert_eq!(redis.run::<usize>(&["HLEN", KEY]).await, 5);
    assert_eq!(denial(&node, "u1").await, Some(Denial::Banned));
    node.engine.lift_ban(&"u1".into()).await.unwrap();
    assert_eq!(denial(&node, "u1").await, Some(Denial::Kicked));
}
