//! The options as settings of the library.

use std::sync::Arc;

use herenow::{
    BuildError, OnlineManager,
    auth::{Action, Identity, Origins, Sources},
    cluster::{Engine, OnEngineDown},
    http::Modes,
    policy::{self, Channels, Inbound, LoginPolicy, Outbox, Resume, Timing},
};

use super::{
    options::{Mode, OnLimit, Options, Overflow, RedisDown, Refusal},
    tokens::Tokens,
};

/// The manager behind `/ws` and everything else but `/echo`.
pub(super) fn online(
    options: &Options,
    tokens: &Tokens,
    engine: Option<Arc<dyn Engine>>,
) -> Result<OnlineManager, BuildError> {
    let (outbox, builder) = (outbox(options), OnlineManager::builder());
    let builder = match engine {
        Some(engine) => builder.engine(engine),
        None => builder,
    };
    builder
        .authenticator(tokens.clone())
        .authorize(may)
        .max_push(outbox.bytes.min(1024 * 1024))
        .outbox(outbox)
        .timing(timing(options))
        .inbound(inbound(options.max_message))
        .grace(options.grace_ms)
        .channels(channels(options))
        .resume(resume(options))
        .kick_deadline(options.kick_deadline_ms)
        .login_policy(login_policy(options))
        .sources(sources(options))
        .origins(origins(options)?)
        .modes(modes(options.mode))
        .visible_refusal(options.refusal == Refusal::Visible)
        .on_engine_down(match options.redis_down {
            RedisDown::Admit => OnEngineDown::AdmitLocally,
            RedisDown::Refuse => OnEngineDown::Refuse503,
        })
        .build()
}

/// The begin of the names of channels that `root` alone may use.
const SECRET: &str = "secret-";

/// Members see members, and use every channel of their account that is not secret.
fn may(who: &Identity, action: &Action) -> bool {
    match action {
        Action::SeeStatus { .. } | Action::SeeOnline => true,
        Action::HereNow { channel }
        | Action::Subscribe { channel }
        | Action::SubscribePresence { channel }
        | Action::Publish { channel } => !channel.starts_with(SECRET) || who.user.login_id() == "root",
        _ => false,
    }
}

/// The manager behind `/echo`: a user who may send as much and as fast as it likes.
pub(super) fn echo(options: &Options) -> Result<OnlineManager, BuildError> {
    let mut inbound = inbound(options.max_message);
    (inbound.frames_per_second, inbound.control_per_second) = (0, 0);
    inbound.queue_bytes = inbound.queue_bytes.max(options.max_message);
    let default = Outbox::default();
    let outbox = Outbox { bytes: default.bytes.max(4 * options.max_message), ..default };
    OnlineManager::builder()
        .inbound(inbound)
        .max_push(outbox.bytes)
        .outbox(outbox)
        .origins(Origins::any())
        .modes(Modes::Raw)
        .build()
}

fn timing(options: &Options) -> Timing {
    Timing {
        heartbeat: options.heartbeat_ms,
        pong_timeout: options.timeout_ms,
        hello_timeout: options.hello_timeout_ms,
        expiry_grace: options.expiry_grace_ms,
        recheck: options.recheck_ms,
        ..Timing::default()
    }
}

fn inbound(max_message: usize) -> Inbound {
    Inbound { max_frame: max_message, max_message, ..Inbound::default() }
}

fn outbox(options: &Options) -> Outbox {
    let default = Outbox::default();
    Outbox {
        messages: options.outbox_messages.unwrap_or(default.messages),
        bytes: options.outbox_bytes.unwrap_or(default.bytes),
        overflow: match options.overflow {
            None => default.overflow,
            Some(Overflow::Disconnect) => policy::Overflow::Disconnect,
            Some(Overflow::DropOldest) => policy::Overflow::DropOldest,
            Some(Overflow::DropNewest) => policy::Overflow::DropNewest,
        },
    }
}

fn channels(options: &Options) -> Channels {
    let default = Channels::default();
    Channels {
        event_window: options.event_window_ms,
        presence_users: options.presence_users.unwrap_or(default.presence_users),
        ..default
    }
}

fn resume(options: &Options) -> Resume {
    let default = Resume::default();
    Resume {
        messages: options.resume_messages.unwrap_or(default.messages),
        bytes: options.resume_bytes.unwrap_or(default.bytes),
        time: options.resume_ms.unwrap_or(default.time),
        ..default
    }
}

fn login_policy(options: &Options) -> LoginPolicy {
    let unlimited = LoginPolicy::unlimited().on_limit(match options.on_limit {
        OnLimit::ReplaceOldest => policy::OnLimit::ReplaceOldest,
        OnLimit::Refuse => policy::OnLimit::RefuseNewest,
    });
    match options.max_per_user {
        Some(limit) => unlimited.max_per_user(limit),
        None => unlimited,
    }
}

fn sources(options: &Options) -> Sources {
    let sources = Sources::default().cookie(&options.cookie);
    if options.allow_query_token { sources.query("token") } else { sources }
}

fn origins(options: &Options) -> Result<Origins, BuildError> {
    match options.allow_origin.is_empty() {
        true => Ok(Origins::same_origin()),
        false => Origins::parse(options.allow_origin.iter().map(String::as_str)),
    }
}

fn modes(mode: Mode) -> Modes {
    match mode {
        Mode::Both => Modes::Both,
        Mode::Envelope => Modes::Envelope,
        Mode::Raw => Modes::Raw,
    }
}
