//! How each design is started, and why one cannot be.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::child::Launch;
use crate::{design::Design, load::Error};

/// Node's packages and Python's, as `benches/install` calls them.
const NODE: &str = "ws and Socket.IO";
const PYTHON: &str = "uWebSockets";

/// Where the peers are that are no Rust.
fn peers() -> PathBuf {
    bench().join("peers")
}

fn bench() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn is_rust(design: Design) -> bool {
    !matches!(design, Design::NodeWs | Design::SocketIo | Design::UWebSockets)
}

/// What `benches/install` says of those that it left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Skipped(String);

impl Skipped {
    /// Installs what is no Rust; does nothing where it is there.
    pub(super) fn by_install() -> Self {
        eprintln!("benches/install: the peers that are no Rust");
        let script =
            Command::new(bench().join("install")).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let said = script.map_or_else(
            |error| format!("benches/install did not run: {error}"),
            |output| String::from_utf8_lossy(&output.stderr).into_owned(),
        );
        eprint!("{said}");
        Self(said)
    }

    fn why(&self, whom: &str) -> String {
        let reason = |line: &str| {
            Some(line.strip_prefix("without ")?.strip_prefix(whom)?.strip_prefix(": ")?.to_owned())
        };
        self.0.lines().find_map(reason).unwrap_or_else(|| "benches/install did not say why".to_owned())
    }
}

/// The inner error says why it is not installed.
pub(super) fn launch(
    design: Design,
    threads: usize,
    cores: &str,
    skipped: &Skipped,
) -> Result<Result<Launch, String>, Error> {
    let launch = match design {
        Design::NodeWs => node("ws.mjs", "ws", cores).ok_or_else(|| skipped.why(NODE)),
        Design::SocketIo => node("socket-io.mjs", "socket.io", cores).ok_or_else(|| skipped.why(NODE)),
        Design::UWebSockets => python("socketify_server.py", cores).ok_or_else(|| skipped.why(PYTHON)),
        design => Ok(Launch::own(design, threads, cores)?),
    };
    Ok(launch)
}

fn node(script: &str, package: &str, cores: &str) -> Option<Launch> {
    let folder = peers().join("node");
    let is_there = folder.join("node_modules").join(package).is_dir();
    is_there.then(|| Launch::program("node", [folder.join(script)], cores))
}

fn python(script: &str, cores: &str) -> Option<Launch> {
    let folder = peers().join("python");
    let is_there = folder.join(".venv/installed.txt").is_file();
    is_there.then(|| Launch::program(folder.join(".venv/bin/python"), [folder.join(script)], cores))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_script_says_of_this_peer() {
        let said = "npm warn something\nwithout ws and Socket.IO: Node.js or npm is missing\n";
        let skipped = Skipped(said.to_owned());
        assert_eq!(skipped.why(NODE), "Node.js or npm is missing");
        assert_eq!(skipped.why(PYTHON), "benches/install did not say why");
    }
}
