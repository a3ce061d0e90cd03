//! What the facade says of kick-outs, bans and farewells; how they go stands in [`kick`](crate::kick).

use crate::{
    Close, KickOut, KickReport, PushMessage, PushReport, Target, UserKey,
    cluster::{AskTo, EngineError, Query},
    error::{KickError, PushError},
    kick,
    manager::OnlineManager,
    observe,
    report::Remote,
};
use tracing::Instrument;

impl OnlineManager {
    /// Ends what the target names, on every node, and refuses its tokens from now on. When it returns, every socket
    /// of it is closed or cut; the report says whether all went well.
    ///
    /// A fresh login after it is accepted, unless the kick bans. Dropped on the way, it is done in part: what was
    /// taken is closed by its own deadlines.
    ///
    /// # Errors
    /// [`KickError`]: nothing was attempted.
    pub async fn kick_out(
        &self,
        target: impl Into<Target>,
        kick: impl Into<KickOut>,
    ) -> Result<KickReport, KickError> {
        let target = target.into();
        let span = observe::kick_span(&self.inner.config, &target);
        kick::kick(&self.inner, target, kick.into()).instrument(span).await
    }

    /// Kicks a user out with a text for people.
    ///
    /// # Errors
    /// As [`kick_out`](Self::kick_out).
    pub async fn kick_out_notify(
        &self,
        login_id: impl Into<UserKey>,
        reason: impl Into<String>,
    ) -> Result<KickReport, KickError> {
        self.kick_out(Target::user(login_id), KickOut::because(reason)).await
    }

    /// Pushes a last message to one user and then closes its connections properly, on every node, with a code of the
    /// application's own (4000–4299) or one of the table. The tokens stay good.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn push_and_close(
        &self,
        login_id: impl Into<UserKey>,
        content: impl Into<PushMessage>,
        close: Close,
    ) -> Result<PushReport, PushError> {
        let user = login_id.into();
        let report = self.push(Target::user(&user), content).await?;
        kick::close_user(&self.inner, &user, &close);
        if matches!(report.remote, Remote::Pending(_)) {
            // The push is on its way before the question is, and what arrives with it is taken in before it there.
            let _ = self.inner.in_time(self.inner.engine.caught_up()).await;
        }
        self.inner.ask_others(|| Query::Close { user, close }).await;
        Ok(report)
    }

    /// Lifts every ban of a user, on every node that can be reached.
    ///
    /// # Errors
    /// The engine's store could not be reached.
    pub async fn lift_ban(&self, login_id: impl Into<UserKey>) -> Result<(), EngineError> {
        let user = login_id.into();
        self.inner.deny.lift(&user);
        if !self.inner.engine.is_clustered() {
            return Ok(());
        }
        self.inner.in_time(self.inner.engine.lift_ban(&user)).await?;
        self.inner.ask(AskTo::OthersSurely, &Query::LiftBan(user)).await;
        Ok(())
    }
}
