//! A gateway of its own, with songs made of a real piece.

use std::{fs, path::Path, process::Command};

use black_box::{binary::root, http_client::Answer, http_client::Request, server::Server};
use bytes::Bytes;
use serde_json::Value;
use store::testing::TestDatabase;
use tempfile::TempDir;

use crate::files;

/// A piece of 51.7 s, worth every variant.
const PIECE: &str = "main_menu";

pub(crate) struct Gateway {
    server: Server,
    _database: TestDatabase,
    _work_dir: TempDir,
}

/// A song as `POST /songs` answered it.
pub(crate) struct Song(pub(crate) Value);

impl Gateway {
    pub(crate) async fn start() -> Self {
        let database = TestDatabase::sqlite();
        let work_dir = tempfile::tempdir().expect("makes a directory");
        let ffmpeg = root().join("target/ffmpeg/bin/ffmpeg");
        let variables = [
            ("DATABASE_URL", database.url()),
            ("FFMPEG", files::path(&ffmpeg)),
            ("WORK_DIR", files::path(work_dir.path())),
        ];
        let server = Server::start("gateway", &variables).await;
        Self { server, _database: database, _work_dir: work_dir }
    }

    /// A gateway that has the whole piece, losslessly as it came.
    pub(crate) async fn with_piece() -> (Self, Song) {
        let gateway = Self::start().await;
        let directory = tempfile::tempdir().expect("makes a directory");
        let file = directory.path().join("piece.flac");
        let piece = files::piece(PIECE);
        files::ffmpeg(&[
            "-i",
            files::path(&piece),
            "-map",
            "0:a",
            "-sample_fmt",
            "s16",
            files::path(&file),
        ]);
        let song = gateway.add(&file).await;
        (gateway, song)
    }

    pub(crate) async fn add(&self, file: &Path) -> Song {
        let bytes: Bytes = fs::read(file).expect("was made").into();
        let post =
            Request::new("POST", "/songs?name=n&author=a&lossless=true").body("audio/*", bytes);
        let answer = self.server.send(&post).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        Song(answer.json())
    }

    /// Adds pink noise of `samples` samples at 44.1 kHz.
    pub(crate) async fn add_noise(&self, samples: usize) -> Song {
        let directory = tempfile::tempdir().expect("makes a directory");
        let file = directory.path().join("noise.wav");
        let filter = format!("atrim=end_sample={samples}");
        let noise = "anoisesrc=r=44100:color=pink:seed=3:a=0.5";
        let input = ["-f", "lavfi", "-i", noise, "-af", &filter];
        files::ffmpeg(&[&input[..], &["-c:a", "pcm_s16le", files::path(&file)]].concat());
        self.add(&file).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        let answer = self.server.send(&Request::get(target)).await;
        assert_eq!(answer.status, 200, "{target}: {}", String::from_utf8_lossy(&answer.body));
        answer
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address())
    }
}

impl Song {
    /// The path of a playlist or manifest of this song.
    pub(crate) fn path(&self, playlist: &str) -> String {
        format!("/stream/{}/{playlist}", self.0["id"].as_str().expect("has an id"))
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.0["duration"].as_f64().expect("has a duration")
    }
}

/// Runs one of the scripts here with Node.js, and returns the JSON that it prints.
pub(crate) fn node(script: &str, arguments: &[&str]) -> Value {
    let output = Command::new("node")
        .arg(root().join("tests/players").join(script))
        .args(arguments)
        .output()
        .expect("Node.js is there: run `make prepare`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("prints JSON")
}
