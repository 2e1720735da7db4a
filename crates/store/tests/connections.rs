//! Claims about MongoDB's connections: clients that leave, more requests than connections, and
//! members of a replica set that freeze.

use std::{
    future::Future,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use jiff::SignedDuration;
use mongodb::{Client, bson::doc};
use music::{RevisionId, Song, SongId, Status, now, testing};
use store::{
    ChunkKey, Error, Query, Store, Upload, open,
    testing::{Mongod, ReplicaSet, TestDatabase},
};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{sleep, timeout},
};

/// How many requests follow the ones that were given up.
const FOLLOWING: usize = 200;

/// How much longer the following ones may take altogether than four times what they take when no
/// request was given up: a margin for a busy machine.
const MARGIN: Duration = Duration::from_secs(3);

/// How long after their first poll requests are given up. The first is not polled a second time.
const DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10)];

/// Starts `count` requests at once and gives each of them up after `delay`.
async fn give_up<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    delay: Duration,
    request: impl Fn() -> F,
) {
    let mut requests = JoinSet::new();
    for _ in 0..count {
        let request = request();
        requests.spawn(async move { timeout(delay, request).await.is_ok() });
    }
    requests.join_all().await;
}

/// That requests are answered soon although many before them were given up.
async fn assert_served_after_giving_up<T, F>(what: &str, request: impl Fn() -> F)
where
    T: Send + 'static,
    F: Future<Output = store::Result<T>> + Send + 'static,
{
    let begin = Instant::now();
    join_all((0..FOLLOWING).map(|_| request())).await;
    let bound = begin.elapsed() * 4 + MARGIN;
    for delay in DELAYS {
        for count in [8, 32, 256] {
            give_up(count, delay, &request).await;
            let begin = Instant::now();
            let answers = join_all((0..FOLLOWING).map(|_| request())).await;
            let took = begin.elapsed();
            for answer in answers {
                if let Err(error) = answer {
                    panic!("{what}, after {count} were given up after {delay:?}: {error:?}");
                }
            }
            assert!(took < bound, "{what} took {took:?} after {count} given up after {delay:?}");
        }
    }
}

/// A store, and a chunk in it.
async fn with_chunk(place: &TestDatabase) -> (Arc<dyn Store>, ChunkKey) {
    let store = open(place.url()).await.expect("opens");
    let key = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", 0);
    store.put(&key, Bytes::from(vec![7; 100_000])).await.expect("puts");
    (store, key)
}

fn upload() -> Upload {
    let expires_at = now() + SignedDuration::from_hours(1);
    Upload { id: SongId::new(), length: 1 << 30, offset: 0, metadata: String::new(), expires_at }
}

fn newest() -> Query {
    Query { status: Status::Ready, words: Vec::new(), album: None, after: None, limit: 10 }
}

fn signal(mongod: &Mongod, signal: &str) {
    let mut kill = Command::new("kill");
    let id = mongod.process_id().to_string();
    assert!(kill.args(["-s", signal, &id]).status().expect("runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_are_given_up_do_not_keep_others_waiting() {
    let place = TestDatabase::mongodb();
    let (store, key) = with_chunk(&place).await;
    assert_served_after_giving_up("a segment", || {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { store.read(&key).await }
    })
    .await;
    assert_served_after_giving_up("a list", || {
        let store = Arc::clone(&store);
        async move { store.list(&newest()).await }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_are_given_up_do_not_keep_others_waiting() {
    let place = TestDatabase::mongodb();
    let (store, _) = with_chunk(&place).await;
    let bytes = Bytes::from(vec![7; 10_000]);
    assert_served_after_giving_up("a segment of an encoder", || {
        let key = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", 0);
        let (store, bytes) = (Arc::clone(&store), bytes.clone());
        async move { store.put(&key, bytes).await }
    })
    .await;
    assert_served_after_giving_up("a part of an upload", || {
        let (store, bytes) = (Arc::clone(&store), bytes.clone());
        async move {
            let upload = upload();
            let (id, length) = (upload.id, bytes.len() as u64);
            store.insert_upload(&upload).await?;
            assert!(store.put_new(&ChunkKey::original(id, 0), bytes).await?);
            store.advance_upload(id, 0, length, upload.expires_at).await
        }
    })
    .await;
}

#[tokio::test]
async fn requests_that_are_given_up_do_not_keep_others_waiting_on_one_thread() {
    let place = TestDatabase::mongodb();
    let (store, key) = with_chunk(&place).await;
    assert_served_after_giving_up("a segment", || {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { store.read(&key).await }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_while_the_server_is_slow_do_not_keep_others_waiting() {
    let mongod = spawn_blocking(Mongod::start).await.expect("starts");
    let store = open(mongod.url()).await.expect("opens");
    let key = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", 0);
    store.put(&key, Bytes::from(vec![7; 100_000])).await.expect("puts");
    let read = || {
        let (store, key) = (Arc::clone(&store), key.clone());
        async move { store.read(&key).await }
    };
    let begin = Instant::now();
    join_all((0..FOLLOWING).map(|_| read())).await;
    let bound = begin.elapsed() * 4 + MARGIN;
    for _ in 0..3 {
        signal(&mongod, "STOP");
        for delay in DELAYS {
            give_up(256, delay, read).await;
        }
        sleep(Duration::from_secs(1)).await;
        give_up(256, Duration::from_millis(10), read).await;
        signal(&mongod, "CONT");
        let begin = Instant::now();
        for answer in join_all((0..FOLLOWING).map(|_| read())).await {
            answer.expect("reads");
        }
        assert!(begin.elapsed() < bound, "{:?}", begin.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_overload_requests_are_refused_in_time_and_told_why() {
    let mongod = spawn_blocking(Mongod::start).await.expect("starts");
    let store = open(mongod.url()).await.expect("opens");
    let key = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", 0);
    store.put(&key, Bytes::from_static(b"bytes")).await.expect("puts");
    signal(&mongod, "STOP");
    let begin = Instant::now();
    let answers = join_all((0..100).map(|_| store.read(&key))).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let mut overloads = 0;
    for answer in answers {
        let Err(Error::Unavailable(source)) = answer else { panic!("{answer:?}") };
        overloads += usize::from(source.to_string().contains("every connection"));
    }
    // Eight had a connection.
    assert_eq!(overloads, 92);
    signal(&mongod, "CONT");
    assert_eq!(store.read(&key).await.expect("reads").as_deref(), Some(&b"bytes"[..]));
}

#[tokio::test]
async fn requests_are_served_in_the_order_in_which_they_came() {
    let place = TestDatabase::mongodb();
    let separator = if place.url().contains('?') { '&' } else { '?' };
    let store = open(&format!("{}{separator}maxPoolSize=1", place.url())).await.expect("opens");
    let key = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", 0);
    store.put(&key, Bytes::from_static(b"bytes")).await.expect("puts");
    let served = Mutex::new(Vec::new());
    join_all((0..50).map(|number| {
        let (store, key, served) = (&store, &key, &served);
        async move {
            store.read(key).await.expect("reads");
            served.lock().expect("is not poisoned").push(number);
        }
    }))
    .await;
    let served = served.into_inner().expect("is not poisoned");
    assert_eq!(served, (0..50).collect::<Vec<_>>());
}

/// How long a chunk may take while the primary is frozen: the first reads wait a second for it.
const CHUNK_BOUND: Duration = Duration::from_millis(2_500);

/// How long records may be refused after the primary froze: 3 s until the other members vote,
/// the vote, and until the driver has noticed.
const RECORD_BOUND: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_read_while_the_primary_is_frozen_and_records_recover_with_the_next() {
    let set = Arc::new(spawn_blocking(ReplicaSet::start).await.expect("starts"));
    let store = open(&set.url("segue")).await.expect("opens");
    let song = testing::processing(testing::description("Title", "Author"));
    store.insert(&song).await.expect("inserts");
    let revision = RevisionId::new();
    let key = |number| ChunkKey::segment(song.id, revision, "64k", number);
    for number in 0..20 {
        store.put(&key(number), Bytes::from(number.to_string())).await.expect("puts");
    }
    store.put(&ChunkKey::original(song.id, 0), Bytes::from_static(b"part")).await.expect("puts");
    // The other members have what a majority has a moment later.
    store.read(&key(0)).await.expect("reads");
    sleep(Duration::from_secs(1)).await;

    let primary = primary_of(&set).await;
    let primary = &set.members()[primary];
    signal(primary, "STOP");
    let begin = Instant::now();
    let records = tokio::spawn(until_answered(Arc::clone(&store), song.clone()));
    let (absent, part) = (key(1_000), Bytes::from_static(b"part"));
    let (mut slowest, mut reads) = (Duration::ZERO, 0);
    while !records.is_finished() {
        let key = key(reads % 20);
        let asked = Instant::now();
        let (segment, original) = tokio::join!(store.read(&key), store.read_original(song.id, 2));
        let took = asked.elapsed();
        assert_eq!(segment.expect("reads"), Some(Bytes::from((reads % 20).to_string())));
        assert_eq!(original.expect("reads"), Some((0, part.clone())));
        assert!(took < CHUNK_BOUND, "a chunk took {took:?} after {:?}", begin.elapsed());
        // A secondary that lacks a chunk does not say that there is none.
        if reads < 20 {
            let answer = timeout(Duration::from_millis(10), store.read(&absent)).await;
            assert!(!matches!(answer, Ok(Ok(_))), "{answer:?}");
        }
        (slowest, reads) = (slowest.max(took), reads + 1);
        sleep(Duration::from_millis(20)).await;
        assert!(begin.elapsed() < RECORD_BOUND, "records do not recover");
    }
    let refusals = records.await.expect("does not panic");
    println!("{reads} reads in {:?}, slowest {slowest:?}; {refusals} refusals", begin.elapsed());
    assert_eq!(store.read(&absent).await.expect("reads"), None);
    assert!(store.remove(song.id).await.expect("removes"));
    signal(primary, "CONT");
    assert_eq!(store.get(song.id).await.expect("gets"), None);
}

/// The number of the member that takes writes.
async fn primary_of(set: &Arc<ReplicaSet>) -> usize {
    let set = Arc::clone(set);
    let number = spawn_blocking(move || {
        let primary = set.primary().host();
        set.members().iter().position(|member| member.host() == primary)
    });
    number.await.expect("does not panic").expect("is a member")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_a_secondary_lacks_is_found_at_the_primary() {
    let set = Arc::new(spawn_blocking(ReplicaSet::start).await.expect("starts"));
    let store = open(&set.url("segue")).await.expect("opens");
    let (song, revision) = (SongId::new(), RevisionId::new());
    let key = |number| ChunkKey::segment(song, revision, "64k", number);
    store.put(&key(0), Bytes::from_static(b"bytes")).await.expect("puts");
    sleep(Duration::from_secs(1)).await;
    let primary = primary_of(&set).await;
    // One secondary stops to take over changes; the other makes the majority.
    let url =
        format!("mongodb://{}/?directConnection=true", set.members()[(primary + 1) % 3].host());
    let behind = Client::with_uri_str(url).await.expect("connects").database("admin");
    let stop = doc! { "configureFailPoint": "rsSyncApplyStop", "mode": "alwaysOn" };
    behind.run_command(stop).await.expect("stops");
    let queries = async || {
        let status = behind.run_command(doc! { "serverStatus": 1 }).await.expect("answers");
        status.get_document("opcounters").expect("counts").get_i64("query").expect("counts")
    };

    let before = queries().await;
    // After this, secondaries are asked first for a while.
    signal(&set.members()[primary], "STOP");
    assert!(store.read(&key(0)).await.expect("reads").is_some());
    signal(&set.members()[primary], "CONT");
    for number in 1..30 {
        store.put(&key(number), Bytes::from(number.to_string())).await.expect("puts");
        let found = store.read(&key(number)).await.expect("reads");
        assert_eq!(found, Some(Bytes::from(number.to_string())));
    }
    assert!(queries().await > before + 5, "the secondary that is behind was not asked");
    assert_eq!(store.read(&key(1_000)).await.expect("reads"), None);
}

/// Reads a record until it is answered after it was refused. Returns how often it was refused.
async fn until_answered(store: Arc<dyn Store>, song: Song) -> usize {
    let mut refusals = 0;
    loop {
        let asked = Instant::now();
        let answer = store.get(song.id).await;
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        match answer {
            Ok(found) => {
                assert_eq!(found.as_ref(), Some(&song));
                if refusals > 0 {
                    return refusals;
                }
            }
            Err(Error::Unavailable(_)) => refusals += 1,
            Err(error) => panic!("{error:?}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
