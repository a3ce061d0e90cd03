//! A server as a child process: it says that it is ready, takes orders, and ends when nobody orders any more.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io::{BufRead as _, BufReader, Read, Write as _},
    path::PathBuf,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use crate::{
    design::Design,
    load::{Crowd, Error},
};

/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end.
const END: Duration = Duration::from_secs(5);
/// Between two looks whether an order is done, at most.
const LOOK: Duration = Duration::from_millis(1);
/// How long a server that has failed may take to say why.
const REASON: Duration = Duration::from_millis(500);
/// So many of its last words are kept.
const LAST_WORDS: usize = 20;

/// How a server is started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    cores: String,
}

impl Launch {
    /// A server of this binary's, on these cores (as taskset(1) has them: `0`, `0,1`).
    pub(crate) fn own(design: Design, threads: usize, cores: &str) -> Result<Self, Error> {
        let name = serde_json::to_value(design)?;
        let arguments = ["serve", name.as_str().unwrap_or_default(), "--threads", &threads.to_string()];
        Ok(Self::program(std::env::current_exe()?, arguments, cores))
    }

    /// Another program that speaks as `serve` does.
    pub(crate) fn program<A: Into<OsString>>(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = A>,
        cores: &str,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, cores: cores.to_owned() }
    }

    /// The same with more arguments.
    pub(crate) fn with<A: Into<OsString>>(&self, more: impl IntoIterator<Item = A>) -> Self {
        let mut launch = self.clone();
        launch.arguments.extend(more.into_iter().map(Into::into));
        launch
    }

    /// Starts it, and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Child, Error> {
        let mut process = Command::new("taskset")
            .args(["-c", &self.cores])
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("taskset (util-linux) could not be started: {error}"))?;
        let (Some(orders), Some(output), Some(errors)) =
            (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            return Err("the server was started without pipes".into());
        };
        let mut child = Child {
            process,
            orders: Some(orders),
            said: follow(output),
            last_words: remember(errors),
            under_way: 0,
            port: 0,
        };
        let first =
            child.said.recv_timeout(START).map_err(|_| child.explain("the server did not get ready"))?;
        let port = first.strip_prefix("ready ").and_then(|port| port.trim().parse().ok());
        child.port =
            port.ok_or_else(|| child.explain(&format!("the server said {first:?}, not `ready <port>`")))?;
        Ok(child)
    }
}

/// A server that is ready.
pub(crate) struct Child {
    process: std::process::Child,
    /// None when it is to end.
    orders: Option<ChildStdin>,
    said: mpsc::Receiver<String>,
    last_words: LastWords,
    /// Orders that it has not carried out yet.
    under_way: usize,
    port: u16,
}

impl Child {
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives an order and does not wait.
    pub(crate) fn order(&mut self, order: &str) -> Result<(), Error> {
        let given = self.orders.as_mut().map(|orders| orders.write_all(format!("{order}\n").as_bytes()));
        match given {
            Some(Ok(())) => {
                self.under_way += 1;
                Ok(())
            }
            _ => Err(self.explain("the server takes no orders any more").into()),
        }
    }

    /// Waits until every order was carried out, for which the crowd may have to read.
    pub(crate) fn done(&mut self, crowd: &mut Crowd, patience: Duration) -> Result<(), Error> {
        let end = crate::load::now() + patience;
        while self.under_way > 0 {
            match self.said.try_recv() {
                Ok(line) if line == "done" => self.under_way -= 1,
                Ok(line) => {
                    return Err(self.explain(&format!("the server said {line:?}, not `done`")).into());
                }
                Err(mpsc::TryRecvError::Disconnected) => return Err(self.explain("the server ended").into()),
                Err(mpsc::TryRecvError::Empty) if crate::load::now() > end => {
                    let what = format!("{} orders were not done within {patience:?}", self.under_way);
                    return Err(self.explain(&what).into());
                }
                Err(mpsc::TryRecvError::Empty) => crowd.turn(LOOK)?,
            }
        }
        Ok(())
    }

    /// A failure, and what the server said last.
    pub(crate) fn explain(&self, what: &str) -> String {
        match self.last_words.so_far().as_slice() {
            [] => what.to_owned(),
            words => format!("{what}\nthe server's last words:\n{}", words.join("\n")),
        }
    }
}

impl Drop for Child {
    /// It ends when its orders do; whoever does not is killed.
    fn drop(&mut self) {
        self.orders = None;
        let end = crate::load::now() + END;
        loop {
            match self.said.recv_timeout(end.saturating_duration_since(crate::load::now())) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = self.process.kill();
                    break;
                }
            }
        }
        let _ = self.process.wait();
    }
}

/// The lines of a pipe, read on a thread: a server must not wait for the runner to listen.
fn follow(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (give, take) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if give.send(line).is_err() {
                return;
            }
        }
    });
    take
}

/// What a server said of itself before it failed.
struct LastWords {
    kept: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected when it says no more.
    over: mpsc::Receiver<()>,
}

impl LastWords {
    /// Waits a little: the end of the orders' pipe may be seen before the words that explain it.
    fn so_far(&self) -> Vec<String> {
        let _ = self.over.recv_timeout(REASON);
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn remember(errors: impl Read + Send + 'static) -> LastWords {
    let kept: Arc<Mutex<VecDeque<String>>> = Arc::default();
    let (going_on, over) = mpsc::channel();
    let words = LastWords { kept: Arc::clone(&kept), over };
    thread::spawn(move || {
        for line in BufReader::new(errors).lines().map_while(Result::ok) {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == LAST_WORDS {
                kept.pop_front();
            }
            kept.push_back(line);
        }
        drop(going_on);
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Dialect, Target};

    fn shell(script: &str) -> Launch {
        Launch::program("sh", ["-c", script], "0")
    }

    fn nobody(child: &Child) -> Crowd {
        Crowd::new(&Target::new(child.port(), Dialect::Raw).unwrap()).unwrap()
    }

    #[test]
    fn an_order_is_waited_for_until_it_is_done() {
        let mut child = shell("echo ready 7; while read order; do echo done; done").start().unwrap();
        assert_eq!(child.port(), 7);
        let mut crowd = nobody(&child);
        child.order("all 1 64").unwrap();
        child.order("all 1 64").unwrap();
        child.done(&mut crowd, Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_server_that_does_not_start_is_quoted() {
        let error = shell("echo no such port >&2; exec >&-").start().err().unwrap().to_string();
        assert!(error.contains("no such port"), "{error}");
        assert!(shell("echo hello; read order").start().err().unwrap().to_string().contains("hello"));
    }

    #[test]
    fn a_server_that_ended_is_not_waited_for() {
        let mut child = shell("echo ready 7; read order").start().unwrap();
        let mut crowd = nobody(&child);
        child.order("all 1 64").unwrap();
        let error = child.done(&mut crowd, Duration::from_secs(60)).unwrap_err().to_string();
        assert!(error.contains("ended"), "{error}");
    }
}
