//! Everything a manager was built with.

use std::{sync::Arc, time::Duration};

use crate::{
    auth::{Origins, Sources},
    cluster::OnEngineDown,
    connection::{Bounds, RawKick, Rules},
    http::Protocols,
    policy::{Channels, LoginPolicy},
};

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) rules: Arc<Rules>,
    pub(crate) bounds: Arc<Bounds>,
    pub(crate) channels: Channels,
    pub(crate) login_policy: LoginPolicy,
    pub(crate) sources: Sources,
    pub(crate) origins: Origins,
    pub(crate) protocols: Protocols,
    pub(crate) visible_refusal: bool,
    pub(crate) client_data: bool,
    pub(crate) raw_kick: RawKick,
    pub(crate) grace: Duration,
    pub(crate) hand_ttl: Option<Duration>,
    pub(crate) kick_deadline: Duration,
    pub(crate) deny_ttl: Duration,
    pub(crate) max_push: usize,
    pub(crate) pusher_timeout: Duration,
    pub(crate) authenticator_deadline: Duration,
    pub(crate) engine_deadline: Duration,
    pub(crate) on_engine_down: OnEngineDown,
    pub(crate) close_without_engine: Option<Duration>,
    pub(crate) fail_closed: bool,
    pub(crate) max_connections: Option<usize>,
    pub(crate) log_ids: bool,
}
