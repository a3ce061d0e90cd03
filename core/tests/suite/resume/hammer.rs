//! Connections cut at random points while pushes of every kind go on: each client receives what was pushed to it, each
//! push once, in order, and the offline sink nothing.

use std::time::Duration;

use herenow::{
    OnlineManager, Target, UserKey,
    auth::{Action, Identity},
    cluster::LocalEngine,
    policy::Resume,
    testing::{self, Connect, TestClient},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::held::Sink;

const CLIENTS: usize = 20;
const CUTS: usize = 500;
/// The same where clients move between nodes.
const MOVES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);
/// How far pushes may be ahead of their client: less than what is kept.
const LEAD: u64 = 200;

/// A small generator of its own, so that a failure names the run that repeats it.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One client's life: where it is cut, what it has.
struct Client {
    /// It may come back to any of them.
    nodes: Vec<OnlineManager>,
    user: UserKey,
    dice: Dice,
    socket: TestClient,
    token: Value,
    seq: u64,
    /// Old sockets that nobody closed: the server has to let go of them by itself.
    left: Vec<TestClient>,
}

impl Client {
    async fn new(nodes: &[OnlineManager], user: &UserKey, seed: u64) -> Self {
        let mut socket = Connect::new(&nodes[0]).user(user.clone()).open().await;
        socket.subscribe("room").await;
        let token = socket.welcome()["resumeToken"].clone();
        Self {
            nodes: nodes.to_vec(),
            user: user.clone(),
            dice: Dice(seed),
            socket,
            token,
            seq: 0,
            left: Vec::new(),
        }
    }

    /// Reads a few pushes; each is the next one.
    async fn read(&mut self, most: u64) {
        for _ in 0..self.dice.roll(most + 1) {
            let push = self.socket.expect_type("push").await;
            assert_eq!(push["data"], self.seq.to_string(), "{} has {}", self.user.login_id(), self.seq);
            self.seq += 1;
        }
        if self.dice.roll(4) == 0 {
            self.socket.send_json(&json!({"type": "ack", "seq": self.seq}));
        }
    }

    /// Loses its socket in one of several ways, and comes back.
    async fn cut(&mut self) {
        let resume = json!({"type": "hello", "resume": {"token": self.token, "seq": self.seq}});
        let node = self.dice.roll(self.nodes.len() as u64) as usize;
        let connect = Connect::new(&self.nodes[node]).user(self.user.clone()).hello(resume);
        let old = match self.dice.roll(4) {
            // A new network: the old socket is still there.
            0 => {
                let new = connect.pipe(256).open().await;
                self.left.push(std::mem::replace(&mut self.socket, new));
                self.left.drain(..self.left.len().saturating_sub(3));
                return self.check();
            }
            // A page that is reloaded with what it knows.
            1 => {
                let new = connect.open().await;
                std::mem::replace(&mut self.socket, new).close(1001).await;
                return self.check();
            }
            way => (std::mem::replace(&mut self.socket, connect.start().await.unwrap()), way),
        };
        if old.1 == 2 {
            old.0.vanish().await;
        }
        assert!(self.socket.is_present().await);
        self.check();
    }

    fn check(&mut self) {
        let welcome = self.socket.welcome();
        assert_eq!((&welcome["resumed"], &welcome["seq"]), (&json!(true), &json!(self.seq)));
        if self.nodes.len() == 1 {
            assert_eq!(welcome["resumeToken"], self.token);
        }
        self.token = welcome["resumeToken"].clone();
    }
}

/// Pushes numbers to targets of several kinds, until told to stop; says how many there were.
async fn push(
    online: OnlineManager,
    user: UserKey,
    mut read: watch::Receiver<u64>,
    mut stop: watch::Receiver<bool>,
) -> u64 {
    let mut pushed = 0;
    while !*stop.borrow() {
        if pushed >= *read.borrow() + LEAD {
            tokio::select! {
                _ = read.changed() => {}
                _ = stop.changed() => {}
            }
            continue;
        }
        let target = match pushed % 4 {
            0 => Target::user(user.clone()),
            1 => Target::account(user.account().unwrap()),
            2 => Target::channel_in(user.account().unwrap(), "room"),
            _ => Target::users([user.clone()]),
        };
        let report = online.push(target, pushed.to_string()).await.unwrap();
        let here = report.enqueued + report.held;
        // While it moves, both nodes keep what is pushed.
        let elsewhere =
            report.remote.counts(PATIENCE).await.map_or(0, |counts| counts.enqueued + counts.held);
        assert!((1..=2).contains(&(here + elsewhere)), "push {pushed}: {here} here, {elsewhere} elsewhere");
        pushed += 1;
    }
    pushed
}

async fn life(nodes: Vec<OnlineManager>, number: usize, cuts: usize) -> u64 {
    let user = UserKey::in_account(format!("account {number}"), "u1");
    let mut client = Client::new(&nodes, &user, number as u64).await;
    let ((tell, read), (end, stop)) = (watch::channel(0), watch::channel(false));
    let pusher = tokio::spawn(push(nodes[0].clone(), user, read, stop));
    for _ in 0..cuts {
        client.read(8).await;
        tell.send_replace(client.seq);
        client.cut().await;
    }
    end.send_replace(true);
    let pushed = pusher.await.unwrap();
    while client.seq < pushed {
        client.read(1).await;
    }
    client.socket.close(1000).await;
    pushed
}

async fn live(nodes: &[OnlineManager], cuts: usize) {
    let life = |number| tokio::spawn(life(nodes.to_vec(), number, cuts));
    for life in (0..CLIENTS).map(life).collect::<Vec<_>>() {
        assert!(life.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_cuts_leave_no_gap_and_no_duplicate() {
    let resume = Resume { messages: 512, bytes: 1 << 20, ..Resume::default() };
    let sink = Sink::default();
    let builder = testing::builder().resume(resume).offline_sink(sink.clone());
    let online = builder.authorize(|_: &Identity, _: &Action| true).build().unwrap();
    live(std::slice::from_ref(&online), CUTS).await;
    testing::assert_all_gone(&online).await;
    let lost: Vec<String> = sink.texts();
    assert!(lost.is_empty(), "{} of what every client has went to the sink too", lost.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_move_between_nodes_miss_nothing_and_get_nothing_twice() {
    let resume = Resume { messages: 512, bytes: 1 << 20, ..Resume::default() };
    let sink = Sink::default();
    let nodes = LocalEngine::joined::<3>().map(|engine| {
        let builder = testing::builder().resume(resume.clone()).offline_sink(sink.clone()).engine(engine);
        builder.authorize(|_: &Identity, _: &Action| true).build().unwrap()
    });
    live(&nodes, MOVES).await;
    for node in &nodes {
        testing::assert_all_gone(node).await;
    }
    // What another node keeps for a client may reach it yet, as the sink is told.
    let lost = sink.certain();
    assert!(lost.is_empty(), "{} of what every client has went to the sink too", lost.len());
}
