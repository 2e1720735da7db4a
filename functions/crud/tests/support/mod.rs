//! The function over an empty store, and songs to send to it.

#![allow(dead_code, reason = "no test program needs all of it")]

pub(crate) mod forgetful;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Router, http::Method};
use crud::{Config, Crud, Worker};
use serde_json::Value;
use service::{
    BoxError, Jobs, Lookup,
    testing::{Answer, Call},
};
use store::{Store, testing::TestDatabase};
use tempfile::TempDir;

pub(crate) struct Stage {
    pub(crate) app: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) work_dir: TempDir,
    worker: Arc<Worker>,
    _database: TestDatabase,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The function configured by `variables`.
    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::over(variables, |store| store).await
    }

    /// The function over what `wrap` makes of its store.
    pub(crate) async fn over(
        variables: &[(&str, &str)],
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let database = TestDatabase::sqlite();
        let work_dir = tempfile::tempdir().expect("makes a directory");
        let ffmpeg = ffmpeg();
        let lookup = Lookup::new(|name| match name {
            "DATABASE_URL" => Some(database.url().to_owned()),
            "WORK_DIR" => Some(work_dir.path().display().to_string()),
            "FFMPEG" => Some(ffmpeg.clone()),
            _ => {
                variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            }
        });
        let config = Config::from_lookup(&lookup).expect("is valid");
        drop(lookup);
        let http = config.http.clone();
        let key = http.resolve_key().await.expect("is given by value");
        let store = wrap(store::open(database.url()).await.expect("opens"));
        let (crud, worker) = Crud::new(Arc::clone(&store), config).expect("starts");
        let app = service::app(crud::router(crud), &http, key.as_deref());
        Self { app, store, work_dir, worker, _database: database }
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.app, method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        Call::get(&self.app, path)
    }

    /// Tidies up, as happens now and then.
    pub(crate) async fn sweep(&self) -> Result<(), BoxError> {
        self.worker.sweep().await.map(|_| ())
    }

    /// Whether no song is in the function's hands.
    pub(crate) fn is_idle(&self) -> bool {
        at_work(self.work_dir.path()).is_empty()
    }

    /// Sends a song as the file itself.
    pub(crate) async fn post(&self, query: &str, audio: Vec<u8>) -> Answer {
        self.call(Method::POST, &format!("/songs?{query}"))
            .header("content-type", "audio/wav")
            .send(audio)
            .await
    }

    /// Adds a ready song of a fifth of a second.
    pub(crate) async fn add(&self, query: &str) -> Value {
        let answer = self.post(query, wav(0.2)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Fails if anything of a song is in the store, or on the disk.
    pub(crate) async fn assert_empty(&self) {
        for status in ["ready", "processing", "failed"] {
            let songs = self.get(&format!("/songs?status={status}")).empty().await;
            assert_eq!(songs.text(), "[]", "{status}");
        }
        assert_eq!(self.store.groups(None, 10).await.expect("lists"), [], "chunks are left");
        let songs = at_work(self.work_dir.path());
        assert!(songs.is_empty(), "{songs:?} are left");
    }
}

/// The directories of songs that are worked on: each process has one in `work_dir`, and in it one
/// for each song in its hands.
fn at_work(work_dir: &Path) -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).expect("reads").map(|entry| entry.expect("reads").path()).collect()
    };
    let processes = entries(work_dir);
    let songs = processes.iter().flat_map(|process| entries(process));
    songs.filter(|path| !path.is_file()).collect()
}

/// The layer's ffmpeg, as `make test` builds it, unless `FFMPEG` names another.
fn ffmpeg() -> String {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/ffmpeg/bin/ffmpeg");
    let ffmpeg = std::env::var("FFMPEG").unwrap_or_else(|_| built.to_owned());
    assert!(Path::new(&ffmpeg).exists(), "{ffmpeg} is missing: run `make ffmpeg`");
    ffmpeg
}

/// A WAV file of a tone, so many seconds long: 48 kHz, mono, 16 bits.
pub(crate) fn wav(seconds: f64) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "short tones")]
    let samples = (seconds * 48_000.0) as u32;
    let bytes = samples * 2;
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + bytes).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend_from_slice(&48_000_u32.to_le_bytes());
    file.extend_from_slice(&96_000_u32.to_le_bytes());
    file.extend_from_slice(b"\x02\0\x10\0data");
    file.extend_from_slice(&bytes.to_le_bytes());
    for sample in 0..samples {
        let phase = f64::from(sample) * 440.0 * std::f64::consts::TAU / 48_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
        file.extend_from_slice(&((phase.sin() * 10_000.0) as i16).to_le_bytes());
    }
    file
}
