//! [`OnlineUpgrade`] and [`GuestUpgrade`]: from a request to a connection that herenow drives.

use std::{fmt, rc::Rc};

use actix_web::body::{BodyStream, BoxBody};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, http::header, rt};
use futures_util::future::LocalBoxFuture;
use herenow::{Admission, http::Guest, http::Refusal};

use crate::{error::Rejection, extract::visit, handover::Handover, translate, tune};

/// A WebSocket request that may become a connection; whatever speaks against it is refused before, with 400, 401,
/// 403, 426, 429 or 503 and a JSON body.
///
/// Dropped without [`start`](Self::start) or [`serve`](Self::serve), it gives its place back.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use herenow_actix::{OnlineUpgrade, Reply};
///
/// async fn ws(upgrade: OnlineUpgrade) -> HttpResponse {
///     upgrade
///         .on_message(|connection, inbound| async move {
///             println!("{:?} says {inbound:?}", connection.user());
///             Ok(Reply::None)
///         })
///         .start()
/// }
/// let app = App::new().route("/ws", web::get().to(ws));
/// # let _ = app;
/// ```
#[derive(Debug)]
#[must_use = "nothing is upgraded until `start()` or `serve(..)` makes the response"]
pub struct OnlineUpgrade {
    admission: Admission,
    socket: Line,
}

impl OnlineUpgrade {
    herenow::adapter_upgrade! {
        /// ```
        /// # use actix_web::{App, HttpResponse, web};
        /// # use herenow_actix::OnlineUpgrade;
        /// async fn numbered(upgrade: OnlineUpgrade) -> HttpResponse {
        ///     upgrade.serve(|mut socket| async move {
        ///         let mut count = 0;
        ///         while socket.recv().await.is_some() {
        ///             count += 1;
        ///             let _ = socket.send(format!("{count} messages so far"));
        ///         }
        ///     })
        /// }
        /// # let _ = App::new().route("/ws", web::get().to(numbered));
        /// ```
        HttpResponse
    }

    /// Upgrades: the user is online from then on until the socket ends, however it ends. Needs actix's runtime.
    pub fn start(self) -> HttpResponse {
        let Self { admission, socket: Line { payload, handover } } = self;
        let response = admission.response();
        let body = match handover {
            Some(handover) => handover.promise(admission, payload),
            None => {
                let (frames, driver) = admission.stream(payload);
                rt::spawn(driver);
                BoxBody::new(BodyStream::new(frames))
            }
        };
        translate::response(response.map(|()| body))
    }

    fn of(admission: Admission, socket: Result<Line, Refusal>) -> Result<Self, Rejection> {
        Ok(Self { admission, socket: socket? })
    }
}

impl FromRequest for OnlineUpgrade {
    type Error = Rejection;
    type Future = LocalBoxFuture<'static, Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (visit, version) = (visit(request), translate::version(request.version()));
        let socket = Line::of(request, payload);
        Box::pin(async move { Self::of(visit?.upgrade(version, false).await?, socket) })
    }
}

/// A WebSocket request of somebody without a token: the application says who it is. Needs no middleware.
///
/// ```
/// use actix_web::{App, HttpResponse, web};
/// use herenow_actix::{GuestUpgrade, OnlineManager, Rejection, auth::Identity};
///
/// async fn by_link(
///     guest: GuestUpgrade,
///     online: web::Data<OnlineManager>,
///     reader: web::Path<String>,
/// ) -> Result<HttpResponse, Rejection> {
///     let identity = Identity::new(reader.as_str()).device("link");
///     Ok(guest.admit(&online, identity).await?.start())
/// }
/// let online = web::Data::new(OnlineManager::new());
/// let app = App::new().app_data(online).route("/read/{reader}", web::get().to(by_link));
/// # let _ = app;
/// ```
#[derive(Debug)]
#[must_use = "nothing is decided until `admit(..)` or `wait(..)`"]
pub struct GuestUpgrade {
    guest: Guest,
    socket: Result<Line, Refusal>,
}

impl GuestUpgrade {
    herenow::adapter_guest!();
}

impl FromRequest for GuestUpgrade {
    type Error = Rejection;
    type Future = LocalBoxFuture<'static, Result<Self, Rejection>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (info, version) = (translate::request(request), translate::version(request.version()));
        let socket = Line::of(request, payload);
        Box::pin(async move { Ok(Self { guest: Guest::new(info?.0, version, false), socket }) })
    }
}

/// What follows the head of a request, and the socket below where it can be had.
struct Line {
    payload: Payload,
    handover: Option<Rc<Handover>>,
}

impl Line {
    /// Takes the line of a request. actix passes on what follows the head where it sees a WebSocket by rules of its
    /// own, and takes it for the next request or for a body elsewhere.
    ///
    /// # Errors
    /// 400 where it sees none.
    fn of(request: &HttpRequest, payload: &mut Payload) -> Result<Self, Refusal> {
        let (payload, headers) = (payload.take(), request.headers());
        let length = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        if length || headers.contains_key(header::TRANSFER_ENCODING) || matches!(payload, Payload::None) {
            return Err(
                Refusal::bad_request("`Upgrade: websocket` stands alone and without a body").closing()
            );
        }
        let handover = request.conn_data::<Rc<Handover>>().cloned();
        if handover.is_none() {
            tune::warn_if_missing(request);
        }
        Ok(Self { payload, handover })
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.handover.is_some() { "given away" } else { "kept" })
    }
}
