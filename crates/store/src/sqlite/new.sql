-- In a file that has no chunks yet, the checksum stands before the bytes: SQLite finds it without
-- going through all of them once more.
DROP TABLE chunks;
CREATE TABLE chunks (
    key TEXT NOT NULL PRIMARY KEY,
    schema INTEGER NOT NULL,
    checksum INTEGER,
    bytes BLOB NOT NULL
) STRICT;
