//! What a page asks of the node it is connected to: who is here and on which node, to push, to kick. None of it asks where
//! anybody sits; the manager finds them.

use herenow_axum::{
    Connection, HandlerError, Inbound, MessageType, OnlineManager, PushMessage, Reply, Target,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// People whom a page is shown.
const SHOWN: usize = 200;
const LONGEST: usize = 500;

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
    status: herenow_axum::Status,
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
        Ask::People => {
            let (people, engine) = (people(&online).await, online.engine_health());
            Reply::json(&json!({"node": node, "engine": engine, "people": people}))
        }
        Ask::Push { to, text } if (1..=LONGEST).contains(&text.trim().len()) => {
            let kind = MessageType::Custom("note".to_owned());
            let content = herenow_axum::Content::json(
                &json!({"from": from.user().login_id(), "by": node, "text": text}),
            )?;
            let report = online.push(Target::user(to), PushMessage::new(content).kind(kind)).await?;
            let here = report.reached();
            let elsewhere = report.remote.counts(std::time::Duration::from_secs(1)).await;
            Reply::json(&json!({"here": here, "elsewhere": elsewhere.map_or(0, |counts| counts.enqueued)}))
        }
        Ask::Push { .. } => Err(HandlerError::bad_frame(format!("a text has 1 to {LONGEST} bytes"))),
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
    let mut people = Vec::new();
    for user in online.online_users(None, SHOWN).await.items {
        let mut nodes: Vec<String> =
            online.sessions(&user).await.into_iter().map(|session| session.device).collect();
        nodes.sort();
        people.push(Person {
            status: online.get_status(&user).await,
            name: user.login_id().to_owned(),
            nodes,
        });
    }
    people.sort_by(|a, b| a.name.cmp(&b.name));
    people
}
