//! The SQLite file: one thread of its own behind a bounded queue, so that no async thread waits for a disk.

use std::{error::Error, path::Path, thread};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use herenow_poem::{Clock as _, LastSeen, SystemClock, UserKey, http::Refusal};
use rusqlite::{Connection, Params, Result as SqlResult, Row};
use tokio::sync::{mpsc, oneshot};

/// Jobs that may wait for the disk; whoever has one more waits as well.
const QUEUE: usize = 1024;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The database, as a cheap clone.
#[derive(Clone)]
pub(crate) struct Store(mpsc::Sender<Job>);

impl Store {
    pub(crate) fn open(path: &Path) -> Result<Self, Box<dyn Error>> {
        let db = Connection::open(path)?;
        db.execute_batch(include_str!("schema.sql"))?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let work = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&db);
            }
        };
        thread::Builder::new().name("sqlite".to_owned()).spawn(work)?;
        Ok(Self(jobs))
    }

    /// Runs on the database's thread, after what waits there. What fails is logged here, once for all; the client
    /// hears no more than 500.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> SqlResult<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (tell, hear) = oneshot::channel();
        let job: Job = Box::new(move |db| drop(tell.send(work(db)))); // Who went away needs no answer.
        let _ = self.0.send(job).await;
        hear.await.unwrap_or(Err(rusqlite::Error::InvalidQuery)).map_err(|error| {
            tracing::error!(%error, "the database failed");
            Refusal::internal()
        })
    }

    /// What a query finds: a tuple for each row.
    pub(crate) async fn read<T, P>(&self, sql: &'static str, with: P) -> Result<Vec<T>, Refusal>
    where
        T: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error> + Send + 'static,
        P: Params + Send + 'static,
    {
        self.run(move |db| db.prepare_cached(sql)?.query_map(with, |row| row.try_into())?.collect()).await
    }

    /// How many rows a statement changed.
    pub(crate) async fn write<P: Params + Send + 'static>(
        &self,
        sql: &'static str,
        with: P,
    ) -> Result<usize, Refusal> {
        self.run(move |db| db.prepare_cached(sql)?.execute(with)).await
    }

    /// Waits for what is queued, and leaves one tidy file behind.
    pub(crate) async fn finish(&self) {
        let _ = self.run(|db| db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")).await;
    }
}

/// The column beside the status: `OnlineManager::last_seen` reads it where memory knows nothing, after a restart.
#[async_trait]
impl LastSeen for Store {
    async fn record(&self, user: &UserKey, at: DateTime<Utc>) {
        let row = (user.login_id().to_owned(), at.timestamp_millis());
        let _ = self.write("UPDATE users SET last_seen = ?2 WHERE name = ?1", row).await;
    }

    async fn last_seen(&self, user: &UserKey) -> Option<DateTime<Utc>> {
        let sql = "SELECT last_seen FROM users WHERE name = ?1 AND last_seen IS NOT NULL";
        let (at,) = self.read(sql, (user.login_id().to_owned(),)).await.ok()?.pop()?;
        DateTime::from_timestamp_millis(at)
    }
}

/// Ms since 1970, as all times in the database are.
pub(crate) fn now() -> i64 {
    SystemClock.utc().timestamp_millis()
}
