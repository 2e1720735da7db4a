//! Measures what the store promises about time, and prints it side by side: reading a segment
//! beside the bare driver, verifying it on SQLite, and lists and searches in 1,000 songs and in 100,000.
//!
//! `cargo run --release -p store --example measure [segments] [checksums] [lists]`

use std::{future::Future, sync::Arc, time::Instant};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use mongodb::{
    Client, Collection, Database,
    bson::{Document, RawDocumentBuf, doc},
};
use music::{Description, Name, RevisionId, Song, SongId, Status, query_words, testing};
use serde::de::DeserializeOwned;
use store::{ChunkKey, Cursor, Query, Store, open, testing::TestDatabase};

/// A segment of 6 s at 256 kb/s.
const SEGMENT: usize = 199_000;
const SEGMENTS: u32 = 300;
const CONNECTIONS: u32 = 8;
const PAGE: usize = 100;
const SIZES: [u32; 2] = [1_000, 100_000];

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|name| name == part);
    if is_asked("segments") {
        segments().await;
    }
    if is_asked("checksums") {
        checksums().await;
    }
    if is_asked("lists") {
        lists("MongoDB", TestDatabase::mongodb).await;
        lists("SQLite", TestDatabase::sqlite).await;
    }
}

async fn segments() {
    println!("Reading segments of {SEGMENT} bytes, {CONNECTIONS} at a time");
    let place = TestDatabase::mongodb();
    let store = open(place.url()).await.expect("opens");
    let keys = filled(&*store).await;
    let database = database(place.url()).await;
    let chunks: Collection<RawDocumentBuf> = database.collection("chunks");
    let documents: Collection<Document> = database.collection("chunks");
    // The same documents in a collection that is not clustered.
    chunks.aggregate([doc! { "$out": "plain" }]).await.expect("copies");
    let plain: Collection<RawDocumentBuf> = database.collection("plain");

    let mut rates = [0.0; 4];
    // In turns, so that what else the machine does meets all of them.
    for _ in 0..4 {
        rates[0] += rate(&keys, find_one(&chunks, |found| found.as_bytes().len())).await / 4.0;
        let bytes =
            |found: Document| found.get_binary_generic("chunk_bytes").expect("are bytes").len();
        rates[1] += rate(&keys, find_one(&documents, bytes)).await / 4.0;
        rates[2] += rate(&keys, find_one(&plain, |found| found.as_bytes().len())).await / 4.0;
        rates[3] += through(&store, &keys).await / 4.0;
    }
    let names = [
        "bare find_one, raw document",
        "bare find_one, document",
        "bare find_one, not clustered",
        "Store::read",
    ];
    for (name, rate) in names.iter().zip(rates) {
        println!("  MongoDB {name:<30} {rate:>8.0}/s {:>6.2}", rate / rates[0]);
    }

    let place = TestDatabase::sqlite();
    let store = open(place.url()).await.expect("opens");
    let begin = Instant::now();
    let keys = filled(&*store).await;
    println!(
        "  SQLite  {:<30} {:>8.0}/s",
        "Store::put, one at a time",
        f64::from(SEGMENTS) / begin.elapsed().as_secs_f64()
    );
    println!("  SQLite  {:<30} {:>8.0}/s", "Store::read", through(&store, &keys).await);
}

/// Reads the same segments one at a time with their checksums and, from another file, without.
async fn checksums() {
    const ROUNDS: usize = 40;
    let places = [TestDatabase::sqlite(), TestDatabase::sqlite()];
    let mut stores = Vec::new();
    for place in &places {
        let store = open(place.url()).await.expect("opens");
        let keys = filled(&*store).await;
        stores.push((store, keys));
    }
    let path = places[1].url().strip_prefix("sqlite:").expect("is a file");
    let file = rusqlite::Connection::open(path).expect("opens");
    file.execute("UPDATE chunks SET checksum = NULL", []).expect("updates");
    drop(file);

    let mut times = [Vec::new(), Vec::new()];
    // In turns, read by read, so that what else the machine does meets both.
    for _ in 0..ROUNDS {
        for number in 0..SEGMENTS as usize {
            for (times, (store, keys)) in times.iter_mut().zip(&stores) {
                let begin = Instant::now();
                let bytes = store.read(&keys[number]).await.expect("reads").expect("is there");
                times.push(begin.elapsed());
                assert_eq!(bytes.len(), SEGMENT);
            }
        }
    }
    let [verified, unverified] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e6
    });
    println!(
        "SQLite, Store::read of {SEGMENT} bytes, median: {verified:.1} µs verified, \
         {unverified:.1} µs not: {:+.1} %",
        (verified / unverified - 1.0) * 100.0
    );
}

/// What reads a chunk as one would without a store, and says how large it is.
fn find_one<T: DeserializeOwned + Send + Sync + 'static>(
    chunks: &Collection<T>,
    length: impl Fn(T) -> usize + Copy + Send + 'static,
) -> impl Fn(String) -> BoxFuture<'static, usize> {
    move |key| {
        let chunks = chunks.clone();
        async move {
            let found = chunks.find_one(doc! { "_id": key }).await.expect("finds");
            length(found.expect("is there"))
        }
        .boxed()
    }
}

async fn filled(store: &dyn Store) -> Vec<ChunkKey> {
    let (song, revision) = (SongId::new(), RevisionId::new());
    let keys: Vec<_> =
        (0..SEGMENTS).map(|number| ChunkKey::segment(song, revision, "256k", number)).collect();
    for key in &keys {
        store.put(key, Bytes::from(vec![0x5a; SEGMENT])).await.expect("puts");
    }
    keys
}

async fn through(store: &Arc<dyn Store>, keys: &[ChunkKey]) -> f64 {
    let parsed: Arc<std::collections::HashMap<String, ChunkKey>> =
        Arc::new(keys.iter().map(|key| (key.to_string(), key.clone())).collect());
    rate(keys, |key| {
        let (store, parsed) = (Arc::clone(store), Arc::clone(&parsed));
        async move { store.read(&parsed[&key]).await.expect("reads").expect("is there").len() }
    })
    .await
}

/// How often per second something reads a segment.
async fn rate<F: Future<Output = usize> + Send + 'static>(
    keys: &[ChunkKey],
    read: impl Fn(String) -> F,
) -> f64 {
    const ROUNDS: u32 = 20;
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let begin = Instant::now();
    let reads = stream::iter(keys.iter().cycle().take(keys.len() * ROUNDS as usize));
    reads
        .map(|key| tokio::spawn(read(key.clone())))
        .buffer_unordered(CONNECTIONS as usize)
        .for_each(|length| async { assert!(length.expect("runs") >= SEGMENT) })
        .await;
    f64::from(SEGMENTS * ROUNDS) / begin.elapsed().as_secs_f64()
}

async fn lists(backend: &str, place: impl Fn() -> TestDatabase) {
    println!("{backend}: lists of {PAGE} songs, in ms (and how many songs they hold)");
    let mut libraries = Vec::new();
    for size in SIZES {
        let place = place();
        let begin = Instant::now();
        let middle = fill(place.url(), size).await;
        println!("  {size} songs inserted in {:.0} s", begin.elapsed().as_secs_f64());
        let store = open(place.url()).await.expect("opens");
        libraries.push((queries(middle), store, place));
    }
    let [(few_queries, few, _), (many_queries, many, place)] = &libraries[..] else {
        unreachable!("there are two")
    };
    if backend == "MongoDB" {
        plans(place, &**many, many_queries).await;
    }
    let columns = SIZES.map(|size| format!("{size} songs"));
    println!("  {:<38} {:>14} {:>14}  ratio", "", columns[0], columns[1]);
    for ((name, in_few), (_, in_many)) in few_queries.iter().zip(many_queries) {
        let mut times = [Vec::new(), Vec::new()];
        let mut songs = [0, 0];
        // In turns, so that what else the machine does meets both.
        for _ in 0..61 {
            for (index, (store, query)) in [(few, in_few), (many, in_many)].iter().enumerate() {
                let begin = Instant::now();
                songs[index] = store.list(query).await.expect("lists").songs.len();
                times[index].push(begin.elapsed());
            }
        }
        let [few_ms, many_ms] = times.map(|mut times| {
            times.sort_unstable();
            times[times.len() / 2].as_secs_f64() * 1000.0
        });
        println!(
            "  {name:<38} {few_ms:>8.2} ({:>3}) {many_ms:>8.2} ({:>3}) {:>6.2}",
            songs[0],
            songs[1],
            many_ms / few_ms
        );
    }
}

fn queries(middle: Cursor) -> Vec<(&'static str, Query)> {
    let all =
        Query { status: Status::Ready, words: Vec::new(), album: None, after: None, limit: PAGE };
    let search = |words: &str| Query { words: query_words(words), ..all.clone() };
    vec![
        ("newest", all.clone()),
        ("newest, from the middle", Query { after: Some(middle), ..all.clone() }),
        ("an album of 12", Query { album: Name::lossy("Album number 40"), ..all.clone() }),
        ("a word of one song", search("onlyone")),
        ("a word of no song", search("nowhere")),
        ("a word of 100 songs", search("hundred")),
        ("a word of 1 % of the songs", search("percent")),
        ("a word of 3 % of the songs", search("thirtieth")),
        ("a word of 10 % of the songs", search("tenth")),
        ("a word of every song", search("always")),
        (
            "a word of every song, from the middle",
            Query { after: Some(middle), ..search("always") },
        ),
        ("one letter", search("a")),
        ("two words, of every song and of one", search("always onlyone")),
        ("two words, of 10 % and of 3 %", search("tenth thirtieth")),
        ("two words, of 10 % each, never both", search("tenth ninth")),
    ]
}

/// Fills a library. Returns the place in the middle of the list.
async fn fill(url: &str, size: u32) -> Cursor {
    let url = if url.starts_with("mongodb") {
        format!("{url}{}maxPoolSize=32", if url.contains('?') { '&' } else { '?' })
    } else {
        url.to_owned()
    };
    let store = open(&url).await.expect("opens");
    let songs: Vec<Song> = (0..size).map(|number| song(number, size)).collect();
    let middle = Cursor { album_position: 0, id: songs[songs.len() / 2].id };
    stream::iter(songs)
        .map(|song| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.insert(&song).await.expect("inserts") })
        })
        .buffer_unordered(32)
        .for_each(|done| async { done.expect("runs") })
        .await;
    middle
}

fn song(number: u32, size: u32) -> Song {
    let mut title =
        format!("Title {number} w{} always", number.wrapping_mul(2_654_435_761) % 5_000);
    for (word, is_in) in [
        ("onlyone", number == size / 3),
        ("hundred", number.is_multiple_of(size / 100)),
        ("percent", number % 100 == 7),
        ("thirtieth", number % 30 == 7),
        ("tenth", number % 10 == 7),
        ("ninth", number % 10 == 8),
    ] {
        if is_in {
            title = format!("{title} {word}");
        }
    }
    let description = Description {
        album: Some(testing::name(&format!("Album number {}", number / 12))),
        track: Some(u16::try_from(number % 12 + 1).expect("fits")),
        year: Some(1990),
        genre: Some(testing::name("Genre")),
        ..testing::description(&title, &format!("Author number {}", number % 1_000))
    };
    let mut song = testing::ready(description, 10_000_000);
    song.source.sha256 = Some(format!("{number:064}"));
    if let Some(revision) = &mut song.revision {
        // As many variants as a lossless source has.
        revision.variants = vec![revision.variants[0].clone(); 3];
    }
    song
}

async fn database(url: &str) -> Database {
    let client = Client::with_uri_str(url).await.expect("connects");
    client.default_database().expect("is named")
}

/// Prints what the server did for each list.
async fn plans(place: &TestDatabase, store: &dyn Store, queries: &[(&str, Query)]) {
    let database = database(place.url()).await;
    let profile: Collection<Document> = database.collection("system.profile");
    for (name, query) in queries {
        database.run_command(doc! { "profile": 2 }).await.expect("profiles");
        store.list(query).await.expect("lists");
        database.run_command(doc! { "profile": 0 }).await.expect("profiles");
        let finds: Vec<Document> = profile
            .find(doc! { "ns": format!("{}.musics", database.name()) })
            .await
            .expect("finds")
            .try_collect()
            .await
            .expect("finds");
        for find in finds {
            println!(
                "  plan of {name:<38} {} keys {} documents {} sort {}",
                find.get_str("planSummary").unwrap_or("-"),
                find.get_i32("keysExamined").unwrap_or(-1),
                find.get_i32("docsExamined").unwrap_or(-1),
                find.get_bool("hasSortStage").unwrap_or(false),
            );
        }
        profile.drop().await.expect("drops");
    }
}
