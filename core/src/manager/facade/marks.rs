//! What the facade says of sessions that are marked by hand; what they are stands in [`manager::hand`](crate::manager).

use crate::{
    AccountUser, Marked, NamesUser, Refused, auth::TokenId, cluster::Query, kick, manager::OnlineManager,
};

impl OnlineManager {
    /// Marks a session online by hand: a connection without a socket, one for each user and token, which ends by
    /// `mark_offline`, a kick or `hand_ttl`. Marked again, it keeps its `connect_time` and counts as active.
    pub async fn mark_online(&self, user: impl Into<AccountUser>) -> Marked {
        self.inner.mark(user.into()).await
    }

    /// As [`mark_online`](Self::mark_online), with the refusal as an error.
    ///
    /// # Errors
    /// [`Refused`]: an id that cannot be taken, a kicked token, a ban, the login policy.
    pub async fn try_mark_online(&self, user: impl Into<AccountUser>) -> Result<Marked, Refused> {
        self.inner.try_mark(user.into()).await
    }

    /// Ends one session of a user, hand mark and sockets (4424 `logged_out`), on every node. The token stays good.
    pub async fn mark_offline(&self, login_id: impl NamesUser, token: &str) {
        self.log_out(login_id, Some(TokenId::of(token))).await;
    }

    /// Ends every session of a user, on every node. The tokens stay good; see [`kick_out`](Self::kick_out).
    pub async fn mark_offline_all(&self, login_id: impl NamesUser) {
        self.log_out(login_id, None).await;
    }

    async fn log_out(&self, user: impl NamesUser, token: Option<TokenId>) {
        kick::log_out(&self.inner, user.named(), token);
        // Of who came to another node just now the directory may not know yet.
        self.inner.ask_others(|| Query::LogOut { user: user.named().to_key(), token }).await;
    }
}
