//! What a page asks of the node it is connected to: who is here and on which node, to push, to kick. None of it asks where
//! anybody sits; the manager finds them.

use std::time::Duration;

use futures_util::future::join_all;
use herenow_axum::{
    Connection, Content, HandlerError, Inbound, MessageType, OnlineManager, PushMessage, Reply, Status,
    Target, UserKey,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// People whom a page is shown.
const SHOWN: usize = 200;
/// Characters of a text.
const LONGEST: usize = 200;

/// One request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Ask {
    /// Who is here?
    People,
    /// Push a text to somebody.
    Push { to: String, text: String },
    /// Kick somebody out.
    Kick { who: String },
}

#[derive(Serialize)]
struct Person {
    name: String,
    status: Status,
    /// The nodes of its connections: each node names itself as their device.
    nodes: Vec<String>,
}

pub(super) async fn answer(
    node: &'static str,
    from: Connection,
    inbound: Inbound,
) -> Result<Reply, HandlerError> {
    let online = from.manager();
    match inbound.json()? {
        Ask::People => Reply::json(&json!({"node": node, "people": people(&online).await})),
        Ask::Push { to, text } if (1..=LONGEST).contains(&text.trim().chars().count()) => {
            let kind = MessageType::Custom("note".to_owned());
            let content = Content::json(&json!({"from": from.user().login_id(), "by": node, "text": text}))?;
            let report = online.push(Target::user(to), PushMessage::new(content).kind(kind)).await?;
            let here = report.reached();
            let elsewhere = report.remote.counts(Duration::from_secs(1)).await;
            Reply::json(&json!({"here": here, "elsewhere": elsewhere.map_or(0, |counts| counts.enqueued)}))
        }
        Ask::Push { .. } => Err(HandlerError::bad_frame(format!("a text has 1 to {LONGEST} characters"))),
        Ask::Kick { who } => {
            let why = format!("{} kicked you, by the {node} node", from.user().login_id());
            let report = online
                .kick_out_notify(who, why)
                .await
                .map_err(|error| HandlerError::bad_frame(error.to_string()))?;
            Reply::json(&json!({"closed": report.closed + report.aborted}))
        }
    }
}

async fn people(online: &OnlineManager) -> Vec<Person> {
    let users = online.online_users(None, SHOWN).await.items;
    let mut people = join_all(users.iter().map(|user| person(online, user))).await;
    people.sort_by(|a, b| a.name.cmp(&b.name));
    people
}

async fn person(online: &OnlineManager, user: &UserKey) -> Person {
    let (sessions, status) = tokio::join!(online.sessions(user), online.get_status(user));
    let mut nodes: Vec<String> = sessions.into_iter().map(|session| session.device).collect();
    nodes.sort();
    nodes.dedup();
    Person { name: user.login_id().to_owned(), status, nodes }
}
