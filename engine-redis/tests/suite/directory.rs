//! The directory against a plain model: whatever comes, goes and crashes, every transition is told once, in an order that
//! makes sense, and in the end everybody sees what is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herenow::{
    ChannelKey, EventKind, Status, UserKey,
    cluster::{ClusterEvent, Engine, Entry, Found, Here, Lookup, Members, Wish},
};

use crate::support::{Node, Redis, eventually, quick, within};

const SECOND: Duration = Duration::from_secs(1);
/// How many changes; more by `OPERATIONS` in the environment.
const OPERATIONS: u64 = 100_000;
const USERS: u64 = 300;
const CHANNELS: u64 = 6;
/// Changes between two looks at whether everybody keeps up.
const PORTION: u64 = 2_000;

/// A small generator of its own, so that a failure names the run that repeats it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn entry(&mut self) -> Entry {
        let user = UserKey::from(format!("u{}", self.roll(USERS)));
        match self.roll(2) {
            0 => Entry::User(user),
            _ => Entry::Member(ChannelKey::from(format!("room {}", self.roll(CHANNELS))), user),
        }
    }

    fn here(&mut self, entry: &Entry) -> Option<Here> {
        let status = match self.roll(6) {
            0 | 1 => return None,
            2 => Status::Away,
            3 => Status::from("busy"),
            _ => Status::Online,
        };
        let clients = if matches!(entry, Entry::User(_)) { 0 } else { self.roll(3) as u32 };
        Some(Here { clients, status, data: None })
    }
}

/// What all nodes have together: of each entry its connections and its status.
fn union(nodes: &[Node]) -> BTreeMap<Entry, (u32, Status)> {
    let rank = |status: &Status| match status {
        Status::Custom(_) => 3,
        Status::Online => 2,
        Status::Away => 1,
        _ => 0,
    };
    let mut all: BTreeMap<Entry, (u32, Status)> = BTreeMap::new();
    for node in nodes {
        for (entry, Here { clients, status, .. }) in &*node.local.here.lock() {
            let (sum, best) = all.entry(entry.clone()).or_default();
            *sum += clients;
            if rank(status) > rank(best) {
                *best = status.clone();
            }
        }
    }
    all
}

/// What somebody knows who has heard everything.
#[derive(Default)]
struct Told {
    known: BTreeMap<Entry, (u32, Status)>,
    vers: BTreeMap<ChannelKey, u64>,
    transitions: usize,
}

impl Told {
    /// Each transition follows from what was told before.
    fn hear(&mut self, event: &ClusterEvent) {
        let (entry, kind, now) = match event {
            ClusterEvent::Heard(event) => {
                (Entry::User(event.user.clone()), Some(event.kind), (0, event.status.clone()))
            }
            ClusterEvent::Member(now) => {
                let ver = self.vers.entry(now.channel.clone()).or_default();
                assert!(now.ver > *ver, "{now:?} after {ver}");
                *ver = now.ver;
                let entry = Entry::Member(now.channel.clone(), now.member.user.clone());
                (entry, now.kind, (now.member.clients, now.member.status.clone()))
            }
            _ => return,
        };
        self.transitions += usize::from(kind.is_some());
        let before = self.known.get(&entry);
        match kind {
            Some(EventKind::Online | EventKind::Join) => assert_eq!(before, None, "{event:?}"),
            Some(EventKind::Offline | EventKind::Leave) => {
                assert!(self.known.remove(&entry).is_some(), "{event:?}");
                return;
            }
            Some(EventKind::Update) => {
                assert!(before.is_some_and(|before| before.1 != now.1), "{before:?} {event:?}");
            }
            _ => assert!(before.is_some_and(|before| before.1 == now.1), "{before:?} {event:?}"),
        }
        self.known.insert(entry, now);
    }
}

fn made(node: &Node) -> usize {
    node.local.events.lock().iter().filter(|event| matches!(event, ClusterEvent::Made(_))).count()
}

async fn lookup(node: &Node, lookup: Lookup) -> Found {
    node.engine.lookup(lookup).await.unwrap()
}

/// Everything that the nodes have told has been heard by all.
async fn settled(nodes: &[Node], observer: &Node) {
    for node in nodes {
        lookup(node, Lookup::Count).await;
    }
    observer.engine.caught_up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_comes_goes_and_crashes_is_told_once_and_ends_as_it_is() {
    let operations =
        std::env::var("OPERATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(OPERATIONS);
    let redis = Redis::start().await;
    let config = || quick(&redis.url()).command_timeout(2 * SECOND).lease(2 * SECOND);
    let observer = Node::up(config()).await;
    observer.wishes(Wish::Everything);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Node::up(config()).await);
    }
    redis
        .wait_for(&["PUBSUB", "NUMSUB", "herenow:ev"], "the observer hears", |heard: &(String, usize)| {
            heard.1 == 1
        })
        .await;
    let (mut dice, mut told, mut crashed, mut heard) = (Dice(42), Told::default(), 0, 0);
    for operation in 0..operations {
        let node = &nodes[dice.roll(3) as usize];
        let entry = dice.entry();
        let here = dice.here(&entry);
        node.set(entry, here);
        if operation % 16 == 0 {
            tokio::task::yield_now().await;
        }
        if operation % PORTION != PORTION - 1 {
            continue;
        }
        settled(&nodes, &observer).await;
        // One in ten portions a node is gone without a word, and another one comes.
        if dice.roll(10) == 0 {
            let gone = nodes.remove(dice.roll(3) as usize);
            crashed += made(&gone);
            drop(gone);
            nodes.push(Node::up(config()).await);
        }
        let mut events = observer.local.events.lock();
        events.iter().for_each(|event| told.hear(event));
        heard += events.iter().filter(|event| matches!(event, ClusterEvent::Made(_))).count();
        events.clear();
    }
    redis.wait_for(&["ZCARD", "herenow:nodes"], "the dead are taken out", |count: &usize| *count == 4).await;
    settled(&nodes, &observer).await;
    observer.local.events.lock().iter().for_each(|event| told.hear(event));

    let is = union(&nodes);
    assert_eq!(told.known, is, "what was told leads to what is");
    let by_nodes: usize = nodes.iter().map(made).sum();
    assert_eq!(told.transitions, by_nodes + crashed + heard + made(&observer), "each was made on one node");
    check_lookups(&observer, &is).await;
}

async fn check_lookups(node: &Node, is: &BTreeMap<Entry, (u32, Status)>) {
    let online: BTreeSet<&UserKey> =
        is.keys().filter_map(|entry| if let Entry::User(user) = entry { Some(user) } else { None }).collect();
    assert!(matches!(lookup(node, Lookup::Count).await, Found::Count(count) if count == online.len()));
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let Found::Users(page) = lookup(node, Lookup::Page { after, limit: 7 }).await else { panic!() };
        listed.extend(page.iter().cloned());
        after = page.last().cloned();
        if page.len() < 7 {
            break;
        }
    }
    assert_eq!(listed.len(), online.len());
    assert_eq!(listed.iter().collect::<BTreeSet<_>>(), online);
    for n in 0..CHANNELS {
        let channel = ChannelKey::from(format!("room {n}"));
        let of_it = |entry: &&Entry| matches!(entry, Entry::Member(of, _) if *of == channel);
        let clients: u32 = is.iter().filter(|(entry, _)| of_it(entry)).map(|(_, (clients, _))| clients).sum();
        let users = is.keys().filter(of_it).count();
        for count in [0, usize::MAX] {
            let asked = Lookup::Members { channel: channel.clone(), listed: count };
            let Found::Members(Members { clients: c, users: u, listed, .. }) = lookup(node, asked).await
            else {
                panic!()
            };
            assert_eq!((c, u, listed.len()), (clients as usize, users, users.min(count)), "{channel:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn when_whoever_cleans_up_dies_too_everybody_is_told_offline_once() {
    const MANY: usize = 20_000;
    let redis = Redis::start().await;
    let config = || quick(&redis.url()).command_timeout(2 * SECOND).lease(2 * SECOND);
    let victim = Node::up(config()).await;
    let mut survivors = vec![Node::up(config()).await, Node::up(config()).await];
    survivors.iter().for_each(|node| node.wishes(Wish::Everything));
    redis
        .wait_for(&["PUBSUB", "NUMSUB", "herenow:ev"], "both hear", |heard: &(String, usize)| heard.1 == 2)
        .await;
    (0..MANY).for_each(|n| victim.comes(&format!("u{n}")));
    within("all are written", 20 * SECOND, lookup(&victim, Lookup::Count)).await;
    eventually("all are there", 20 * SECOND, || offline_or(&survivors[0], EventKind::Online).len() == MANY)
        .await;
    drop(victim);

    eventually("somebody cleans up", 20 * SECOND, || survivors.iter().any(|node| made(node) > 0)).await;
    let reaper = usize::from(made(&survivors[1]) > 0);
    let before = made(&survivors[reaper]);
    assert!(before < MANY, "it was too fast to be stopped: {before}");
    drop(survivors.remove(reaper));
    let last = &survivors[0];
    eventually("the other goes on", 40 * SECOND, || offline_or(last, EventKind::Offline).len() >= MANY).await;
    let mut offline = offline_or(last, EventKind::Offline);
    assert_eq!(offline.len(), MANY);
    offline.sort();
    offline.dedup();
    assert_eq!(offline.len(), MANY, "each once");
    assert!(matches!(lookup(last, Lookup::Count).await, Found::Count(0)));
}

/// Who was told to be so.
fn offline_or(node: &Node, kind: EventKind) -> Vec<UserKey> {
    let events = node.local.events.lock();
    let of_kind = |event: &ClusterEvent| match event {
        ClusterEvent::Heard(event) if event.kind == kind => Some(event.user.clone()),
        _ => None,
    };
    events.iter().filter_map(of_kind).collect()
}
