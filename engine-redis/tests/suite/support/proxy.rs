//! [`Proxy`]: stands between a node and its Redis, and fails on demand.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::AbortHandle,
};

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
    lines: Mutex<Vec<Arc<Line>>>,
}

/// One connection through the proxy.
#[derive(Default)]
struct Line {
    is_subscriber: AtomicBool,
    /// What the server sends is swallowed.
    to_client: AtomicBool,
    /// What the client sends is swallowed.
    to_server: AtomicBool,
    /// What the client sends waits here, even after it is gone.
    held: watch::Sender<bool>,
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
                    join(line, client, server);
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

fn join(line: Arc<Line>, client: TcpStream, server: TcpStream) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (up, down) = (line.clone(), line.clone());
    let up = tokio::spawn(async move {
        let (mut buffer, mut held) = (vec![0; 64 << 10], up.held.subscribe());
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if buffer[..read].windows(9).any(|word| word.eq_ignore_ascii_case(b"subscribe")) {
                up.is_subscriber.store(true, SeqCst);
            }
            let _ = held.wait_for(|held| !held).await;
            if !up.to_server.load(SeqCst) && to_server.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
    let down = tokio::spawn(async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            if !down.to_client.load(SeqCst) && to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
    });
    line.tasks.lock().extend([up.abort_handle(), down.abort_handle()]);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
