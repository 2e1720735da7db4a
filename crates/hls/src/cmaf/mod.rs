//! The packager: encoded frames in, an initialization section and media segments out.

mod bandwidth;
mod boxes;
mod codec;
mod fragments;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use music::{Timeline, Variant, segment_duration, shortest_segment};

use boxes::Fragment;

pub use codec::{CodecConfig, FlacConfig};
pub use fragments::{FragmentError, FragmentReader, Sample};

/// How many frames more than the sound has an encoder may give at its end. Only frames that are
/// still held can be shortened or dropped.
const MOST_FRAMES_BEYOND: u64 = 4;

/// Why frames cannot be packaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// A frame has no bytes.
    #[error("frame {0} is empty")]
    EmptyFrame(u64),
    /// A segment does not fit into what its boxes can say.
    #[error("a segment is too large")]
    TooLarge,
    /// There is no sound at all.
    #[error("there is nothing to package")]
    Empty,
    /// The sound is longer than its frames.
    #[error("{frames} samples in frames are too few for {samples}")]
    TooFewFrames {
        /// Decoded samples in all frames, after the priming.
        frames: u64,
        /// The sound's.
        samples: u64,
    },
    /// The sound ended long before its frames did, and what should be shortened is gone.
    #[error("{frames} samples in frames are too many for {samples}")]
    TooManyFrames {
        /// Decoded samples in the frames that are gone, after the priming.
        frames: u64,
        /// The sound's.
        samples: u64,
    },
    /// A box cannot be written.
    #[error("a box cannot be written")]
    Box(#[from] mp4_atom::Error),
}

/// A media segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its place, from 0.
    pub number: u32,
    /// All of the file.
    pub bytes: Bytes,
}

/// What is known and left over when a track ends.
#[derive(Debug, Clone)]
pub struct Package {
    /// The initialization section.
    pub init: Bytes,
    /// The last segments.
    pub segments: Vec<Segment>,
    /// The track as a variant, still without a name.
    pub variant: Variant,
}

/// Packages one track, a frame at a time. Holds one segment, and as many frames of the next one as
/// show that it will not be too short to stand alone.
///
/// Frame `i` carries the media samples from `i · frame_duration`. Presentation begins `media_time`
/// samples later, so that the boundaries between segments, multiples of
/// [`music::segment_duration`] in presentation time, are the same in every track of a song; the
/// first segment is longer by what precedes the presentation. A frame across a boundary belongs to
/// the segment before it, so where `media_time` is no whole number of frames, all boundaries are
/// later by what is missing to one. What follows the last boundary is added to the segment before it
/// where it is shorter than [`music::shortest_segment`].
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
pub struct Packager {
    codec: CodecConfig,
    media_time: u32,
    /// Presentation duration of every segment but the last, in samples.
    nominal: u64,
    /// How many samples a segment after another one has at least.
    shortest: u64,
    /// Full, but perhaps to be shortened yet, or to be given the frames of `open`.
    full: Option<Pending>,
    open: Pending,
    frames: u64,
    /// Of the segments that are gone, in bytes.
    sizes: Vec<u64>,
}

/// Frames of a segment, with room before them for its header.
#[derive(Debug)]
#[cfg_attr(test, derive(Clone))]
struct Pending {
    room: usize,
    bytes: BytesMut,
    sizes: Vec<u32>,
    /// Where its first frame begins in the media, in frames.
    start: u64,
}

impl Pending {
    fn new(start: u64, frames: usize, bytes: usize) -> Self {
        let room = boxes::header_bound(frames);
        let mut buffer = BytesMut::with_capacity(room + bytes);
        buffer.resize(room, 0);
        Self { room, bytes: buffer, sizes: Vec::with_capacity(frames), start }
    }

    fn payload(&self) -> usize {
        self.bytes.len() - self.room
    }

    /// Where its last frame ends in the media, in frames.
    fn end(&self) -> u64 {
        self.start + self.sizes.len() as u64
    }

    /// Keeps the first `frames` frames.
    fn truncate(&mut self, frames: u64) {
        let frames = usize::try_from(frames).unwrap_or(usize::MAX).min(self.sizes.len());
        for size in self.sizes.drain(frames..) {
            self.bytes.truncate(self.bytes.len() - size as usize);
        }
    }

    /// Adds all frames of the segment that follows.
    fn append(&mut self, next: &Self) {
        self.bytes.extend_from_slice(&next.bytes[next.room..]);
        self.sizes.extend_from_slice(&next.sizes);
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(0, 0, 0))
    }
}

impl Packager {
    /// A packager for frames of `codec`, the first `media_time` decoded samples of which are not
    /// part of the sound.
    #[must_use]
    pub fn new(codec: CodecConfig, media_time: u32) -> Self {
        let rate = codec.rate();
        let mut packager = Self {
            codec,
            media_time,
            nominal: segment_duration(rate),
            shortest: shortest_segment(rate),
            full: None,
            open: Pending::new(0, 0, 0),
            frames: 0,
            sizes: Vec::new(),
        };
        packager.open = packager.pending(0, 0);
        packager
    }

    /// Takes the next frame. Gives a segment now and then.
    pub fn push(&mut self, frame: &[u8]) -> Result<Option<Segment>, PackageError> {
        if frame.is_empty() {
            return Err(PackageError::EmptyFrame(self.frames));
        }
        // What the boxes can say ends at 4 GiB; nothing near that is a segment.
        if self.open.payload() + frame.len() > 1 << 30 {
            return Err(PackageError::TooLarge);
        }
        self.open.bytes.extend_from_slice(frame);
        self.open.sizes.push(u32::try_from(frame.len()).map_err(|_| PackageError::TooLarge)?);
        self.frames += 1;

        let done = if self.stands_alone() { self.full.take() } else { None };
        let segment = done.map(|pending| self.emit(pending, None)).transpose()?;
        let next_boundary =
            (self.sizes.len() as u64 + u64::from(self.full.is_some()) + 1) * self.nominal;
        if self.full.is_none() && self.presented(self.frames) >= next_boundary {
            let next = self.pending(self.frames, self.open.payload());
            self.full = Some(std::mem::replace(&mut self.open, next));
        }
        Ok(segment)
    }

    /// Ends the track after `samples` presented samples: shortens the last frame, and drops those
    /// wholly beyond.
    pub fn finish(mut self, samples: u64) -> Result<Package, PackageError> {
        if samples == 0 {
            return Err(PackageError::Empty);
        }
        let frames = self.presented(self.frames);
        if frames < samples {
            return Err(PackageError::TooFewFrames { frames, samples });
        }
        let end = u64::from(self.media_time) + samples;
        let frame_duration = u64::from(self.codec.frame_duration());
        let gone = self.full.as_ref().unwrap_or(&self.open).start;
        // The segments that are gone ended where the timeline has a boundary only if what follows
        // them is long enough.
        let least = gone * frame_duration + if gone > 0 { self.shortest } else { 0 };
        if end < least {
            return Err(PackageError::TooManyFrames { frames: self.presented(gone), samples });
        }
        let needed = end.div_ceil(frame_duration);
        let short = u32::try_from(end % frame_duration).ok().filter(|duration| *duration > 0);
        let mut last: Vec<Pending> =
            self.full.take().into_iter().chain([self.open.take()]).collect();
        for pending in &mut last {
            pending.truncate(needed.saturating_sub(pending.start));
        }
        if let [full, open] = &mut last[..]
            && end < open.start * frame_duration + self.shortest
        {
            full.append(open);
            last.truncate(1);
        }
        let mut segments = Vec::with_capacity(last.len());
        for pending in last {
            let short = short.filter(|_| pending.end() == needed);
            segments.push(self.emit(pending, short)?);
        }

        let media_time = u64::from(self.media_time);
        let shift = media_time.next_multiple_of(frame_duration) - media_time;
        let timeline = Timeline::shifted(self.codec.rate(), samples, shift);
        let rates = bandwidth::rates(&timeline, &self.sizes);
        let init = boxes::init(&self.codec, self.media_time, samples, rates)?.into();
        let variant = Variant {
            name: String::new(),
            bandwidth: rates.peak,
            average_bandwidth: rates.average,
            codec: self.codec.codec(),
            channels: self.codec.channels(),
            media_time: self.media_time,
            timeline,
            bit_exact: false,
        };
        Ok(Package { init, segments, variant })
    }

    /// How many samples of the first `frames` frames are presented.
    fn presented(&self, frames: u64) -> u64 {
        (frames * u64::from(self.codec.frame_duration())).saturating_sub(self.media_time.into())
    }

    /// Whether the open segment will be long enough for one of its own, wherever its sound ends.
    fn stands_alone(&self) -> bool {
        let frame_duration = u64::from(self.codec.frame_duration());
        let frames = self.open.sizes.len() as u64;
        // Of the last frame of the sound, only one sample may be part of it.
        frames.saturating_sub(MOST_FRAMES_BEYOND + 1) * frame_duration >= self.shortest
    }

    fn pending(&self, start: u64, bytes: usize) -> Pending {
        // With room for frames that are too few for a segment of their own.
        let samples = self.nominal + self.shortest + u64::from(self.media_time);
        let frames = samples / u64::from(self.codec.frame_duration()) + 2;
        Pending::new(start, usize::try_from(frames).unwrap_or(0), bytes + bytes / 8)
    }

    fn emit(
        &mut self,
        pending: Pending,
        last_duration: Option<u32>,
    ) -> Result<Segment, PackageError> {
        let number = u32::try_from(self.sizes.len()).map_err(|_| PackageError::TooLarge)?;
        let header = boxes::header(
            &self.codec,
            Fragment {
                sequence_number: number.saturating_add(1),
                start: pending.start * u64::from(self.codec.frame_duration()),
                sizes: &pending.sizes,
                last_duration,
            },
        )?;
        // The header goes right before the frames, which then need not be copied.
        let mut bytes = pending.bytes;
        let begin = pending.room.checked_sub(header.len()).ok_or(PackageError::TooLarge)?;
        bytes[begin..pending.room].copy_from_slice(&header);
        let bytes = bytes.freeze().slice(begin..);
        self.sizes.push(bytes.len() as u64);
        Ok(Segment { number, bytes })
    }
}
