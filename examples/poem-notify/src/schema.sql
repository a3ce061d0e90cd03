PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA foreign_keys = ON;

-- Whoever logged in once. `status` and `last_seen` (ms) are there for whatever else reads this table.
CREATE TABLE IF NOT EXISTS users (
  name      TEXT PRIMARY KEY,
  status    TEXT NOT NULL DEFAULT 'offline',
  last_seen INTEGER
) WITHOUT ROWID;

-- What was said: JSON as the pages read it. `id` is the push's message id, a UUIDv7, so ids sort by time.
CREATE TABLE IF NOT EXISTS notifications (
  id     TEXT PRIMARY KEY,
  sent   INTEGER NOT NULL,
  device TEXT, -- for this device of each user alone
  note   TEXT NOT NULL
) WITHOUT ROWID;

-- To whom. `missed`: the offline sink took it; `delivered` (ms): it has gone out since; `read` (ms).
CREATE TABLE IF NOT EXISTS inbox (
  user      TEXT NOT NULL,
  id        TEXT NOT NULL REFERENCES notifications (id) ON DELETE CASCADE,
  missed    INTEGER NOT NULL DEFAULT 0,
  delivered INTEGER,
  read      INTEGER,
  PRIMARY KEY (user, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inbox_by_id ON inbox (id);
CREATE INDEX IF NOT EXISTS inbox_waiting ON inbox (user, id) WHERE missed AND delivered IS NULL;

CREATE VIEW IF NOT EXISTS notes AS SELECT * FROM inbox JOIN notifications USING (id);

-- A process that was killed could not say so of its users, and nothing is kept for ever.
UPDATE users SET status = 'offline' WHERE status <> 'offline';
DELETE FROM notifications WHERE sent < (unixepoch() - 90 * 86400) * 1000;
