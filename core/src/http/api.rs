//! The REST routes, framework-free: an adapter hands over what a request says and gets the whole response.

mod admin;
mod here_now;
mod openapi;
mod read;
mod ready;

use std::{fmt, sync::Arc};

use ::http::{HeaderValue, Method, Response, header};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Refusal, Route, Visit, client_js, events};
use crate::{Outgoing, UserKey, auth::Identity};

/// Answers the routes. A clone shares everything.
///
/// Whoever asks sees and reaches the users of its own account only. A 200 has the body
/// `{"code":200,"content":…}`, everything else the one of a [`Refusal`].
///
/// ```
/// use herenow::http::{Api, Route};
///
/// let api = Api::with_admin(|who| who.has_scope("admin"));
/// assert!(api.routes().contains(&Route::Kick));
/// assert!(!Api::new().routes().contains(&Route::Kick));
/// ```
#[derive(Clone, Default)]
pub struct Api {
    guard: Option<Arc<Guard>>,
}

/// The body of an answer.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums)] // Every adapter has to write each of them.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// Server-sent events, which go on until the connection is over.
    Events(Outgoing),
}

/// Says who is an admin.
type Guard = dyn Fn(&Identity) -> bool + Send + Sync;

impl Api {
    /// The most bytes of a body.
    pub const MAX_BODY: usize = 64 * 1024;

    /// The routes for every user; what one may see there, the builder's `authorize` decides.
    pub fn new() -> Self {
        Self::default()
    }

    /// These, and the routes for whom `guard` calls an admin: push, broadcast and kick within the admin's account.
    pub fn with_admin(guard: impl Fn(&Identity) -> bool + Send + Sync + 'static) -> Self {
        Self { guard: Some(Arc::new(guard)) }
    }

    /// The routes to mount.
    pub fn routes(&self) -> &'static [Route] {
        if self.guard.is_some() { Route::ALL } else { Route::OPEN }
    }

    /// How many bytes of a request's body to read before [`handle`](Self::handle): none where the route takes no body.
    ///
    /// # Errors
    /// The refusal to answer with in place of reading: nobody's body is not worth it.
    pub fn may_read_body(&self, visit: &Visit, route: Route) -> Result<usize, Refusal> {
        if route.method() != Method::POST {
            return Ok(0);
        }
        self.admit(visit, route).map(|_| Self::MAX_BODY)
    }

    /// Answers a request; `target` is its path and query as they came, percent-encoded, and the path may have any
    /// prefix. Before reading a body, ask [`may_read_body`](Self::may_read_body).
    ///
    /// Dropped before it returns, a push or kick may have happened or not.
    pub async fn handle(&self, visit: &Visit, route: Route, target: &str, body: &[u8]) -> Response<Body> {
        let answered = match route {
            Route::Events => events::open(visit).await,
            Route::OpenApi => Ok(whole(json_response(openapi::body(self.guard.is_some())))),
            Route::ClientJs => Ok(whole(client_js::answer(visit.request().headers()))),
            Route::Ready => ready::answer(visit.manager()).map(whole),
            _ => self.answer(visit, route, target, body).await.map(whole),
        };
        answered.unwrap_or_else(|refusal| whole(refusal.into_response()))
    }

    async fn answer(
        &self,
        visit: &Visit,
        route: Route,
        target: &str,
        body: &[u8],
    ) -> Result<Response<Bytes>, Refusal> {
        let who = &*self.admit(visit, route)?;
        if body.len() > Self::MAX_BODY {
            return Err(Refusal::too_large(Self::MAX_BODY));
        }
        let online = visit.manager();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match route {
            Route::Online => ok(&read::online(online, who, query).await?),
            Route::OnlineUser => ok(&read::user(online, who, path, self.is_admin(who)).await?),
            Route::Status => ok(&read::status(online, who, body).await?),
            Route::HereNow => Ok(json_response(here_now::body(online, who, query).await?)),
            Route::Ticket if visit.is_by_ticket() => {
                Err(Refusal::forbidden("a ticket is good for one request, not for another ticket"))
            }
            Route::Ticket => ok(&read::ticket(online, who).await?),
            Route::Push => ok(&admin::push(online, who, body).await?),
            Route::Broadcast => ok(&admin::broadcast(online, who, body).await?),
            Route::Kick => ok(&admin::kick(online, who, body).await?),
            // Answered before: their bodies differ, or they are for everybody.
            Route::Events | Route::OpenApi | Route::ClientJs | Route::Ready => Err(Refusal::not_found()),
        }
    }

    /// The user who asks, where the route is there for it.
    fn admit(&self, visit: &Visit, route: Route) -> Result<Arc<Identity>, Refusal> {
        let who = visit.require_user()?;
        match &self.guard {
            _ if Route::OPEN.contains(&route) => Ok(who),
            None => Err(Refusal::not_found()),
            Some(guard) if guard(&who) => Ok(who),
            Some(_) => Err(Refusal::forbidden("this is for admins")),
        }
    }

    fn is_admin(&self, who: &Identity) -> bool {
        self.guard.as_ref().is_some_and(|guard| guard(who))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("admin", &self.guard.is_some()).finish()
    }
}

fn whole(response: Response<Bytes>) -> Response<Body> {
    response.map(Body::Whole)
}

fn ok(content: &impl Serialize) -> Result<Response<Bytes>, Refusal> {
    #[derive(Serialize)]
    struct Answer<'a, T> {
        code: u16,
        content: &'a T,
    }
    let body = serde_json::to_vec(&Answer { code: 200, content }).map_err(|problem| {
        tracing::error!(?problem, "an answer cannot be written as JSON");
        Refusal::internal()
    })?;
    Ok(json_response(body.into()))
}

fn json_response(body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Reads a body; `shape` shows what it should look like.
fn json<'de, T: Deserialize<'de>>(body: &'de [u8], shape: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|problem| Refusal::bad_request(format!("the body must be JSON like {shape}: {problem}")))
}

/// A user of the account of whoever asks.
fn colleague(who: &Identity, login_id: &str) -> Result<UserKey, Refusal> {
    let user = UserKey::in_account(who.user.account().unwrap_or_default(), login_id);
    crate::limits::check_user(&user)?;
    Ok(user)
}

#[cfg(test)]
mod tests;
