//! What is asked of the engine and, through it, of the other nodes: in time, or not at all.

use std::time::Duration;

use super::inner::Inner;
use crate::{
    NamesUser, Status, UserKey,
    cluster::{Answer, AskTo, EngineError, Found, Health, Lookup, Query},
};

impl Inner {
    pub(crate) fn engine_health(&self) -> Health {
        *self.engine.health().borrow()
    }

    /// No answer within the engine's deadline is an error like any other.
    pub(crate) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let answer = tokio::time::timeout(self.config.engine_deadline, asked).await;
        answer.unwrap_or_else(|_| Err(EngineError::Unavailable("no answer in time".into())))
    }

    pub(crate) async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        self.in_time(self.engine.lookup(lookup)).await
    }

    /// A user's status in the cluster; what this node knows, where the engine does not answer.
    pub(crate) async fn status(&self, user: impl NamesUser) -> Status {
        if self.engine.is_clustered()
            && let Ok(Found::Status(status)) = self.lookup(Lookup::Status(user.named().to_key())).await
        {
            return status;
        }
        self.registry.status(user.named())
    }

    /// What the other nodes say that can be asked; of one that is not there, nothing.
    pub(crate) async fn ask(&self, to: AskTo, query: &Query) -> Vec<Answer> {
        self.ask_within(to, query, self.config.engine_deadline).await
    }

    /// The same, of those who may take longer.
    pub(crate) async fn ask_within(&self, to: AskTo, query: &Query, deadline: Duration) -> Vec<Answer> {
        let answers = self.engine.ask(to, query.encode(), deadline).await;
        answers.answers.iter().filter_map(|answer| Answer::decode(answer).ok()).collect()
    }

    /// Where nobody has anything of the user, nobody is asked.
    pub(crate) async fn ask_owners(&self, query: impl FnOnce() -> (UserKey, Query)) -> Vec<Answer> {
        if !self.engine.is_clustered() {
            return Vec::new();
        }
        let (user, query) = query();
        self.ask(AskTo::Owners(user), &query).await
    }

    pub(crate) async fn ask_others(&self, query: impl FnOnce() -> Query) -> Vec<Answer> {
        if self.engine.is_clustered() { self.ask(AskTo::Others, &query()).await } else { Vec::new() }
    }
}
