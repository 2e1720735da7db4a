//! Where a claim is tested, and what it is tested with.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::SignedDuration;
use mongodb::{
    Client,
    bson::{Binary, Document, doc, spec::BinarySubtype},
};
pub(crate) use music::testing::{description, name};
use music::{Attempt, Description, Revision, RevisionId, Song, Source, Timestamp, testing};
use rusqlite::params;
use store::{ChunkKey, Store, open, testing::TestDatabase};

/// A backend with nothing in it.
pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    database: TestDatabase,
}

impl Place {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        Self { store: open(database.url()).await.expect("opens"), database }
    }

    /// What another process would have.
    pub(crate) async fn another_store(&self) -> Arc<dyn Store> {
        open(self.database.url()).await.expect("opens")
    }

    /// Inserts songs in the order of their ids, all of them ready.
    pub(crate) async fn insert_ready(
        &self,
        descriptions: impl IntoIterator<Item = Description>,
    ) -> Vec<Song> {
        let mut songs = Vec::new();
        for description in descriptions {
            let song = ready(description);
            self.store.insert(&song).await.expect("inserts");
            songs.push(song);
        }
        songs
    }

    /// Changes a chunk as a failing disk would.
    pub(crate) async fn rot(&self, key: &ChunkKey, rot: Rot<'_>) {
        let (url, key) = (self.database.url(), key.to_string());
        if let Some(path) = url.strip_prefix("sqlite:") {
            let file = rusqlite::Connection::open(path).expect("opens");
            let done = match rot {
                Rot::Bytes(bytes) => {
                    file.execute("UPDATE chunks SET bytes = ?2 WHERE key = ?1", params![key, bytes])
                }
                Rot::NoChecksum => {
                    file.execute("UPDATE chunks SET checksum = NULL WHERE key = ?1", [key])
                }
                Rot::Gone => file.execute("DELETE FROM chunks WHERE key = ?1", [key]),
                Rot::Key(other) => file.execute(
                    "UPDATE chunks SET key = ?2 WHERE key = ?1",
                    params![key, other.to_string()],
                ),
            };
            assert_eq!(done.expect("changes"), 1);
            return;
        }
        let database = Client::with_uri_str(url).await.expect("connects").default_database();
        let chunks = database.expect("is named").collection::<Document>("chunks");
        let id = doc! { "_id": &key };
        match rot {
            Rot::Bytes(bytes) => {
                let binary = Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_owned() };
                let update = doc! { "$set": { "chunk_bytes": binary } };
                let done = chunks.update_one(id, update).await.expect("updates");
                assert_eq!(done.modified_count, 1);
            }
            Rot::NoChecksum => {
                let update = doc! { "$unset": { "checksum": "" } };
                let done = chunks.update_one(id, update).await.expect("updates");
                assert_eq!(done.modified_count, 1);
            }
            Rot::Gone => {
                assert_eq!(chunks.delete_one(id).await.expect("deletes").deleted_count, 1);
            }
            Rot::Key(other) => {
                let mut chunk =
                    chunks.find_one_and_delete(id).await.expect("deletes").expect("is there");
                chunk.insert("_id", other.to_string());
                chunks.insert_one(chunk).await.expect("inserts");
            }
        }
    }

    /// Makes a song, chunk or upload look as if a newer program had written it.
    pub(crate) async fn make_newer(&self, kind: Kind, id: &str) {
        let url = self.database.url();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let (table, key) = match kind {
                Kind::Song => ("songs", "id"),
                Kind::Chunk => ("chunks", "key"),
                Kind::Upload => ("uploads", "id"),
            };
            let file = rusqlite::Connection::open(path).expect("opens");
            let update = format!("UPDATE {table} SET schema = 2 WHERE {key} = ?1");
            assert_eq!(file.execute(&update, [id]).expect("updates"), 1);
        } else {
            let collection = match kind {
                Kind::Song => "musics",
                Kind::Chunk => "chunks",
                Kind::Upload => "uploads",
            };
            let database = Client::with_uri_str(url).await.expect("connects").default_database();
            let collection = database.expect("is named").collection::<Document>(collection);
            let update = doc! { "$set": { "schema": 2 } };
            let done = collection.update_one(doc! { "_id": id }, update).await.expect("updates");
            assert_eq!(done.matched_count, 1);
        }
    }
}

/// What becomes of a chunk past the store.
pub(crate) enum Rot<'a> {
    /// It has other bytes.
    Bytes(&'a [u8]),
    /// It has no checksum, as those of earlier programs.
    NoChecksum,
    /// It is gone.
    Gone,
    /// It comes under another key, which has none.
    Key(&'a ChunkKey),
}

pub(crate) enum Kind {
    Song,
    Chunk,
    Upload,
}

/// A description that no other test's song has.
pub(crate) fn any_description() -> Description {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    description(&format!("Title {}", NUMBER.fetch_add(1, Ordering::Relaxed)), "Author")
}

pub(crate) fn on_album(album: &str, disc: Option<u16>, track: Option<u16>) -> Description {
    Description { album: Some(name(album)), disc, track, ..any_description() }
}

pub(crate) fn source() -> Source {
    testing::source(3_000_000)
}

/// A song under way, with a lease of a minute.
pub(crate) fn song() -> Song {
    testing::processing(any_description())
}

/// A song that can be played.
pub(crate) fn ready(description: Description) -> Song {
    testing::ready(description, 10_000_000)
}

pub(crate) fn attempt(lease_until: Timestamp) -> Attempt {
    Attempt { id: RevisionId::new(), lease_until, progress: 0.0 }
}

pub(crate) fn attempt_of(song: &Song) -> Attempt {
    song.attempt.clone().expect("is under way")
}

pub(crate) fn revision(id: RevisionId) -> Revision {
    testing::revision(id, 10_000_000)
}

/// A moment so many seconds from now, to the millisecond.
pub(crate) fn in_seconds(seconds: i64) -> Timestamp {
    music::now() + SignedDuration::from_secs(seconds)
}
