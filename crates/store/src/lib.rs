//! Where songs and their bytes are kept: the guarantees, apart from who gives them.
//!
//! A [`Store`] holds four things. **Songs** are small records, changed one at a time, each change
//! conditional on what the record said before. **Chunks** are immutable byte strings under a
//! [`ChunkKey`], written once and removed by range. **Uploads** are songs to be, whose parts come in as
//! chunks; **claims** are what requests with an `Idempotency-Key` leave. There are no transactions
//! across records; the order of writes makes every crash harmless:
//!
//! - chunks are written before the commit that makes them reachable, under the id of an attempt
//!   that the song's record names from before the first of them until after the last;
//! - a record that is the only trace of chunks goes after them, or leaves chunks whose song is
//!   gone, which [`Chunks::groups`] finds.
//!
//! Every backend passes the claims of `tests/contract`.

mod checksum;
mod claim;
mod error;
mod key;
mod mongodb;
mod query;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use music::{Attempt, Description, Retired, Revision, RevisionId, Song, SongId, Source, Timestamp};

pub use claim::{Claim, Claimed, Claims};
pub use error::{Error, Result};
pub use key::{CHUNK_LIMIT, ChunkGroup, ChunkKey};
pub use query::{Cursor, Page, Query};
pub use upload::{Upload, Uploads};

/// The records of songs.
///
/// Each method is atomic and durable once it returns `Ok`. A method that returns
/// [`Error::Unavailable`] may or may not have taken effect; reads return it within 5 s. All changes
/// raise [`Song::version`] by one and set [`Song::updated_at`]. A lease runs until before
/// `lease_until`: at that moment it has ended.
///
/// A song that a newer program wrote is neither read nor changed, but refused as
/// [`Error::NewerSchema`]; so is a list that it would be on.
#[async_trait]
pub trait Songs: Send + Sync {
    /// Adds a song.
    ///
    /// # Errors
    /// [`Error::Backend`] if there is a song with its id.
    async fn insert(&self, song: &Song) -> Result<()>;

    /// The song, whatever its status.
    async fn get(&self, id: SongId) -> Result<Option<Song>>;

    /// One page of the songs that a query asks for.
    ///
    /// It takes as long in a large library as in a small one, except where words are asked for that
    /// each are in many songs but seldom together: then in proportion to the songs with the rarest.
    async fn list(&self, query: &Query) -> Result<Page>;

    /// Gives a song another description, if its version still is `version`.
    ///
    /// Returns the song as it then is, or nothing if there is no such song at that version.
    async fn describe(
        &self,
        id: SongId,
        version: u64,
        description: &Description,
    ) -> Result<Option<Song>>;

    /// Tells what a song's file turned out to be and what it is called by its tags, if its version
    /// still is `version`. Nothing stands in for anything any more: [`Song::stand_in`] is gone.
    ///
    /// Returns whether it was so.
    async fn identify(
        &self,
        id: SongId,
        version: u64,
        source: &Source,
        description: &Description,
    ) -> Result<bool>;

    /// Songs made of the file with this SHA-256, whatever their status, newest first, at most
    /// `limit`.
    async fn made_of(&self, sha256: &str, limit: usize) -> Result<Vec<Song>>;

    /// Removes a song. From then on no reader sees it. Returns whether it was there.
    ///
    /// Its chunks stay: whoever removes a song removes its chunks next.
    async fn remove(&self, id: SongId) -> Result<bool>;

    /// Starts an attempt, if the song exists and has none whose lease still runs at `now`.
    ///
    /// A `failed` song becomes `processing`; a `ready` one stays so and is played meanwhile. What
    /// the attempt before ended with, [`Song::error`], is gone. An attempt whose lease has ended is
    /// retired, its chunks removable at `now`. Returns whether the attempt was started.
    async fn begin(&self, id: SongId, attempt: &Attempt, now: Timestamp) -> Result<bool>;

    /// Extends the lease of an attempt and tells its progress, if it is still under way.
    ///
    /// Returns whether it is. If not, its owner stops and removes what it has written.
    async fn renew(&self, id: SongId, attempt: &Attempt) -> Result<bool>;

    /// Makes an attempt's work the song's revision, if the attempt is still under way.
    ///
    /// The song becomes `ready`, without an error. The revision it had before is retired as of
    /// `superseded_removable_at`, with its variants. Returns whether the attempt's work now is the song's revision:
    /// a commit whose answer was lost can be repeated.
    async fn commit(
        &self,
        id: SongId,
        revision: &Revision,
        superseded_removable_at: Timestamp,
    ) -> Result<bool>;

    /// Ends an attempt that came to nothing, if it is still under way, for a reason fit for whoever
    /// sent the file.
    ///
    /// A song without a revision becomes `failed`. The attempt is retired and its chunks may go at
    /// once. Returns whether it happened.
    async fn fail(&self, id: SongId, attempt: RevisionId, reason: &str) -> Result<bool>;

    /// Ends an attempt as [`fail`](Self::fail) does, if its lease has ended at `now`. One that was
    /// renewed since it was found among the [`expired`](Self::expired) goes on.
    async fn fail_expired(
        &self,
        id: SongId,
        attempt: RevisionId,
        now: Timestamp,
        reason: &str,
    ) -> Result<bool>;

    /// Songs whose attempt's lease has ended at `now`, at most `limit`, the longest ended first.
    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Song>>;

    /// Retired revisions whose chunks may go at `now`, at most `limit`.
    async fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<(SongId, Retired)>>;

    /// Forgets a retired revision, whose chunks are gone.
    async fn forget(&self, id: SongId, retired: RevisionId) -> Result<()>;

    /// Whether the backend answers and takes what is added.
    ///
    /// # Errors
    /// [`Error::Unavailable`], and [`Error::Full`] where it knows that it has no room left.
    async fn ping(&self) -> Result<()>;
}

/// The bytes of songs.
///
/// A chunk is written with a checksum, and is only read if it still has it: of one that has changed,
/// reads return [`Error::Corrupt`]. Chunks of earlier programs have no checksum and are read as they
/// are.
///
/// What is put or removed survives a crash of the process at once, and a loss of power at the latest
/// when a later change of a song's record has returned `Ok`: what a record promises is there.
#[async_trait]
pub trait Chunks: Send + Sync {
    /// Writes a chunk. Writing the same key again replaces its bytes, so a retry is harmless.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`CHUNK_LIMIT`]; nothing is written.
    async fn put(&self, key: &ChunkKey, bytes: Bytes) -> Result<()>;

    /// Writes a chunk unless there is one with its key, which then stays as it is. Of several that
    /// are written at once exactly one is. Returns whether this one was.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`CHUNK_LIMIT`]; nothing is written.
    async fn put_new(&self, key: &ChunkKey, bytes: Bytes) -> Result<bool>;

    /// The bytes of a chunk, in one read of the backend.
    async fn read(&self, key: &ChunkKey) -> Result<Option<Bytes>>;

    /// The chunk of a song's original that holds the byte at `offset`, in one read: the offset
    /// that it begins at, and its bytes.
    async fn read_original(&self, id: SongId, offset: u64) -> Result<Option<(u64, Bytes)>>;

    /// Removes every chunk of a group. Harmless to repeat.
    async fn remove_group(&self, id: SongId, group: ChunkGroup) -> Result<()>;

    /// Removes every chunk of a song. Harmless to repeat.
    async fn remove_all(&self, id: SongId) -> Result<()>;

    /// The names of a group's chunks, as [`ChunkKey::chunk_name`] gives them, in their order. Reads
    /// keys only.
    async fn chunk_names(&self, id: SongId, group: ChunkGroup) -> Result<Vec<String>>;

    /// The groups that hold at least one chunk, in the order of their keys, after `after`, at most
    /// `limit`. Reads in proportion to the groups, not to the chunks.
    async fn groups(
        &self,
        after: Option<(SongId, ChunkGroup)>,
        limit: usize,
    ) -> Result<Vec<(SongId, ChunkGroup)>>;
}

/// All that Segue keeps.
pub trait Store: Songs + Chunks + Uploads + Claims {}

impl<S: Songs + Chunks + Uploads + Claims> Store for S {}

/// What this program writes as `schema` into everything it keeps. It refuses what has a higher one.
const SCHEMA: i32 = 1;

/// Opens the store that a URL names: `mongodb://…`, `mongodb+srv://…`, or `sqlite:PATH`.
///
/// SQLite's tables are made if they are missing, in a file that is made if it is missing. For
/// MongoDB nothing goes over the network before the first use, so that a cold start does not wait
/// for what it may not need; collections and indexes are made by whoever first inserts a song or
/// puts a chunk, and readers never wait for them.
///
/// # Errors
/// [`Error::Url`] if the URL is of another kind, or of one that this build leaves out. Its text
/// never repeats a password.
#[cfg_attr(
    not(feature = "sqlite"),
    expect(clippy::unused_async, reason = "only a file is opened before its first use")
)]
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    match url.split_once(':') {
        Some(("mongodb" | "mongodb+srv", _)) => Ok(Arc::new(mongodb::MongoDb::new(url)?)),
        #[cfg(feature = "sqlite")]
        Some(("sqlite", path)) => Ok(Arc::new(sqlite::Sqlite::open(path).await?)),
        #[cfg(not(feature = "sqlite"))]
        Some(("sqlite", _)) => Err(Error::Url("this build has no SQLite".to_owned())),
        _ => Err(Error::Url(
            "it begins with none of mongodb://, mongodb+srv:// and sqlite:".to_owned(),
        )),
    }
}
