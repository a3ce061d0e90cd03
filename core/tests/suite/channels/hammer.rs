//! Everything at once, on several threads and in real time: nothing locks up, nothing is told wrongly, nothing is left.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use herenow::{
    EventKind, Hooks, KickOut, Notice, OnlineManager, Target,
    auth::{Action, Identity},
    policy::Channels,
    testing::{Connect, Frame, TestClient, assert_all_gone, until},
};
use serde_json::{Value, json};

const USERS: usize = 6;
const ROUNDS: usize = 60;

fn online() -> OnlineManager {
    let channels =
        Channels { event_window: Duration::from_millis(2), presence_users: 3, ..Channels::default() };
    let everything = |_: &Identity, _: &Action| true;
    OnlineManager::builder()
        .channels(channels)
        .authorize(everything)
        .grace(Duration::from_millis(3))
        .build()
        .unwrap()
}

/// What a client makes of a feed: a frame that does not follow on the one before would show here.
#[derive(Debug, Default)]
struct Seen {
    frames: usize,
    ver: u64,
    users: BTreeSet<String>,
    amount: u64,
    more: bool,
}

impl Seen {
    fn take(&mut self, frame: &Value) {
        let ver = frame["ver"].as_u64().unwrap();
        self.amount = frame["userAmount"].as_u64().unwrap();
        let id = |user: &Value| user["id"].as_str().unwrap().to_owned();
        if frame["type"] == "presenceState" {
            self.more = frame["more"].as_bool().unwrap();
            self.users = frame["users"].as_array().unwrap().iter().map(id).collect();
        } else {
            assert_eq!(ver, self.ver + 1, "{frame}");
            for event in frame["events"].as_array().unwrap() {
                match event["action"].as_str().unwrap() {
                    "leave" | "offline" => drop(self.users.remove(&id(&event["user"]))),
                    _ => drop(self.users.insert(id(&event["user"]))),
                }
            }
        }
        self.frames += 1;
        self.ver = ver;
        if self.more {
            assert!(self.users.is_empty(), "{frame}");
        } else {
            assert_eq!(self.users.len() as u64, self.amount, "{frame}");
        }
    }
}

/// Reads a feed to the end of its connection, or until the channel is empty after `done`.
async fn watch(mut client: TestClient, done: Arc<AtomicBool>) {
    let mut seen = Seen::default();
    client.send_json(&json!({"type": "subscribePresence", "id": 1, "channel": "lobby"}));
    while !done.load(Ordering::SeqCst) || seen.amount > 0 {
        let Ok(Some(Frame::Text(text))) =
            tokio::time::timeout(Duration::from_millis(50), client.recv()).await
        else {
            continue;
        };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if ["presence", "presenceState"].contains(&frame["type"].as_str().unwrap()) && frame["ver"].is_u64() {
            seen.take(&frame);
        }
    }
    client.close(1000).await;
    assert!(seen.frames > 3, "the feed told nothing: {seen:?}");
}

/// Comes, goes and comes back, in every way there is.
async fn come_and_go(online: OnlineManager, user: String) {
    for round in 0..ROUNDS {
        let hooks = if round % 3 == 0 { Hooks::default().join("lobby") } else { Hooks::default() };
        let connect = Connect::new(&online).user(&*user).token(&format!("{user} {round}")).hooks(hooks);
        let Ok(mut client) = connect.start().await else { continue };
        if !client.is_present().await {
            continue;
        }
        let connection = client.connection().clone();
        let _ = connection.join("lobby");
        let _ = connection.join("sports");
        client.send_json(&json!({"type": "watch", "id": 1, "users": ["u0", "u1", "u2"]}));
        client.send_json(&json!({"type": "subscribePresence", "id": 2, "channel": "sports"}));
        client.send_json(&json!({"type": "status", "status": if round % 2 == 0 { "away" } else { "busy" }}));
        client.send_json(&json!({"type": "publish", "id": 3, "channel": "lobby", "data": round}));
        tokio::task::yield_now().await;
        match round % 4 {
            0 => drop(client),
            1 => client.close(1000).await,
            2 => {
                connection.leave("lobby");
                client.close(1001).await;
            }
            _ => client.vanish().await,
        }
    }
}

async fn disturb(online: OnlineManager, done: Arc<AtomicBool>) {
    let mut round = 0;
    while !done.load(Ordering::SeqCst) {
        round += 1;
        let user = format!("u{}", round % USERS);
        match round % 5 {
            0 => drop(
                online
                    .kick_out(Target::token(format!("{user} {}", round % ROUNDS)), KickOut::default())
                    .await,
            ),
            1 => drop(online.publish("lobby", "hi").await),
            2 => drop(online.push(Target::everyone().except_channel("sports"), "ho").await),
            3 => online.set_away(&user).await,
            _ => online.mark_offline_all(&user).await,
        }
        others_have_their_turn().await;
    }
}

async fn others_have_their_turn() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_at_once_locks_up_nothing_and_every_watcher_keeps_the_count() {
    let online = online();
    let done = Arc::new(AtomicBool::new(false));
    let mut lobby = online.subscribe_presence("lobby");
    let mut watchers = Vec::new();
    for n in 0..3 {
        let client = Connect::new(&online).user(format!("watcher {n}")).open().await;
        watchers.push(tokio::spawn(watch(client, done.clone())));
    }
    let disturbing = tokio::spawn(disturb(online.clone(), done.clone()));
    let comers: Vec<_> =
        (0..USERS).map(|n| tokio::spawn(come_and_go(online.clone(), format!("u{n}")))).collect();
    let (mut inside, mut left) = (BTreeSet::new(), 0);
    let mut count = |notice: Notice| {
        let Notice::Event(event) = notice else { panic!("{notice:?}") };
        let user = event.user.login_id().to_owned();
        match event.kind {
            EventKind::Join => assert!(inside.insert(user), "joined twice: {event:?}"),
            EventKind::Leave => assert!(inside.remove(&user), "left twice: {event:?}"),
            _ => assert!(inside.contains(&user), "{event:?}"),
        }
        inside.len()
    };
    for comer in comers {
        while !comer.is_finished() {
            while let Some(notice) = lobby.try_recv() {
                left = count(notice);
            }
            tokio::task::yield_now().await;
        }
        comer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    disturbing.await.unwrap();
    for watcher in watchers {
        watcher.await.unwrap();
    }
    until("the listener has heard that everybody left", async || {
        while let Some(notice) = lobby.try_recv() {
            left = count(notice);
        }
        left == 0
    })
    .await;
    drop(lobby);
    assert_all_gone(&online).await;
}
