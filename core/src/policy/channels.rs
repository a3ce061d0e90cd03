//! How many channels, how long what is remembered, how much a feed tells.

use std::time::Duration;

use crate::error::BuildError;

/// What channels may take, and how their presence is told. All have defaults.
///
/// ```
/// use herenow::{OnlineManager, policy::Channels};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), herenow::BuildError> {
/// let channels = Channels { presence_users: 200, remember: Duration::from_secs(60), ..Default::default() };
/// let online = OnlineManager::builder().channels(channels).build()?;
/// # let _ = online; Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)] // Written as a literal with `..Default::default()`.
pub struct Channels {
    /// How many channels one connection may subscribe to; for presence feeds the same number once more. Clients learn
    /// it from `welcome`. Default 128.
    pub max_channels: usize,
    /// How many channels this node may have. Default 1,000,000.
    pub max_channels_in_all: usize,
    /// How many single users one connection may watch. Default 1,000.
    pub max_watched: usize,
    /// Up to how many users a channel's presence is told user by user; above, watchers get amounts only. It is also
    /// amounts only where the list would take more than half of an outbox. Default 1,000.
    pub presence_users: usize,
    /// What happens in a channel within this time goes out as one frame. Default 100 ms; zero: each event at once.
    pub event_window: Duration,
    /// How long a user who disconnected from a channel comes back to it as `online` and not as `join`; at most
    /// 100,000 are remembered. Default 120 s; zero: everybody joins.
    pub remember: Duration,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            max_channels: 128,
            max_channels_in_all: 1_000_000,
            max_watched: 1_000,
            presence_users: 1_000,
            event_window: Duration::from_millis(100),
            remember: Duration::from_secs(120),
        }
    }
}

/// Longer than this nobody could call it a feed.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);

impl Channels {
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        if self.max_channels > self.max_channels_in_all {
            return Err(BuildError::Contradiction(
                "`max_channels` of a connection is over `max_channels_in_all` and can never be reached",
            ));
        }
        if self.event_window > LONGEST_WINDOW {
            return Err(BuildError::Over {
                name: "event_window",
                value: self.event_window,
                bound_name: "the longest window",
                bound: LONGEST_WINDOW,
            });
        }
        Ok(())
    }
}
