//! An hour of uncompressed sound goes in over plain HTTP, and the process stays small.

use std::fs;

use black_box::{http_client::Request, server::Server};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use store::testing::TestDatabase;
use tokio::net::TcpStream;

/// One second: two channels of 16 bits at 44.1 kHz.
const SECOND: usize = 44_100 * 4;

/// What the process may have at its peak, in KiB.
const MEMORY: u64 = 100 * 1024;

/// Sends so many minutes of sound to a gateway of its own, and plays them. Returns the peak of the
/// gateway's resident memory, in KiB.
async fn memory_for(minutes: usize, database: TestDatabase) -> u64 {
    let work_dir = tempfile::tempdir().expect("makes a directory");
    let ffmpeg = ingest::testing::ffmpeg();
    let gateway = Server::start(
        "gateway",
        &[
            ("DATABASE_URL", database.url()),
            ("FFMPEG", ffmpeg.to_str().expect("is text")),
            ("WORK_DIR", work_dir.path().to_str().expect("is text")),
            // However busy the machine is.
            ("MAX_FFMPEG_SECONDS", "14400"),
        ],
    )
    .await;
    let idle = peak(gateway.process().id());
    let seconds = minutes * 60;
    let song = send(&gateway, seconds).await;
    assert_eq!(song["duration"], f64::from(u32::try_from(seconds).expect("is small")), "{song}");
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process().id()));
    let status = status.expect("is running");
    let rss: Vec<_> =
        status.lines().filter(|it| it.starts_with("Rss") || it.starts_with("VmRSS")).collect();
    let peak = peak(gateway.process().id());
    println!(
        "{minutes} minutes, {} bytes: peak {peak} KiB, idle before {idle} KiB; {rss:?}",
        song["source"]["bytes"]
    );

    let top = gateway.send(&Request::get(song["stream_url"].as_str().expect("has one"))).await;
    assert_eq!((top.status, top.text().matches(".m3u8").count()), (200, 3), "{}", top.text());
    peak
}

/// Streams a WAV file, as long as it may be, from nowhere.
async fn send(gateway: &Server, seconds: usize) -> Value {
    let data = u32::try_from(seconds * SECOND).expect("is below 4 GB");
    let mut head = b"RIFF".to_vec();
    head.extend((data + 36).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x10\0data");
    head.extend(data.to_le_bytes());
    // The header that the test's own songs have says 48 kHz: only their samples are taken.
    let second = black_box::songs::wav(black_box::songs::WAV_HEADER + SECOND);
    let second = Bytes::from(second).slice(black_box::songs::WAV_HEADER..);
    let pieces = std::iter::once(Bytes::from(head)).chain(std::iter::repeat_n(second, seconds));
    let body = stream::iter(pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece))));

    let stream = TcpStream::connect(gateway.address()).await.expect("listens");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("shakes hands");
    tokio::spawn(connection);
    let request = hyper::Request::post("/songs?name=n&author=a")
        .header("Host", "localhost")
        .header("Content-Type", "audio/wav")
        .header("Content-Length", (seconds * SECOND + 44).to_string())
        .body(StreamBody::new(body))
        .expect("is a request");
    let response = sender.send_request(request).await.expect("answers");
    let status = response.status();
    let body = response.into_body().collect().await.expect("is whole").to_bytes();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).expect("is JSON")
}

/// In KiB.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("is running");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is told");
    line.split_whitespace().next().and_then(|it| it.parse().ok()).expect("is a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hour_of_sound_takes_less_than_100_mb_and_little_more_than_ten_minutes() {
    let ten = memory_for(10, TestDatabase::sqlite()).await;
    let sixty = memory_for(60, TestDatabase::sqlite()).await;
    let on_mongodb = memory_for(60, TestDatabase::mongodb()).await;
    assert!(sixty < MEMORY && on_mongodb < MEMORY, "{sixty} and {on_mongodb} KiB");
    assert!(sixty < ten + ten / 2, "{sixty} KiB for an hour, {ten} KiB for ten minutes");
}
