//! An ingest over an empty store, and what it makes of a file.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::stream;
use ingest::{Error, Ingest, IngestConfig, Outcome, Probe, Spool, testing};
use music::{Change, Name, Patch, Song, Variant};
use store::{Store, testing::TestDatabase};
use tempfile::TempDir;

/// An ingest of its own: nothing of another test is in its store or its working directory.
pub(crate) struct House {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ingest: Ingest,
    pub(crate) config: IngestConfig,
    pub(crate) work_dir: TempDir,
    pub(crate) database: TestDatabase,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// One with another configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut IngestConfig)) -> Self {
        let database = TestDatabase::sqlite();
        let store = store::open(database.url()).await.unwrap();
        let work_dir = tempfile::tempdir().unwrap();
        let mut config = IngestConfig {
            ffmpeg: testing::ffmpeg(),
            work_dir: work_dir.path().to_owned(),
            ..IngestConfig::default()
        };
        change(&mut config);
        let ingest = Ingest::new(Arc::clone(&store), config.clone()).unwrap();
        Self { store, ingest, config, work_dir, database }
    }

    pub(crate) async fn receive(&self, path: &Path) -> Result<Spool, Error> {
        let bytes = Bytes::from(fs::read(path).unwrap());
        let pieces: Vec<_> = bytes
            .chunks(100_000)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        self.ingest.receive(stream::iter(pieces)).await
    }

    pub(crate) async fn probe(&self, path: &Path) -> Result<Probe, Error> {
        let spool = self.receive(path).await?;
        self.ingest.probe(&spool).await
    }

    /// Adds a song, named after its file where its tags do not say.
    pub(crate) async fn add(&self, path: &Path) -> Result<(Song, Spool), Error> {
        let spool = self.receive(path).await?;
        let probe = self.ingest.probe(&spool).await?;
        let filename = path.file_name().unwrap().to_str().unwrap();
        let name = Change::Set(Name::parse(filename).unwrap());
        let base = Patch { name: name.clone(), author: name, ..Patch::default() };
        let description = base.then(probe.tags.clone()).describe().unwrap();
        let song = self.ingest.add(&spool, &probe, description, Some(filename)).await?;
        Ok((song, spool))
    }

    /// All of it: from a file to a song that is ready.
    pub(crate) async fn ingest(&self, path: &Path) -> Result<Song, Error> {
        self.ingest_asked(path, None).await
    }

    /// The same, with FLAC or without.
    pub(crate) async fn ingest_asked(
        &self,
        path: &Path,
        lossless: Option<bool>,
    ) -> Result<Song, Error> {
        let (song, spool) = self.add(path).await?;
        let attempt = song.attempt.as_ref().unwrap().id;
        match self.ingest.run(song.id, attempt, Some(spool), lossless).await? {
            Outcome::Ready(song) => Ok(*song),
            Outcome::Ended => panic!("the attempt ended"),
        }
    }

    /// The `/proc` directories of all ffmpegs that work for it.
    pub(crate) fn ffmpegs(&self) -> Vec<PathBuf> {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
        processes
            .filter(|process| {
                let directory = fs::read_link(process.join("cwd"));
                directory.is_ok_and(|directory| directory.starts_with(self.work_dir.path()))
            })
            .collect()
    }

    /// The names of all that is in the working directory, but for what says whose it is.
    pub(crate) fn at_work(&self) -> Vec<String> {
        let own = fs::read_dir(self.work_dir.path()).unwrap().map(|entry| entry.unwrap().path());
        own.flat_map(|directory| fs::read_dir(directory).unwrap())
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "lock")
            .collect()
    }
}

/// One variant as a file: all that a player downloads of it.
pub(crate) async fn downloaded(house: &House, song: &Song, variant: &Variant) -> Downloaded {
    let files = testing::download(house.store.as_ref(), song, variant).await;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.mp4");
    fs::write(&path, files.concat()).unwrap();
    Downloaded { path, _directory: directory }
}

/// A file that goes when this does.
pub(crate) struct Downloaded {
    pub(crate) path: PathBuf,
    _directory: TempDir,
}

/// What one variant decodes to without its priming: as much as its segments say they hold.
pub(crate) async fn presented(house: &House, song: &Song, variant: usize) -> Vec<i16> {
    let revision = song.revision.as_ref().unwrap();
    let variant = &revision.variants[variant];
    let Downloaded { path, _directory } = downloaded(house, song, variant).await;
    let samples = testing::decode(&path, variant.timeline.timescale, variant.channels);
    let channels = usize::from(variant.channels);
    let priming = variant.media_time as usize * channels;
    let length = usize::try_from(variant.timeline.samples()).unwrap() * channels;
    assert!(samples.len() >= priming + length, "{} samples for {length}", samples.len());
    // No frame is wholly beyond the end.
    assert!(samples.len() < priming + length + 1024 * channels);
    samples[priming..priming + length].to_vec()
}

/// One channel of interleaved samples.
pub(crate) fn channel(samples: &[i16], channels: u16) -> Vec<i16> {
    samples.iter().copied().step_by(channels.into()).collect()
}
