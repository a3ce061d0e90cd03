//! A kick from its first step to its report: deny, take, close, cut at the deadline; here and on the other nodes.

use std::{sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{
    Denial, DenyEntry, KickOut,
    entries::{bans_of_found, deny, deny_here, entries, token_entry},
    whom::{find, found_here, is_meant, named, sparing_sessions, users},
};
use crate::{
    Cause, Close, Connection, MessageType, PushMessage, UserKey, UserRef,
    auth::{Identity, TokenId},
    channel::Gone,
    clock,
    cluster::{Answer, AskTo, Query},
    connection::{Conn, ConnectionId, Fate, Parting, farewell},
    error::KickError,
    manager::Inner,
    presence::{EndsGrace, Member, Members},
    report::{KickReport, Revoke},
    target::{Scope, Target},
};

/// How much longer than the victims the other nodes' answers may take.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Kicks on every node.
pub(crate) async fn kick(inner: &Arc<Inner>, target: Target, kick: KickOut) -> Result<KickReport, KickError> {
    target.check()?;
    if matches!(target.scope, Scope::Account(_) | Scope::AllAccounts) {
        return Err(KickError::BadTarget(
            "kick-out takes users, devices, tokens, connections or a channel; for everyone, shut down",
        ));
    }
    if !target.except.channels().is_empty() {
        return Err(KickError::BadTarget(
            "kick-out does not take `except_channel`: leave out users, connections or tokens",
        ));
    }
    let target = sparing_sessions(inner, target).await?;
    // Whom pushers are told of: once they are taken, nobody knows any more who was online.
    let here = found_here(inner, &target);
    let named = named(inner, &here);
    let deadline = kick.deadline.unwrap_or(inner.config.kick_deadline);
    let entries = entries(inner, &here, &kick);
    let deny = deny(inner, &entries).await;
    let query = Query::Kick { target: target.clone(), kick: kick.clone(), deny: entries };
    let (mut report, remote, ()) = tokio::join!(
        kick_local(inner, &here, &kick),
        ask_others(inner, &target, &query, deadline.saturating_add(ANSWER_MARGIN)),
        tell_pushers(inner, named, &kick, deadline),
    );
    report.deny = report.deny.max(deny);
    for answer in &remote.0 {
        report.nodes += 1;
        report.add(answer);
    }
    report.unreachable = remote.1;
    crate::observe::kicked(report.is_complete());
    tracing::info!(
        target = target.word(),
        matched = report.matched,
        complete = report.is_complete(),
        "kick-out"
    );
    Ok(report)
}

/// Kicks on this node: nothing that matches is left in the registry when this first yields, and no socket of it is
/// open when it returns.
pub(crate) async fn kick_local(inner: &Arc<Inner>, target: &Target, kick: &KickOut) -> KickReport {
    let target = &*found_here(inner, target);
    let deadline = kick.deadline.unwrap_or(inner.config.kick_deadline);
    let known: Vec<DenyEntry> =
        find(inner, target).iter().map(|(_, identity)| token_entry(inner, identity)).collect();
    let mut stored = deny_here(inner, &known);
    let taken = take(inner, target);
    let identities = distinct(&taken);
    let mut tokens: Vec<DenyEntry> = identities.iter().map(|identity| token_entry(inner, identity)).collect();
    tokens.extend(bans_of_found(inner, target, kick, identities.iter().map(|identity| &identity.user)));
    // Who came between the look and the taking is refused before it hears that it was kicked.
    stored = stored.max(deny_here(inner, &tokens));
    let conns = conns_of(taken);
    say_farewell(inner, &conns, &kick.code(), &kick.message, deadline);
    let (mut report, deny, revoke) = tokio::join!(
        wait(&conns, deadline),
        deny(inner, &tokens), // Tokens that only this node knew; the named ones are refused already.
        revoke(inner, &identities, deadline),
    );
    (report.deny, report.revoke) = (stored.max(deny), revoke);
    report
}

/// Ends one connection that turned out to be refused: another node kicked it while this one could not hear.
pub(crate) fn carry_out(inner: &Arc<Inner>, conn: &Arc<Conn>, denial: Denial) {
    let taken =
        take_from(inner, conn.user(), Cause::Kicked, EndsGrace::No, |member| member.conn.id == conn.id);
    let conns = conns_of(taken);
    say_farewell(inner, &conns, &denial.into(), "", inner.config.kick_deadline);
}

/// Ends sessions of a user without refusing their tokens.
pub(crate) fn log_out<'a>(inner: &Arc<Inner>, user: impl Into<UserRef<'a>>, token: Option<TokenId>) -> usize {
    let matches = |member: &Member| token.is_none_or(|token| member.token == token);
    let ends = token.map_or(EndsGrace::Any, EndsGrace::Of);
    let taken = take_from(inner, user, Cause::LoggedOut, ends, matches);
    let conns = conns_of(taken);
    say_farewell(inner, &conns, &Close::LOGGED_OUT, "", inner.config.rules.timing.farewell);
    conns.len()
}

/// Closes a user's connections on this node properly, after what waits for them; hand marks end as well.
pub(crate) fn close_user(inner: &Arc<Inner>, user: &UserKey, close: &Close) {
    take_from(inner, user, Cause::LoggedOut, EndsGrace::No, |member| {
        !member.conn.is_socket() || (member.is_parked() && !close.reconnect())
    });
    let conns: Vec<Arc<Conn>> = inner.registry.read(user, |state| {
        state.into_iter().flat_map(|state| state.present()).map(|member| member.conn.clone()).collect()
    });
    for conn in conns {
        Connection { inner: inner.clone(), conn }.close(close.clone());
    }
}

/// Ends the connections whose place another session took, on whichever node they are.
pub(crate) fn close_replaced(inner: &Arc<Inner>, user: &UserKey, connections: Vec<ConnectionId>) {
    let node = inner.engine.node_id();
    let (here, elsewhere): (Vec<_>, Vec<_>) = connections.into_iter().partition(|id| id.node() == node);
    close_replaced_here(inner, user, &here);
    let nodes: std::collections::BTreeSet<u32> = elsewhere.iter().map(|id| id.node()).collect();
    for node in nodes {
        let connections = elsewhere.iter().filter(|id| id.node() == node).copied().collect();
        let (owner, query) = (inner.clone(), Query::Replace { user: user.clone(), connections });
        inner.room.spawn(async move { owner.ask(AskTo::Node(node), &query).await });
    }
}

/// Ends those of them that are here.
pub(crate) fn close_replaced_here(inner: &Arc<Inner>, user: &UserKey, connections: &[ConnectionId]) {
    if connections.is_empty() {
        return;
    }
    // Marked first, then taken: one that is not registered yet finds the mark when it joins.
    for id in connections {
        inner.lanes.replace(*id);
        inner.coming.replace(*id);
    }
    let taken = take_from(inner, user, Cause::Replaced, EndsGrace::No, |member| {
        connections.contains(&member.conn.id)
    });
    let conns = conns_of(taken);
    say_farewell(inner, &conns, &Close::REPLACED, "", inner.config.kick_deadline);
}

fn take(inner: &Arc<Inner>, target: &Target) -> Vec<Member> {
    let whole = match target.scope {
        Scope::User(_) | Scope::Users(_) => EndsGrace::Any,
        Scope::Token(token) => EndsGrace::Of(token),
        _ => EndsGrace::No,
    };
    let of_user =
        |user: &UserKey| take_from(inner, user, Cause::Kicked, whole, |member| is_meant(target, member));
    users(inner, target).iter().flat_map(of_user).collect()
}

/// Under the user's lock, out of the registry: from here on no push finds them. Nobody comes back to what was parked.
fn take_from<'a>(
    inner: &Arc<Inner>,
    user: impl Into<UserRef<'a>>,
    cause: Cause,
    ends_grace: EndsGrace,
    matches: impl FnMut(&Member) -> bool,
) -> Members {
    let (user, at) = (user.into(), inner.clock.utc());
    let (taken, diff) = inner.registry.take(user, cause, at, &ends_grace, matches);
    for member in taken.iter().filter(|member| member.is_parked()) {
        inner.end_parked(&member.conn, cause);
        end_grace_of(inner, user, member.token, cause);
    }
    for member in taken.iter().filter(|member| !member.is_parked()) {
        inner.channels.gone(&member.conn, &Gone { cause, may_return: false, at }, false);
        inner.lanes.remove(member.conn.id);
        inner.release_seat(member.conn.user(), member.conn.id);
    }
    inner.after(diff);
    inner.channels.end_graces(user, |token| ends_grace.means(token), cause, at);
    taken
}

/// Nobody comes back to what was parked, so it keeps its user online no more.
fn end_grace_of(inner: &Arc<Inner>, user: UserRef<'_>, token: TokenId, cause: Cause) {
    let at = inner.clock.utc();
    let (_, diff) = inner.registry.take(user, cause, at, &EndsGrace::Of(token), |_| false);
    inner.channels.end_graces(user, |own| own == token, cause, at);
    inner.after(diff);
}

/// Those that have a socket, or are marks by hand; what was parked has ended already.
fn conns_of(taken: impl IntoIterator<Item = Member>) -> SmallVec<[Arc<Conn>; 1]> {
    taken.into_iter().filter(|member| !member.is_parked()).map(|member| member.conn).collect()
}

fn say_farewell(inner: &Inner, conns: &[Arc<Conn>], close: &Close, message: &str, deadline: Duration) {
    let now = inner.clock.now();
    for conn in conns {
        if conn.is_socket() {
            let frame = farewell::frame(close, message, conn.mode, &inner.config.raw_kick);
            conn.close(close.clone(), frame, false, clock::later(now, deadline), now);
        } else {
            conn.end(Fate::Closed);
        }
    }
}

/// What becomes of the victims.
async fn wait(conns: &[Arc<Conn>], deadline: Duration) -> KickReport {
    let Parting { closed, aborted, lingering } = Parting::of(conns, deadline).await;
    KickReport { matched: conns.len(), closed, aborted, lingering, ..KickReport::default() }
}

fn distinct(taken: &[Member]) -> Vec<Arc<Identity>> {
    let mut identities: Vec<Arc<Identity>> = Vec::new();
    for member in taken {
        let identity = member.conn.identity();
        let is_same =
            |known: &Arc<Identity>| known.token_id == identity.token_id && known.user == identity.user;
        if !identities.iter().any(is_same) {
            identities.push(identity);
        }
    }
    identities
}

async fn revoke(inner: &Arc<Inner>, identities: &[Arc<Identity>], deadline: Duration) -> Revoke {
    let all = futures_util::future::join_all(
        identities.iter().map(|identity| inner.authenticator.revoke(identity)),
    );
    match tokio::time::timeout(deadline, all).await {
        Ok(done) if done.iter().all(Result::is_ok) => Revoke::Done,
        Ok(_) => Revoke::Failed,
        Err(_) => Revoke::TimedOut,
    }
}

async fn ask_others(
    inner: &Inner,
    target: &Target,
    query: &Query,
    deadline: Duration,
) -> (Vec<KickReport>, usize) {
    let local = matches!(target.scope, Scope::Connection(id) if id.node() == inner.engine.node_id());
    if local || !inner.engine.is_clustered() {
        return (Vec::new(), 0);
    }
    let answers = inner.engine.ask(AskTo::OthersSurely, query.encode(), deadline).await;
    let asked = answers.answers.len();
    let reports: Vec<KickReport> = answers
        .answers
        .iter()
        .filter_map(|answer| match Answer::decode(answer) {
            Ok(Answer::Kicked(report)) => Some(report),
            _ => None,
        })
        .collect();
    let unreadable = asked - reports.len();
    (reports, answers.unreachable + unreadable)
}

/// Pushers hear of a kick as of any message (the seeds' `kick_out_notify`).
async fn tell_pushers(inner: &Arc<Inner>, users: Vec<(UserKey, bool)>, kick: &KickOut, deadline: Duration) {
    let message = PushMessage::new(kick.message.clone()).kind(MessageType::KickOut);
    let run =
        crate::push::run_pushers(&inner.pushers, &inner.room, inner.config.pusher_timeout, users, &message);
    let _ = tokio::time::timeout(deadline, run).await; // Slow ones go on by themselves.
}
