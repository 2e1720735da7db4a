//! Encodes a file into all of its variants, packages them, and stores the segments as they come.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use music::{
    Codec, Loudness, Media, Revision, Rung, Variant, ladder, ladder_below, lossless_rate,
    output_rate,
};
use store::ChunkKey;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{
    Engine, Error, Rejection, Result, Spool,
    carry::{self, Carried},
    container::Recognised,
    ffmpeg::{self, Lossless, Target},
    framecrc::FrameCrc,
    loudness::LoudnessReader,
    probe::recognise_file,
    track::{Room, Shelf, Track, Transport, Wanted},
};

/// The samples that ffmpeg's AAC encoder puts before the first: one frame, whatever the rate.
const AAC_PRIMING: u32 = 1024;

/// Bytes before each frame in ADTS, and how many frames a second may have: 48,000 / 1,024.
const ADTS_HEADER: u64 = 7;
const MOST_FRAMES_A_SECOND: u64 = 47;

/// The variant of the source's own AAC.
const CARRIED: &str = "source";

/// The variant that is FLAC.
const LOSSLESS: &str = "lossless";

/// The peak that the variant players begin with may have, in bit/s (Apple's HLS Authoring
/// Specification, on audio over cellular networks).
const DEFAULT_PEAK: u64 = 192_000;

/// One attempt at a revision.
pub(crate) struct Encoding<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) shelf: Shelf<'a>,
    pub(crate) media: &'a Media,
    /// Whether FLAC is made of what is lossless.
    pub(crate) lossless: bool,
    /// How many samples have been encoded so far.
    pub(crate) samples: &'a AtomicU64,
    /// How many bytes all variants may still take.
    pub(crate) room: AtomicU64,
}

/// What is made of a file.
struct Plan {
    /// Of AAC, in Hz.
    rate: u32,
    channels: u16,
    rungs: Vec<Rung>,
    carried: Option<Carried>,
    lossless: Option<Lossless>,
}

impl Plan {
    fn target(&self) -> Target<'_> {
        Target {
            rate: self.rate,
            channels: self.channels,
            delay: self.delay(),
            rungs: &self.rungs,
            carry: self.carried.is_some(),
            lossless: self.lossless,
        }
    }

    /// How much silence goes before the sound in every rung, so that frames of rungs and of what is
    /// carried end at the same time, and segments with them.
    fn delay(&self) -> u32 {
        let frame = AAC_PRIMING;
        self.carried.map_or(0, |carried| carried.media_time % frame)
    }

    /// The tracks, in the order of ffmpeg's pipes.
    fn tracks(&self, engine: &Engine, source_bytes: u64) -> Vec<Wanted> {
        let seconds = engine.config.max_duration.as_secs().max(60);
        let aac = |name, media_time, limit| Wanted {
            name,
            rate: self.rate,
            channels: self.channels,
            transport: Transport::Adts,
            media_time,
            limit,
        };
        let rungs = self.rungs.iter().map(|rung| {
            // Twice what it was asked for is far more than an encoder takes.
            aac(rung.name, AAC_PRIMING + self.delay(), u64::from(rung.bitrate) / 4 * seconds)
        });
        // Headers of frames, which a container may do without: of silence they are most of it.
        let headers = ADTS_HEADER * (seconds * MOST_FRAMES_A_SECOND + 2);
        let carried = self.carried.iter().map(|carried| {
            aac(CARRIED, carried.media_time, source_bytes.saturating_mul(2) + headers)
        });
        let lossless = self.lossless.iter().map(|lossless| Wanted {
            name: LOSSLESS,
            rate: lossless.rate,
            channels: self.channels,
            transport: Transport::Fragments,
            media_time: 0,
            // What it takes as PCM, and half of that for boxes.
            limit: u64::from(lossless.rate) * u64::from(self.channels) * 6 * seconds,
        });
        rungs.chain(carried).chain(lossless).collect()
    }
}

impl Encoding<'_> {
    /// Makes the revision. All its chunks are in the store then.
    pub(crate) async fn run(&self, spool: &Spool) -> Result<Revision> {
        let input = recognise_file(spool.path()).await?;
        let plan = self.plan(spool, input).await?;
        let (target, wanted) = (plan.target(), plan.tracks(self.engine, spool.bytes()));
        let arguments = ffmpeg::encode(input, target);
        let room = Room { left: &self.room, limit: self.engine.config.max_output_bytes };
        let encoded =
            self.engine.run(spool.directory(), arguments, target.pipes(), async |mut pipes| {
                let (Some(loudness), Some(count)) = (pipes.pop(), pipes.pop()) else {
                    return Err(Error::Ffmpeg("it was given no pipes".into(), None));
                };
                let tracks = wanted
                    .iter()
                    .zip(pipes)
                    .map(|(it, pipe)| Track::new(*it).fill(pipe, &self.shelf, &room));
                tokio::try_join!(
                    try_join_all(tracks),
                    self.count(count, plan.rate, plan.channels),
                    measure(loudness)
                )
            });
        let (tracks, samples, loudness) = encoded.await?;
        // A container may know better than its decoder where the sound ends.
        let samples = plan.carried.map_or(samples, |carried| carried.samples.min(samples));
        if samples == 0 {
            return Err(Rejection::Undecodable.into());
        }
        let variants = self.finish(tracks, samples).await?;
        let original_discarded = !self.engine.config.keep_original;
        Ok(Revision { id: self.shelf.attempt, variants, loudness, original_discarded })
    }

    async fn plan(&self, spool: &Spool, input: Recognised) -> Result<Plan> {
        let (format, codec) = (self.media.format, &self.media.codec);
        let carried = carry::examine(self.engine, spool, input, codec, format).await?;
        let rungs = if carried.is_some() { ladder_below(&format) } else { ladder(&format) };
        let lossless = (self.lossless && format.lossless).then(|| Lossless {
            rate: lossless_rate(format.sample_rate),
            bits: if self.media.bits.is_some_and(|bits| bits <= 16) { 16 } else { 24 },
        });
        let rate = output_rate(format.sample_rate);
        Ok(Plan { rate, channels: format.channels.min(2), rungs, carried, lossless })
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
    async fn finish(&self, tracks: Vec<Track>, samples: u64) -> Result<Vec<Variant>> {
        let mut variants: Vec<Variant> = Vec::with_capacity(tracks.len());
        for track in tracks {
            let name = track.wanted.name;
            let package = track.finish(samples)?;
            for segment in package.segments {
                self.shelf.put(name, segment).await?;
            }
            let Shelf { uploads, song, attempt } = self.shelf;
            uploads.put(ChunkKey::init(song, attempt, name), package.init).await?;
            let mut variant = Variant { name: name.into(), ..package.variant };
            variant.bit_exact = variant.codec == Codec::Flac && is_exact(self.media, &variant);
            variants.push(variant);
        }
        self.shelf.uploads.finish().await?;
        Ok(in_order(variants))
    }
}

/// Listens to how loud the sound is.
async fn measure(mut pipe: pipe::Receiver) -> Result<Option<Loudness>> {
    let (mut read, mut buffer) = (LoudnessReader::default(), vec![0; 16 * 1024]);
    loop {
        let length = pipe.read(&mut buffer).await;
        match length.map_err(|error| Error::Io("read from ffmpeg", error))? {
            0 => return Ok(read.finish()),
            length => read.push(&buffer[..length]),
        }
    }
}

/// Whether FLAC holds the very samples of its source: not if they were resampled, mixed down, or
/// had more bits than FLAC was made with.
fn is_exact(source: &Media, variant: &Variant) -> bool {
    source.bits.is_some_and(|bits| bits <= 24)
        && source.format.sample_rate == variant.timeline.timescale
        && source.format.channels == variant.channels
}

/// The variant to begin with first, then the others from the lowest, what is lossless last.
fn in_order(mut variants: Vec<Variant>) -> Vec<Variant> {
    variants.sort_by_key(|variant| (variant.codec == Codec::Flac, variant.bandwidth));
    let may_begin =
        |variant: &Variant| variant.codec == Codec::Aac && variant.bandwidth <= DEFAULT_PEAK;
    let first = variants.iter().rposition(may_begin).unwrap_or(0);
    if let Some(beginning) = variants.get_mut(..=first) {
        beginning.rotate_right(1);
    }
    variants
}
