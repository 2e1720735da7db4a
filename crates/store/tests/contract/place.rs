//! Where a claim is tested, and what it is tested with.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::SignedDuration;
use mongodb::{Client, bson::Document, bson::doc};
pub(crate) use music::testing::{description, name};
use music::{Attempt, Description, Revision, RevisionId, Song, Source, Timestamp, testing};
use store::{Store, open, testing::TestDatabase};

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
