//! A gateway under attack, and what it holds.

use std::{env, fs, sync::Arc, time::Duration};

use black_box::{
    http_client::Request,
    server::Server,
    songs::{self, Stored},
};
use store::{Store, testing::TestDatabase};
use tempfile::TempDir;

/// The key of every gateway that has one.
pub(crate) const KEY: &str = "correct-horse-battery-staple";

/// A segment of 5 s at 128 kb/s.
const SEGMENT_BYTES: usize = 80_000;

pub(crate) struct Target {
    pub(crate) gateway: Server,
    pub(crate) store: Arc<dyn Store>,
    /// A song that is ready, with its original.
    pub(crate) song: Stored,
    _database: Option<TestDatabase>,
    _work_dir: TempDir,
}

impl Target {
    pub(crate) async fn new(variables: &[(&str, &str)]) -> Self {
        Self::over(TestDatabase::sqlite(), variables).await
    }

    pub(crate) async fn over(database: TestDatabase, variables: &[(&str, &str)]) -> Self {
        let target = Self::at(database.url(), variables).await;
        Self { _database: Some(database), ..target }
    }

    /// Over a database that the test keeps.
    pub(crate) async fn at(url: &str, variables: &[(&str, &str)]) -> Self {
        let store = store::open(url).await.expect("opens");
        let song = songs::put(store.as_ref(), "song", SEGMENT_BYTES).await;
        let work_dir = tempfile::tempdir().expect("makes a directory");
        let ffmpeg = ingest::testing::ffmpeg();
        let own = [
            ("DATABASE_URL", url),
            ("FFMPEG", ffmpeg.to_str().expect("is text")),
            ("WORK_DIR", work_dir.path().to_str().expect("is text")),
        ];
        let gateway = Server::start("gateway", &[&own[..], variables].concat()).await;
        Self { gateway, store, song, _database: None, _work_dir: work_dir }
    }

    pub(crate) fn original(&self) -> String {
        format!("{}/original", self.song.record())
    }

    /// Asks for what a listener asks for. It is there, whatever others do.
    pub(crate) async fn assert_serves(&self) {
        for target in [self.song.playlist(), self.song.under_variant("0.m4s"), "/songs".into()] {
            let answer = self.gateway.send(&Request::get(&target)).await;
            assert_eq!(answer.status, 200, "{target}");
        }
    }

    /// A line of `/proc/{id}/status`, in KiB.
    pub(crate) fn kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gateway.process().id()));
        let status = status.expect("the gateway runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")).expect("is told in kB");
        number.parse().expect("is a number")
    }
}

/// `few`, or `many` where `ATTACKS_SCALE` is `full`.
pub(crate) fn scaled(few: usize, many: usize) -> usize {
    match env::var("ATTACKS_SCALE").as_deref() {
        Ok("full") => many,
        _ => few,
    }
}

/// Waits until something holds, but not for ever.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool, otherwise: &str) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{otherwise}");
}
