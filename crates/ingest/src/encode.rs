//! Encodes a file into all of its variants, packages them, and stores the segments as they come.

use std::{
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::try_join_all;
use music::{
    Codec, Media, Revision, Rung, Variant, ladder, ladder_below, lossless_rate, output_rate,
};
use store::ChunkKey;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{
    Container, Engine, Error, Rejection, Result, Spool,
    carry::{self, Carried},
    chain::{self, Chain},
    engine::Work,
    ffmpeg::{self, Done, Lossless, Pcm, Target},
    framecrc::FrameCrc,
    loudness::LoudnessReader,
    probe::listen,
    sound::{Sound, prepare},
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
        let input = prepare(spool).await?;
        let duration = duration(spool.bytes(), self.media);
        let work = Work::Encode { duration };
        let plan = self.plan(spool, input, work).await?;
        let chain = Chain::find(spool, input).await?;
        let (input, stdin, feed) = match &chain {
            Some(chain) => {
                let (input, stdin, to) = chain::feeding()?;
                let pcm = Pcm { rate: self.media.format.sample_rate, channels: plan.channels };
                (input, stdin, Some((chain, pcm, to)))
            }
            None => (input, Stdio::null(), None),
        };
        let feed = async {
            let Some((chain, pcm, to)) = feed else { return Ok(()) };
            chain.feed(self.engine, spool, Work::Link { duration }, pcm, to).await
        };
        let (target, wanted) = (plan.target(), plan.tracks(self.engine, spool.bytes()));
        let arguments = ffmpeg::encode(input, target);
        let room = Room { left: &self.room, limit: self.engine.config.max_output_bytes };
        let encoded = self.engine.run_fed(
            work,
            spool.directory(),
            arguments,
            stdin,
            target.pipes(),
            async |mut pipes| {
                let (Some(loudness), Some(count), Some(packets)) =
                    (pipes.pop(), pipes.pop(), pipes.pop())
                else {
                    return Err(Error::Ffmpeg("it was given no pipes".into(), None));
                };
                let tracks = wanted
                    .iter()
                    .zip(pipes)
                    .map(|(it, pipe)| Track::new(*it).fill(pipe, &self.shelf, &room));
                tokio::try_join!(
                    try_join_all(tracks),
                    listen(packets),
                    self.count(count, plan.rate, plan.channels),
                    measure(loudness),
                    feed
                )
            },
        );
        let Done { value: (tracks, packets, samples, loudness, ()), complained } = encoded.await?;
        let end = match plan.carried {
            Some(Carried { samples, .. }) => Some(End { samples, rate: plan.rate }),
            // Each link was ended by its decoder, and `packets` are those of the fed WAV.
            None if chain.is_some() => None,
            None => end(input, self.media, &packets),
        };
        let end = end.filter(|end| end.cuts(samples, plan.rate));
        let samples = end.map_or(samples, |end| end.at(plan.rate));
        if samples == 0 {
            return Err(Rejection::Undecodable.into());
        }
        let whole = !complained && !loudness.changed() && !packets.gaps() && chain.is_none();
        let heard = Heard { samples, end, told: packets.sound().filter(|_| whole) };
        let variants = self.finish(tracks, heard).await?;
        Ok(Revision {
            id: self.shelf.attempt,
            variants,
            loudness: loudness.finish(),
            original_discarded: !self.engine.config.keep_original,
        })
    }

    async fn plan(&self, spool: &Spool, input: Sound, work: Work) -> Result<Plan> {
        let (format, codec) = (self.media.format, &self.media.codec);
        let carried = carry::examine(self.engine, spool, input, work, codec, format).await?;
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
    async fn finish(&self, tracks: Vec<Track>, heard: Heard) -> Result<Vec<Variant>> {
        let mut variants: Vec<Variant> = Vec::with_capacity(tracks.len());
        for track in tracks {
            let name = track.wanted.name;
            let rate = track.wanted.rate;
            let own = track.samples();
            let samples = match (own, heard.end) {
                (Some(own), Some(end)) => own.min(end.at(rate)),
                (Some(own), None) => own,
                (None, _) => heard.samples,
            };
            let whole = heard.is_whole(samples, rate);
            let package = track.finish(samples)?;
            for segment in package.segments {
                self.shelf.put(name, segment).await?;
            }
            let Shelf { uploads, song, attempt } = self.shelf;
            uploads.put(ChunkKey::init(song, attempt, name), package.init).await?;
            let mut variant = Variant { name: name.into(), ..package.variant };
            variant.bit_exact =
                variant.codec == Codec::Flac && whole && is_exact(self.media, &variant);
            variants.push(variant);
        }
        self.shelf.uploads.finish().await?;
        Ok(in_order(variants))
    }
}

/// Where the sound ends, after so many samples of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    samples: u64,
    rate: u32,
}

impl End {
    /// The same in samples of another rate, to the nearest.
    fn at(self, rate: u32) -> u64 {
        let from = u128::from(self.rate.max(1));
        let samples = (u128::from(self.samples) * u128::from(rate) + from / 2) / from;
        u64::try_from(samples).unwrap_or(u64::MAX)
    }

    /// Whether it is before the end of what was decoded, and in its last frames: a container that
    /// says anything else is damaged, and what decodes is heard.
    fn cuts(self, decoded: u64, rate: u32) -> bool {
        /// No frame of any codec holds more samples.
        const LONGEST_FRAME: u64 = 8192;
        let tail = Self { samples: 2 * LONGEST_FRAME, rate: self.rate }.at(rate);
        (decoded.saturating_sub(tail)..decoded).contains(&self.at(rate))
    }
}

/// What came out of a decoder.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// At the rate of AAC.
    samples: u64,
    /// Where its container ends the sound, if that is before its decoder does.
    end: Option<End>,
    /// How long it is by its packets, in seconds. Nothing if it was damaged, or changed midway.
    told: Option<f64>,
}

impl Heard {
    /// Whether so many samples of a rate are all there is.
    #[expect(clippy::cast_precision_loss, reason = "2^53 samples are thousands of years")]
    fn is_whole(&self, samples: u64, rate: u32) -> bool {
        self.told.is_some_and(|told| (told * f64::from(rate) - samples as f64).abs() < 0.5)
            || self.told.is_some() && self.end.is_some_and(|end| end.at(rate) == samples)
    }
}

/// Where the container of a source ends the sound, where a container tells that and its decoder
/// does not care: the edit list of MP4, and the last `granulepos` of Vorbis.
fn end(input: Sound, media: &Media, packets: &FrameCrc) -> Option<End> {
    let edited = input.container == Container::Mp4;
    if !edited && media.codec != "vorbis" {
        return None;
    }
    let rate = media.format.sample_rate;
    let samples = packets.sound()? * f64::from(rate);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, and not negative"
    )]
    let whole = samples.round() as u64;
    let samples = if edited { carry::end(whole, rate) } else { whole };
    Some(End { samples, rate })
}

/// How long a file of so many bytes plays, roughly.
fn duration(bytes: u64, media: &Media) -> Duration {
    Duration::from_secs(bytes.saturating_mul(8) / media.format.bitrate.max(1))
}

/// Listens to how loud the sound is.
async fn measure(mut pipe: pipe::Receiver) -> Result<LoudnessReader> {
    let (mut read, mut buffer) = (LoudnessReader::default(), vec![0; 16 * 1024]);
    loop {
        let length = pipe.read(&mut buffer).await;
        match length.map_err(|error| Error::Io("read from ffmpeg", error))? {
            0 => return Ok(read),
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
