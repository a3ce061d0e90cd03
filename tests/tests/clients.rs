//! Clients that others wrote: headless Chromium, Node's `ws`, Python's `websockets`.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use herenow_conformance::Server;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

const ADMIN_PASSWORD: &str = "a password for this test";
/// A whole walk through the chat, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(170);

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn installed(path: &str) -> PathBuf {
    let path = here(path);
    assert!(path.exists(), "{} is missing: run .ci/install", path.display());
    path
}

/// A script's line of JSON, which must say `ok`.
async fn passes(mut command: Command) -> Value {
    let run = command.kill_on_drop(true).stdin(Stdio::null()).output();
    let output = timeout(PATIENCE, run).await.expect("the script ends").expect("the script starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_str(out.trim()).unwrap_or_default();
    assert!(output.status.success() && said["ok"] == true, "{}\n{out}{err}", output.status);
    said
}

/// Runs a script against each adapter while pushes for its user go out all the time.
async fn passes_with_pushes(command: impl Fn() -> Command) {
    for adapter in ["axum", "actix", "actix-fast", "poem"] {
        passes_on(adapter, command()).await;
    }
}

async fn passes_on(adapter: &str, mut command: Command) {
    let server = Server::process(env!("CARGO_BIN_EXE_conformance-server"), adapter, &[]).await;
    let token = server.login("alice").await;
    command.arg(format!("ws://{}/ws", server.address())).arg(&token).env_remove("PUSH_URL");
    let pushes = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            server.admin("push", json!({"loginId": "alice", "content": "for alice"})).await;
        }
    };
    let said = tokio::select! {
        said = passes(command) => said,
        () = pushes => Value::Null,
    };
    let results = &said["results"];
    assert_eq!(results["raw"], json!({"text": "for alice", "binary": false}));
    for scenario in ["bearer-subprotocol", "bearer-header"] {
        assert_eq!(results[scenario]["user"], "alice", "{said}");
        assert_eq!(results[scenario]["push"]["data"], "for alice", "{said}");
    }
    assert_eq!(results["refused-http"]["status"], 401);
    assert_eq!(results["refused-visible"]["code"], 4401);
    server.stop().await;
}

#[tokio::test]
async fn nodes_ws_talks_to_it() {
    installed("browser/node_modules/ws");
    passes_with_pushes(|| {
        let mut node = Command::new("node");
        node.arg(here("browser/ws-client.mjs"));
        node
    })
    .await;
}

#[tokio::test]
async fn pythons_websockets_talks_to_it() {
    passes_with_pushes(|| {
        let mut python = Command::new(installed("python/.venv/bin/python"));
        python.arg(here("python/ws_client.py"));
        python
    })
    .await;
}

#[tokio::test]
async fn people_use_the_chat_in_chromium() {
    installed("browser/node_modules/playwright-core");
    let (chat, url) = application("axum-chat", ["--admin-password", ADMIN_PASSWORD]).await;
    let mut node = Command::new("node");
    node.arg(here("browser/chat.mjs")).arg(&url).arg(ADMIN_PASSWORD);
    let said = passes(node).await;
    assert!(said["steps"].as_u64() >= Some(10), "{said}");
    ends_well(chat).await;
}

#[tokio::test]
async fn people_log_in_by_a_qr_code_in_chromium() {
    installed("browser/node_modules/jsqr");
    let ((patient, url), (hasty, hasty_url)) = tokio::join!(qr_login("120"), qr_login("6"));
    let mut node = Command::new("node");
    node.arg(here("browser/qr.mjs")).arg(&url).arg(&hasty_url);
    let said = passes(node).await;
    assert!(said["steps"].as_u64() >= Some(13), "{said}");
    ends_well(patient).await;
    ends_well(hasty).await;
}

#[tokio::test]
async fn people_are_notified_in_chromium() {
    installed("browser/node_modules/playwright-core");
    let database = empty_database("notify");
    let args = ["--database", &database, "--admin-password", ADMIN_PASSWORD];
    let (notify, url) = application("poem-notify", args).await;
    let mut node = Command::new("node");
    node.arg(here("browser/notify.mjs")).arg(&url).arg(ADMIN_PASSWORD);
    let said = passes(node).await;
    assert!(said["steps"].as_u64() >= Some(15), "{said}");
    ends_well(notify).await;
}

#[tokio::test]
async fn people_meet_in_channels_in_chromium() {
    installed("browser/node_modules/playwright-core");
    let (channels, url) = application("axum-presence-channels", ["--staff-password", ADMIN_PASSWORD]).await;
    let mut node = Command::new("node");
    node.arg(here("browser/channels.mjs")).arg(&url).arg(ADMIN_PASSWORD);
    let said = passes(node).await;
    assert!(said["steps"].as_u64() >= Some(22), "{said}");
    ends_well(channels).await;
}

#[tokio::test]
async fn people_see_each_other_across_two_nodes_in_chromium() {
    installed("browser/node_modules/playwright-core");
    let (site, url) = application("redis-two-nodes", ["--nodes", "127.0.0.1:0,127.0.0.1:0"]).await;
    let mut node = Command::new("node");
    node.arg(here("browser/two-nodes.mjs")).arg(&url);
    let said = passes(node).await;
    assert!(said["steps"].as_u64() >= Some(9), "{said}");
    ends_well(site).await;
}

/// The QR login with an empty database, whose codes are good for so many seconds.
async fn qr_login(ttl: &str) -> (Child, String) {
    let database = empty_database(&format!("qr-login-{ttl}"));
    application("actix-qr-login", ["--database", &database, "--ttl-seconds", ttl]).await
}

/// Where a SQLite file of this name may be made.
fn empty_database(name: &str) -> String {
    let database = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.sqlite"));
    for kept in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{kept}", database.display()));
    }
    database.to_str().expect("a path that is text").to_owned()
}

/// An application of the examples, built as this test was, on a free port.
async fn application<'a>(name: &str, args: impl IntoIterator<Item = &'a str>) -> (Child, String) {
    let binary = build(name).await;
    let mut child = Command::new(binary)
        .args(["--listen", "127.0.0.1:0"])
        .args(args)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let url = timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.expect("it can be read") {
            if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) {
                return url.trim_end_matches([',', '.', ';']).to_owned();
            }
        }
        panic!("the start-up line names no address");
    });
    let url = url.await.expect("it starts");
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, url)
}

/// Cargo knows the binaries of this package only; the examples' stand beside them. Built with the features of the whole
/// workspace, it shares its dependencies with the tests.
async fn build(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_conformance-server"));
    let profile = ours.parent().expect("a binary stands in a folder");
    let target = profile.parent().expect("and that in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--all-features", "--bin", name]);
    cargo.arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(here("..")).status().await.expect("cargo runs");
    assert!(status.success(), "{name} does not build");
    profile.join(name)
}

async fn ends_well(mut child: Child) {
    let pid = child.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().await.expect("there is a `kill`");
    assert!(told.success());
    let status = timeout(PATIENCE, child.wait()).await.expect("it drains").expect("it was our child");
    assert!(status.success(), "{status}");
}
