//! The quick starts of the three READMEs: they are short, they start, and what they promise is there.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::LazyLock,
};

use herenow_conformance::{PATIENCE, client::Dial, eventually};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

const LINES: usize = 35;
const TOKEN: &str = "alices-secret";

/// The folder with all three binaries. Cargo builds for a test only those of its own package, so they are built here,
/// once, with the features of the whole workspace: there, nothing is left to do.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let profile =
        Path::new(env!("CARGO_BIN_EXE_conformance-server")).parent().expect("it stands in a folder");
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--all-features"]);
    cargo.args(["minimal-axum", "minimal-actix", "minimal-poem"].iter().flat_map(|name| ["--bin", name]));
    cargo.arg("--target-dir").arg(profile.parent().expect("within the target folder"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).status().expect("cargo runs");
    assert!(status.success(), "the quick starts do not build");
    profile.to_owned()
});

/// Starts one on a free port, which it says in its first line.
async fn start(name: &str) -> (Child, SocketAddr) {
    let mut child = Command::new(BUILT.join(name))
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("a line");
    let line = line.expect("it says where it listens");
    let mut words = line.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    let address = words.find_map(|word| word.trim_matches([':', '.']).parse().ok());
    child.stdout = Some(lines.into_inner().into_inner()); // Kept, or its next line would be its last.
    (child, address.unwrap_or_else(|| panic!("no address: {line}")))
}

async fn is_as_short_and_as_good_as_promised(name: &str) {
    let source = format!("{}/../examples/{name}/src/main.rs", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(source).expect("it is there").lines().count();
    assert!(lines <= LINES, "{name} has {lines} lines");

    let (_child, address) = start(name).await;
    let get = |path: &str| Dial::request(address, None, "GET", path);
    let hello = get("/hello").token(TOKEN).send().await;
    assert_eq!((hello.status, &hello.body[..]), (200, &b"Hello, alice!"[..]));
    for refused in [get("/hello"), get("/hello").token("forged"), Dial::upgrade(address, None, "/ws")] {
        assert_eq!(refused.send().await.json()["code"], 401);
    }

    let is_online =
        async || get("/presence/online/alice").token(TOKEN).send().await.ok()["content"]["online"] == true;
    assert!(!is_online().await);
    let client = Dial::upgrade(address, None, "/ws").token(TOKEN).open().await;
    eventually("alice is online", is_online).await;
    client.close(1000).await;
    eventually("alice is offline", async || !is_online().await).await;
}

#[tokio::test]
async fn the_quick_start_of_axum() {
    is_as_short_and_as_good_as_promised("minimal-axum").await;
}

#[tokio::test]
async fn the_quick_start_of_actix() {
    is_as_short_and_as_good_as_promised("minimal-actix").await;
}

#[tokio::test]
async fn the_quick_start_of_poem() {
    is_as_short_and_as_good_as_promised("minimal-poem").await;
}
