//! What admins may do to the users of their account: push, broadcast, kick.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{colleague, json};
use crate::{
    Content, KickOut, KickReport, MessageType, OnlineManager, PushMessage, PushReport, Remote, Target,
    auth::Identity,
    error::{KickError, PushError},
    http::Refusal,
};

/// The longest ban, a hundred years: beyond it, times cannot be told from nonsense.
const MAX_BAN: u64 = 100 * 366 * 24 * 60 * 60;

const PUSH: &str = r#"{"loginId":"alice","content":"Hello"}"#;
const BROADCAST: &str = r#"{"content":"Hello"}"#;
const KICK: &str = r#"{"loginId":"alice","reason":"Signed out by an admin"}"#;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Push {
    login_id: Option<String>,
    device: Option<String>,
    token: Option<String>,
    connection: Option<String>,
    content: Box<RawValue>,
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broadcast {
    content: Box<RawValue>,
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kick {
    login_id: Option<String>,
    device: Option<String>,
    token: Option<String>,
    connection: Option<String>,
    #[serde(default)]
    reason: String,
    ban_seconds: Option<u64>,
}

/// Whom a body names.
struct Named {
    login_id: Option<String>,
    device: Option<String>,
    token: Option<String>,
    connection: Option<String>,
}

impl Named {
    /// The target, and nobody of another account, whatever the name stands for.
    fn target(self, who: &Identity) -> Result<Target, Refusal> {
        let target = match (self.login_id, self.device, self.token, self.connection) {
            (Some(id), None, None, None) => Target::user(colleague(who, &id)?),
            (Some(id), Some(device), None, None) => Target::device(colleague(who, &id)?, device),
            (None, None, Some(token), None) => Target::token(token),
            (None, None, None, Some(id)) => {
                let wrong =
                    || Refusal::bad_request("`connection` must be the id of one, 24 hexadecimal digits");
                Target::connection(id.parse().map_err(|_| wrong())?)
            }
            _ => {
                return Err(Refusal::bad_request(
                    "name `loginId`, `loginId` and `device`, `token` or `connection`, and no more",
                ));
            }
        };
        Ok(target.within_account(who.user.account().unwrap_or_default()))
    }
}

/// A [`PushReport`] as the wire has it: ids are bare, since all are of the asker's account.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Pushed {
    message_id: String,
    matched: usize,
    enqueued: usize,
    dropped: usize,
    held: usize,
    pushers: usize,
    offline: Vec<String>,
    remote: &'static str,
}

impl From<PushReport> for Pushed {
    fn from(report: PushReport) -> Self {
        Self {
            message_id: report.message_id,
            matched: report.matched,
            enqueued: report.enqueued,
            dropped: report.dropped,
            held: report.held,
            pushers: report.pushers,
            offline: report.offline.iter().map(|user| user.login_id().to_owned()).collect(),
            remote: match report.remote {
                Remote::NotAsked => "notAsked",
                Remote::Pending(_) => "pending",
                Remote::Unavailable => "unavailable",
            },
        }
    }
}

pub(super) async fn push(online: &OnlineManager, who: &Identity, body: &[u8]) -> Result<Pushed, Refusal> {
    let Push { login_id, device, token, connection, content, kind } = json(body, PUSH)?;
    let target = Named { login_id, device, token, connection }.target(who)?;
    Ok(online.push(target, message(content, kind)?).await?.into())
}

pub(super) async fn broadcast(
    online: &OnlineManager,
    who: &Identity,
    body: &[u8],
) -> Result<Pushed, Refusal> {
    let Broadcast { content, kind } = json(body, BROADCAST)?;
    let everyone = Target::account(who.user.account().unwrap_or_default());
    Ok(online.push(everyone, message(content, kind)?).await?.into())
}

pub(super) async fn kick(online: &OnlineManager, who: &Identity, body: &[u8]) -> Result<KickReport, Refusal> {
    let Kick { login_id, device, token, connection, reason, ban_seconds } = json(body, KICK)?;
    let target = Named { login_id, device, token, connection }.target(who)?;
    let mut kick = KickOut::because(reason);
    if let Some(seconds) = ban_seconds {
        if !(1..=MAX_BAN).contains(&seconds) {
            return Err(Refusal::bad_request(format!("`banSeconds` must be from 1 to {MAX_BAN}")));
        }
        kick = kick.ban_for(Duration::from_secs(seconds));
    }
    Ok(online.kick_out(target, kick).await?)
}

/// A JSON string is text, everything else is JSON.
fn message(content: Box<RawValue>, kind: Option<String>) -> Result<PushMessage, Refusal> {
    let content = if content.get().starts_with('"') {
        Content::Text(json(content.get().as_bytes(), BROADCAST)?)
    } else {
        Content::Json(content)
    };
    let message = PushMessage::new(content);
    Ok(match kind {
        Some(word) => message.kind(MessageType::from_word(&word)),
        None => message,
    })
}

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Self {
        match error {
            PushError::TooLarge { limit, .. } => Self::too_large(limit),
            PushError::ShutDown => crate::Refused::ShutDown.into(),
            other => Self::bad_request(other.to_string()),
        }
    }
}

impl From<KickError> for Refusal {
    fn from(error: KickError) -> Self {
        Self::bad_request(error.to_string())
    }
}
