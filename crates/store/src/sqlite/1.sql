-- A song is JSON; what it is found by stands beside it.
CREATE TABLE songs (
    id TEXT NOT NULL PRIMARY KEY,
    schema INTEGER NOT NULL,
    status TEXT NOT NULL,
    album TEXT,
    album_position INTEGER NOT NULL,
    lease_until INTEGER,  -- of its attempt, in ms
    removable_at INTEGER, -- the first of its retired revisions, in ms
    sha256 TEXT NOT NULL,
    record TEXT NOT NULL
) STRICT;

CREATE INDEX songs_by_status ON songs (status, id);
CREATE INDEX songs_by_album ON songs (status, album, album_position, id) WHERE album IS NOT NULL;
CREATE INDEX songs_by_lease ON songs (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX songs_by_removable ON songs (removable_at) WHERE removable_at IS NOT NULL;
CREATE INDEX songs_by_sha256 ON songs (sha256);

-- Every beginning of every word of a song, as its description gives them: whoever changes what is
-- a word makes this anew.
CREATE TABLE prefixes (
    prefix TEXT NOT NULL,
    song TEXT NOT NULL,
    PRIMARY KEY (prefix, song)
) STRICT, WITHOUT ROWID;

-- An ordinary table: with its key in an index apart from the bytes, looking a key up passes over
-- keys only.
CREATE TABLE chunks (
    key TEXT NOT NULL PRIMARY KEY,
    schema INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
