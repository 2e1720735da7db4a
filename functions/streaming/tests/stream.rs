//! The routes under `/stream`, over a real store.

use axum::{
    Router,
    http::{Method, StatusCode},
};
use bytes::Bytes;
use jiff::SignedDuration;
use music::{
    Attempt, Codec, Revision, RevisionId, Song, SongId, Status, Timestamp, Variant, testing,
};
use service::{HttpConfig, Lookup, app, testing::Call};
use std::sync::Arc;
use store::{ChunkKey, Store, testing::TestDatabase};

/// A song of two segments in one variant, as ingest leaves it, and the app that serves it.
struct Stage {
    app: Router,
    store: Arc<dyn Store>,
    song: Song,
    database: TestDatabase,
}

const SEGMENT: &[u8] = b"moof and mdat, as far as this test can tell";

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let database = TestDatabase::sqlite();
        let store = store::open(database.url()).await.expect("opens");
        let lookup = Lookup::new(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        let config = HttpConfig::from_lookup(&lookup).expect("is valid");
        let app = app(streaming::router(Arc::clone(&store)), &config, None);
        let song = ready_song();
        store.insert(&song).await.expect("inserts");
        let revision = revision(&song);
        store
            .put(&ChunkKey::init(song.id, revision, "128k"), Bytes::from_static(b"init"))
            .await
            .expect("puts");
        for number in 0..2 {
            let key = ChunkKey::segment(song.id, revision, "128k", number);
            store.put(&key, Bytes::from_static(SEGMENT)).await.expect("puts");
        }
        Self { app, store, song, database }
    }

    /// Makes a new revision of the song, which leaves the old one to be removed at a time.
    async fn supersede(&self, removable_at: Timestamp) {
        let (id, revision) = (RevisionId::new(), self.song.revision.clone().expect("is ready"));
        let attempt =
            Attempt { id, lease_until: music::now() + SignedDuration::from_mins(1), progress: 0.0 };
        assert!(self.store.begin(self.song.id, &attempt, music::now()).await.expect("begins"));
        let revision = Revision { id, ..revision };
        let committed = self.store.commit(self.song.id, &revision, removable_at).await;
        assert!(committed.expect("commits"));
    }

    fn path(&self, rest: &str) -> String {
        format!("/stream/{}/{rest}", self.song.id)
    }

    fn under_revision(&self, rest: &str) -> String {
        self.path(&format!("{}/{rest}", revision(&self.song)))
    }
}

fn revision(song: &Song) -> RevisionId {
    song.revision.as_ref().expect("is ready").id
}

/// Two segments, the second of them a second long.
fn ready_song() -> Song {
    let samples = music::segment_duration(48_000) + 48_000;
    testing::ready(testing::description("Jóga", "Björk"), samples)
}

#[tokio::test]
async fn a_segment_that_has_changed_in_the_store_is_not_served() {
    let stage = Stage::new().await;
    let path = stage.database.url().strip_prefix("sqlite:").expect("is a file");
    let file = rusqlite::Connection::open(path).expect("opens");
    let key = ChunkKey::segment(stage.song.id, revision(&stage.song), "128k", 1).to_string();
    let mut changed = SEGMENT.to_vec();
    changed[7] ^= 1;
    let update = "UPDATE chunks SET bytes = ?2 WHERE key = ?1";
    assert_eq!(file.execute(update, rusqlite::params![key, changed]).expect("updates"), 1);
    let get = |name: &str| Call::get(&stage.app, &stage.under_revision(&format!("128k/{name}")));
    for call in [get("1.m4s"), get("1.m4s").header("range", "bytes=0-3")] {
        let answer = call.empty().await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.problem(), "corrupt");
        assert_eq!(answer.header("etag"), "");
    }
    assert_eq!(get("0.m4s").empty().await.status, StatusCode::OK);
}

#[tokio::test]
async fn dash_players_are_told_of_the_same_files() {
    let stage = Stage::new().await;
    let manifest = Call::get(&stage.app, &stage.path("manifest.mpd")).empty().await;
    assert_eq!(manifest.status, StatusCode::OK);
    assert_eq!(manifest.header("content-type"), "application/dash+xml");
    assert_eq!(manifest.header("cache-control"), "public, max-age=10");
    let attribute = |name: &str| {
        let text = manifest.text().split(&format!("{name}=\"")).nth(1).expect("is there");
        text.split('"').next().expect("ends").to_owned()
    };
    for file in [attribute("initialization"), attribute("media").replace("$Number$", "1")] {
        let answer = Call::get(&stage.app, &stage.path(&file)).empty().await;
        assert_eq!(answer.status, StatusCode::OK, "{file}");
    }
}

#[tokio::test]
async fn a_song_without_flac_has_no_lossless_playlist() {
    let mut stage = Stage::new().await;
    let answer = Call::get(&stage.app, &stage.path("lossless.m3u8")).empty().await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("content-type"), "application/problem+json");

    let mut song = ready_song();
    let revision = song.revision.as_mut().expect("is ready");
    let flac = Variant {
        name: "lossless".into(),
        codec: Codec::Flac,
        media_time: 0,
        ..revision.variants[0].clone()
    };
    revision.variants.push(flac);
    stage.store.insert(&song).await.expect("inserts");
    stage.song = song;
    let answer = Call::get(&stage.app, &stage.path("lossless.m3u8")).empty().await;
    assert_eq!(answer.status, StatusCode::OK);
    let first = answer.text().lines().find(|line| !line.starts_with('#')).expect("lists a variant");
    assert!(first.ends_with("/lossless/playlist.m3u8"), "{first}");
    let media = Call::get(&stage.app, &stage.path(first)).empty().await;
    assert_eq!(media.status, StatusCode::OK);
    let usual = Call::get(&stage.app, &stage.path("outputlist.m3u8")).empty().await;
    assert!(!usual.text().contains("lossless"), "nobody lands on it by accident");
}

#[tokio::test]
async fn a_player_finds_its_way_from_the_multivariant_playlist_to_every_segment() {
    let stage = Stage::new().await;
    let multivariant = Call::get(&stage.app, &stage.path("outputlist.m3u8")).empty().await;
    assert_eq!(multivariant.status, StatusCode::OK);
    assert_eq!(multivariant.header("content-type"), "application/vnd.apple.mpegurl");
    let variant =
        multivariant.text().lines().find(|line| !line.starts_with('#')).expect("lists a variant");
    let media = Call::get(&stage.app, &stage.path(variant)).empty().await;
    assert_eq!(media.status, StatusCode::OK);
    let folder = variant.strip_suffix("playlist.m3u8").expect("is a playlist");
    let segments: Vec<_> = media.text().lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(segments, ["0.m4s", "1.m4s"]);
    for file in segments.into_iter().chain(["init.mp4"]) {
        let path = stage.path(&format!("{folder}{file}"));
        let answer = Call::get(&stage.app, &path).empty().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "audio/mp4");
    }
}

#[tokio::test]
async fn what_is_under_a_revision_may_be_cached_for_good_and_what_names_one_may_not() {
    let stage = Stage::new().await;
    for file in ["128k/playlist.m3u8", "128k/init.mp4", "128k/1.m4s"] {
        let answer = Call::get(&stage.app, &stage.under_revision(file)).empty().await;
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
    }
    let answer = Call::get(&stage.app, &stage.path("outputlist.m3u8")).empty().await;
    assert_eq!(answer.header("cache-control"), "public, max-age=10");
}

#[tokio::test]
async fn whoever_plays_a_superseded_revision_can_finish_the_song() {
    for (seconds, status) in [(60, StatusCode::OK), (-1, StatusCode::NOT_FOUND)] {
        let stage = Stage::new().await;
        let playlist = stage.under_revision("128k/playlist.m3u8");
        let before = Call::get(&stage.app, &playlist).empty().await;
        stage.supersede(music::now() + SignedDuration::from_secs(seconds)).await;
        let after = Call::get(&stage.app, &playlist).empty().await;
        assert_eq!(after.status, status, "removable in {seconds} s");
        if status == StatusCode::OK {
            assert_eq!(after.body, before.body);
            for file in before.text().lines().filter(|line| !line.starts_with('#')) {
                let file = stage.under_revision(&format!("128k/{file}"));
                assert_eq!(Call::get(&stage.app, &file).empty().await.body, SEGMENT);
            }
        }
    }
}

#[tokio::test]
async fn a_segment_is_sent_whole_in_part_or_not_again() {
    let stage = Stage::new().await;
    let path = stage.under_revision("128k/0.m4s");
    let whole = Call::get(&stage.app, &path).empty().await;
    assert_eq!(whole.body, SEGMENT);
    assert_eq!(whole.header("content-length"), SEGMENT.len().to_string());
    assert_eq!(whole.header("accept-ranges"), "bytes");

    let part = Call::get(&stage.app, &path).header("range", "bytes=5-7").empty().await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &SEGMENT[5..8]));
    assert_eq!(part.header("content-range"), format!("bytes 5-7/{}", SEGMENT.len()));

    let beyond = Call::get(&stage.app, &path).header("range", "bytes=1000-").empty().await;
    assert_eq!(beyond.problem(), "range-not-satisfiable");
    assert_eq!(beyond.header("content-range"), format!("bytes */{}", SEGMENT.len()));

    let again =
        Call::get(&stage.app, &path).header("if-none-match", whole.header("etag")).empty().await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
}

#[tokio::test]
async fn head_says_what_get_would_without_a_body() {
    let stage = Stage::new().await;
    for path in [stage.path("outputlist.m3u8"), stage.under_revision("128k/0.m4s")] {
        let get = Call::get(&stage.app, &path).empty().await;
        let head = Call::new(&stage.app, Method::HEAD, &path).empty().await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
        for name in ["content-type", "etag", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn playlists_are_compressed_for_who_asks_and_segments_never() {
    let stage = Stage::new().await;
    for path in [stage.path("outputlist.m3u8"), stage.under_revision("128k/playlist.m3u8")] {
        let answer = Call::get(&stage.app, &path).header("accept-encoding", "gzip").empty().await;
        assert_eq!(answer.header("content-encoding"), "gzip", "{path}");
        assert_eq!(&answer.body[..2], [0x1f, 0x8b]);
        assert!(answer.header("vary").to_ascii_lowercase().contains("accept-encoding"));
        let plain = Call::get(&stage.app, &path).empty().await;
        assert_eq!(plain.header("content-encoding"), "");
        assert!(plain.header("vary").to_ascii_lowercase().contains("accept-encoding"));
        let again = Call::get(&stage.app, &path)
            .header("if-none-match", answer.header("etag"))
            .empty()
            .await;
        assert_eq!(
            again.status,
            StatusCode::NOT_MODIFIED,
            "a tag of the compressed form holds for the plain one"
        );
    }
    let segment = Call::get(&stage.app, &stage.under_revision("128k/0.m4s"))
        .header("accept-encoding", "gzip")
        .empty()
        .await;
    assert_eq!(segment.header("content-encoding"), "");
}

#[tokio::test]
async fn what_is_not_there_or_cannot_be_is_a_404_that_says_so() {
    let stage = Stage::new().await;
    let (other_song, other_revision) = (SongId::new(), RevisionId::new());
    for path in [
        "/".into(),
        "/stream".into(),
        format!("/stream/{other_song}/outputlist.m3u8"),
        "/stream/nonsense/outputlist.m3u8".into(),
        "/stream/%2e%2e%2f/outputlist.m3u8".into(),
        stage.path("other.m3u8"),
        stage.path(&format!("{other_revision}/128k/playlist.m3u8")),
        stage.path(&format!("{other_revision}/128k/0.m4s")),
        stage.under_revision("999k/playlist.m3u8"),
        stage.under_revision("128k/2.m4s"),
        stage.under_revision("128k/00.m4s"),
        stage.under_revision("128k/init.mp5"),
    ] {
        let answer = Call::get(&stage.app, &path).empty().await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_song_that_is_not_ready_says_when_to_ask_again() {
    let stage = Stage::new().await;
    let mut song = ready_song();
    (song.revision, song.status) = (None, Status::Processing);
    stage.store.insert(&song).await.expect("inserts");
    let answer =
        Call::get(&stage.app, &format!("/stream/{}/outputlist.m3u8", song.id)).empty().await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::NOT_FOUND, "song-not-ready")
    );
    assert!(answer.header("retry-after").parse::<u32>().is_ok());
}

#[tokio::test]
async fn a_deleted_song_cannot_be_played() {
    let stage = Stage::new().await;
    stage.store.remove(stage.song.id).await.expect("removes");
    let answer = Call::get(&stage.app, &stage.path("outputlist.m3u8")).empty().await;
    assert_eq!(answer.problem(), "not-found");
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_possible() {
    let stage = Stage::new().await;
    let answer = Call::new(&stage.app, Method::POST, &stage.path("outputlist.m3u8")).empty().await;
    assert_eq!(answer.problem(), "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn any_page_may_play() {
    let stage = Stage::new().await;
    let path = stage.under_revision("128k/0.m4s");
    let answer = Call::get(&stage.app, &path).header("origin", "https://example.org").empty().await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-expose-headers").contains("etag"));
    let preflight = Call::new(&stage.app, Method::OPTIONS, &path)
        .header("origin", "https://example.org")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "range")
        .empty()
        .await;
    assert!(preflight.status.is_success());
    assert!(preflight.header("access-control-allow-headers").contains("range"));
}

#[tokio::test]
async fn a_base_path_may_be_there_or_be_stripped_already() {
    let stage = Stage::with(&[("BASE_PATH", "/prod")]).await;
    for path in [stage.path("outputlist.m3u8"), format!("/prod{}", stage.path("outputlist.m3u8"))] {
        let answer = Call::get(&stage.app, &path).empty().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.text().contains("/prod"), "URIs in playlists are relative");
    }
    let answer = Call::get(&stage.app, "/prod/nothing").empty().await;
    assert_eq!(answer.problem(), "not-found");
}
