//! [`Proxy`]: stands between a node and its Redis, and fails on demand.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

use super::gate::Gate;

/// A TCP proxy in front of a server on loopback.
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Shared {
    /// New connections are closed at once.
    is_cut: AtomicBool,
    /// What connections for commands send, by the piece.
    commands: Gate,
    /// What subscribers are sent, by the byte.
    heard: Gate,
    /// Of both, how much passes from one heartbeat to the next.
    in_a_beat: OnceLock<[usize; 2]>,
    /// What the server sends to subscribers is not even read.
    stalled: watch::Sender<bool>,
    lines: Mutex<Vec<Arc<Line>>>,
}

/// One connection through the proxy.
#[derive(Default)]
struct Line {
    is_subscriber: AtomicBool,
    is_for_commands: AtomicBool,
    /// What the server sends is swallowed.
    to_client: AtomicBool,
    /// What the client sends is swallowed.
    to_server: AtomicBool,
    /// What the client sends waits here, even after it is gone.
    held: watch::Sender<bool>,
    /// What is held back.
    waiting: Mutex<Vec<u8>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// To a server on this port.
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, shared) = (listener.local_addr().unwrap().port(), Arc::new(Shared::default()));
        let lines = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if lines.is_cut.load(SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    let line = Arc::new(Line::default());
                    lines.lines.lock().push(line.clone());
                    join(line, lines.clone(), client, server);
                }
            }
        });
        Self { port: own, shared, accepting: accepting.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Swallows from now on what the server sends over the subscriptions there are; new ones work.
    pub(crate) fn deafen(&self) -> usize {
        let lines = self.shared.lines.lock();
        let subscribers = lines.iter().filter(|line| line.is_subscriber.load(SeqCst));
        subscribers.map(|line| line.to_client.store(true, SeqCst)).count()
    }

    /// Swallows everything on all connections there are, both ways; new ones work.
    pub(crate) fn blackhole(&self) {
        for line in self.shared.lines.lock().iter() {
            line.to_client.store(true, SeqCst);
            line.to_server.store(true, SeqCst);
        }
    }

    /// Holds back what is sent over the connections there are; new ones work.
    pub(crate) fn hold(&self) {
        for line in self.shared.lines.lock().iter() {
            line.held.send_replace(true);
        }
    }

    /// Sends on what was held back, though those who sent it may be gone.
    pub(crate) fn release(&self) {
        for line in self.shared.lines.lock().iter() {
            line.held.send_replace(false);
        }
    }

    /// What is held back, of all connections.
    pub(crate) fn held(&self) -> String {
        let lines = self.shared.lines.lock();
        lines.iter().map(|line| String::from_utf8_lossy(&line.waiting.lock()).into_owned()).collect()
    }

    /// From now on a heartbeat lets through so many pieces of commands and so many bytes for subscribers, until the next one
    /// comes: what is slow is slow by the clock by which leases end.
    pub(crate) fn slow_down(&self, commands: usize, heard: usize) {
        self.shared.in_a_beat.set([commands, heard]).unwrap();
        self.shared.beat();
    }

    /// From now on commands pass one by one, each when [`step`](Self::step) lets it. Heartbeats pass.
    pub(crate) fn go_step_by_step(&self) {
        self.shared.commands.give(0);
    }

    /// Waits until a command waits, and lets it pass.
    pub(crate) async fn step(&self) {
        self.shared.commands.step().await;
    }

    /// Subscribers read nothing, until they do again.
    pub(crate) fn stall(&self, stalled: bool) {
        self.shared.stalled.send_replace(stalled);
    }

    /// Closes all connections and refuses new ones.
    pub(crate) fn cut(&self) {
        self.shared.is_cut.store(true, SeqCst);
        for line in self.shared.lines.lock().drain(..) {
            line.tasks.lock().drain(..).for_each(|task| task.abort());
        }
    }

    /// Lets new connections through again.
    pub(crate) fn heal(&self) {
        self.shared.is_cut.store(false, SeqCst);
    }
}

impl Shared {
    fn beat(&self) {
        if let Some([commands, heard]) = self.in_a_beat.get() {
            self.commands.give(*commands);
            self.heard.give(*heard);
        }
    }
}

fn join(line: Arc<Line>, shared: Arc<Shared>, client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = tokio::spawn(up(line.clone(), shared.clone(), from_client, to_server));
    let down = tokio::spawn(down(line.clone(), shared, from_server, to_client));
    line.tasks.lock().extend([up.abort_handle(), down.abort_handle()]);
}

/// What the client sends.
async fn up(line: Arc<Line>, shared: Arc<Shared>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (mut sent, mut held) = (Vec::with_capacity(64 << 10), line.held.subscribe());
    let mut is_open = true;
    while is_open {
        is_open = matches!(from.read_buf(&mut sent).await, Ok(1..));
        if sent.windows(9).any(|word| word.eq_ignore_ascii_case(b"subscribe")) {
            line.is_subscriber.store(true, SeqCst);
        }
        // Only these ask for it, as they begin.
        if sent.windows(6).any(|word| word == b"memory") {
            line.is_for_commands.store(true, SeqCst);
        }
        // More may come meanwhile, and what was sent is sent on, even by somebody who is gone.
        while *held.borrow_and_update() {
            line.waiting.lock().clone_from(&sent);
            tokio::select! {
                read = from.read_buf(&mut sent), if is_open => is_open = matches!(read, Ok(1..)),
                changed = held.changed() => assert!(changed.is_ok()),
            }
        }
        line.waiting.lock().clear();
        if line.is_for_commands.load(SeqCst) {
            shared.commands.pass(1).await;
        } else if !line.is_subscriber.load(SeqCst) {
            shared.beat();
        }
        if !line.to_server.load(SeqCst) && to.write_all(&sent).await.is_err() {
            return;
        }
        sent.clear();
    }
}

/// What the server sends.
async fn down(line: Arc<Line>, shared: Arc<Shared>, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (mut buffer, mut stalled) = (vec![0; 64 << 10], shared.stalled.subscribe());
    // A server that cannot get rid of its answers may not read what else it was sent by somebody who is gone.
    let mut is_there = true;
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if line.is_subscriber.load(SeqCst) {
            let _ = stalled.wait_for(|stalled| !stalled).await;
        }
        if is_there && !line.to_client.load(SeqCst) {
            is_there = to.write_all(&buffer[..read]).await.is_ok();
        }
        if line.is_subscriber.load(SeqCst) {
            shared.heard.pass(read).await;
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
