//! The client in `client/`: its own tests, what the adapters serve of it, and how it gets on with every adapter.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, SystemTime},
};

use tokio::{process::Command, sync::Mutex, time::timeout};

/// Any of these on a busy machine; a run that hangs must not hang this one.
const PATIENCE: Duration = Duration::from_secs(170);
/// They take turns: each one uses all cores by itself, and needs the packages installed.
static TURN: Mutex<()> = Mutex::const_new(());
/// Makes in memory what `npm run build` writes: a test that wrote it would have Cargo build everything again.
const FRESH_BUILD: &str = r#"
import { gzipSync } from "node:zlib";
import { bundles } from "./scripts/bundles.mjs";
const made = await bundles();
const gzipped = Object.entries(made).map(([name, bytes]) => [name, gzipSync(bytes, { level: 9 }).length]);
const script = Buffer.from(made["herenow.min.js"]).toString();
console.log(JSON.stringify({ script, gzipped: Object.fromEntries(gzipped) }));
"#;
/// How large each file may be after gzip, in bytes.
const LIMITS: [(&str, u64); 4] =
    [("index.js", 5120), ("goeasy.js", 1536), ("sse.js", 1536), ("herenow.min.js", 8192)];

fn client(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client").join(path)
}

fn changed(path: &str) -> Option<SystemTime> {
    client(path).metadata().and_then(|file| file.modified()).ok()
}

/// A program in the folder of the client, that must succeed.
async fn passes(mut command: Command) -> Output {
    let command = command.current_dir(client(".")).env("NO_COLOR", "1").stdin(Stdio::null());
    let run = command.kill_on_drop(true).output();
    let output = timeout(PATIENCE, run).await.expect("it ends").expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", output.status);
    output
}

/// Node with a script of a package, which ends with it, as a child of `npm` would not.
fn node(script: &str, arguments: &[&str]) -> Command {
    let mut node = Command::new("node");
    node.arg(script).args(arguments);
    node
}

/// Installs the packages, unless they are.
async fn installed() {
    if changed("node_modules/.package-lock.json") < changed("package-lock.json") {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        passes(npm).await;
    }
}

/// The tests of one folder, with a `conformance-server` at hand.
async fn vitest(arguments: &[&str]) {
    let mut vitest = node("node_modules/vitest/vitest.mjs", &["run"]);
    vitest.args(arguments).env("CONFORMANCE_SERVER", env!("CARGO_BIN_EXE_conformance-server"));
    passes(vitest).await;
}

#[tokio::test]
async fn its_types_fit_and_its_own_tests_pass() {
    let _turn = TURN.lock().await;
    installed().await;
    passes(node("node_modules/typescript/bin/tsc", &["--noEmit"])).await;
    vitest(&["--dir", "test/unit"]).await;
}

#[tokio::test]
async fn the_adapters_serve_a_fresh_build_of_it_and_it_is_small() {
    let _turn = TURN.lock().await;
    installed().await;
    let output = passes(node("--input-type=module", &["--eval", FRESH_BUILD])).await;
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let served = std::fs::read(client("../core/assets/client.js")).expect("it is part of the repository");
    let fresh = made["script"].as_str().expect("a script").as_bytes();
    // Not `assert_eq!`, which would print both.
    assert!(served == fresh, "core/assets/client.js is old: run `npm run build` in client/");
    for (name, limit) in LIMITS {
        let size = made["gzipped"][name].as_u64().expect("a size");
        assert!(size <= limit, "{name} has {size} bytes after gzip, the limit is {limit}");
    }
}

#[tokio::test]
async fn it_gets_on_with_every_adapter() {
    let _turn = TURN.lock().await;
    installed().await;
    vitest(&["--config", "vitest.server.config.ts"]).await;
}

#[tokio::test]
async fn it_works_in_chromium() {
    let _turn = TURN.lock().await;
    installed().await;
    vitest(&["--config", "vitest.browser.config.ts"]).await;
}
