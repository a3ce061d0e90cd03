//! The processes beside the page's own. Each is this binary once more: it says `ready` and where it is, and ends when its input does,
//! so also when the page's process is killed and can end nothing any more.

use std::{error::Error, io, os::fd::AsFd as _, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
    process::{Child, Command},
    time::timeout,
};

/// How long one may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn command(what: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // Ctrl-C goes to the group in the foreground: the page's process alone, which then ends the others in order.
    command.arg(what).stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    Ok(command)
}

/// The process, once it is ready, and where it is.
pub(crate) async fn start(mut command: Command, who: &str) -> Result<(Child, String), Box<dyn Error>> {
    let mut child = command.spawn()?;
    let output = child.stdout.take().ok_or("a process was started without an output")?;
    let line = timeout(PATIENCE, BufReader::new(output).lines().next_line()).await;
    let line = line.map_err(|_| format!("{who} did not start within {PATIENCE:?}"))??;
    match line.as_deref().and_then(|line| line.strip_prefix("ready ")) {
        Some(place) => Ok((child, place.to_owned())),
        None => Err(format!("{who} did not start; why not stands above").into()),
    }
}

pub(crate) async fn end(mut child: Child, who: &str) -> Result<(), String> {
    drop(child.stdin.take());
    match timeout(PATIENCE, child.wait()).await {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{who} did not end within {PATIENCE:?}")),
    }
}

/// In such a process: resolves when its input has ended.
pub(crate) async fn input_ended() -> io::Result<()> {
    // Tokio's own standard input reads in a thread, which would keep a process that failed from ending.
    let mut input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    tokio::io::copy(&mut input, &mut tokio::io::sink()).await.map(drop)
}
