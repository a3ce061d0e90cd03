//! Before the 101: everything that can refuse a connection is asked here, and its place is reserved.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use futures_util::Stream;

use super::{
    conn::{Conn, Opening},
    driver::Driver,
    guard::Guard,
    hooks::Hooks,
    io::{Io, Taker},
    join::{Joining, NotJoined},
    machine::First,
    outgoing::Outgoing,
    place::Place,
    source::{HandedIn, Incoming, Nothing, Transport},
};
use crate::{
    auth::Identity,
    http::{Handshake, Refusal, Visit},
    manager::Inner,
    protocol::Mode,
    resume::Asked,
};

/// Refusals shown on an upgraded connection at once, per node; beyond that, plain HTTP.
const VISIBLE_AT_ONCE: usize = 256;

/// A connection that may be upgraded: send [`response`](Self::response), then spawn [`drive`](Self::drive) on the
/// upgraded transport. Dropped before that, it gives its place back.
#[derive(Debug)]
pub struct Admission {
    inner: Arc<Inner>,
    handshake: Handshake,
    hooks: Hooks,
    outcome: Outcome,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // Refusals are the rare case.
enum Outcome {
    Admitted { place: Place, identity: Option<Arc<Identity>>, visit: Visit },
    Refused { refusal: Refusal, _shown: Shown },
}

/// One of the visible refusals that are open.
#[derive(Debug)]
struct Shown(Arc<Inner>);

impl Shown {
    fn take(inner: &Arc<Inner>) -> Option<Self> {
        let shown = Self(inner.clone());
        (inner.visible.fetch_add(1, Ordering::AcqRel) < VISIBLE_AT_ONCE).then_some(shown)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.visible.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Admission {
    /// Decides on an upgrade. A refusal that a browser is to see comes back as an admission that only says it.
    pub(crate) async fn decide(visit: &Visit, handshake: Handshake) -> Result<Self, Refusal> {
        let inner = visit.inner().clone();
        inner.start();
        let first_message = handshake.mode == Mode::Envelope && inner.config.sources.takes_first_message();
        match admitted(&inner, visit, first_message).await {
            Ok((place, identity)) => {
                let outcome = Outcome::Admitted { place, identity, visit: visit.clone() };
                Ok(Self { inner, handshake, hooks: Hooks::default(), outcome })
            }
            Err(refusal) => {
                crate::observe::refused(refusal.status().as_u16());
                let visible = inner.config.visible_refusal
                    && handshake.mode == Mode::Envelope
                    && refusal.may_be_visible();
                match Shown::take(&inner).filter(|_| visible) {
                    Some(shown) => {
                        let outcome = Outcome::Refused { refusal, _shown: shown };
                        Ok(Self { inner, handshake, hooks: Hooks::default(), outcome })
                    }
                    None => Err(refusal.closing()),
                }
            }
        }
    }

    /// Decides on a stream of events: the same rules, but a refusal is always an HTTP one, and nobody says later who
    /// they are.
    pub(crate) async fn decide_events(visit: &Visit) -> Result<Self, Refusal> {
        let inner = visit.inner().clone();
        inner.start();
        let handshake = Handshake::events();
        let (place, identity) = admitted(&inner, visit, false).await.inspect_err(|refusal| {
            crate::observe::refused(refusal.status().as_u16());
        })?;
        let outcome = Outcome::Admitted { place, identity, visit: visit.clone() };
        Ok(Self { inner, handshake, hooks: Hooks::default(), outcome })
    }

    /// Who it is; `None` where the first message has to say, or nobody is admitted.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        match &self.outcome {
            Outcome::Admitted { identity, .. } => identity.as_ref(),
            Outcome::Refused { .. } => None,
        }
    }

    /// The refusal that this upgrade only says, if it does.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.outcome {
            Outcome::Admitted { .. } => None,
            Outcome::Refused { refusal, .. } => Some(refusal),
        }
    }

    /// What the application hangs on the connection.
    pub fn hooks_mut(&mut self) -> &mut Hooks {
        &mut self.hooks
    }

    /// The response that upgrades: 101, or 200 for HTTP/2.
    pub fn response(&self) -> ::http::Response<()> {
        self.handshake.response()
    }

    /// The connection's task, on the upgraded transport and the bytes that came with it. Spawn it.
    pub fn drive(self, io: Io, leftover: Bytes) -> impl Future<Output = ()> + Send + 'static {
        let first = self.first();
        self.begin(io, Transport::default(), first, leftover, None).1
    }

    /// The same for a server that keeps the socket and hands in what comes: the bytes to answer with, and the
    /// connection's task, to be spawned. `incoming` need not be `Send`; where it is not, neither is the task.
    ///
    /// Such a socket cannot be cut from here. A client that does not read holds it until the server notices, so a kick
    /// reports it as [`lingering`](crate::KickReport::lingering).
    pub fn stream<S, E>(self, incoming: S) -> (Outgoing, impl Future<Output = ()>)
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
    {
        let (inner, first) = (self.inner.clone(), self.first());
        let io = Io::Taken(Taker::new());
        let (conn, driver) = self.begin(io, HandedIn::new(incoming), first, Bytes::new(), None);
        (Outgoing::frames(&inner, &conn), driver)
    }

    /// A stream of events: nothing comes in, not even which one the client had before.
    pub(crate) fn events(self, asked: Option<Asked>) -> (Outgoing, Driver<Nothing>) {
        let inner = self.inner.clone();
        let io = Io::Taken(Taker::new());
        let (conn, driver) = self.begin(io, Nothing::default(), First::Nothing, Bytes::new(), asked);
        conn.only_listens();
        (Outgoing::events(&inner, &conn), driver)
    }

    fn first(&self) -> First {
        if self.handshake.mode == Mode::Envelope { First::Hello } else { First::Anything }
    }

    fn begin<R: Incoming>(
        self,
        io: Io,
        source: R,
        first: First,
        leftover: Bytes,
        asked: Option<Asked>,
    ) -> (Arc<Conn>, Driver<R>) {
        let Self { inner, handshake, hooks, outcome } = self;
        match outcome {
            Outcome::Refused { refusal, _shown } => {
                let conn = anonymous(&inner, &handshake, inner.lanes.no_place(), None, io);
                let conn = Arc::new(conn);
                let refused = NotJoined::refused(conn.clone(), &refusal);
                (conn, Driver::refuse(inner, refused, source, leftover, Box::new(_shown)))
            }
            Outcome::Admitted { place, identity, visit } => {
                let conn = anonymous(&inner, &handshake, place.id, identity.clone(), io);
                let request = visit.request().clone();
                let (conn, hooks) = (Arc::new(conn), hooks.shared());
                inner.lanes.fill(&conn); // From here on a drain finds it.
                let guard = Guard::new(inner.clone(), conn.clone(), hooks.clone(), place);
                let joining = Joining { inner, hooks, request, identity, asked, guard };
                (conn, Driver::join(joining, source, first, leftover))
            }
        }
    }
}

/// A socket that belongs to nobody yet.
fn anonymous(
    inner: &Inner,
    handshake: &Handshake,
    id: super::ConnectionId,
    identity: Option<Arc<Identity>>,
    io: Io,
) -> Conn {
    Conn::new(Opening {
        id,
        identity,
        mode: handshake.mode,
        io,
        now: inner.clock.now(),
        connected_at: inner.clock.utc(),
        activity: inner.micros(),
        metadata: None,
    })
}

async fn admitted(
    inner: &Arc<Inner>,
    visit: &Visit,
    first_message: bool,
) -> Result<(Place, Option<Arc<Identity>>), Refusal> {
    if inner.is_closing() {
        return Err(crate::Refused::ShutDown.into());
    }
    let identity = visit.user()?;
    if identity.is_none() && !first_message {
        return Err(Refusal::unauthorized());
    }
    let address = visit.request().peer().map(|peer| peer.ip());
    let mut place = Place::take(inner, address)?;
    let id = place.id;
    if let Some(identity) = &identity {
        place.seat(identity, id).await?;
    }
    Ok((place, identity))
}
