//! Claims about SQLite alone: its file, and who shares it.

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use music::{Song, SongId, Status, testing};
use store::{
    ChunkKey, Error, Query, Store, open,
    testing::{TestDatabase, alone_on_small_disk},
};
use tokio::{sync::Barrier, task::JoinSet};

/// What a process of its own does its part of a test with.
const SHARED: &str = "STORE_TEST_SHARED_FILE";

const PROCESSES: usize = 4;
const SONGS: usize = 25;

fn song() -> Song {
    testing::processing(testing::description("Title", "Author"))
}

fn path(database: &TestDatabase) -> &str {
    database.url().strip_prefix("sqlite:").expect("is a file")
}

#[tokio::test]
async fn processes_that_start_at_once_share_one_file() {
    if let Ok(url) = env::var(SHARED) {
        let store = open(&url).await.expect("opens");
        for _ in 0..SONGS {
            let song = song();
            store.insert(&song).await.expect("inserts");
            store
                .put(&ChunkKey::original(song.id, 0), song.id.to_string().into())
                .await
                .expect("puts");
            assert!(store.get(song.id).await.expect("gets").is_some());
        }
        return;
    }
    let database = TestDatabase::sqlite();
    let children: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut child = Command::new(env::current_exe().expect("is a program"));
            child
                .args(["--exact", "processes_that_start_at_once_share_one_file"])
                .env(SHARED, database.url());
            child.spawn().expect("starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("ends").success());
    }
    let store = open(database.url()).await.expect("opens");
    let query = Query {
        status: Status::Processing,
        words: Vec::new(),
        album: None,
        after: None,
        limit: 1000,
    };
    let songs = store.list(&query).await.expect("lists").songs;
    assert_eq!(songs.len(), PROCESSES * SONGS);
    for song in songs {
        let part = store.read_original(song.id, 0).await.expect("reads").expect("is there").1;
        assert_eq!(part, song.id.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn a_file_may_be_made_by_many_at_one_moment() {
    // SQLite does not wait for its turn to turn the log on: now and then it is refused.
    for _ in 0..60 {
        let database = TestDatabase::sqlite();
        let together = Arc::new(Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (together, url) = (Arc::clone(&together), database.url().to_owned());
                tokio::spawn(async move {
                    together.wait().await;
                    open(&url).await.map(drop)
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("runs").expect("opens");
        }
    }
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_and_left_alone() {
    let database = TestDatabase::sqlite();
    let file = rusqlite::Connection::open(path(&database)).expect("opens");
    file.pragma_update(None, "user_version", 99).expect("updates");
    let Err(error) = open(database.url()).await else { panic!("was opened") };
    assert!(matches!(error, Error::NewerSchema { schema: 99, .. }), "{error:?}");
    let tables: i64 =
        file.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).expect("counts");
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn a_file_that_is_none_of_sqlite_is_refused_and_left_alone() {
    let database = TestDatabase::sqlite();
    fs::write(path(&database), b"a song, by the looks of it".repeat(1000)).expect("writes");
    let Err(error) = open(database.url()).await else { panic!("was opened") };
    assert!(matches!(error, Error::Backend(_)), "{error:?}");
    assert!(fs::read(path(&database)).expect("reads").starts_with(b"a song"));
}

#[tokio::test]
async fn another_process_s_long_change_delays_changes_but_no_reads() {
    let database = TestDatabase::sqlite();
    let store = open(database.url()).await.expect("opens");
    let song = song();
    store.insert(&song).await.expect("inserts");
    let other = rusqlite::Connection::open(path(&database)).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let begin = Instant::now();
    assert_eq!(store.get(song.id).await.expect("gets").as_ref(), Some(&song));
    assert!(begin.elapsed() < Duration::from_secs(1));
    let refused = store.remove(song.id).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(begin.elapsed() < Duration::from_secs(5));
    other.execute_batch("ROLLBACK").expect("ends");
    assert!(store.remove(song.id).await.expect("removes"));
}

/// Each change is answered within the 5 s of a request, those at the end of the queue too.
#[tokio::test]
async fn changes_that_wait_for_one_lock_do_not_wait_for_each_other_as_well() {
    let database = TestDatabase::sqlite();
    let store = open(database.url()).await.expect("opens");
    let song = song();
    store.insert(&song).await.expect("inserts");
    let other = rusqlite::Connection::open(path(&database)).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let begin = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..12 {
        let store = Arc::clone(&store);
        waiting.spawn(async move { store.remove(song.id).await });
    }
    for refused in waiting.join_all().await {
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    other.execute_batch("ROLLBACK").expect("ends");
    assert!(store.remove(song.id).await.expect("removes"));
}

#[tokio::test]
async fn a_change_whose_caller_left_while_it_waited_is_not_made_and_keeps_no_place() {
    let database = TestDatabase::sqlite();
    let store = open(database.url()).await.expect("opens");
    let (left, wanted) = (song(), song());
    store.insert(&left).await.expect("inserts");
    store.insert(&wanted).await.expect("inserts");
    let other = rusqlite::Connection::open(path(&database)).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("begins");
    let remove = |id| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.remove(id).await })
    };
    let leaving = [remove(left.id), remove(left.id), remove(left.id)];
    tokio::time::sleep(Duration::from_millis(200)).await;
    let staying = remove(wanted.id);
    leaving.iter().for_each(tokio::task::JoinHandle::abort);
    for left in leaving {
        assert!(left.await.expect_err("was aborted").is_cancelled());
    }
    // A look at the lock that had begun when they left ends.
    tokio::time::sleep(Duration::from_millis(200)).await;
    other.execute_batch("ROLLBACK").expect("ends");
    assert!(staying.await.expect("runs").expect("removes"));
    assert_eq!(store.get(left.id).await.expect("gets"), Some(left));
}

const MIB: usize = 1 << 20;

/// Adds a song with six parts of a megabyte.
async fn add(store: &dyn Store) -> store::Result<SongId> {
    let song = song();
    store.insert(&song).await?;
    for part in 0..6 {
        let bytes = Bytes::from(vec![7; MIB]);
        store.put(&ChunkKey::original(song.id, part << 20), bytes).await?;
    }
    Ok(song.id)
}

async fn remove(store: &dyn Store, id: SongId) {
    assert!(store.remove(id).await.expect("removes"));
    store.remove_all(id).await.expect("removes");
}

/// A real file system of 64 MB, which songs fill, and then another program to the last byte.
#[tokio::test]
async fn on_a_full_disk_songs_can_be_removed_and_then_others_added() {
    if !alone_on_small_disk("on_a_full_disk_songs_can_be_removed_and_then_others_added", 64) {
        return;
    }
    let database = TestDatabase::sqlite();
    let store = open(database.url()).await.expect("opens");
    store.ping().await.expect("takes songs");
    let mut songs = Vec::new();
    let refused = loop {
        match add(&*store).await {
            Ok(id) => songs.push(id),
            Err(error) => break error,
        }
        assert!(songs.len() < 64 / 6, "the disk does not fill");
    };
    assert!(matches!(refused, Error::Full(_)), "{refused:?}");
    assert!(songs.len() > 4, "much room is left unused: {}", songs.len());
    assert!(matches!(store.ping().await, Err(Error::Full(_))));

    // The process is started anew when there is not a block left.
    drop(store);
    let filler = Path::new(path(&database)).with_file_name("filler");
    let mut file = fs::File::create(&filler).expect("creates");
    while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    drop(file);
    let store = open(database.url()).await.expect("opens");
    for refused in [store.ping().await, store.insert(&song()).await, add(&*store).await.map(drop)] {
        assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    }
    let first = store.get(songs[0]).await.expect("gets").expect("is there");
    let described = store.describe(first.id, first.version, &first.description).await;
    assert!(matches!(described, Err(Error::Full(_))), "{described:?}");

    // The other program's file is there all the time.
    for round in 0..3 {
        for id in songs.drain(..2) {
            remove(&*store, id).await;
        }
        store.ping().await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        songs.push(add(&*store).await.unwrap_or_else(|error| panic!("round {round}: {error:?}")));
    }
    for id in &songs {
        for part in 0..6 {
            let found = store.read(&ChunkKey::original(*id, part << 20)).await.expect("reads");
            assert!(
                found.is_some_and(|bytes| bytes.len() == MIB && bytes.iter().all(|it| *it == 7))
            );
        }
    }
    fs::remove_file(filler).expect("removes");
    store.ping().await.expect("takes songs");
    let reserve = format!("{}-reserve", path(&database));
    assert!(fs::metadata(reserve).expect("is there").len() >= 4 << 20, "it is kept again");
}

#[tokio::test]
async fn chunks_of_a_file_from_before_checksums_are_read_as_they_are() {
    let database = TestDatabase::sqlite();
    let key = ChunkKey::original(SongId::new(), 0);
    let file = rusqlite::Connection::open(path(&database)).expect("opens");
    for step in [include_str!("../src/sqlite/1.sql"), include_str!("../src/sqlite/2.sql")] {
        file.execute_batch(step).expect("makes tables");
    }
    file.pragma_update(None, "user_version", 2).expect("updates");
    let insert = "INSERT INTO chunks (key, schema, bytes) VALUES (?1, 1, x'6f6c64')";
    file.execute(insert, [key.to_string()]).expect("inserts");
    drop(file);

    let store = open(database.url()).await.expect("opens");
    assert_eq!(store.read(&key).await.expect("reads"), Some(Bytes::from_static(b"old")));
    assert!(!store.put_new(&key, Bytes::from_static(b"new")).await.expect("puts"));
    store.put(&key, Bytes::from_static(b"new")).await.expect("puts");
    assert_eq!(store.read(&key).await.expect("reads"), Some(Bytes::from_static(b"new")));
}

#[tokio::test]
async fn the_next_song_takes_the_space_of_a_removed_one() {
    let database = TestDatabase::sqlite();
    let store = open(database.url()).await.expect("opens");
    let mut sizes = Vec::new();
    for _ in 0..6 {
        let id = SongId::new();
        for part in 0..8 {
            let bytes = Bytes::from(vec![7; 1 << 20]);
            store.put(&ChunkKey::original(id, part << 20), bytes).await.expect("puts");
        }
        store.remove_all(id).await.expect("removes");
        // Brings what is only in the log into the file.
        let file = rusqlite::Connection::open(path(&database)).expect("opens");
        file.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("checkpoints");
        sizes.push(fs::metadata(path(&database)).expect("is there").len());
    }
    assert!(sizes[5] <= sizes[0] + (1 << 20), "{sizes:?}");
}
