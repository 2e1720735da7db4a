//! Every kind of file that goes in, played to its end by a player that is not ours.

use black_box::{binary::root, http_client::Request, server::Server};
use store::testing::TestDatabase;

use crate::files::{Files, seconds_decoded};

/// How far a played song may be from its source: an AAC decoder that does not trim plays the
/// encoder's priming and padding as well.
const TOLERANCE: f64 = 0.060;

/// Adds each file to a gateway over `database`, and plays it with ffmpeg's HLS demuxer.
async fn every_file_plays_to_its_end(database: TestDatabase) {
    let ffmpeg = root().join("target/ffmpeg/bin/ffmpeg");
    let work_dir = tempfile::tempdir().expect("makes a directory");
    let gateway = Server::start(
        "gateway",
        &[
            ("DATABASE_URL", database.url()),
            ("FFMPEG", ffmpeg.to_str().expect("is text")),
            ("WORK_DIR", work_dir.path().to_str().expect("is text")),
        ],
    )
    .await;
    let files = Files::make();
    for (file, source) in files.each() {
        let post = Request::new("POST", "/songs?name=n&author=a").body("audio/*", source.bytes());
        let answer = gateway.send(&post).await;
        assert_eq!(answer.status, 201, "{file}: {}", answer.text());
        let song = answer.json();
        let expected = seconds_decoded(source.path());
        let told = song["duration"].as_f64().expect("has a duration");
        // Where the container of AAC says that its last frame is not all sound, ffmpeg decodes all
        // of it none the less.
        let padding = if file.ends_with("m4a") { 1024.0 / 44_100.0 } else { 0.0 };
        let is_as_long = (expected - padding - 0.001..expected + 0.001).contains(&told);
        assert!(is_as_long, "{file} lasts {expected} s, its song says {told}");
        let url = format!(
            "http://{}{}",
            gateway.address(),
            song["stream_url"].as_str().expect("has a URL")
        );
        let played = seconds_decoded(&url);
        assert!(
            (played - expected).abs() < TOLERANCE,
            "{file} lasts {expected} s, played {played}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_plays_to_its_end_from_sqlite() {
    every_file_plays_to_its_end(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_plays_to_its_end_from_mongodb() {
    every_file_plays_to_its_end(TestDatabase::mongodb()).await;
}
