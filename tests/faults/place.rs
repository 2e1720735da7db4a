//! A gateway's database and working directory, which outlive the gateway.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use black_box::server::Server;
use ingest::{Ingest, IngestConfig, Swept};
use jiff::SignedDuration;
use store::{Store, testing::TestDatabase};
use tempfile::TempDir;

use crate::snapshot::Snapshot;

/// Later than any lease and any grace of what runs now.
const LATER: SignedDuration = SignedDuration::from_hours(3);

pub(crate) struct Place {
    pub(crate) store: Arc<dyn Store>,
    url: String,
    ffmpeg: PathBuf,
    work_dir: TempDir,
    _database: Option<TestDatabase>,
}

impl Place {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let place = Self::at(database.url().to_owned()).await;
        Self { _database: Some(database), ..place }
    }

    /// On a database that somebody else takes care of.
    pub(crate) async fn at(url: String) -> Self {
        let store = store::open(&url).await.expect("opens");
        let work_dir = tempfile::tempdir().expect("makes a directory");
        Self { store, url, ffmpeg: ingest::testing::ffmpeg(), work_dir, _database: None }
    }

    /// With another ffmpeg.
    pub(crate) fn with_ffmpeg(self, ffmpeg: PathBuf) -> Self {
        Self { ffmpeg, ..self }
    }

    /// Starts the gateway, with these variables besides.
    pub(crate) async fn gateway(&self, more: &[(&str, &str)]) -> Server {
        let own = [
            ("DATABASE_URL", self.url.as_str()),
            ("FFMPEG", self.ffmpeg.to_str().expect("is text")),
            ("WORK_DIR", self.work_dir.path().to_str().expect("is text")),
        ];
        Server::start("gateway", &[&own[..], more].concat()).await
    }

    /// All that is in the database, read without the gateway.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.url, self.store.as_ref()).await
    }

    /// What the sweep does a few hours after everything else stopped.
    pub(crate) async fn sweep(&self) -> Swept {
        let work_dir = self.work_dir.path().to_owned();
        let config = IngestConfig { work_dir, ..IngestConfig::default() };
        let ingest = Ingest::new(Arc::clone(&self.store), config).expect("is made");
        let mut all = Swept::default();
        while !all.complete {
            let swept = ingest.sweep(music::now() + LATER).await.expect("sweeps");
            all.attempts += swept.attempts;
            all.revisions += swept.revisions;
            all.orphans += swept.orphans;
            all.uploads += swept.uploads;
            all.directories += swept.directories;
            all.missing = all.missing.max(swept.missing);
            all.complete = swept.complete;
        }
        all
    }

    /// The directories of processes, alive or dead, in the working directory.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.work_dir.path()).expect("is there");
        entries.map(|entry| entry.expect("is there").path()).collect()
    }

    /// The names of all that is being worked on.
    fn at_work(&self) -> Vec<PathBuf> {
        let entries = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
        let all = self.directories().into_iter().flat_map(entries).map(|entry| entry.path());
        all.filter(|path| path.file_name().is_some_and(|name| name != "lock")).collect()
    }

    /// The `/proc` directories of all ffmpegs that work here.
    fn ffmpegs(&self) -> Vec<PathBuf> {
        let processes = fs::read_dir("/proc").expect("is there").flatten();
        let works_here = |process: &Path| {
            let directory = fs::read_link(process.join("cwd"));
            directory.is_ok_and(|directory| directory.starts_with(self.work_dir.path()))
        };
        processes.map(|entry| entry.path()).filter(|process| works_here(process)).collect()
    }

    /// Waits until no ffmpeg works here any more.
    pub(crate) async fn until_no_ffmpeg(&self) {
        until(async || self.ffmpegs().is_empty(), "an ffmpeg outlives its gateway").await;
    }

    /// Waits until nothing is being worked on: what a request leaves goes right after its answer.
    pub(crate) async fn until_idle(&self) {
        self.until_no_ffmpeg().await;
        until(async || self.at_work().is_empty(), "files stay in the working directory").await;
    }
}

/// Waits until something holds, but not for ever.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool, otherwise: &str) {
    for _ in 0..6_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{otherwise}");
}
