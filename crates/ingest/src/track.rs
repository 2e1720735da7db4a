//! One variant on its way from ffmpeg to the store.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use hls::{AdtsReader, CodecConfig, FragmentReader, PackageError, Packager, Segment};
use music::{RevisionId, SongId};
use store::ChunkKey;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{
    Error, Rejection, Result,
    ffmpeg::{FLAC_FRAME, unusable},
    uploads::Uploads,
};

/// What a track must turn out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// The variant's name.
    pub(crate) name: &'static str,
    /// In Hz.
    pub(crate) rate: u32,
    pub(crate) channels: u16,
    /// How its frames come.
    pub(crate) transport: Transport,
    /// Decoded samples before the sound.
    pub(crate) media_time: u32,
    /// How many bytes ffmpeg may write of it.
    pub(crate) limit: u64,
}

/// How frames come out of a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// AAC in ADTS.
    Adts,
    /// FLAC in fragments of MP4.
    Fragments,
}

/// Where the segments of an attempt go.
#[derive(Clone, Copy)]
pub(crate) struct Shelf<'a> {
    pub(crate) uploads: &'a Uploads,
    pub(crate) song: SongId,
    pub(crate) attempt: RevisionId,
}

impl Shelf<'_> {
    pub(crate) async fn put(&self, variant: &str, segment: Segment) -> Result<()> {
        let key = ChunkKey::segment(self.song, self.attempt, variant, segment.number);
        self.uploads.put(key, segment.bytes).await
    }
}

/// What all variants of an attempt may still take.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    /// In bytes.
    pub(crate) left: &'a AtomicU64,
    /// How much it was in the beginning.
    pub(crate) limit: u64,
}

impl Room<'_> {
    fn take(&self, bytes: u64) -> Result<()> {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes))
            .map_err(|_| Rejection::TooBig { limit: self.limit })?;
        Ok(())
    }
}

/// A track: read, and packaged up to its last segments.
pub(crate) struct Track {
    pub(crate) wanted: Wanted,
    reader: Reader,
    buffer: BytesMut,
    packager: Option<Packager>,
    frames: u64,
    /// How many samples its frames hold, where they tell.
    samples: Option<u64>,
}

enum Reader {
    Adts(AdtsReader),
    Fragments(FragmentReader),
}

impl Track {
    pub(crate) fn new(wanted: Wanted) -> Self {
        let (reader, samples) = match wanted.transport {
            Transport::Adts => (Reader::Adts(AdtsReader::new()), None),
            Transport::Fragments => (Reader::Fragments(FragmentReader::new()), Some(0)),
        };
        let buffer = BytesMut::with_capacity(64 * 1024);
        Self { wanted, reader, buffer, packager: None, frames: 0, samples }
    }

    /// Reads frames until there are no more, and stores each segment as it is finished.
    pub(crate) async fn fill(
        mut self,
        mut pipe: pipe::Receiver,
        shelf: &Shelf<'_>,
        room: &Room<'_>,
    ) -> Result<Self> {
        let mut left = self.wanted.limit;
        loop {
            self.buffer.reserve(32 * 1024);
            let length = pipe.read_buf(&mut self.buffer).await;
            let length = length.map_err(|error| Error::Io("read from ffmpeg", error))? as u64;
            if length == 0 {
                return Ok(self);
            }
            left = left.checked_sub(length).ok_or(Rejection::TooCostly)?;
            room.take(length)?;
            while let Some(frame) = self.next_frame()? {
                let packager = match &mut self.packager {
                    Some(packager) => packager,
                    none => none.insert(packager(&self.wanted, &self.reader)?),
                };
                let segment = packager
                    .push(&frame)
                    .map_err(|error| unusable("its frames cannot be packaged", error))?;
                if let Some(segment) = segment {
                    shelf.put(self.wanted.name, segment).await?;
                }
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>> {
        match &mut self.reader {
            Reader::Adts(reader) => reader
                .next_frame(&mut self.buffer)
                .map_err(|error| unusable("its ADTS cannot be read", error)),
            Reader::Fragments(reader) => {
                let sample = reader
                    .next_sample(&mut self.buffer)
                    .map_err(|error| unusable("its fragments cannot be read", error))?;
                Ok(sample.map(|sample| {
                    // All frames are whole but the last one, which alone tells what it holds: the
                    // others last until the next one begins, and where something was damaged and
                    // left out before that, longer than they are.
                    let before = u64::from(FLAC_FRAME) * self.frames;
                    self.samples = Some(before + u64::from(sample.duration.min(FLAC_FRAME.into())));
                    self.frames += 1;
                    sample.bytes
                }))
            }
        }
    }

    /// How many samples its own frames hold, where they tell.
    pub(crate) fn samples(&self) -> Option<u64> {
        self.samples
    }

    /// Ends the track after `samples` samples.
    pub(crate) fn finish(self, samples: u64) -> Result<hls::Package> {
        let whole = match &self.reader {
            Reader::Adts(reader) => reader.finish(&self.buffer).is_ok(),
            Reader::Fragments(reader) => reader.finish(&self.buffer).is_ok(),
        };
        let packager = self.packager.filter(|_| whole);
        let packager = packager
            .ok_or_else(|| Error::Ffmpeg("one of its outputs ends too early".into(), None))?;
        packager.finish(samples).map_err(unfinished)
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

fn packager(wanted: &Wanted, reader: &Reader) -> Result<Packager> {
    let config = match reader {
        Reader::Adts(reader) => reader.config().map(CodecConfig::Aac),
        Reader::Fragments(reader) => reader
            .config()
            .filter(|config| config.frame_duration == FLAC_FRAME)
            .map(CodecConfig::Flac),
    };
    let asked =
        |config: &CodecConfig| config.rate() == wanted.rate && config.channels() == wanted.channels;
    let config = config
        .filter(asked)
        .ok_or_else(|| Error::Ffmpeg("it encodes what it was not asked for".into(), None))?;
    Ok(Packager::new(config, wanted.media_time))
}
