//! What every operation works with, and whose fault it is when ffmpeg gives up.

use std::{ffi::OsString, path::Path, process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use music::{AudioFormat, Timestamp, ladder};
use store::Store;
use tokio::{
    net::unix::pipe,
    sync::{OnceCell, Semaphore},
};

use crate::{
    Container, Error, IngestConfig, Rejection, Result,
    ffmpeg::{self, Admission, Done, Failure, Ffmpeg, Limits, Target},
    patience::patiently,
    sound::Sound,
    spool::SpoolWriter,
    workplace::Workplace,
};

/// How many files are probed at a time. They wait for one another only, never for an encoding.
const PROBES_AT_ONCE: usize = 2;

/// What a probe may ask for, in bytes. Four hours of MP4, of which it keeps an index in memory, take
/// less than 160 MiB; other formats, with the largest pictures, less than 96.
const PROBE_MEMORY: u64 = 256 << 20;

/// How long a probe may compute: a while, longer the more there is to read, and no longer than the
/// last. Four hours took 9 s, at 16 MB an hour or more.
const PROBE_CPU: Duration = Duration::from_secs(5);
const PROBE_BYTES_A_SECOND: u64 = 1 << 20;
const LONGEST_PROBE_CPU: Duration = Duration::from_mins(2);

/// How long an encoding may compute: a while, and as long as the sound plays. It takes a fifteenth.
const ENCODE_CPU: Duration = Duration::from_mins(1);

/// What an ffmpeg is started for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    /// A look at a file of so many bytes.
    Probe { bytes: u64 },
    /// To decode all of a file, and perhaps to encode it, that plays for about as long.
    Encode { duration: Duration },
    /// To decode one link of a chain, for an encoding that is under way, of a file that plays for
    /// about as long.
    Link { duration: Duration },
}

/// A store, an ffmpeg, and a place to work in.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: IngestConfig,
    pub(crate) workplace: Arc<Workplace>,
    ffmpeg: Ffmpeg,
    /// All let in who came first.
    probes: Arc<Semaphore>,
    encodes: Arc<Semaphore>,
    /// Of as many as `encodes`: each encoding decodes one link at a time. A semaphore of its own,
    /// because encodings that hold all places of `encodes` would wait for their own decoders.
    links: Arc<Semaphore>,
    /// Set once this ffmpeg has encoded something.
    works: OnceCell<()>,
}

impl Engine {
    pub(crate) fn new(store: Arc<dyn Store>, config: IngestConfig) -> Result<Self> {
        let workplace = Workplace::new(&config.work_dir)
            .map_err(|error| Error::io("work in the working directory", error))?;
        let ffmpeg = Ffmpeg::new(&config.ffmpeg);
        let workplace = Arc::new(workplace);
        let probes = Arc::new(Semaphore::new(PROBES_AT_ONCE));
        let encodes = Arc::new(Semaphore::new(config.encodes_at_once.max(1)));
        let links = Arc::new(Semaphore::new(config.encodes_at_once.max(1)));
        let works = OnceCell::new();
        Ok(Self { store, config, workplace, ffmpeg, probes, encodes, links, works })
    }

    /// Waits until an ffmpeg may run. Every one does: nothing else starts any.
    async fn admit(&self, work: Work) -> Result<Admission> {
        let most = &self.config;
        let (places, memory, cpu) = match work {
            Work::Probe { bytes } => {
                let reading = Duration::from_secs(bytes / PROBE_BYTES_A_SECOND);
                (
                    &self.probes,
                    most.max_ffmpeg_memory.min(PROBE_MEMORY),
                    LONGEST_PROBE_CPU.min(PROBE_CPU + reading),
                )
            }
            Work::Encode { duration } => {
                (&self.encodes, most.max_ffmpeg_memory, ENCODE_CPU.saturating_add(duration))
            }
            Work::Link { duration } => (
                &self.links,
                most.max_ffmpeg_memory.min(PROBE_MEMORY),
                ENCODE_CPU.saturating_add(duration),
            ),
        };
        let time = most.max_ffmpeg_time;
        // Of four processors at most, all the time.
        let limits = Limits { time, cpu: cpu.min(time.saturating_mul(4)), memory };
        let permit = Arc::clone(places).acquire_owned().await;
        let permit =
            permit.map_err(|error| Error::Ffmpeg("none may run".into(), Some(error.into())))?;
        Ok(Admission { limits, permit })
    }

    /// Asks the store, again if need be, as [`patiently`] does.
    pub(crate) async fn ask<'a, T, F>(
        &'a self,
        mut operation: impl FnMut(&'a dyn Store) -> F,
    ) -> Result<T>
    where
        F: Future<Output = store::Result<T>>,
    {
        Ok(patiently(self.config.patience, || operation(self.store.as_ref())).await?)
    }

    /// When a lease that begins now ends.
    pub(crate) fn lease(&self) -> Timestamp {
        after(music::now(), self.config.lease)
    }

    /// See [`Ingest::check_ffmpeg`](crate::Ingest::check_ffmpeg).
    pub(crate) async fn check_ffmpeg(&self) -> Result<()> {
        self.ffmpeg.check().await
    }

    /// Runs ffmpeg on a file that somebody sent.
    ///
    /// # Errors
    /// [`Error::Rejected`] if it gives up on the file, and [`Error::Ffmpeg`] if it would give up on
    /// any.
    pub(crate) async fn run<T>(
        &self,
        work: Work,
        directory: &Path,
        arguments: Vec<OsString>,
        pipes: usize,
        listen: impl AsyncFnOnce(Vec<pipe::Receiver>) -> Result<T>,
    ) -> Result<Done<T>> {
        self.run_fed(work, directory, arguments, Stdio::null(), pipes, listen).await
    }

    /// The same, with a standard input for ffmpeg to read.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub(crate) async fn run_fed<T>(
        &self,
        work: Work,
        directory: &Path,
        arguments: Vec<OsString>,
        stdin: Stdio,
        pipes: usize,
        listen: impl AsyncFnOnce(Vec<pipe::Receiver>) -> Result<T>,
    ) -> Result<Done<T>> {
        let admission = self.admit(work).await?;
        let ran = self.ffmpeg.run(admission, directory, arguments, stdin, pipes, listen).await;
        let (rejection, complaint) = match ran {
            Ok(done) => return Ok(done),
            Err(Failure::Broken(error)) => return Err(error),
            Err(Failure::Limit(complaint)) => (Rejection::TooCostly, complaint),
            Err(Failure::Exit(complaint)) => (Rejection::Undecodable, complaint),
        };
        self.works.get_or_try_init(|| self.try_out()).await?;
        tracing::info!(complaint, %rejection, "ffmpeg gave up on a file");
        Err(rejection.into())
    }

    /// Encodes a sound that every ffmpeg can.
    async fn try_out(&self) -> Result<()> {
        let sound = silence();
        let mut spool = SpoolWriter::new(&self.workplace, sound.len() as u64).await?;
        spool.write(&sound).await?;
        let spool = spool.finish().await?;
        let format = AudioFormat { sample_rate: 48_000, channels: 1, bitrate: 0, lossless: false };
        let target = Target {
            rate: 48_000,
            channels: 1,
            delay: 0,
            rungs: &ladder(&format)[..1],
            carry: false,
            lossless: None,
        };
        let arguments = ffmpeg::encode(Sound::plain(Container::Wav, 0), target);
        let drain = async |pipes: Vec<pipe::Receiver>| {
            // All at once: which one ffmpeg ends first is its own affair.
            try_join_all(pipes.into_iter().map(async |mut pipe| {
                tokio::io::copy(&mut pipe, &mut tokio::io::sink())
                    .await
                    .map_err(|error| Error::Io("read from ffmpeg", error))
            }))
            .await
            .map(|_| ())
        };
        let admission = self.admit(Work::Probe { bytes: spool.bytes() }).await?;
        let pipes = target.pipes();
        let (directory, stdin) = (spool.directory(), Stdio::null());
        match self.ffmpeg.run(admission, directory, arguments, stdin, pipes, drain).await {
            Ok(_) => Ok(()),
            Err(Failure::Broken(error)) => Err(error),
            Err(Failure::Limit(complaint) | Failure::Exit(complaint)) => {
                Err(Error::Ffmpeg(complaint, None))
            }
        }
    }
}

/// `moment`, and so long after it.
pub(crate) fn after(moment: Timestamp, duration: Duration) -> Timestamp {
    moment.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// 10 ms of 16 bit silence at 48 kHz, as WAV.
fn silence() -> Bytes {
    let mut wav =
        b"RIFF\xe4\x03\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0"
            .to_vec();
    wav.extend_from_slice(b"data\xc0\x03\0\0");
    wav.resize(44 + 960, 0);
    wav.into()
}
