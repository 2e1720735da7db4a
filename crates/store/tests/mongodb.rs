//! Claims about MongoDB alone: its plans, its predecessor's documents, its absence.

use std::{
    collections::BTreeSet,
    future::Future,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use mongodb::{
    Client, Collection, Database,
    bson::{Document, doc},
    options::ClientOptions,
};
use music::{
    Attempt, Description, Name, Revision, RevisionId, Song, SongId, Status, now, query_words,
    testing,
};
use store::{ChunkGroup, ChunkKey, Cursor, Error, Query, open, testing::TestDatabase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

fn song() -> Song {
    let album = Some(testing::name("Album"));
    testing::processing(Description { album, ..testing::description("Title", "Author") })
}

fn revision(id: RevisionId) -> Revision {
    testing::revision(id, 1)
}

fn query(words: &str) -> Query {
    Query { status: Status::Ready, words: query_words(words), album: None, after: None, limit: 10 }
}

async fn database(url: &str) -> Database {
    let client = Client::with_uri_str(url).await.expect("connects");
    client.default_database().expect("is named")
}

/// What the server did on a collection since it was asked to keep a record of it.
async fn operations(database: &Database, collection: &str) -> Vec<Document> {
    let profile: Collection<Document> = database.collection("system.profile");
    let of_collection = doc! { "ns": format!("{}.{collection}", database.name()) };
    let found = profile.find(of_collection).await.expect("finds");
    found.try_collect().await.expect("finds")
}

async fn profile(database: &Database) {
    database.run_command(doc! { "profile": 2 }).await.expect("profiles");
}

#[tokio::test]
async fn nothing_scans_a_collection() {
    let place = TestDatabase::mongodb();
    let (store, database) = (open(place.url()).await.expect("opens"), database(place.url()).await);
    let mut songs = Vec::new();
    for number in 0..50 {
        let mut song = song();
        song.status = Status::Ready;
        song.attempt = None;
        song.description.name = Name::parse(&format!("Title {number}")).expect("is a name");
        store.insert(&song).await.expect("inserts");
        songs.push(song);
    }
    let last = store.list(&query("")).await.expect("lists").next;
    profile(&database).await;

    for words in ["", "title", "7", "title 7", "none"] {
        for album in [None, Some(songs[0].description.album.clone().expect("has one"))] {
            for after in [None, last] {
                let query = Query { album: album.clone(), after, ..query(words) };
                store.list(&query).await.expect("lists");
            }
        }
    }
    let song = &songs[7];
    let attempt = Attempt { id: RevisionId::new(), lease_until: now(), progress: 0.0 };
    store.get(song.id).await.expect("gets");
    store.describe(song.id, 1, &song.description).await.expect("describes");
    assert!(store.begin(song.id, &attempt, now()).await.expect("begins"));
    assert!(store.renew(song.id, &attempt).await.expect("renews"));
    assert_eq!(store.expired(now(), 10).await.expect("lists").len(), 1);
    assert!(store.commit(song.id, &revision(attempt.id), now()).await.expect("commits"));
    assert!(store.commit(song.id, &revision(attempt.id), now()).await.expect("commits"));
    let attempt = Attempt { id: RevisionId::new(), ..attempt };
    assert!(store.begin(song.id, &attempt, now()).await.expect("begins"));
    assert!(store.fail(song.id, attempt.id, "reason").await.expect("fails"));
    assert_eq!(store.removable(now(), 10).await.expect("lists").len(), 1);
    store.forget(song.id, attempt.id).await.expect("forgets");
    assert!(store.remove(song.id).await.expect("removes"));
    assert!(!store.remove(song.id).await.expect("removes"));

    let key = ChunkKey::init(song.id, attempt.id, "64k");
    store.put(&key, Bytes::from_static(b"init")).await.expect("puts");
    store.put(&ChunkKey::original(song.id, 0), Bytes::from_static(b"part")).await.expect("puts");
    store.read(&key).await.expect("reads");
    store.read_original(song.id, 2).await.expect("reads");
    assert_eq!(store.groups(None, 10).await.expect("lists").len(), 2);
    assert_eq!(store.chunk_names(song.id, ChunkGroup::Original).await.expect("lists").len(), 1);
    store.remove_group(song.id, ChunkGroup::Original).await.expect("removes");
    store.remove_all(song.id).await.expect("removes");

    let mut operations = operations(&database, "musics").await;
    operations.extend(self::operations(&database, "chunks").await);
    let mut plans = BTreeSet::new();
    for operation in &operations {
        let Ok(plan) = operation.get_str("planSummary") else { continue };
        assert!(!plan.contains("COLLSCAN"), "{operation}");
        assert!(!operation.get_bool("hasSortStage").unwrap_or(false), "{operation}");
        plans.insert(plan.to_owned());
    }
    assert!(operations.len() > 40, "{}", operations.len());
    for plan in [
        "IXSCAN { status: 1, _id: 1 }",
        "IXSCAN { status: 1, album: 1, album_position: 1, _id: 1 }",
        "IXSCAN { prefixes: 1, status: 1, _id: 1 }",
        "IXSCAN { attempt.lease_until: 1 }",
        "IXSCAN { retired.removable_at: 1 }",
        "CLUSTERED_IXSCAN",
    ] {
        assert!(plans.contains(plan), "{plan} is not among {plans:#?}");
    }
}

#[tokio::test]
async fn a_search_goes_along_the_rarest_word_whatever_was_searched_before() {
    let place = TestDatabase::mongodb();
    let (store, database) = (open(place.url()).await.expect("opens"), database(place.url()).await);
    for number in 0..200 {
        let mut song = song();
        song.status = Status::Ready;
        let title = match number {
            77 => "every only left",
            _ if number % 2 == 0 => "every left",
            _ => "every right",
        };
        song.description.name = Name::parse(title).expect("is a name");
        store.insert(&song).await.expect("inserts");
    }
    // What takes long now, and finds nothing, must not be how the next search is made.
    for _ in 0..3 {
        assert_eq!(store.list(&query("left right")).await.expect("lists").songs, []);
    }
    profile(&database).await;
    for words in ["every only", "only every", "left every only"] {
        assert_eq!(store.list(&query(words)).await.expect("lists").songs.len(), 1);
    }
    let operations = operations(&database, "musics").await;
    assert_eq!(operations.len(), 3);
    for operation in &operations {
        assert_eq!(operation.get_i32("docsExamined").expect("is told"), 1, "{operation}");
    }
}

#[tokio::test]
async fn a_chunk_is_one_read_of_one_document() {
    let place = TestDatabase::mongodb();
    let (store, database) = (open(place.url()).await.expect("opens"), database(place.url()).await);
    let (song, revision) = (SongId::new(), RevisionId::new());
    for number in 0..20 {
        let key = ChunkKey::segment(song, revision, "64k", number);
        store.put(&key, Bytes::from_static(b"x")).await.expect("puts");
        store
            .put(&ChunkKey::original(song, number.into()), Bytes::from_static(b"x"))
            .await
            .expect("puts");
    }
    profile(&database).await;
    assert!(
        store.read(&ChunkKey::segment(song, revision, "64k", 7)).await.expect("reads").is_some()
    );
    assert!(store.read_original(song, 7).await.expect("reads").is_some());
    let operations = operations(&database, "chunks").await;
    assert_eq!(operations.len(), 2, "{operations:#?}");
    for operation in &operations {
        assert!(operation.get_i32("docsExamined").expect("is told") <= 2, "{operation}");
    }
}

#[tokio::test]
async fn what_is_only_read_is_not_made() {
    let place = TestDatabase::mongodb();
    let store = open(place.url()).await.expect("opens");
    let id = SongId::new();
    store.ping().await.expect("answers");
    assert_eq!(store.get(id).await.expect("gets"), None);
    assert_eq!(store.list(&query("word")).await.expect("lists").songs, []);
    assert_eq!(store.read_original(id, 0).await.expect("reads"), None);
    assert_eq!(store.groups(None, 10).await.expect("lists"), []);
    assert!(!store.remove(id).await.expect("removes"));
    let names = database(place.url()).await.list_collection_names().await.expect("lists");
    assert_eq!(names, [""; 0]);
}

#[tokio::test]
async fn documents_have_the_predecessor_s_collections_and_fields() {
    let place = TestDatabase::mongodb();
    let (store, database) = (open(place.url()).await.expect("opens"), database(place.url()).await);
    let song = song();
    store.insert(&song).await.expect("inserts");
    let key = ChunkKey::segment(song.id, RevisionId::new(), "64k", 3);
    store.put(&key, Bytes::from_static(b"bytes")).await.expect("puts");

    let by_id = doc! { "_id": song.id.to_string() };
    let found = database.collection::<Document>("musics").find_one(by_id).await.expect("finds");
    let found = found.expect("is there");
    for (field, value) in [("name", "Title"), ("author", "Author")] {
        assert_eq!(found.get_str(field).expect("is a text"), value);
    }
    assert_eq!(found.get_i32("schema").expect("is a number"), 1);
    assert_eq!(found.get("id"), None);

    let by_name = doc! { "music_id": song.id.to_string(), "chunk_name": key.chunk_name() };
    let found = database.collection::<Document>("chunks").find_one(by_name).await.expect("finds");
    let found = found.expect("is there");
    assert_eq!(found.get_str("_id").expect("is a text"), key.to_string());
    assert_eq!(found.get_binary_generic("chunk_bytes").expect("are bytes"), b"bytes");
    assert_eq!(found.get_i32("schema").expect("is a number"), 1);

    let mut collections = database.list_collections().await.expect("lists");
    while let Some(collection) = collections.try_next().await.expect("lists") {
        assert_eq!(collection.options.clustered_index.is_some(), collection.name == "chunks");
    }
}

#[tokio::test]
async fn documents_without_a_schema_are_not_ours() {
    let place = TestDatabase::mongodb();
    let (store, database) = (open(place.url()).await.expect("opens"), database(place.url()).await);
    let (id, revision) = (SongId::new(), RevisionId::new());
    let key = ChunkKey::init(id, revision, "64k");
    // As the predecessor wrote them, and as nobody did: under our ids, with our fields.
    let musics: Collection<Document> = database.collection("musics");
    let theirs = doc! { "name": "Old", "author": "Author" };
    let nobodys = doc! {
        "_id": id.to_string(), "version": 1,
        "name": "Old", "author": "Author", "status": "ready", "prefixes": ["old"],
        "attempt": { "id": revision.to_string(), "lease_until": 0_i64 },
        "retired": [{ "id": revision.to_string(), "removable_at": 0_i64 }],
    };
    musics.insert_many([theirs, nobodys.clone()]).await.expect("inserts");
    let chunks: Collection<Document> = database.collection("chunks");
    let bytes = mongodb::bson::Binary {
        subtype: mongodb::bson::spec::BinarySubtype::Generic,
        bytes: vec![1],
    };
    let theirs = doc! { "music_id": "x", "chunk_name": "output0.ts", "chunk_bytes": bytes.clone() };
    let nobodys_chunk = doc! { "_id": key.to_string(), "chunk_bytes": bytes };
    chunks.insert_many([theirs, nobodys_chunk]).await.expect("inserts");

    assert_eq!(store.get(id).await.expect("gets"), None);
    let cursor = Cursor { album_position: 0, id: SongId::new() };
    for query in [query(""), query("old"), Query { after: Some(cursor), ..query("") }] {
        assert_eq!(store.list(&query).await.expect("lists").songs, []);
    }
    let attempt = Attempt { id: revision, lease_until: now(), progress: 0.0 };
    assert_eq!(store.describe(id, 1, &song().description).await.expect("describes"), None);
    assert!(!store.begin(id, &attempt, now()).await.expect("begins"));
    assert!(!store.renew(id, &attempt).await.expect("renews"));
    assert!(!store.commit(id, &self::revision(revision), now()).await.expect("commits"));
    assert!(!store.fail(id, revision, "reason").await.expect("fails"));
    assert!(!store.remove(id).await.expect("removes"));
    assert_eq!(store.expired(now(), 10).await.expect("lists"), []);
    assert_eq!(store.removable(now(), 10).await.expect("lists"), []);
    assert_eq!(store.read(&key).await.expect("reads"), None);

    // In a collection that is not clustered, since the predecessor made it, all else goes on.
    let song = Song { status: Status::Ready, ..song() };
    store.insert(&song).await.expect("inserts");
    for _ in 0..2 {
        let mut newer = nobodys.clone();
        newer.insert("_id", SongId::new().to_string());
        musics.insert_one(newer).await.expect("inserts");
    }
    let page = store.list(&Query { limit: 1, ..query("") }).await.expect("lists");
    assert_eq!((page.songs.as_slice(), page.next), (std::slice::from_ref(&song), None));
    let part = ChunkKey::original(song.id, 0);
    store.put(&part, Bytes::from_static(b"part")).await.expect("puts");
    assert!(store.read_original(song.id, 3).await.expect("reads").is_some());
    let groups = [(id, ChunkGroup::Revision(revision)), (song.id, ChunkGroup::Original)];
    assert_eq!(store.groups(None, 10).await.expect("lists"), groups);
    store.remove_all(song.id).await.expect("removes");
    assert_eq!(chunks.count_documents(doc! {}).await.expect("counts"), 2);
    assert_eq!(musics.count_documents(doc! {}).await.expect("counts"), 5);
}

#[tokio::test]
async fn opening_waits_for_no_server() {
    let begin = Instant::now();
    open("mongodb://192.0.2.1/segue").await.expect("opens");
    open("mongodb+srv://segue.invalid/").await.expect("opens");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// That a read fails because nobody answers, and in time for a request to be answered.
async fn is_unavailable_in_time<T: std::fmt::Debug>(read: impl Future<Output = store::Result<T>>) {
    let begin = Instant::now();
    let answer = read.await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_within_five_seconds() {
    let store = open("mongodb://127.0.0.1:1/segue").await.expect("opens");
    is_unavailable_in_time(store.get(SongId::new())).await;
}

#[tokio::test]
async fn a_server_whose_name_is_not_known_is_unavailable_within_five_seconds() {
    let store = open("mongodb+srv://segue.invalid/").await.expect("opens");
    is_unavailable_in_time(store.ping()).await;
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable_within_five_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let url = format!("mongodb://{}/segue", silent.local_addr().expect("has an address"));
    let store = open(&url).await.expect("opens");
    is_unavailable_in_time(store.list(&query(""))).await;
}

#[tokio::test]
async fn a_server_that_stops_is_unavailable_within_five_seconds_and_then_serves_again() {
    let place = TestDatabase::mongodb();
    let (url, stopped) = through_proxy(place.url()).await;
    let store = open(&url).await.expect("opens");
    let song = song();
    let key = ChunkKey::original(song.id, 0);
    store.insert(&song).await.expect("inserts");
    store.put(&key, Bytes::from_static(b"part")).await.expect("puts");

    let query = query("");
    stopped.send_replace(true);
    tokio::join!(
        is_unavailable_in_time(store.get(song.id)),
        is_unavailable_in_time(store.list(&query)),
        is_unavailable_in_time(store.read(&key)),
        is_unavailable_in_time(store.read_original(song.id, 0)),
        is_unavailable_in_time(store.ping()),
    );
    is_unavailable_in_time(store.read(&key)).await;
    stopped.send_replace(false);
    assert_eq!(store.read(&key).await.expect("reads").as_deref(), Some(&b"part"[..]));
    assert_eq!(store.get(song.id).await.expect("gets"), Some(song));
}

/// A URL for the same database, through connections that carry nothing while the switch is on.
async fn through_proxy(url: &str) -> (String, watch::Sender<bool>) {
    async fn carry(
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if stopped.wait_for(|stopped| !stopped).await.is_err()
                || to.write_all(&buffer[..length]).await.is_err()
            {
                break;
            }
        }
    }
    let server = ClientOptions::parse(url).await.expect("is a URL").hosts[0].to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let proxy = listener.local_addr().expect("has an address").to_string();
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}directConnection=true", url.replacen(&server, &proxy, 1));
    let (switch, stopped) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.expect("connects");
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            tokio::spawn(carry(from_client, to_server, stopped.clone()));
            tokio::spawn(carry(from_server, to_client, stopped.clone()));
        }
    });
    (url, switch)
}
