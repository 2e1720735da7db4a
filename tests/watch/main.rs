//! `make watch`: a song is added and played through `cargo lambda watch`, on either database.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use black_box::{
    binary::root,
    http_client::{self, Answer, Request},
    process::Process,
    songs,
};
use serde_json::json;
use store::testing::TestDatabase;
use tokio::net::TcpStream;

const KEY: &str = "correct-horse-battery-staple";

struct Watch {
    address: SocketAddr,
    process: Process,
}

impl Watch {
    async fn start(database: &TestDatabase, work_dir: &str) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("there is a port");
        let address = free.local_addr().expect("is bound");
        drop(free);
        let program = root().join("target/venv/bin/cargo-lambda");
        assert!(
            program.is_file(),
            "there is no cargo-lambda in target/venv: run `make test-watch`"
        );
        // What cargo tells a test of its own package is not for another cargo.
        let inherited =
            env::vars().filter(|(name, _)| !name.starts_with("CARGO_") || name == "CARGO_HOME");
        let given = [
            ("DATABASE_URL", database.url().to_owned()),
            ("API_KEY", KEY.to_owned()),
            ("FFMPEG", root().join("target/ffmpeg/bin/ffmpeg").display().to_string()),
            ("WORK_DIR", work_dir.to_owned()),
        ];
        let variables: Vec<_> =
            inherited.chain(given.map(|(name, value)| (name.to_owned(), value))).collect();
        let port = address.port().to_string();
        // Without it, the functions are those of the package that the test is in.
        let workspace = root().join("Cargo.toml").display().to_string();
        let arguments = [
            "lambda",
            "watch",
            "--manifest-path",
            &workspace,
            "--disable-cors",
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            &port,
            "--features",
            "crud/sqlite,streaming/sqlite",
        ];
        let process = Process::start(&program, &arguments, &variables);
        while TcpStream::connect(address).await.is_err() {
            assert!(process.is_running(), "{}", process.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { address, process }
    }

    /// The first request of a function waits until it is built.
    async fn ask(&self, request: &Request) -> Answer {
        let answer =
            tokio::time::timeout(Duration::from_mins(20), http_client::send(self.address, request))
                .await;
        answer.unwrap_or_else(|_| panic!("does not answer:\n{}", self.process.log()))
    }
}

async fn a_song_is_added_and_played(database: TestDatabase) {
    let work_dir = tempfile::tempdir().expect("makes a directory");
    let watch = Watch::start(&database, &work_dir.path().display().to_string()).await;
    let post = Request::new("POST", "/songs?name=Tone&author=Test")
        .header("X-Api-Key", KEY)
        .body("audio/wav", songs::wav(songs::WAV_HEADER + 3_000_000));
    let added = watch.ask(&post).await;
    assert_eq!(added.status, 201, "{}\n{}", added.text(), watch.process.log());
    assert_eq!(added.header("access-control-allow-origin"), "*");

    let url = added.json()["stream_url"].as_str().expect("has one").to_owned();
    let playlist = watch.ask(&Request::get(&url)).await;
    let variants: Vec<_> = playlist.text().lines().filter(|line| line.ends_with(".m3u8")).collect();
    assert_eq!(variants.len(), 3, "{}", playlist.text());
    for variant in variants {
        let variant = format!("{}/{variant}", url.rsplit_once('/').expect("has a folder").0);
        let segments = watch.ask(&Request::get(&variant)).await;
        let names = segments.text().lines().filter(|line| line.ends_with(".m4s"));
        let mut played = 0;
        for name in names {
            let segment = format!("{}/{name}", variant.rsplit_once('/').expect("has a folder").0);
            let segment = watch.ask(&Request::get(&segment)).await;
            assert_eq!((segment.status, &segment.body[4..8]), (200, &b"moof"[..]));
            played += 1;
        }
        assert_eq!(played, 3, "{}", segments.text());
    }

    // The job is done by the function that took it.
    let later = watch.ask(&post.header("Prefer", "respond-async")).await;
    assert_eq!(later.status, 202, "{}\n{}", later.text(), watch.process.log());
    let record = Request::get(later.header("location"));
    for _ in 0..1_200 {
        let song = watch.ask(&record).await.json();
        if song["status"] == json!("ready") {
            return;
        }
        assert_eq!(song["status"], "processing", "{song}\n{}", watch.process.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the song does not become ready:\n{}", watch.process.log());
}

// One after the other: both build the same functions.
#[tokio::test(flavor = "multi_thread")]
async fn a_song_is_added_and_played_on_mongodb_and_on_sqlite() {
    a_song_is_added_and_played(TestDatabase::mongodb()).await;
    a_song_is_added_and_played(TestDatabase::sqlite()).await;
}
