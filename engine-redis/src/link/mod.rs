//! The connections to one Redis: [`Link`] for commands, [`heart`] for the lease, [`listen`] for what comes in. Each has
//! a task that connects it, notices its loss, and connects it again.

mod answer;
mod backoff;
mod commands;
mod dial;
pub(crate) mod heart;
pub(crate) mod listen;

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::RwLock;
use redis::{
    Cmd, FromRedisValue, RedisError, Value,
    aio::{ConnectionLike, MultiplexedConnection},
};
use tokio::sync::watch;

pub(crate) use self::{backoff::Backoff, commands::keep_connected, dial::Dial};
use crate::{
    error::Unavailable,
    script::{Call, Script},
};

/// The scripts of this folder.
pub(crate) const SCRIPTS: &[&Script] = &[&heart::BEAT, &heart::LEAVE];

/// The connection for commands. Clones share it.
///
/// While there is no connection every call fails at once. Commands are carried out in the order in which their calls
/// are first polled: what is awaited one after the other happens in that order, and what one task starts at once, too.
/// Only where somebody made Redis forget its scripts, what misses one comes later. A call that is dropped may still be
/// carried out.
#[derive(Clone)]
pub(crate) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    timeout: Duration,
    current: RwLock<Option<Current>>,
    /// The connection's number; `None` while there is none.
    number: watch::Sender<Option<u64>>,
}

#[derive(Clone)]
struct Current {
    connection: MultiplexedConnection,
    number: u64,
}

impl Link {
    /// Not connected yet; a command has so long for its answer.
    pub(crate) fn new(timeout: Duration) -> Self {
        let number = watch::Sender::new(None);
        Self { shared: Arc::new(Shared { timeout, current: RwLock::default(), number }) }
    }

    /// Whether there is a connection, as far as is known.
    pub(crate) fn is_up(&self) -> bool {
        self.shared.current.read().is_some()
    }

    /// The number of the connection, another one after each loss; `None` while there is none.
    pub(crate) fn number(&self) -> watch::Receiver<Option<u64>> {
        self.shared.number.subscribe()
    }

    /// Runs one script or command, and reads its answer.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        call: impl Into<Call> + Send,
    ) -> Result<T, Unavailable> {
        let Call { cmd, script } = call.into();
        let current = self.current()?;
        let mut answer = self.one(&current, &cmd).await;
        if let (Err(Failure::NoScript), Some(script)) = (&answer, script) {
            self.one(&current, &load(script)).await.map_err(|failure| failure.of(Some(script)))?;
            answer = self.one(&current, &cmd).await;
        }
        let value = answer.map_err(|failure| failure.of(script))?;
        T::from_redis_value(value).map_err(|error| Unavailable::Refused(error.to_string()))
    }

    /// Runs a plain command, and reads its answer.
    pub(crate) async fn call<T: FromRedisValue>(&self, cmd: Cmd) -> Result<T, Unavailable> {
        self.run(cmd).await
    }

    /// Runs several in one go, in their order but not as one step, and yields each one's answer or refusal.
    pub(crate) async fn run_all(
        &self,
        calls: Vec<Call>,
    ) -> Result<Vec<Result<Value, Unavailable>>, Unavailable> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let current = self.current()?;
        let mut pipe = redis::Pipeline::with_capacity(calls.len());
        let mut scripts = Vec::with_capacity(calls.len());
        for Call { cmd, script } in calls {
            pipe.add_command(cmd);
            scripts.push(script);
        }
        let mut connection = current.connection.clone();
        let answer = connection.req_packed_commands(&pipe, 0, scripts.len());
        let values = self.within(&current, answer).await.map_err(|failure| failure.of(None))?;
        let mut answers = Vec::with_capacity(scripts.len());
        for (index, value) in values.into_iter().enumerate() {
            let script = scripts.get(index).copied().flatten();
            let mut answer = value.extract_error().map_err(Failure::from);
            if let (Err(Failure::NoScript), Some(script), Some(cmd)) =
                (&answer, script, pipe.cmd_iter().nth(index))
            {
                self.one(&current, &load(script)).await.map_err(|failure| failure.of(Some(script)))?;
                answer = self.one(&current, cmd).await;
            }
            if matches!(answer, Err(Failure::Lost)) {
                self.lost(current.number);
            }
            answers.push(answer.map_err(|failure| failure.of(script)));
        }
        Ok(answers)
    }

    /// Takes a new connection in place of whatever there was.
    fn install(&self, connection: MultiplexedConnection) -> u64 {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Relaxed);
        let mut current = self.shared.current.write();
        *current = Some(Current { connection, number });
        // Told under the lock, so that a loss is told after it.
        self.shared.number.send_replace(Some(number));
        number
    }

    /// The connection of this number is of no use any more.
    pub(crate) fn lost(&self, number: u64) {
        let mut current = self.shared.current.write();
        if current.as_ref().is_some_and(|current| current.number == number) {
            *current = None;
            self.shared.number.send_replace(None);
        }
    }

    /// Ends the connection; the supervisor, if there still is one, opens another.
    pub(crate) fn close(&self) {
        let mut current = self.shared.current.write();
        *current = None;
        self.shared.number.send_replace(None);
    }

    /// What does not keep the connection open.
    fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.shared))
    }

    fn current(&self) -> Result<Current, Unavailable> {
        self.shared.current.read().clone().ok_or(Unavailable::Down)
    }

    async fn one(&self, current: &Current, cmd: &Cmd) -> Result<Value, Failure> {
        let mut connection = current.connection.clone();
        self.within(current, ask(&mut connection, cmd)).await
    }

    /// The answer, if it comes in time. What does not come, or comes to an end with its connection, ends the
    /// connection: nobody can tell what became of the commands behind it.
    async fn within<T>(
        &self,
        current: &Current,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let answer = match tokio::time::timeout(self.shared.timeout, answer).await {
            Ok(answer) => answer.map_err(Failure::from),
            Err(_) => Err(Failure::Late),
        };
        if matches!(answer, Err(Failure::Lost | Failure::Late)) {
            self.lost(current.number);
        }
        answer
    }
}

/// A link that lasts as long as somebody else keeps it.
struct WeakLink(Weak<Shared>);

impl WeakLink {
    fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(|shared| Link { shared })
    }
}

/// One command, and its answer; the client by itself takes a refusal for one.
async fn ask(connection: &mut MultiplexedConnection, cmd: &Cmd) -> Result<Value, RedisError> {
    connection.req_packed_command(cmd).await?.extract_error()
}

/// The command that makes a script known.
fn load(script: &Script) -> Cmd {
    let mut cmd = redis::cmd("SCRIPT");
    cmd.arg("LOAD").arg(script.text());
    cmd
}

/// Why there is no answer, and what that says of the connection.
#[derive(Debug)]
enum Failure {
    /// The connection is of no use any more.
    Lost,
    Late,
    NoScript,
    Full,
    Refused(String),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        // Redis 6 says what a command in a script met within an error of its own.
        let detail = error.detail().filter(|detail| detail.starts_with("Error running script"));
        let is = |code: &str| {
            error.code() == Some(code) || detail.is_some_and(|detail| detail.contains(&format!("-{code} ")))
        };
        if is("NOSCRIPT") {
            return Self::NoScript;
        }
        if is("OOM") {
            return Self::Full;
        }
        if is("READONLY") {
            return Self::Lost;
        }
        let elsewhere = matches!(error.kind(), redis::ErrorKind::Server(kind) if dial::is_elsewhere(kind));
        if elsewhere || error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error()
        {
            Self::Lost
        } else {
            Self::Refused(error.to_string())
        }
    }
}

impl Failure {
    fn of(self, script: Option<&'static Script>) -> Unavailable {
        match self {
            Self::Lost => Unavailable::Down,
            Self::Late => Unavailable::Late,
            Self::Full => Unavailable::Full,
            Self::NoScript => Unavailable::Refused("a script is gone as soon as it is loaded".into()),
            Self::Refused(reason) => {
                let name = script.map_or("command", Script::name);
                tracing::warn!(name, reason, "Redis refused");
                Unavailable::Refused(format!("{name}: {reason}"))
            }
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("number", &*self.shared.number.borrow()).finish_non_exhaustive()
    }
}
