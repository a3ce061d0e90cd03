//! How a kick is meant: [`KickOut`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Close;

/// What the kicked are told, and what follows.
///
/// ```
/// use std::time::Duration;
/// use herenow::KickOut;
///
/// let kick = KickOut::because("Your account was used elsewhere").ban_for(Duration::from_secs(600));
/// # let _ = kick;
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[must_use]
pub struct KickOut {
    pub(crate) message: String,
    pub(crate) close: Option<Close>,
    pub(crate) ban: Option<Duration>,
    pub(crate) deadline: Option<Duration>,
}

impl KickOut {
    /// A kick without a word.
    pub fn new() -> Self {
        Self { message: String::new(), close: None, ban: None, deadline: None }
    }

    /// A kick with a text for people (`message` of the `kicked` frame).
    pub fn because(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::new() }
    }

    /// Refuses the user (the user's device, where the target names one) for this long, whatever the token. The close
    /// code becomes 4425 `banned`.
    pub fn ban_for(mut self, time: Duration) -> Self {
        self.ban = Some(time);
        self
    }

    /// Closes with a code of the application's own, 4000–4299, in place of 4423.
    pub fn close(mut self, close: Close) -> Self {
        self.close = Some(close);
        self
    }

    /// How long a victim may take to close before it is cut. Default: the builder's `kick_deadline`, 2 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The code the victims see.
    pub(crate) fn code(&self) -> Close {
        match (&self.close, self.ban) {
            (Some(own), _) => own.clone(),
            (None, Some(_)) => Close::BANNED,
            (None, None) => Close::KICKED,
        }
    }
}

impl Default for KickOut {
    fn default() -> Self {
        Self::new()
    }
}

impl From<&str> for KickOut {
    fn from(message: &str) -> Self {
        Self::because(message)
    }
}

impl From<String> for KickOut {
    fn from(message: String) -> Self {
        Self::because(message)
    }
}
