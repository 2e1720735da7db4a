//! What every operation works with, and whose fault it is when ffmpeg gives up.

use std::{ffi::OsString, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::try_join_all;
use music::{AudioFormat, Timestamp, ladder};
use store::Store;
use tokio::{net::unix::pipe, sync::OnceCell};

use crate::{
    Container, Error, IngestConfig, Rejection, Result,
    container::Recognised,
    ffmpeg::{self, Failure, Ffmpeg, Limits, Target},
    patience::patiently,
    spool::SpoolWriter,
    workplace::Workplace,
};

/// A store, an ffmpeg, and a place to work in.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) config: IngestConfig,
    pub(crate) workplace: Arc<Workplace>,
    ffmpeg: Ffmpeg,
    /// Set once this ffmpeg has encoded something.
    works: OnceCell<()>,
}

impl Engine {
    pub(crate) fn new(store: Arc<dyn Store>, config: IngestConfig) -> Result<Self> {
        let workplace = Workplace::new(&config.work_dir)
            .map_err(|error| Error::io("work in the working directory", error))?;
        let limits = Limits { time: config.max_ffmpeg_time, memory: config.max_ffmpeg_memory };
        let ffmpeg = Ffmpeg::new(&config.ffmpeg, limits);
        let workplace = Arc::new(workplace);
        Ok(Self { store, config, workplace, ffmpeg, works: OnceCell::new() })
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
        directory: &Path,
        arguments: Vec<OsString>,
        pipes: usize,
        work: impl AsyncFnOnce(Vec<pipe::Receiver>) -> Result<T>,
    ) -> Result<T> {
        let (rejection, complaint) = match self.ffmpeg.run(directory, arguments, pipes, work).await
        {
            Ok(value) => return Ok(value),
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
        let arguments = ffmpeg::encode(Recognised { container: Container::Wav, offset: 0 }, target);
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
        match self.ffmpeg.run(spool.directory(), arguments, target.pipes(), drain).await {
            Ok(()) => Ok(()),
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
