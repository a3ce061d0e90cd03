//! Sessions marked online by hand: a connection without a socket, one for each user and token.

use std::sync::{Arc, atomic::Ordering};

use super::inner::Inner;
use crate::{
    AccountUser, Marked, OnlineUser, Refused, Session, UserKey,
    auth::{Identity, TokenId},
    cluster::{EngineError, OnEngineDown},
    connection::{Conn, ConnectionId, Io, Opening},
    kick,
    limits::{MAX_DEVICE, check_label, check_metadata, check_user},
    policy::{Decision, Seat},
    presence::{Member, Opened, UserState},
    protocol::Mode,
    target::check_token,
};

impl Inner {
    /// Marks a session online, or brings one that is up to date.
    pub(crate) async fn mark(self: &Arc<Self>, marked: AccountUser) -> Marked {
        match self.try_mark(marked).await {
            Ok(marked) => marked,
            Err(refused) => Marked::Refused(refused),
        }
    }

    pub(crate) async fn try_mark(self: &Arc<Self>, marked: AccountUser) -> Result<Marked, Refused> {
        let user = check(&marked)?;
        if self.is_closing() {
            return Err(Refused::ShutDown);
        }
        self.start();
        let token = TokenId::of(&marked.user.token);
        if self.known_hand(&user, token).is_some() {
            self.touch_session(&user, Some(token));
            return Ok(Marked::Already);
        }
        let mut identity = Identity::new(user.clone()).token_id(token);
        identity.device =
            Some(marked.user.device.as_str()).filter(|device| !device.is_empty()).map(Arc::from);
        if let Some(denial) = self.denied(&identity).await {
            return Err(denial.into());
        }
        let serial = self.hands.fetch_add(1, Ordering::Relaxed) + 1;
        if serial == 1 {
            super::sweep::start(self);
        }
        let id = ConnectionId::by_hand(self.engine.node_id(), serial);
        let replaced = self.seat_by_hand(&identity, id).await?;
        let done = self.insert_hand(id, identity, marked.user);
        match &done {
            Ok(Marked::Online) if !replaced.is_empty() => kick::close_replaced(self, &user, replaced),
            Ok(Marked::Online) => {}
            _ => self.release_seat(&user, id),
        }
        done
    }

    fn known_hand(&self, user: &UserKey, token: TokenId) -> Option<Arc<Conn>> {
        self.registry.read(user, |state| {
            let hand = |state: &UserState| {
                state.present().find(|member| is_hand(member, token)).map(|member| member.conn.clone())
            };
            state.and_then(hand)
        })
    }

    async fn seat_by_hand(
        &self,
        identity: &Identity,
        id: ConnectionId,
    ) -> Result<Vec<ConnectionId>, Refused> {
        let policy = &self.config.login_policy;
        if policy.is_unlimited() {
            return Ok(Vec::new());
        }
        let seat = Seat::new(id, identity.token_id, identity.device_label());
        let admit = self.engine.admit(&identity.user, policy, seat);
        let decision = tokio::time::timeout(self.config.engine_deadline, admit).await;
        match decision.unwrap_or_else(|_| Err(EngineError::Unavailable("no answer in time".into()))) {
            Ok(Decision::Admitted) => Ok(Vec::new()),
            Ok(Decision::Replace(connections)) => Ok(connections),
            Ok(Decision::Refused) => Err(Refused::TooManyDevices),
            Err(_) if self.config.on_engine_down == OnEngineDown::AdmitLocally => Ok(Vec::new()),
            Err(_) => Err(Refused::Unavailable),
        }
    }

    /// Registers and opens in one go: a hand mark has no upgrade to wait for.
    fn insert_hand(
        self: &Arc<Self>,
        id: ConnectionId,
        identity: Identity,
        marked: OnlineUser,
    ) -> Result<Marked, Refused> {
        let (now, at) = (self.clock.now(), self.clock.utc());
        let conn = Arc::new(Conn::new(Opening {
            id,
            identity: Some(Arc::new(identity.clone())),
            mode: Mode::Raw,
            io: Io::None,
            now,
            connected_at: marked.connect_time,
            activity: self.micros(),
            metadata: (!marked.metadata.is_empty()).then(|| Arc::new(marked.metadata)),
        }));
        // Two that mark the same session at once: the second finds the first under the lock.
        let (opened, diff) = self.registry.mark(&conn, at, || self.deny.find(&identity, at));
        self.after(diff);
        match opened {
            Opened::Present => Ok(Marked::Online),
            Opened::Taken => Ok(Marked::Already),
            Opened::Denied(denial) => Err(denial.into()),
        }
    }

    /// The user's sessions on this node: connections of one token are one.
    pub(crate) fn sessions_here(&self, user: &UserKey) -> Vec<Session> {
        self.registry.read(user, |state| {
            let mut sessions: Vec<Session> = Vec::new();
            for member in state.into_iter().flat_map(UserState::present) {
                merge(&mut sessions, self.record(member));
            }
            sessions
        })
    }

    fn record(&self, member: &Member) -> Session {
        Session {
            handle: member.token,
            device: member.conn.identity().device_label().to_owned(),
            connect_time: member.conn.connected_at,
            last_activity: self.at_micros(member.conn.activity()),
            metadata: member.conn.metadata.as_deref().cloned().unwrap_or_default(),
            status: member.status(),
        }
    }
}

fn check(marked: &AccountUser) -> Result<UserKey, Refused> {
    let user = marked.key();
    check_user(&user)?;
    check_token(&marked.user.token)?;
    check_label("device", &marked.user.device, MAX_DEVICE)?;
    check_metadata(&marked.user.metadata)?;
    Ok(user)
}

fn is_hand(member: &Member, token: TokenId) -> bool {
    member.token == token && !member.conn.is_socket()
}

/// Sessions by token, each once.
pub(crate) fn merge(sessions: &mut Vec<Session>, new: Session) {
    match sessions.iter_mut().find(|session| session.handle == new.handle) {
        Some(known) => known.merge(new),
        None => sessions.push(new),
    }
}

/// A session in the seeds' shape: the token is its handle.
pub(crate) fn online_user(user: &UserKey, session: Session) -> OnlineUser {
    OnlineUser {
        login_id: user.login_id().to_owned(),
        token: session.handle.to_string(),
        device: session.device,
        connect_time: session.connect_time,
        last_activity: session.last_activity,
        metadata: session.metadata,
    }
}
