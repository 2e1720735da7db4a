//! A database that is away for a while, or for good.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use ingest::{Error, Ingest, Outcome, testing::Files};
use music::{
    Attempt, Description, Retired, Revision, RevisionId, Song, SongId, Source, Status, Timestamp,
};
use store::{
    ChunkGroup, ChunkKey, Chunks, Claim, Claimed, Claims, Cursor, Page, Query, Result, Songs,
    Store, Upload, Uploads,
};

use crate::house::House;

/// A store that can be away.
struct Fragile {
    inner: Arc<dyn Store>,
    away: AtomicBool,
    /// After how many more chunks it goes away.
    chunks: AtomicUsize,
    /// The chunks that are written, in that order.
    written: Mutex<Vec<ChunkKey>>,
}

impl Fragile {
    fn new(inner: &Arc<dyn Store>, chunks: usize) -> Arc<Self> {
        let inner = Arc::clone(inner);
        let away = AtomicBool::new(false);
        Arc::new(Self { inner, away, chunks: AtomicUsize::new(chunks), written: Mutex::default() })
    }

    fn there(&self) -> Result<&dyn Store> {
        if self.away.load(Ordering::SeqCst) {
            return Err(store::Error::Unavailable("away".into()));
        }
        Ok(self.inner.as_ref())
    }
}

#[async_trait]
impl Songs for Fragile {
    async fn insert(&self, song: &Song) -> Result<()> {
        self.there()?.insert(song).await
    }
    async fn get(&self, id: SongId) -> Result<Option<Song>> {
        self.there()?.get(id).await
    }
    async fn list(&self, query: &Query) -> Result<Page> {
        self.there()?.list(query).await
    }
    async fn describe(
        &self,
        id: SongId,
        version: u64,
        description: &Description,
    ) -> Result<Option<Song>> {
        self.there()?.describe(id, version, description).await
    }
    async fn identify(
        &self,
        id: SongId,
        version: u64,
        source: &Source,
        description: &Description,
    ) -> Result<bool> {
        self.there()?.identify(id, version, source, description).await
    }
    async fn made_of(&self, sha256: &str, limit: usize) -> Result<Vec<Song>> {
        self.there()?.made_of(sha256, limit).await
    }
    async fn remove(&self, id: SongId) -> Result<bool> {
        self.there()?.remove(id).await
    }
    async fn begin(&self, id: SongId, attempt: &Attempt, now: Timestamp) -> Result<bool> {
        self.there()?.begin(id, attempt, now).await
    }
    async fn renew(&self, id: SongId, attempt: &Attempt) -> Result<bool> {
        self.there()?.renew(id, attempt).await
    }
    async fn commit(
        &self,
        id: SongId,
        revision: &Revision,
        removable_at: Timestamp,
    ) -> Result<bool> {
        self.there()?.commit(id, revision, removable_at).await
    }
    async fn fail(&self, id: SongId, attempt: RevisionId, reason: &str) -> Result<bool> {
        self.there()?.fail(id, attempt, reason).await
    }
    async fn fail_expired(
        &self,
        id: SongId,
        attempt: RevisionId,
        now: Timestamp,
        reason: &str,
    ) -> Result<bool> {
        self.there()?.fail_expired(id, attempt, now, reason).await
    }
    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Song>> {
        self.there()?.expired(now, limit).await
    }
    async fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<(SongId, Retired)>> {
        self.there()?.removable(now, limit).await
    }
    async fn forget(&self, id: SongId, retired: RevisionId) -> Result<()> {
        self.there()?.forget(id, retired).await
    }
    async fn ping(&self) -> Result<()> {
        self.there()?.ping().await
    }
}

#[async_trait]
impl Chunks for Fragile {
    async fn put(&self, key: &ChunkKey, bytes: Bytes) -> Result<()> {
        let left = self.chunks.fetch_sub(1, Ordering::SeqCst);
        if left == 1 {
            self.away.store(true, Ordering::SeqCst);
        }
        if *key == ChunkKey::original(key.song(), 0) {
            // Slower than those after it.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.there()?.put(key, bytes).await?;
        self.written.lock().unwrap().push(key.clone());
        Ok(())
    }
    async fn put_new(&self, key: &ChunkKey, bytes: Bytes) -> Result<bool> {
        self.there()?.put_new(key, bytes).await
    }
    async fn read(&self, key: &ChunkKey) -> Result<Option<Bytes>> {
        self.there()?.read(key).await
    }
    async fn read_original(&self, id: SongId, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.there()?.read_original(id, offset).await
    }
    async fn remove_group(&self, id: SongId, group: ChunkGroup) -> Result<()> {
        self.there()?.remove_group(id, group).await
    }
    async fn remove_all(&self, id: SongId) -> Result<()> {
        self.there()?.remove_all(id).await
    }
    async fn chunk_names(&self, id: SongId, group: ChunkGroup) -> Result<Vec<String>> {
        self.there()?.chunk_names(id, group).await
    }
    async fn groups(
        &self,
        after: Option<(SongId, ChunkGroup)>,
        limit: usize,
    ) -> Result<Vec<(SongId, ChunkGroup)>> {
        self.there()?.groups(after, limit).await
    }
}

#[async_trait]
impl Uploads for Fragile {
    async fn insert_upload(&self, upload: &Upload) -> Result<()> {
        self.there()?.insert_upload(upload).await
    }
    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>> {
        self.there()?.get_upload(id).await
    }
    async fn advance_upload(
        &self,
        id: SongId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<bool> {
        self.there()?.advance_upload(id, from, to, expires_at).await
    }
    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool> {
        self.there()?.remove_upload(id, expires_at).await
    }
    async fn count_uploads(&self, now: Timestamp) -> Result<u64> {
        self.there()?.count_uploads(now).await
    }

    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>> {
        self.there()?.list_uploads(after, limit).await
    }
}

#[async_trait]
impl Claims for Fragile {
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        self.there()?.claim(claim, now).await
    }
    async fn hold(&self, claim: &Claim) -> Result<bool> {
        self.there()?.hold(claim).await
    }
    async fn release(&self, claim: &Claim) -> Result<()> {
        self.there()?.release(claim).await
    }
    async fn forget_claims(&self, now: Timestamp) -> Result<u64> {
        self.there()?.forget_claims(now).await
    }
}

/// A song that waits to be ingested, and an ingest over a store that goes away in the midst of it.
async fn interrupted(house: &House, patience: Duration) -> (Song, Arc<Fragile>, Ingest) {
    let files = Files::new();
    let path = files.make("a.wav", &["-f", "lavfi", "-i", "anoisesrc=d=20:r=44100", "-ac", "2"]);
    let (song, _) = house.add(&path).await.unwrap();
    let store = Fragile::new(&house.store, 5);
    let mut config = house.config.clone();
    config.patience = patience;
    let ingest = Ingest::new(store.clone(), config).unwrap();
    (song, store, ingest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_outlives_a_database_that_comes_back() {
    let house = House::new().await;
    let (song, store, ingest) = interrupted(&house, Duration::from_secs(30)).await;
    let run =
        tokio::spawn(
            async move { ingest.run(song.id, song.attempt.unwrap().id, None, None).await },
        );
    while !store.away.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!run.is_finished());
    store.away.store(false, Ordering::SeqCst);
    assert!(matches!(run.await.unwrap(), Ok(Outcome::Ready(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_database_that_stays_away_left_is_swept() {
    let house = House::new().await;
    let (song, _, ingest) = interrupted(&house, Duration::from_millis(300)).await;
    let attempt = song.attempt.as_ref().unwrap().id;
    let run = ingest.run(song.id, attempt, None, None).await;
    assert!(matches!(run, Err(Error::Store(store::Error::Unavailable(_)))), "{run:?}");
    assert_eq!(house.store.groups(None, 10).await.unwrap().len(), 2);
    assert_eq!(house.store.get(song.id).await.unwrap().unwrap().status, Status::Processing);

    let later = music::now() + jiff::SignedDuration::from_mins(2);
    assert_eq!(house.ingest.sweep(later).await.unwrap().attempts, 1);
    assert_eq!(house.store.groups(None, 10).await.unwrap(), [(song.id, ChunkGroup::Original)]);
    // The file is still there, so it can be tried again.
    let again = house.ingest.again(song.id).await.unwrap();
    let run = house.ingest.run(song.id, again.attempt.unwrap().id, None, None).await;
    assert!(matches!(run, Ok(Outcome::Ready(_))), "{run:?}");
}

/// A database that is away before there is a record: nothing is promised, and nothing is left.
#[tokio::test]
async fn a_song_that_cannot_be_added_leaves_nothing() {
    let (house, files) = (House::new().await, Files::new());
    let path = files.make("a.wav", &["-f", "lavfi", "-i", "sine=d=60:r=44100", "-ac", "2"]);
    let spool = house.receive(&path).await.unwrap();
    let probe = house.ingest.probe(&spool).await.unwrap();
    let name = music::Name::parse("a").unwrap();
    let patch = music::Patch {
        name: music::Change::Set(name.clone()),
        author: music::Change::Set(name),
        ..music::Patch::default()
    };
    let store = Fragile::new(&house.store, 2);
    let mut config = house.config.clone();
    config.patience = Duration::from_millis(300);
    let ingest = Ingest::new(store.clone(), config).unwrap();
    let coming_back = async {
        tokio::time::sleep(Duration::from_millis(450)).await;
        store.away.store(false, Ordering::SeqCst);
    };
    let adding = ingest.add(&spool, &probe, patch.describe().unwrap(), Some("a.wav"));
    let (added, ()) = tokio::join!(adding, coming_back);
    assert!(matches!(added, Err(Error::Store(_))), "{added:?}");
    assert_eq!(house.store.groups(None, 10).await.unwrap(), []);
    let query =
        Query { status: Status::Processing, words: vec![], album: None, after: None, limit: 1 };
    let none: Page = house.store.list(&query).await.unwrap();
    assert_eq!((none.songs, none.next), (vec![], None::<Cursor>));
}

/// Where the last part is there, all are, whenever the process is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_part_of_an_original_is_written_when_all_others_are() {
    let (house, files) = (House::new().await, Files::new());
    let path = files.make("a.wav", &["-f", "lavfi", "-i", "sine=d=20:r=44100", "-ac", "2"]);
    let spool = house.receive(&path).await.unwrap();
    let probe = house.ingest.probe(&spool).await.unwrap();
    let store = Fragile::new(&house.store, usize::MAX);
    let ingest = Ingest::new(store.clone(), house.config.clone()).unwrap();
    let description = music::testing::description("n", "a");
    let song = ingest.add(&spool, &probe, description, None).await.unwrap();
    let written = store.written.lock().unwrap().clone();
    assert!(written.len() > 3, "{written:?}");
    let name = |key: &ChunkKey| key.chunk_name();
    assert_eq!(written.last().map(name), written.iter().map(name).max());
    assert_eq!(written[0].song(), song.id);
}
