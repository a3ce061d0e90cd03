//! What users may ask: who is online, the status of others, a ticket.

use std::{borrow::Cow, collections::BTreeSet};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::{colleague, json};
use crate::{
    OnlineManager, Session, Status, UserKey,
    auth::{Action, Identity, TICKET_TTL, TokenId},
    http::Refusal,
    limits::MAX_LOGIN_ID,
};

const PAGE: usize = 100;
const MAX_PAGE: usize = 1000;
/// Users of one `POST /status`.
const MAX_USERS: usize = 200;

#[derive(Serialize)]
pub(super) struct Online {
    count: usize,
    users: Vec<UserStatus>,
    next: Option<String>,
}

#[derive(Serialize)]
struct UserStatus {
    id: String,
    status: Status,
}

/// A page of the asker's account in the order of the login ids. The cursor is the last id of the page before, so it
/// is good on every node and says nothing of other accounts.
pub(super) async fn online(online: &OnlineManager, who: &Identity, query: &str) -> Result<Online, Refusal> {
    allow(online, who, Action::SeeOnline).await?;
    let limit = limit(query)?;
    let after = parameter(query, "cursor")?.unwrap_or_default();
    if after.len() > MAX_LOGIN_ID {
        return Err(Refusal::bad_request("`cursor` must be the `next` of the page before"));
    }
    let (count, mut ids) = page(online, who, &after, limit + 1).await;
    let next = if ids.len() > limit { ids.pop_last().and_then(|_| ids.last().cloned()) } else { None };
    let users = statuses(online, who, ids).await;
    Ok(Online { count, users, next })
}

/// How many of the account are online, and the first `wanted` ids of them after `after`.
async fn page(
    online: &OnlineManager,
    who: &Identity,
    after: &str,
    wanted: usize,
) -> (usize, BTreeSet<String>) {
    let (mut count, mut ids) = (0, BTreeSet::<String>::new());
    let account = who.user.account();
    online
        .inner()
        .each_online(|user| {
            let id = user.login_id();
            if user.account() != account {
                return;
            }
            count += 1;
            let has_room = ids.len() < wanted || ids.last().is_some_and(|last| id < last.as_str());
            if id > after && has_room {
                ids.insert(id.to_owned());
                if ids.len() > wanted {
                    ids.pop_last();
                }
            }
        })
        .await;
    (count, ids)
}

fn limit(query: &str) -> Result<usize, Refusal> {
    let wrong = || Refusal::bad_request(format!("`limit` must be a number from 1 to {MAX_PAGE}"));
    let Some(text) = parameter(query, "limit")? else { return Ok(PAGE) };
    text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(wrong)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OneUser {
    id: String,
    online: bool,
    status: Status,
    last_seen: Option<i64>,
    sessions: Vec<OneSession>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneSession {
    device: String,
    status: Status,
    connect_time: i64,
    last_activity: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<TokenId>,
}

impl OneSession {
    fn of(session: Session, with_handle: bool) -> Self {
        Self {
            device: session.device,
            status: session.status,
            connect_time: session.connect_time.timestamp_millis(),
            last_activity: session.last_activity.timestamp_millis(),
            handle: with_handle.then_some(session.handle),
        }
    }
}

/// One user, by the last segment of the path. An unknown one is offline, so that nobody learns who exists.
pub(super) async fn user(
    online: &OnlineManager,
    who: &Identity,
    path: &str,
    is_admin: bool,
) -> Result<OneUser, Refusal> {
    let segment = path.rsplit('/').next().unwrap_or_default();
    let user = colleague(who, &decoded(segment)?)?;
    allow(online, who, Action::SeeStatus { user: user.clone() }).await?;
    let may_kick = Action::Kick { user: Some(user.clone()) };
    // The handle names a session for a kick: it is of no use to anyone else.
    let with_handle = is_admin || user == who.user || online.is_allowed(who, &may_kick).await;
    let status = online.get_status(&user).await;
    let sessions = online.sessions(&user).await;
    Ok(OneUser {
        id: user.login_id().to_owned(),
        online: status.is_online(),
        status,
        last_seen: online.last_seen(&user).await.map(|at| at.timestamp_millis()),
        sessions: sessions.into_iter().map(|session| OneSession::of(session, with_handle)).collect(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    users: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Statuses {
    users: Vec<UserStatus>,
}

/// The status of several users, all of them or none: who may not see one of them is told no more.
pub(super) async fn status(online: &OnlineManager, who: &Identity, body: &[u8]) -> Result<Statuses, Refusal> {
    let Asked { users } = json(body, r#"{"users":["alice","bob"]}"#)?;
    if users.len() > MAX_USERS {
        return Err(Refusal::bad_request(format!("`users` has {}; the limit is {MAX_USERS}", users.len())));
    }
    for id in &users {
        allow(online, who, Action::SeeStatus { user: colleague(who, id)? }).await?;
    }
    Ok(Statuses { users: statuses(online, who, users).await })
}

async fn statuses(
    online: &OnlineManager,
    who: &Identity,
    ids: impl IntoIterator<Item = String>,
) -> Vec<UserStatus> {
    let mut users = Vec::new();
    for id in ids {
        let key = UserKey::in_account(who.user.account().unwrap_or_default(), id.as_str());
        users.push(UserStatus { status: online.get_status(key).await, id });
    }
    users
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticket {
    ticket: String,
    expires_in: u128,
}

pub(super) async fn ticket(online: &OnlineManager, who: &Identity) -> Result<Ticket, Refusal> {
    let ticket = online.issue_ticket(who).await.map_err(|problem| {
        tracing::warn!(?problem, "no ticket could be stored");
        Refusal::from(crate::Refused::Unavailable)
    })?;
    Ok(Ticket { ticket, expires_in: TICKET_TTL.as_millis() })
}

async fn allow(online: &OnlineManager, who: &Identity, action: Action) -> Result<(), Refusal> {
    if online.is_allowed(who, &action).await { Ok(()) } else { Err(Refusal::not_authorized(action.name())) }
}

/// A parameter of the query, decoded; the first one of its name.
fn parameter<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(value)).transpose()
}

fn decoded(text: &str) -> Result<Cow<'_, str>, Refusal> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| Refusal::bad_request("an id or parameter of the address is not UTF-8"))
}
