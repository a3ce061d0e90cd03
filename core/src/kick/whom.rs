//! Whom a kick means: users, their connections here, and the sessions it spares.

use std::{borrow::Cow, sync::Arc};

use crate::{
    ConnectionId, UserKey,
    auth::{Identity, TokenId},
    cluster::{Answer, AskTo, Query},
    error::KickError,
    manager::Inner,
    presence::Member,
    target::{Scope, Target},
};

/// Of a channel, the connections that are subscribed to it here and now; any other target as it is.
pub(super) fn found_here<'a>(inner: &Inner, target: &'a Target) -> Cow<'a, Target> {
    let Scope::Channel(channel) = &target.scope else { return Cow::Borrowed(target) };
    let mut ids: Vec<ConnectionId> = inner.channels.subscribers(channel).iter().map(|conn| conn.id).collect();
    ids.sort();
    Cow::Owned(Target { scope: Scope::Connections(ids), except: target.except.clone() })
}

/// Who matches on this node, before anything is taken.
pub(super) fn find(inner: &Inner, target: &Target) -> Vec<(UserKey, Arc<Identity>)> {
    let mut found = Vec::new();
    for user in users(inner, target) {
        inner.registry.read(&user, |state| {
            let members = state.map(|state| state.members()).unwrap_or_default();
            let meant = members.iter().filter(|member| is_meant(target, member));
            found.extend(meant.map(|member| (user.clone(), member.conn.identity())));
        });
    }
    found
}

pub(super) fn users(inner: &Inner, target: &Target) -> Vec<UserKey> {
    let mut users = match &target.scope {
        Scope::User(user) | Scope::Device(user, _) => vec![user.clone()],
        Scope::Users(users) => users.clone(),
        Scope::Token(token) => inner.registry.users_of(*token),
        Scope::Connection(id) => inner.lanes.find(*id).map(|conn| conn.user().clone()).into_iter().collect(),
        Scope::Connections(ids) => {
            let conns = ids.iter().filter_map(|id| inner.lanes.find(*id));
            let mut users: Vec<UserKey> = conns.map(|conn| conn.user().clone()).collect();
            users.sort();
            users.dedup();
            users
        }
        Scope::Account(_) | Scope::AllAccounts | Scope::Channel(_) => Vec::new(),
    };
    users.retain(|user| !target.except.leaves_out_user(user));
    users
}

pub(super) fn is_meant(target: &Target, member: &Member) -> bool {
    let in_scope = match &target.scope {
        Scope::User(_) | Scope::Users(_) => true,
        Scope::Device(_, device) => member.conn.is_device(device),
        Scope::Token(token) => member.token == *token,
        Scope::Connection(id) => member.conn.id == *id,
        Scope::Connections(ids) => ids.binary_search(&member.conn.id).is_ok(),
        Scope::Account(_) | Scope::AllAccounts | Scope::Channel(_) => false,
    };
    in_scope && !target.except.leaves_out(member.conn.id, &member.conn.identity())
}

/// Whom a kick names, and whether each is online.
pub(super) fn named(inner: &Inner, target: &Target) -> Vec<(UserKey, bool)> {
    if inner.pushers.is_empty() {
        return Vec::new();
    }
    let named = users(inner, target).into_iter().map(|user| {
        let online =
            inner.registry.read(&user, |state| state.is_some_and(|state| state.status().is_online()));
        (user, online)
    });
    named.collect()
}

/// Who leaves out a connection leaves out its session: its other tabs stay, and its token stays good.
pub(super) async fn sparing_sessions(inner: &Inner, mut target: Target) -> Result<Target, KickError> {
    let mut tokens = Vec::new();
    for id in target.except.connections() {
        tokens.push(token_of(inner, *id).await.ok_or(KickError::UnknownConnection(*id))?);
    }
    target.except.add_tokens(tokens);
    Ok(target)
}

/// The token of a connection, on whichever node it is.
pub(super) async fn token_of(inner: &Inner, id: ConnectionId) -> Option<TokenId> {
    if id.node() == inner.engine.node_id() {
        return inner.lanes.find(id).map(|conn| conn.token_id());
    }
    match inner.ask(AskTo::Node(id.node()), &Query::TokenOf(id)).await.pop()? {
        Answer::Token(token) => token,
        _ => None,
    }
}
