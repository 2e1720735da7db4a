//! From a file to a song that can be played: probe, encode, package, store; and what a crash left.
//!
//! One operation after the other: [`Ingest::receive`] takes a file in, [`Ingest::probe`] looks at
//! it, [`Ingest::add`] makes the record and keeps the file, [`Ingest::run`] makes the revision.
//! [`Ingest::add`] and [`Ingest::run`] may happen in different processes.

mod attempt;
mod carry;
mod chain;
mod config;
mod container;
mod encode;
mod engine;
mod error;
mod ffmpeg;
mod framecrc;
mod lines;
mod loudness;
mod original;
mod patience;
mod probe;
mod sound;
mod spool;
mod sweep;
mod tags;
#[cfg(feature = "testing")]
pub mod testing;
mod track;
mod uploads;
mod wave;
mod workplace;

use std::{pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use jiff::SignedDuration;
use music::{Attempt, Description, Name, Patch, RevisionId, Song, SongId, Source, Timestamp};
use store::{Store, Upload};

use engine::{Engine, after};
use spool::SpoolWriter;

pub use config::IngestConfig;
pub use container::Container;
pub use error::{BoxError, Error, Rejection, Result};
pub use probe::Probe;
pub use spool::{Spool, hexadecimal};

/// Makes songs of files. Its methods may be called any number at a time.
///
/// Dropping the future of one ends what it started: its ffmpeg is killed, its files go.
#[derive(Clone)]
pub struct Ingest {
    engine: Arc<Engine>,
    place: Arc<sweep::Place>,
}

/// How an attempt ended that did not fail.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The song is ready, with the attempt's revision.
    Ready(Box<Song>),
    /// The attempt is no longer wanted: the song was deleted, or its lease ran out and somebody
    /// ended it. Nothing of it is left.
    Ended,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Attempts that had stopped giving signs of life, now failed.
    pub attempts: usize,
    /// Retired revisions whose chunks are gone now.
    pub revisions: usize,
    /// Uploads of which no part came in for too long, gone now.
    pub uploads: usize,
    /// Groups of chunks that no song and no upload knew of, gone now.
    pub orphans: usize,
    /// Working directories of processes that are no more, gone now.
    pub directories: usize,
    /// Chunks of ready songs that are not in the store. They stay missing until their songs are
    /// ingested again, and are counted each time they are looked for.
    pub missing: usize,
    /// Whether the last of the ready songs was looked at for missing chunks. If not, the next sweep
    /// goes on where this one stopped.
    pub checked: bool,
    /// Whether all there is to tidy up was looked at. If not, the next sweep goes on where this one stopped.
    pub complete: bool,
}

impl Ingest {
    /// Prepares to ingest into `store`.
    ///
    /// # Errors
    /// [`Error::Io`] if `work_dir` cannot be used.
    pub fn new(store: Arc<dyn Store>, config: IngestConfig) -> Result<Self> {
        let engine = Arc::new(Engine::new(store, config)?);
        Ok(Self { engine, place: Arc::default() })
    }

    /// Runs ffmpeg, to see whether it is there: an operator wants to know before the first song comes.
    ///
    /// # Errors
    /// [`Error::Ffmpeg`].
    pub async fn check_ffmpeg(&self) -> Result<()> {
        self.engine.check_ffmpeg().await
    }

    /// Takes a file in, hashing it on the way.
    ///
    /// # Errors
    /// [`Rejection::TooLarge`] as soon as it is, [`Rejection::Empty`]; [`Error::Incomplete`] if
    /// `body` ends with an error; [`Error::NoSpace`].
    pub async fn receive<S, E>(&self, body: S) -> Result<Spool>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<BoxError>,
    {
        let mut spool =
            SpoolWriter::new(&self.engine.workplace, self.engine.config.max_upload_bytes).await?;
        let mut body = pin!(body);
        while let Some(bytes) = body.next().await {
            spool.write(&bytes.map_err(|error| Error::Incomplete(error.into()))?).await?;
        }
        if spool.bytes() == 0 {
            return Err(Rejection::Empty.into());
        }
        spool.finish().await
    }

    /// Looks at a file: what it is in, what it decodes to, how long it is, what its tags say.
    ///
    /// Takes about 0.1 s for a song. Decodes its first moments only.
    ///
    /// # Errors
    /// [`Error::Rejected`] if nothing can be made of it.
    pub async fn probe(&self, spool: &Spool) -> Result<Probe> {
        probe::probe(&self.engine, spool).await
    }

    /// How long [`run`](Self::run) will take on this machine, roughly, `lossless` as there.
    #[must_use]
    pub fn estimate(&self, probe: &Probe, lossless: Option<bool>) -> Duration {
        // CPU seconds that a second of sound takes, measured by the example `measure` and with a
        // margin: each rung, how loud it is, and FLAC.
        const RUNG: f64 = 0.016;
        const LOUDNESS: f64 = 0.006;
        const FLAC: f64 = 0.01;
        let lossless = lossless.unwrap_or(self.engine.config.lossless) && probe.format.lossless;
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let rungs = number(music::ladder(&probe.format).len());
        let processors =
            self.engine.config.processors.unwrap_or_else(|| {
                number(std::thread::available_parallelism().map_or(1, usize::from))
            });
        let cost = RUNG * rungs + LOUDNESS + if lossless { FLAC } else { 0.0 };
        let seconds = probe.duration.as_secs_f64() * cost / processors.min(rungs);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// Adds a song as `processing`, with a fresh attempt, and keeps its file in the store.
    ///
    /// `filename` is what the sender called the file; only its last component is kept.
    ///
    /// # Errors
    /// [`Error::Store`], or [`Error::NoSuchSong`] if somebody deleted it meanwhile. Nothing of the
    /// song is left then.
    pub async fn add(
        &self,
        spool: &Spool,
        probe: &Probe,
        description: Description,
        filename: Option<&str>,
    ) -> Result<Song> {
        self.add_as(SongId::new(), spool, probe, description, filename).await
    }

    /// [`add`](Self::add), with an id that somebody chose.
    pub async fn add_as(
        &self,
        id: SongId,
        spool: &Spool,
        probe: &Probe,
        description: Description,
        filename: Option<&str>,
    ) -> Result<Song> {
        let engine = &self.engine;
        let source = Source {
            filename: filename.and_then(last_component),
            media: Some(probe.media()),
            bytes: spool.bytes(),
            sha256: Some(spool.sha256().to_owned()),
        };
        let lease = SignedDuration::try_from(engine.config.lease).unwrap_or(SignedDuration::MAX);
        let song = Song { id, ..Song::new(description, source, lease) };
        let added = async {
            engine.store.insert(&song).await?;
            let Some(attempt) = &song.attempt else { return Err(Error::NoSuchSong(song.id)) };
            original::keep(engine, spool, &song, attempt).await?;
            let waiting = Attempt { lease_until: self.longest_wait(), ..attempt.clone() };
            if !engine.ask(|store| store.renew(song.id, &waiting)).await? {
                return Err(Error::NoSuchSong(song.id));
            }
            engine.ask(|store| store.get(song.id)).await?.ok_or(Error::NoSuchSong(song.id))
        };
        let added = added.await;
        if added.is_err()
            && let Err(error) = self.remove(song.id).await
        {
            tracing::warn!(%error, song = %song.id, "what was added of a song is left to the sweep");
        }
        added
    }

    /// Adds the song of an upload whose parts are all in the store, as `processing`, with a fresh
    /// attempt. What its file is, [`run`](Self::run) finds out. Harmless to repeat.
    ///
    /// Returns the song as it now is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn add_uploaded(
        &self,
        upload: &Upload,
        given: Patch,
        filename: Option<&str>,
    ) -> Result<Song> {
        let store = self.engine.store.as_ref();
        if let Some(song) = store.get(upload.id).await? {
            return Ok(song);
        }
        let filename = filename.and_then(last_component);
        let (description, stand_in) = given.describe_meanwhile(filename.as_deref());
        let source = Source { filename, media: None, bytes: upload.length, sha256: None };
        let wait = self.engine.config.longest_wait;
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let song = Song { id: upload.id, stand_in, ..Song::new(description, source, wait) };
        match store.insert(&song).await {
            // Not if it was removed meanwhile, and its parts with it.
            Ok(()) if original::is_complete(store, &song).await? => Ok(song),
            Ok(()) => {
                store.remove(song.id).await?;
                Err(Error::NoSuchSong(song.id))
            }
            // Somebody else, who heard of the last part as well, may have been a moment earlier.
            Err(error) => store.get(upload.id).await?.ok_or(error.into()),
        }
    }

    /// Makes a revision of a song: encodes, packages, stores, and commits it.
    ///
    /// The file is taken from the store if it is not at hand. Of a lossless source FLAC is made as
    /// well if `lossless` asks for it, or, where it is not given, the configuration does. Harmless to call again for an
    /// attempt that has ended. While it runs, the attempt's lease is renewed and its progress told.
    ///
    /// # Errors
    /// All but [`Error::Store`] have ended the attempt: the song has `failed`, for a reason fit for
    /// whoever sent the file, unless it has an older revision. After [`Error::Store`] the attempt
    /// may still stand, and the sweep ends it once its lease has run out.
    pub async fn run(
        &self,
        song: SongId,
        attempt: RevisionId,
        spool: Option<Spool>,
        lossless: Option<bool>,
    ) -> Result<Outcome> {
        let lossless = lossless.unwrap_or(self.engine.config.lossless);
        attempt::run(&self.engine, song, attempt, spool, lossless).await
    }

    /// Starts a new attempt at a song, to be made from its original by [`run`](Self::run).
    ///
    /// Returns the song with that attempt.
    ///
    /// # Errors
    /// [`Error::NoSuchSong`], [`Error::UnderWay`], [`Error::NoOriginal`].
    pub async fn again(&self, id: SongId) -> Result<Song> {
        let store = self.engine.store.as_ref();
        let song = store.get(id).await?.ok_or(Error::NoSuchSong(id))?;
        let now = music::now();
        if song.attempt.as_ref().is_some_and(|attempt| attempt.lease_until > now) {
            return Err(Error::UnderWay(id));
        }
        if !original::is_complete(store, &song).await? {
            return Err(Error::NoOriginal(id));
        }
        let attempt =
            Attempt { id: RevisionId::new(), lease_until: self.longest_wait(), progress: 0.0 };
        let begun = store.begin(id, &attempt, now).await?;
        let song = store.get(id).await?.ok_or(Error::NoSuchSong(id))?;
        if begun { Ok(song) } else { Err(Error::UnderWay(id)) }
    }

    /// Starts a new attempt at a song that has failed for a reason that is not its file's, or was
    /// interrupted. Returns the attempt; none where that is not so, or nothing is left to make it of.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn again_after_fault(&self, id: SongId) -> Result<Option<RevisionId>> {
        let song = self.engine.store.get(id).await?;
        let error = song.and_then(|song| song.error.filter(|_| song.attempt.is_none()));
        if !error.is_some_and(|error| [attempt::OUR_FAULT, sweep::INTERRUPTED].contains(&&*error)) {
            return Ok(None);
        }
        match self.again(id).await {
            Ok(song) => Ok(song.attempt.map(|attempt| attempt.id)),
            Err(Error::NoSuchSong(_) | Error::UnderWay(_) | Error::NoOriginal(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes a song, the upload that would become it, and all chunks of either. Returns whether
    /// there was one. What cannot be removed once the records are gone is left to the sweep.
    ///
    /// # Errors
    /// [`Error::Store`]: a record may still be there.
    pub async fn discard(&self, id: SongId) -> Result<bool> {
        let store = &self.engine.store;
        // In this order: an upload becomes a song, never the other way round.
        let was_arriving = store.remove_upload(id, Timestamp::MAX).await?;
        let was_song = store.remove(id).await?;
        if was_arriving || was_song {
            if let Err(error) = store.remove_all(id).await {
                tracing::warn!(song = %id, %error, "chunks of what was removed are left to the sweep");
            }
            // Somebody may have had the upload in hand, and made its song a moment ago.
            if was_arriving {
                store.remove(id).await?;
            }
        }
        Ok(was_arriving || was_song)
    }

    /// Tidies up what crashes and interruptions left, as of `now`: ends attempts whose lease has run
    /// out, removes the chunks of retired revisions, uploads that were given up, chunks that no song
    /// and no upload knows of, and working directories of dead processes. Looks for missing chunks of
    /// some ready songs, and logs them. Does a bounded amount of work.
    pub async fn sweep(&self, now: Timestamp) -> Result<Swept> {
        sweep::sweep(&self.engine, &self.place, now).await
    }

    /// Until when an attempt that was just made may wait to be run.
    fn longest_wait(&self) -> Timestamp {
        after(music::now(), self.engine.config.longest_wait)
    }

    async fn remove(&self, id: SongId) -> Result<()> {
        self.engine.ask(|store| store.remove(id)).await?;
        self.engine.ask(|store| store.remove_all(id)).await
    }
}

/// A file's name without the path that some clients send with it.
fn last_component(filename: &str) -> Option<String> {
    let last = filename.rsplit(['/', '\\']).next()?;
    Name::lossy(last).map(Into::into)
}
