//! A machine that lacks something: room on its disk, or ffmpeg.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use axum::{
    Router,
    http::{Method, StatusCode},
};
use service::{HttpConfig, Lookup, NoJobs, testing::Answer};
use store::{
    Store,
    testing::{TestDatabase, alone_on_small_disk},
};
use support::{Stage, wav};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

fn assert_no_room(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE, "{}", answer.text());
    assert_eq!(answer.problem(), "insufficient-storage");
    assert_eq!(answer.header("retry-after"), "60");
}

/// Serves a store, and returns how its readiness is asked for.
async fn readiness(store: Arc<dyn Store>) -> impl AsyncFn() -> String {
    let lookup = Lookup::new(|name| (name == "PORT").then(|| "0".to_owned()));
    let config = HttpConfig::from_lookup(&lookup).expect("is valid");
    drop(lookup);
    let listener = service::bind(&config).await.expect("listens");
    let address = listener.local_addr().expect("has one");
    tokio::spawn(async move {
        service::serve(listener, Router::new(), Arc::new(NoJobs), store, &config).await
    });
    async move || {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        let request = "GET /_/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("is answered");
        answer.to_lowercase()
    }
}

/// A real file system of 64 MB for the database and the working directory.
#[tokio::test]
async fn a_full_disk_refuses_songs_until_one_is_removed() {
    if !alone_on_small_disk("a_full_disk_refuses_songs_until_one_is_removed", 64) {
        return;
    }
    let stage = Stage::with(&[]).await;
    let mut songs = Vec::new();
    let refused = loop {
        let answer = stage.post("name=n&author=a", wav(20.0)).await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        songs.push(answer.json()["id"].as_str().expect("has an id").to_owned());
        // Small ones: what is freed of the refused one is not room enough for another.
        assert!(songs.len() < 40, "the disk does not fill");
    };
    assert_no_room(&refused);
    assert!(songs.len() > 2, "{songs:?}");
    // What was refused is removed behind the answer.
    let listed = async || {
        let mut listed = 0;
        for status in ["ready", "processing", "failed"] {
            let songs = stage.get(&format!("/songs?status={status}")).empty().await.json();
            listed += songs.as_array().expect("is a list").len();
        }
        listed
    };
    for _ in 0..600 {
        if listed().await == songs.len() && stage.is_idle() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(listed().await == songs.len() && stage.is_idle());

    // Another program takes what is left.
    let filler = stage.work_dir.path().with_extension("filler");
    let mut file = fs::File::create(&filler).expect("creates");
    while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    drop(file);
    let is_ready = readiness(Arc::clone(&stage.store)).await;
    let answer = is_ready().await;
    assert!(answer.starts_with("http/1.1 503 ") && answer.contains("retry-after:"), "{answer}");
    assert!(answer.contains("no room left"), "{answer}");
    let upload = stage.call(Method::POST, "/uploads").header("tus-resumable", "1.0.0");
    assert_no_room(&upload.header("upload-length", "1000").empty().await);
    assert_no_room(&stage.post("name=n&author=a", wav(0.2)).await);
    assert!(stage.is_idle());
    for id in songs.drain(..2) {
        let answer = stage.call(Method::DELETE, &format!("/songs/{id}")).empty().await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    fs::remove_file(filler).expect("removes");
    assert!(is_ready().await.starts_with("http/1.1 204 "));
    stage.add("name=n&author=a").await;
    for id in songs {
        let original = stage.get(&format!("/songs/{id}/original")).empty().await;
        assert!(original.body == wav(20.0), "{id}");
    }
}

#[test]
fn a_missing_ffmpeg_is_told_at_the_start() {
    let (database, work_dir) = (TestDatabase::sqlite(), tempfile::tempdir().expect("is made"));
    let mut crud = Command::new(env!("CARGO_BIN_EXE_crud"));
    crud.env_clear().env("DATABASE_URL", database.url()).env("WORK_DIR", work_dir.path());
    crud.env("PORT", "0").env("FFMPEG", "/nowhere/ffmpeg").stderr(Stdio::piped());
    let mut crud = crud.stdout(Stdio::null()).spawn().expect("starts");
    let log = BufReader::new(crud.stderr.take().expect("is piped"));
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        log.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let told = std::iter::from_fn(|| lines.recv_timeout(Duration::from_secs(30)).ok())
        .find(|line| line.contains("set FFMPEG"));
    crud.kill().expect("is alive");
    crud.wait().expect("ends");
    let told = told.expect("it says so");
    assert!(told.contains("WARN") && told.contains("/nowhere/ffmpeg cannot be started"), "{told}");
}
