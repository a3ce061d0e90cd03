//! The processes beside the page's own: none outlives it, and none obeys a stranger.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// For one condition, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The example, on free ports. Killed when dropped, which ends its other processes too.
struct Site {
    process: Child,
    page: SocketAddr,
    redis: SocketAddr,
}

impl Site {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_redis-two-nodes"))
            .args(["--listen", "127.0.0.1:0", "--nodes", "127.0.0.1:0,127.0.0.1:0"])
            .env_remove("TWO_NODES_REDIS")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let output = process.stdout.take().expect("it is piped");
        let (told, said) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(output).read_line(&mut line);
            told.send(line)
        });
        let line = said.recv_timeout(PATIENCE).expect("it says where it is");
        let after = |scheme: &str| {
            let (_, rest) = line.split_once(scheme).unwrap_or_else(|| panic!("no {scheme} in {line:?}"));
            let end = rest.find(['/', ' ', '\n']).unwrap_or(rest.len());
            rest[..end].parse().expect("an address")
        };
        Self { page: after("http://"), redis: after("redis://"), process }
    }

    /// Where the nodes are.
    fn nodes(&self) -> Vec<SocketAddr> {
        let (status, body) = self.ask("GET", "/nodes", &self.page.to_string(), "");
        assert_eq!(status, 200, "{body}");
        let said: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let urls = said["nodes"].as_array().expect("a list").iter().map(|node| node["url"].as_str());
        urls.map(|url| {
            url.and_then(|url| url.strip_prefix("ws://")?.strip_suffix("/ws")?.parse().ok()).expect("a URL")
        })
        .collect()
    }

    /// What a request is answered, with a key or none.
    fn ask(&self, method: &str, path: &str, host: &str, key: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.page).expect("it listens");
        let key = if key.is_empty() { String::new() } else { format!("x-demo-key: {key}\r\n") };
        let head = format!("{method} {path} HTTP/1.0\r\nhost: {host}\r\n{key}content-length: 0\r\n\r\n");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    fn tell(&self, signal: &str) {
        let told = Command::new("kill").args([signal, &self.process.id().to_string()]).status();
        assert!(told.expect("there is a `kill`").success());
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill(); // It may have ended.
        let _ = self.process.wait();
    }
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// Asks until the answer is yes.
fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    const STEP: Duration = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
        if ask() {
            return;
        }
        thread::sleep(STEP);
    }
    panic!("{what}: not within {PATIENCE:?}");
}

#[test]
fn nothing_stays_behind_when_the_pages_process_is_killed() {
    let site = Site::start();
    let mut others = site.nodes();
    others.push(site.redis);
    assert_eq!(others.len(), 3);
    assert!(others.iter().all(|address| listens(*address)));
    site.tell("-KILL");
    for address in others {
        eventually(&format!("{address} is closed"), || !listens(address));
    }
}

#[test]
fn a_terminals_interrupt_ends_all_of_it_before_the_prompt_is_back() {
    let mut site = Site::start();
    let mut others = site.nodes();
    others.push(site.redis);
    site.tell("-INT");
    let mut status = None;
    eventually("it ends", || {
        status = site.process.try_wait().expect("it is our child");
        status.is_some()
    });
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
    assert!(!others.into_iter().any(listens));
}

#[test]
fn whoever_does_not_know_the_key_kills_no_node() {
    let site = Site::start();
    let own = site.page.to_string();
    for key in ["", "another"] {
        assert_eq!(site.ask("POST", "/nodes/axum/kill", &own, key).0, 403, "{key:?}");
    }
    // A name of another site that leads here: its pages do not get to read the key.
    assert_eq!(site.ask("GET", "/nodes", "evil.example", "").0, 421);
    assert!(site.nodes().into_iter().all(listens));
}

#[test]
fn a_node_is_killed_started_again_and_drained() {
    let site = Site::start();
    let own = site.page.to_string();
    let node = site.nodes()[0];
    let said: serde_json::Value = serde_json::from_str(&site.ask("GET", "/nodes", &own, "").1).expect("JSON");
    let key = said["key"].as_str().expect("a key");
    let tell = |what: &str| site.ask("POST", &format!("/nodes/axum/{what}"), &own, key);
    assert_eq!(tell("kill"), (204, String::new()));
    assert!(!listens(node));
    assert_eq!(tell("kill"), (409, "axum is not running".to_owned()));
    assert_eq!(tell("start"), (204, String::new()));
    assert!(listens(node));
    assert_eq!(tell("start"), (409, "axum is running".to_owned()));
    assert_eq!(tell("drain"), (204, String::new()));
    assert!(!listens(node));
    assert_eq!(tell("stop").0, 404);
}
