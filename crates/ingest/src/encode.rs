//! Encodes a file into the whole ladder, packages it, and stores the segments as they come.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::BytesMut;
use futures_util::future::try_join_all;
use hls::{AdtsReader, Codec, PackageError, Packager};
use music::{AudioFormat, Revision, RevisionId, Rung, SongId, Variant, ladder, output_rate};
use store::ChunkKey;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{
    Engine, Error, Rejection, Result, Spool,
    ffmpeg::{self, Target, unusable},
    framecrc::FrameCrc,
    probe::recognise_file,
    uploads::Uploads,
};

/// The samples that ffmpeg's AAC encoder puts before the first: one frame, whatever the rate.
const AAC_PRIMING: u32 = 1024;

/// The variant that players begin with, where there is one. Below the 192 kb/s that a default may
/// have (Apple's HLS Authoring Specification).
const DEFAULT: &str = "128k";

/// One attempt at a revision.
pub(crate) struct Encoding<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) uploads: &'a Uploads,
    pub(crate) song: SongId,
    pub(crate) attempt: RevisionId,
    pub(crate) format: AudioFormat,
    /// How many samples have been encoded so far.
    pub(crate) samples: &'a AtomicU64,
    /// How many bytes all variants may still take.
    pub(crate) room: AtomicU64,
}

/// One rung on its way from ffmpeg to the store.
struct Track {
    name: &'static str,
    reader: AdtsReader,
    buffer: BytesMut,
    packager: Option<Packager>,
}

impl Encoding<'_> {
    /// Makes the revision. All its chunks are in the store then.
    pub(crate) async fn run(&self, spool: &Spool) -> Result<Revision> {
        let input = recognise_file(spool.path()).await?;
        let rungs = ladder(&self.format);
        let rate = output_rate(self.format.sample_rate);
        let channels = self.format.channels.min(2);
        let arguments = ffmpeg::encode(input, Target { rate, channels, rungs: &rungs });
        let encoded =
            self.engine.run(spool.directory(), arguments, rungs.len() + 1, async |mut pipes| {
                let count = pipes
                    .pop()
                    .ok_or_else(|| Error::Ffmpeg("it was given no pipe".into(), None))?;
                let tracks = rungs
                    .iter()
                    .zip(pipes)
                    .map(|(rung, pipe)| self.track(*rung, pipe, rate, channels));
                tokio::try_join!(try_join_all(tracks), self.count(count, rate, channels))
            });
        let (tracks, samples) = encoded.await?;
        if samples == 0 {
            return Err(Rejection::Undecodable.into());
        }
        self.finish(tracks, samples).await
    }

    /// Reads a rung's frames until there are no more.
    async fn track(
        &self,
        rung: Rung,
        mut pipe: pipe::Receiver,
        rate: u32,
        channels: u16,
    ) -> Result<Track> {
        let mut track = Track {
            name: rung.name,
            reader: AdtsReader::new(),
            buffer: BytesMut::with_capacity(64 * 1024),
            packager: None,
        };
        // Twice what it was asked for is far more than an encoder takes.
        let mut left =
            u64::from(rung.bitrate) / 4 * self.engine.config.max_duration.as_secs().max(60);
        loop {
            track.buffer.reserve(32 * 1024);
            let length = pipe.read_buf(&mut track.buffer).await;
            let length = length.map_err(|error| Error::Io("read from ffmpeg", error))? as u64;
            if length == 0 {
                return Ok(track);
            }
            left = left.checked_sub(length).ok_or(Rejection::TooCostly)?;
            self.room
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(length))
                .map_err(|_| Rejection::TooBig { limit: self.engine.config.max_output_bytes })?;
            while let Some(frame) = track
                .reader
                .next_frame(&mut track.buffer)
                .map_err(|error| unusable("its ADTS cannot be read", error))?
            {
                let packager = match &mut track.packager {
                    Some(packager) => packager,
                    none => none.insert(packager(&track.reader, rate, channels)?),
                };
                let segment = packager
                    .push(&frame)
                    .map_err(|error| unusable("its frames cannot be packaged", error))?;
                if let Some(segment) = segment {
                    self.store(rung.name, segment).await?;
                }
            }
        }
    }

    /// Counts the decoded samples.
    async fn count(&self, mut pipe: pipe::Receiver, rate: u32, channels: u16) -> Result<u64> {
        let limit = self.engine.config.max_duration;
        let most = limit.as_secs().saturating_mul(rate.into());
        let (mut read, mut buffer) = (FrameCrc::default(), vec![0; 16 * 1024]);
        loop {
            let length = pipe.read(&mut buffer).await;
            let length = length.map_err(|error| Error::Io("read from ffmpeg", error))?;
            read.push(&buffer[..length]);
            let samples = read.bytes / (2 * u64::from(channels));
            if samples > most {
                return Err(Rejection::TooLong { limit }.into());
            }
            self.samples.store(samples, Ordering::Relaxed);
            if length == 0 {
                return Ok(samples);
            }
        }
    }

    /// Ends each track where the sound ends.
    async fn finish(&self, tracks: Vec<Track>, samples: u64) -> Result<Revision> {
        let mut variants: Vec<Variant> = Vec::with_capacity(tracks.len());
        let mut timeline = None;
        for track in tracks {
            let (Some(packager), Ok(())) = (track.packager, track.reader.finish(&track.buffer))
            else {
                return Err(Error::Ffmpeg("its ADTS ends too early".into(), None));
            };
            let package = packager.finish(samples).map_err(unfinished)?;
            for segment in package.segments {
                self.store(track.name, segment).await?;
            }
            let init = ChunkKey::init(self.song, self.attempt, track.name);
            self.uploads.put(init, package.init).await?;
            variants.push(Variant { name: track.name.into(), ..package.variant });
            timeline = Some(package.timeline);
        }
        self.uploads.finish().await?;
        let timeline = timeline.ok_or(Rejection::Undecodable)?;
        // Players begin with the first variant: the default, else the highest.
        let first = variants
            .iter()
            .position(|variant| variant.name == DEFAULT)
            .unwrap_or(variants.len().saturating_sub(1));
        variants[..=first].rotate_right(1);
        Ok(Revision { id: self.attempt, timeline, variants })
    }

    async fn store(&self, variant: &str, segment: hls::Segment) -> Result<()> {
        let key = ChunkKey::segment(self.song, self.attempt, variant, segment.number);
        self.uploads.put(key, segment.bytes).await
    }
}

/// Where what is decoded changes its rate or its channels in the middle, some versions of ffmpeg lose
/// samples on the way to the encoder: a damaged file, not a damaged ffmpeg.
fn unfinished(error: PackageError) -> Error {
    match error {
        PackageError::TooFewFrames { .. } | PackageError::TooManyFrames { .. } => {
            tracing::info!(%error, "ffmpeg lost count of a file");
            Rejection::Undecodable.into()
        }
        error => unusable("its frames cannot be packaged", error),
    }
}

fn packager(reader: &AdtsReader, rate: u32, channels: u16) -> Result<Packager> {
    let config = reader.config().filter(|it| it.rate() == rate && it.channels() == channels);
    let config =
        config.ok_or_else(|| Error::Ffmpeg("it encodes what it was not asked for".into(), None))?;
    Ok(Packager::new(Codec::Aac(config), AAC_PRIMING))
}
