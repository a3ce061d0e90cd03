//! Messages that reached nobody: mobile push, mail, a table of one's own.

use async_trait::async_trait;

use crate::{PushMessage, UserKey};

/// How sure it is that a message reached nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Certainty {
    /// No connection and no online pusher took it, on any node.
    Certain,
    /// Other nodes could not be asked, or did not answer: it may have been delivered there.
    Unknown,
}

/// Takes what reached nobody, for each user named in a push. Called off the hot path, at most 5 s each.
#[async_trait]
pub trait OfflineSink: Send + Sync + 'static {
    /// Stores or forwards the message for a user who is not here.
    async fn store(&self, user: &UserKey, message: &PushMessage, certainty: Certainty);
}

/// The null object: such messages are dropped, as the push report says.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoOfflineSink;

#[async_trait]
impl OfflineSink for NoOfflineSink {
    async fn store(&self, _: &UserKey, _: &PushMessage, _: Certainty) {}
}
