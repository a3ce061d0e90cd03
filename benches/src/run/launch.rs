//! How each design is started, and why one cannot be.

use std::path::{Path, PathBuf};

use super::child::Launch;
use crate::{design::Design, load::Error};

/// Where the peers are that are no Rust.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The inner error says what is not installed.
pub(super) fn launch(design: Design, threads: usize, cores: &str) -> Result<Result<Launch, String>, Error> {
    match design {
        Design::NodeWs => Ok(node("ws.mjs", "ws", cores)),
        Design::SocketIo => Ok(node("socket-io.mjs", "socket.io", cores)),
        Design::UWebSockets => Ok(python("socketify_server.py", cores)),
        design => Ok(Ok(Launch::own(design, threads, cores)?)),
    }
}

fn node(script: &str, package: &str, cores: &str) -> Result<Launch, String> {
    let folder = peers().join("node");
    if !folder.join("node_modules").join(package).is_dir() {
        return Err(format!("{package} is not installed: see what benches/install says"));
    }
    Ok(Launch::program("node", [folder.join(script)], cores))
}

fn python(script: &str, cores: &str) -> Result<Launch, String> {
    let folder = peers().join("python");
    if !folder.join(".venv/installed.txt").is_file() {
        return Err("socketify is not installed: see what benches/install says".to_owned());
    }
    Ok(Launch::program(folder.join(".venv/bin/python"), [folder.join(script)], cores))
}
