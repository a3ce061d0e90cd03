//! How long, and how much from one client: the rules a connection's machine keeps.

use std::time::Duration;

use crate::error::BuildError;

/// Every duration of a connection's life. All have defaults; the builder's setters state them too.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Written as a literal with `..Default::default()`.
pub struct Timing {
    /// A ping goes out when nothing arrived for this long. Default 30 s.
    pub heartbeat: Duration,
    /// The connection ends when nothing arrives for this long after a ping. Default 10 s.
    pub pong_timeout: Duration,
    /// How long a client may take for `hello` in envelope mode, and for a first-message token. Default 10 s.
    pub hello_timeout: Duration,
    /// How long before a token's end `authExpiring` goes out. Default 60 s.
    pub expiry_notice: Duration,
    /// How long after a token's end an envelope connection may still refresh it. Default 25 s; zero: not at all.
    pub expiry_grace: Duration,
    /// How often a live credential is checked again. Default 60 s; zero: never.
    pub recheck: Duration,
    /// How long without activity until a connection counts as away. Default 5 min; zero: never.
    pub idle_after: Duration,
    /// How long after our close frame we read on for the peer's, before the socket is cut. Default 2 s.
    pub farewell: Duration,
    /// How long a socket may take no byte while something waits for it. Default 10 s.
    pub write_timeout: Duration,
    /// How long the fragments of one message may take. Default 30 s.
    pub message_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(30),
            pong_timeout: Duration::from_secs(10),
            hello_timeout: Duration::from_secs(10),
            expiry_notice: Duration::from_secs(60),
            expiry_grace: Duration::from_secs(25),
            recheck: Duration::from_secs(60),
            idle_after: Duration::from_secs(300),
            farewell: Duration::from_secs(2),
            write_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(30),
        }
    }
}

impl Timing {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        let never_zero = [
            ("heartbeat", self.heartbeat),
            ("pong_timeout", self.pong_timeout),
            ("hello_timeout", self.hello_timeout),
            ("farewell", self.farewell),
            ("write_timeout", self.write_timeout),
            ("message_timeout", self.message_timeout),
        ];
        match never_zero.into_iter().find(|(_, value)| value.is_zero()) {
            Some((name, _)) => Err(BuildError::Zero(name)),
            None => Ok(()),
        }
    }
}

/// How much one client may send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Written as a literal with `..Default::default()`.
pub struct Inbound {
    /// The largest frame, in bytes; a larger one is refused at its header. Default 64 KiB.
    pub max_frame: usize,
    /// The largest message, in bytes: the sum of its fragments. Default 64 KiB.
    pub max_message: usize,
    /// Data frames per second over some seconds; twice that at once. Default 100; zero: no limit.
    pub frames_per_second: u32,
    /// Pings, pongs and empty fragments per second, twice that at once. Default 20; zero: no limit.
    pub control_per_second: u32,
    /// Messages that wait for the handler before the socket is read no further. Default 16.
    pub queue_messages: usize,
    /// Bytes of those messages. Default 64 KiB.
    pub queue_bytes: usize,
}

impl Default for Inbound {
    fn default() -> Self {
        Self {
            max_frame: 64 * 1024,
            max_message: 64 * 1024,
            frames_per_second: 100,
            control_per_second: 20,
            queue_messages: 16,
            queue_bytes: 64 * 1024,
        }
    }
}

impl Inbound {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.max_frame == 0 || self.max_message == 0 {
            return Err(BuildError::Contradiction("`max_frame` and `max_message` must be at least one byte"));
        }
        if self.max_frame > self.max_message {
            return Err(BuildError::Contradiction(
                "`max_frame` is over `max_message`: no frame of that size could ever be a message",
            ));
        }
        if self.queue_messages == 0 || self.queue_bytes == 0 {
            return Err(BuildError::Contradiction(
                "the handler's queue must hold at least one message and one byte",
            ));
        }
        Ok(())
    }
}
