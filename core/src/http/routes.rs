//! The REST routes as data: an adapter mounts them, [`Api`](super::Api) answers them.

use ::http::Method;

/// One route, below wherever the application mounts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// `GET /online`: who is online, a page at a time.
    Online,
    /// `GET /online/{login_id}`: one user with its devices.
    OnlineUser,
    /// `POST /status`: the status of several users.
    Status,
    /// `POST /ticket`: a one-time ticket for oneself.
    Ticket,
    /// `GET /herenow`: who is in channels, now.
    HereNow,
    /// `GET /events`: pushes as server-sent events.
    Events,
    /// `GET /openapi.json`: the OpenAPI 3.1 document of the routes that are mounted. It needs no user.
    OpenApi,
    /// `GET /client.js`: the browser client, a module. It needs no user.
    ClientJs,
    /// `GET /ready`: whether new clients should come to this node: 200 or 503, and how its engine is. It needs no user.
    Ready,
    /// `POST /push`, for admins.
    Push,
    /// `POST /broadcast`, for admins.
    Broadcast,
    /// `POST /kick`, for admins.
    Kick,
}

impl Route {
    /// The routes for every user.
    pub const OPEN: &'static [Self] = &[
        Self::Online,
        Self::OnlineUser,
        Self::Status,
        Self::Ticket,
        Self::HereNow,
        Self::Events,
        Self::OpenApi,
        Self::ClientJs,
        Self::Ready,
    ];
    /// The routes for every user, then those for admins.
    pub const ALL: &'static [Self] = &[
        Self::Online,
        Self::OnlineUser,
        Self::Status,
        Self::Ticket,
        Self::HereNow,
        Self::Events,
        Self::OpenApi,
        Self::ClientJs,
        Self::Ready,
        Self::Push,
        Self::Broadcast,
        Self::Kick,
    ];

    /// Its method.
    pub fn method(self) -> Method {
        match self {
            Self::Online
            | Self::OnlineUser
            | Self::HereNow
            | Self::Events
            | Self::OpenApi
            | Self::ClientJs
            | Self::Ready => Method::GET,
            _ => Method::POST,
        }
    }

    /// Its path; a part in braces stands for any one segment.
    pub fn path(self) -> &'static str {
        match self {
            Self::Online => "/online",
            Self::OnlineUser => "/online/{login_id}",
            Self::Status => "/status",
            Self::Ticket => "/ticket",
            Self::HereNow => "/herenow",
            Self::Events => "/events",
            Self::OpenApi => "/openapi.json",
            Self::ClientJs => "/client.js",
            Self::Ready => "/ready",
            Self::Push => "/push",
            Self::Broadcast => "/broadcast",
            Self::Kick => "/kick",
        }
    }
}
