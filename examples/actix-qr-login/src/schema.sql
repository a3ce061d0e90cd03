PRAGMA journal_mode = WAL;
PRAGMA busy_timeout = 2000;

-- A browser that wants to be logged in. The code is the hash of its session id, so this file opens nothing.
CREATE TABLE IF NOT EXISTS qr_session (
  code       TEXT PRIMARY KEY,
  status     TEXT NOT NULL DEFAULT 'waiting' CHECK (status IN ('waiting', 'scanned', 'confirmed', 'cancelled')),
  login_id   TEXT,             -- whose phone scanned it
  browser    TEXT NOT NULL,    -- as the phone shows it
  expires_at INTEGER NOT NULL  -- milliseconds since 1970
) STRICT;
CREATE INDEX IF NOT EXISTS qr_session_by_end ON qr_session (expires_at);

-- A token that was handed out, under its hash. It is good while it stands here.
CREATE TABLE IF NOT EXISTS login (
  token      TEXT PRIMARY KEY,
  login_id   TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  identity   TEXT NOT NULL     -- JSON: whose it is, the device, what it allows
) STRICT;
CREATE INDEX IF NOT EXISTS login_by_user ON login (login_id);
CREATE INDEX IF NOT EXISTS login_by_end ON login (expires_at);
