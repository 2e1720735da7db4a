-- Files on their way in; `complete` ones are about to become songs.
CREATE TABLE uploads (
    id TEXT NOT NULL PRIMARY KEY,
    schema INTEGER NOT NULL,
    upload_offset INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- in ms
    record TEXT NOT NULL         -- JSON; the columns beside it are what counts
) STRICT;

-- Keys of requests that are made once.
CREATE TABLE claims (
    key TEXT NOT NULL PRIMARY KEY,
    schema INTEGER NOT NULL,
    expires_at INTEGER NOT NULL, -- in ms
    record TEXT NOT NULL         -- JSON
) STRICT;

CREATE INDEX claims_by_expiry ON claims (expires_at);
