//! What the `conformance-server` can be told (`CONFORMANCE.md`): stable, since clients from outside use it.

use std::{net::SocketAddr, time::Duration};

use clap::{Parser, ValueEnum};

/// A small server with the same routes on every adapter, for the tests of clients.
#[derive(Clone, Debug, Parser)]
#[command(name = "conformance-server", version)]
#[allow(clippy::exhaustive_structs)] // Unpublished.
pub struct Options {
    /// The web framework that serves.
    #[arg(long, value_enum)]
    pub adapter: Adapter,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// The Redis engine in place of the embedded one.
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// This node's name in the cluster.
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// How often this node tells Redis that it is alive; the engine's default where absent.
    #[arg(long, value_name = "MS", value_parser = millis)]
    pub beat_ms: Option<Duration>,
    /// How long the others believe so; the engine's default where absent.
    #[arg(long, value_name = "MS", value_parser = millis)]
    pub lease_ms: Option<Duration>,

    /// A ping goes out after this long without a byte.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "30000")]
    pub heartbeat_ms: Duration,
    /// How long an answer to a ping may take.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "10000")]
    pub timeout_ms: Duration,
    /// How often live tokens are checked again; 0: never.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "60000")]
    pub recheck_ms: Duration,
    /// How long a user who left may come back unnoticed; 0: not at all.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "5000")]
    pub grace_ms: Duration,
    /// Over which window presence events of a channel are joined; 0: each goes out at once.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "100")]
    pub event_window_ms: Duration,
    /// Users of a channel above which its presence is counts only; the library's default where absent.
    #[arg(long, value_name = "N")]
    pub presence_users: Option<usize>,
    /// Pushes kept for a client that may come back; 0: nobody resumes. The library's default where absent.
    #[arg(long, value_name = "N")]
    pub resume_messages: Option<usize>,
    /// Bytes of these; the library's default where absent.
    #[arg(long, value_name = "BYTES")]
    pub resume_bytes: Option<usize>,
    /// How long a client may take to come back; the library's default where absent.
    #[arg(long, value_name = "MS", value_parser = millis)]
    pub resume_ms: Option<Duration>,
    /// How long after a token's end an envelope connection may refresh it.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "25000")]
    pub expiry_grace_ms: Duration,
    /// How long the drain after SIGTERM may take.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "5000")]
    pub drain_ms: Duration,
    /// How long a kicked client may take to close.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "2000")]
    pub kick_deadline_ms: Duration,
    /// How long a client may take for `hello`.
    #[arg(long, value_name = "MS", value_parser = millis, default_value = "10000")]
    pub hello_timeout_ms: Duration,

    /// Messages that may wait for a slow reader; the library's default where absent.
    #[arg(long, value_name = "N")]
    pub outbox_messages: Option<usize>,
    /// Bytes that may wait for a slow reader; the library's default where absent.
    #[arg(long, value_name = "BYTES")]
    pub outbox_bytes: Option<usize>,
    /// What gives way when that is full; the library's default where absent.
    #[arg(long, value_enum)]
    pub overflow: Option<Overflow>,
    /// The largest message a client may send, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 65536)]
    pub max_message: usize,
    /// Sessions a user may have; no limit where absent.
    #[arg(long, value_name = "N")]
    pub max_per_user: Option<usize>,
    /// Who gives way at that limit.
    #[arg(long, value_enum, default_value = "replace-oldest")]
    pub on_limit: OnLimit,

    /// An allowed origin, `http://good.example`; may be repeated. Same origin where absent.
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Takes tokens from `?token=` too.
    #[arg(long)]
    pub allow_query_token: bool,
    /// The cookie that may carry a token.
    #[arg(long, value_name = "NAME", default_value = "token")]
    pub cookie: String,
    /// Whether clients of envelope mode see a refusal after the upgrade.
    #[arg(long, value_enum, default_value = "visible")]
    pub refusal: Refusal,
    /// Which modes are spoken.
    #[arg(long, value_enum, default_value = "both")]
    pub mode: Mode,
    /// What happens to logins while Redis is down.
    #[arg(long, value_enum, default_value = "admit")]
    pub redis_down: RedisDown,
    /// Keeps what the application is told of users, for `GET /admin/events`.
    #[arg(long)]
    pub record_events: bool,
    /// What `X-Admin-Key` must say for `/admin/*`.
    #[arg(long, value_name = "KEY", default_value = "adm1n")]
    pub admin_key: String,
}

/// The web frameworks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)] // The words say it; unpublished.
pub enum Adapter {
    Axum,
    Actix,
    /// actix, with the server that gives sockets away.
    ActixFast,
    Poem,
}

impl Adapter {
    /// The word of the option.
    pub fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::ActixFast => "actix-fast",
            Self::Poem => "poem",
        }
    }
}

/// What gives way when an outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)]
pub enum Overflow {
    Disconnect,
    DropOldest,
    DropNewest,
}

/// Who gives way at the limit of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)]
pub enum OnLimit {
    ReplaceOldest,
    Refuse,
}

/// How a client of envelope mode is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)]
pub enum Refusal {
    Visible,
    Http,
}

/// The modes that are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)]
pub enum Mode {
    Both,
    Envelope,
    Raw,
}

/// What happens to logins while Redis is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, clippy::exhaustive_enums)]
pub enum RedisDown {
    Admit,
    Refuse,
}

fn millis(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_millis).map_err(|_| "a whole number of milliseconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Options {
        Options::try_parse_from(["conformance-server"].into_iter().chain(arguments.split(' '))).unwrap()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let options = parse("--adapter axum");
        assert_eq!(options.heartbeat_ms, Duration::from_secs(30));
        assert_eq!((options.cookie.as_str(), options.admin_key.as_str()), ("token", "adm1n"));
        assert_eq!((options.refusal, options.mode), (Refusal::Visible, Mode::Both));
    }
}
