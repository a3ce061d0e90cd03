//! SQLite: who waits with a QR code, and who is logged in. Secrets stand here as hashes only.

use std::{path::Path, sync::Arc};

use actix_web::web;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use herenow::{
    Clock as _, SystemClock,
    auth::{Identity, StoreError, TokenId, TokenStore},
};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension as _, params};

/// How long the end of a session is remembered, so that a phone that is late hears "expired" and not "unknown".
const REMEMBERED: TimeDelta = TimeDelta::hours(1);

/// One connection behind a lock, shared by all clones.
#[derive(Clone)]
pub(crate) struct Store(Arc<Mutex<Connection>>);

/// A browser that wants to be logged in.
#[derive(Debug)]
pub(crate) struct QrSession {
    pub(crate) status: String,
    /// Whose phone scanned it.
    pub(crate) login_id: Option<String>,
    pub(crate) browser: String,
    pub(crate) expires_at: DateTime<Utc>,
}

/// What a phone does with a code.
#[derive(Debug)]
pub(crate) enum Step {
    Scan,
    /// Lets the browser in, with this login.
    Confirm(Identity),
    Cancel,
}

impl Store {
    /// Opens the file, and makes it where there is none.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let db = Connection::open(path)?;
        db.execute_batch(include_str!("schema.sql"))?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// A new session until `end`; what is over goes.
    pub(crate) async fn begin(
        &self,
        code: String,
        browser: String,
        end: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        self.with(move |db| {
            let now = SystemClock.utc();
            db.execute("DELETE FROM qr_session WHERE expires_at < ?1", [millis(now - REMEMBERED)])?;
            db.execute("DELETE FROM login WHERE expires_at < ?1", [millis(now)])?;
            let insert = "INSERT INTO qr_session (code, browser, expires_at) VALUES (?1, ?2, ?3)";
            db.execute(insert, params![code, browser, millis(end)]).map(drop)
        })
        .await
    }

    pub(crate) async fn session(&self, code: String) -> Result<Option<QrSession>, StoreError> {
        self.with(move |db| session(db, &code)).await
    }

    /// Takes a step if the user's phone may; says whether it did, and how the session stands now. One statement decides:
    /// of two phones, or of a phone and the deadline, one wins.
    pub(crate) async fn step(
        &self,
        code: String,
        login_id: String,
        step: Step,
    ) -> Result<(bool, Option<QrSession>), StoreError> {
        self.with(move |db| {
            let all = db.transaction()?;
            let taken = all.execute(
                "UPDATE qr_session SET status = ?2, login_id = ?3 WHERE code = ?1 AND expires_at > ?4
                 AND (status = 'scanned' AND login_id = ?3 OR status = 'waiting' AND ?2 = 'scanned')",
                params![code, step.leads_to(), login_id, millis(SystemClock.utc())],
            )? == 1;
            if let (true, Step::Confirm(login)) = (taken, &step) {
                add_login(&all, login)?;
            }
            let session = session(&all, &code)?;
            all.commit()?;
            Ok((taken, session))
        })
        .await
    }

    pub(crate) async fn add_login(&self, login: Identity) -> Result<(), StoreError> {
        self.with(move |db| add_login(db, &login)).await
    }

    /// The logins of a user, the oldest first.
    pub(crate) async fn logins(&self, login_id: String) -> Result<Vec<Identity>, StoreError> {
        let sql = "SELECT identity FROM login WHERE login_id = ?1 AND expires_at > ?2 ORDER BY rowid";
        let wanted = move |db: &mut Connection| {
            db.prepare(sql)?
                .query_map(params![login_id, millis(SystemClock.utc())], |row| row.get(0))?
                .collect()
        };
        let found: Vec<String> = self.with(wanted).await?;
        found.iter().map(|text| identity(text)).collect()
    }

    /// SQLite blocks, so it runs on a thread that may.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let db = self.0.clone();
        let done = web::block(move || work(&mut db.lock())).await.map_err(StoreError::new)?;
        done.map_err(StoreError::new)
    }
}

/// What `OpaqueTokens` asks at every request, and again every minute of an open connection.
#[async_trait]
impl TokenStore for Store {
    async fn get(&self, id: TokenId) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT identity FROM login WHERE token = ?1";
        let wanted =
            move |db: &mut Connection| db.query_row(sql, [id.to_string()], |row| row.get(0)).optional();
        let found: Option<String> = self.with(wanted).await?;
        found.map(|text| identity(&text)).transpose()
    }

    async fn remove(&self, id: TokenId) -> Result<(), StoreError> {
        let sql = "DELETE FROM login WHERE token = ?1";
        self.with(move |db| db.execute(sql, [id.to_string()]).map(drop)).await
    }
}

impl QrSession {
    pub(crate) fn is_over(&self) -> bool {
        self.expires_at <= SystemClock.utc()
    }

    /// Whether a phone has not said its last word.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "waiting" | "scanned")
    }
}

impl Step {
    fn leads_to(&self) -> &'static str {
        match self {
            Self::Scan => "scanned",
            Self::Confirm(_) => "confirmed",
            Self::Cancel => "cancelled",
        }
    }
}

fn session(db: &Connection, code: &str) -> rusqlite::Result<Option<QrSession>> {
    let sql = "SELECT status, login_id, browser, expires_at FROM qr_session WHERE code = ?1";
    db.query_row(sql, [code], |row| {
        let expires_at = DateTime::from_timestamp_millis(row.get(3)?).unwrap_or_default();
        Ok(QrSession { status: row.get(0)?, login_id: row.get(1)?, browser: row.get(2)?, expires_at })
    })
    .optional()
}

fn add_login(db: &Connection, login: &Identity) -> rusqlite::Result<()> {
    let unreadable = |error| rusqlite::Error::ToSqlConversionFailure(Box::new(error));
    let json = serde_json::to_string(login).map_err(unreadable)?;
    let (token, user, end) =
        (login.token_id.to_string(), login.user.login_id(), login.expires_at.map(millis));
    db.execute("INSERT INTO login VALUES (?1, ?2, ?3, ?4)", params![token, user, end, json]).map(drop)
}

fn identity(json: &str) -> Result<Identity, StoreError> {
    serde_json::from_str(json).map_err(StoreError::new)
}

fn millis(at: DateTime<Utc>) -> i64 {
    at.timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::{Cancel, Confirm, Scan};

    async fn store(ttl: TimeDelta) -> Store {
        let store = Store::open(Path::new(":memory:")).unwrap();
        let end = SystemClock.utc() + ttl;
        store.begin("code".to_owned(), "Firefox on Linux".to_owned(), end).await.unwrap();
        store
    }

    fn login() -> Identity {
        let soon = SystemClock.utc() + TimeDelta::hours(1);
        Identity::new("alice").device("web").expires_at(soon).token_id(TokenId::of("secret"))
    }

    /// Whether each step is taken, one after the other.
    async fn taken(store: &Store, steps: impl IntoIterator<Item = (&str, Step)>) -> Vec<bool> {
        let mut taken = Vec::new();
        for (who, step) in steps {
            taken.push(store.step("code".to_owned(), who.to_owned(), step).await.unwrap().0);
        }
        taken
    }

    #[actix_web::test]
    async fn only_the_phone_that_scanned_confirms_and_only_once() {
        let store = store(TimeDelta::minutes(1)).await;
        let steps = [
            ("alice", Confirm(login())),
            ("alice", Scan),
            ("alice", Scan),
            ("bob", Scan),
            ("bob", Confirm(login())),
            ("bob", Cancel),
        ];
        assert_eq!(taken(&store, steps).await, [false, true, true, false, false, false]);
        assert!(store.logins("alice".to_owned()).await.unwrap().is_empty());
        let steps =
            [("alice", Confirm(login())), ("alice", Confirm(login())), ("alice", Cancel), ("alice", Scan)];
        assert_eq!(taken(&store, steps).await, [true, false, false, false]);
        assert_eq!(store.logins("alice".to_owned()).await.unwrap().len(), 1);
    }

    #[actix_web::test]
    async fn nothing_happens_after_the_end() {
        let store = store(TimeDelta::zero()).await;
        assert_eq!(taken(&store, [("alice", Scan), ("alice", Confirm(login()))]).await, [false, false]);
        assert!(store.session("code".to_owned()).await.unwrap().unwrap().is_over());
    }

    #[actix_web::test]
    async fn of_many_confirmations_at_once_one_is_taken() {
        let store = store(TimeDelta::minutes(1)).await;
        taken(&store, [("alice", Scan)]).await;
        let confirm = |n: u32| {
            let (store, login) = (store.clone(), login().token_id(TokenId::of(&n.to_string())));
            actix_web::rt::spawn(async move {
                store.step("code".to_owned(), "alice".to_owned(), Confirm(login)).await.unwrap().0
            })
        };
        let all: Vec<_> = (0..32).map(confirm).collect();
        let mut taken = 0;
        for one in all {
            taken += u32::from(one.await.unwrap());
        }
        assert_eq!((taken, store.logins("alice".to_owned()).await.unwrap().len()), (1, 1));
    }

    #[actix_web::test]
    async fn a_login_is_good_until_it_is_taken_back() {
        let store = store(TimeDelta::minutes(1)).await;
        store.add_login(login()).await.unwrap();
        let id = TokenId::of("secret");
        assert_eq!(store.get(id).await.unwrap().unwrap().device_label(), "web");
        store.remove(id).await.unwrap();
        assert!(
            store.get(id).await.unwrap().is_none()
                && store.logins("alice".to_owned()).await.unwrap().is_empty()
        );
    }
}
