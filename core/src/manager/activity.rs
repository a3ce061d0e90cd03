//! What connections do and say of their users: active, idle, away.

use super::inner::Inner;
use crate::{Status, UserKey, UserRef, auth::TokenId, connection::Conn, presence::is_idle};

impl Inner {
    /// Counts as activity of a user's sessions, or of one of them; false where there is none.
    pub(crate) fn touch_session<'a>(&self, user: impl Into<UserRef<'a>>, token: Option<TokenId>) -> bool {
        let now = self.micros();
        let (found, idle) = self.registry.read(user, |state| {
            let members = state.map(|state| state.members()).unwrap_or_default();
            let meant = members.iter().filter(|member| !member.is_parked());
            let meant = meant.filter(|member| token.is_none_or(|token| member.token == token));
            let mut idle = Vec::new();
            let found = meant.fold(false, |_, member| {
                member.conn.touch(now);
                if member.is_idle() {
                    idle.push(member.conn.clone());
                }
                true
            });
            (found, idle)
        });
        idle.iter().for_each(|conn| self.set_idle(conn, false));
        found
    }

    /// An application frame came over this connection.
    pub(crate) fn touch_conn(&self, conn: &Conn) {
        conn.touch(self.micros());
        if self.registry.read(conn.user(), |state| is_idle(state, conn.id)) {
            self.set_idle(conn, false);
        }
    }

    pub(crate) fn set_idle(&self, conn: &Conn, idle: bool) {
        self.update(conn.user(), |state| state.set_idle(conn.id, idle));
    }

    /// Sets what one connection says of its user.
    pub(crate) fn say(&self, conn: &Conn, status: &Status) {
        let id = conn.id;
        self.update(conn.user(), |state| state.say(status, |member| member.conn.id == id));
    }

    /// Sets what every connection of a user says.
    pub(crate) fn say_all<'a>(&self, user: impl Into<UserRef<'a>>, status: &Status) {
        self.update(user, |state| state.say(status, |_| true));
    }

    fn update<'a>(&self, user: impl Into<UserRef<'a>>, f: impl FnOnce(&mut crate::presence::UserState)) {
        let change = |_: &UserKey, state: &mut _| f(state);
        if let Some(((), diff)) =
            self.registry.change_known(user, crate::Cause::Status, self.clock.utc(), change)
        {
            self.after(diff);
        }
    }
}
