//! What the facade says of pushes; how they go stands in [`push`](crate::push).

use crate::{
    AckReport, ChannelKey, PushMessage, PushReport, Target, UserKey, error::PushError,
    manager::OnlineManager, observe, push, resume,
};
use std::time::Duration;
use tracing::Instrument;

impl OnlineManager {
    /// Pushes a message to whoever the target names. Nobody being there is no error: look at
    /// [`PushReport::reached`].
    ///
    /// Dropped before it returns, the message may have gone out or not.
    ///
    /// # Errors
    /// [`PushError`]: nothing was attempted.
    pub async fn push(
        &self,
        target: impl Into<Target>,
        message: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        let target = target.into();
        let span = observe::push_span(&self.inner.config, &target);
        push::push(&self.inner, target, message.into(), None).instrument(span).await
    }

    /// Pushes, asks the clients of envelope mode to acknowledge, and waits until every one that took it has, or until
    /// `deadline`. Clients of this node only; one that is away and comes back in time counts.
    ///
    /// Dropped before it returns, the message may have gone out or not.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// ```
    /// use std::time::Duration;
    /// use herenow::{OnlineManager, Target};
    ///
    /// # async fn example(online: OnlineManager) -> Result<(), herenow::PushError> {
    /// let report = online.push_with_ack("alice", "Your turn", Duration::from_secs(5)).await?;
    /// if report.acked.is_empty() {
    ///     // Nobody has seen it: send a mail.
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn push_with_ack(
        &self,
        target: impl Into<Target>,
        message: impl Into<PushMessage>,
        deadline: Duration,
    ) -> Result<AckReport, PushError> {
        let target = target.into();
        let span = observe::push_span(&self.inner.config, &target);
        resume::push_with_ack(&self.inner, target, message.into(), deadline).instrument(span).await
    }

    /// Pushes to one user.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_to_user(
        &self,
        login_id: impl Into<UserKey>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(Target::user(login_id), content).await
    }

    /// Pushes to several users; one who is offline costs the others nothing.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_to_users<U: Into<UserKey>>(
        &self,
        login_ids: impl IntoIterator<Item = U>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(Target::users(login_ids), content).await
    }

    /// Pushes to everyone of the default account; resolves when every lane has written or queued it.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn broadcast(&self, content: impl Into<PushMessage>) -> Result<PushReport, PushError> {
        self.push(Target::everyone(), content).await
    }

    /// Pushes to the subscribers of a channel, on every node; in envelope mode the push names the channel. Nobody being
    /// there is no error. A channel names no user: nothing goes to the offline sink, and pushers are asked for the
    /// members that are on this node.
    ///
    /// ```
    /// use herenow::testing;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let online = testing::builder().build()?;
    /// let mut phone = testing::connect(&online, "u1").await;
    /// phone.connection().join("lobby")?;
    /// assert_eq!(online.publish("lobby", "Welcome!").await?.matched, 1);
    /// assert_eq!(phone.expect_push().await, "Welcome!");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn publish(
        &self,
        channel: impl Into<ChannelKey>,
        content: impl Into<PushMessage>,
    ) -> Result<PushReport, PushError> {
        self.push(channel.into(), content).await
    }

    /// Pushes a whole message, type and metadata included, to one user.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_message_to_user(
        &self,
        login_id: impl Into<UserKey>,
        message: PushMessage,
    ) -> Result<PushReport, PushError> {
        self.push(Target::user(login_id), message).await
    }
}
