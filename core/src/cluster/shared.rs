//! An engine behind an `Arc` is one too, so that whoever made it can keep hold of it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::engine::{
    Answers, AskTo, Change, Engine, EngineError, Found, Health, Kept, Leave, LocalNode, Lookup, Reach,
    Receipt, Wish,
};
use crate::{
    UserKey,
    auth::{Identity, TokenId},
    connection::ConnectionId,
    kick::{Denial, DenyEntry},
    policy::{Decision, LoginPolicy, Seat},
};

#[async_trait]
impl<E: Engine + ?Sized> Engine for Arc<E> {
    fn node_id(&self) -> u32 {
        (**self).node_id()
    }

    fn attach(&self, node: Weak<dyn LocalNode>) {
        (**self).attach(node);
    }

    fn is_clustered(&self) -> bool {
        (**self).is_clustered()
    }

    fn changed(&self, change: &Change) {
        (**self).changed(change);
    }

    fn wishes(&self, wish: &Wish, yes: bool) {
        (**self).wishes(wish, yes);
    }

    fn route(&self, to: Reach<'_>, frame: Bytes) -> Receipt {
        (**self).route(to, frame)
    }

    async fn admit(&self, user: &UserKey, policy: &LoginPolicy, seat: Seat) -> Result<Decision, EngineError> {
        (**self).admit(user, policy, seat).await
    }

    fn release(&self, user: &UserKey, connection: ConnectionId) {
        (**self).release(user, connection);
    }

    fn reseat(&self, user: &UserKey, connection: ConnectionId, token: TokenId) {
        (**self).reseat(user, connection, token);
    }

    async fn deny(&self, entries: &[DenyEntry]) -> Result<(), EngineError> {
        (**self).deny(entries).await
    }

    async fn is_denied(&self, who: &Identity) -> Result<Option<Denial>, EngineError> {
        (**self).is_denied(who).await
    }

    async fn lift_ban(&self, user: &UserKey) -> Result<(), EngineError> {
        (**self).lift_ban(user).await
    }

    async fn put_once(&self, key: &str, value: Vec<u8>, ttl: Duration) -> Result<(), EngineError> {
        (**self).put_once(key, value, ttl).await
    }

    async fn take_once(&self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
        (**self).take_once(key).await
    }

    async fn ask(&self, to: AskTo, query: Bytes, deadline: Duration) -> Answers {
        (**self).ask(to, query, deadline).await
    }

    async fn caught_up(&self) -> Result<(), EngineError> {
        (**self).caught_up().await
    }

    async fn retire(&self, keep: Duration) -> Result<(), EngineError> {
        (**self).retire(keep).await
    }

    async fn left(&self, node: u32, from: &[usize]) -> Result<Kept, EngineError> {
        (**self).left(node, from).await
    }

    async fn lookup(&self, lookup: Lookup) -> Result<Found, EngineError> {
        (**self).lookup(lookup).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        (**self).health()
    }

    async fn shutdown(&self, leave: Leave) {
        (**self).shutdown(leave).await;
    }
}
