//! Frames out of a fragmented MP4 stream (ISO/IEC 14496-12 §8.8), as its bytes come in: how an
//! encoder hands over frames that do not tell where they end, such as FLAC's.

use bytes::{Buf, Bytes, BytesMut};
use mp4_atom::{Atom, Codec as SampleEntry, Decode, FlacMetadataBlock, FourCC, Mdat, Moof, Moov};

use super::FlacConfig;

/// How large one box may be, in bytes. A fragment holds a frame or a few.
const BOX_LIMIT: usize = 8 << 20;

/// Size and type of a box.
const BOX_HEADER: usize = 8;

/// Why bytes are not a stream of fragments that can be taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentError {
    /// A box is none that can be in such a stream.
    #[error("the box at byte {0} cannot be used")]
    Unusable(u64),
    /// A box cannot be read.
    #[error("the box at byte {position} cannot be read")]
    Unreadable {
        /// Where it begins.
        position: u64,
        /// What is wrong with it.
        source: mp4_atom::Error,
    },
    /// The stream ends within a fragment.
    #[error("the stream ends within the box at byte {0}")]
    Truncated(u64),
}

/// One sample of a track: a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its bytes.
    pub bytes: Bytes,
    /// How long it is, in decoded samples per channel.
    pub duration: u32,
}

/// Takes the samples of a track, the only one, off the front of a buffer that somebody else fills.
#[derive(Debug, Clone, Default)]
pub struct FragmentReader {
    config: Option<FlacConfig>,
    /// The duration of samples that do not tell theirs (§8.8.3).
    usual_duration: Option<u32>,
    position: u64,
    /// Size and duration of the samples in the next `mdat`, the next one last.
    coming: Vec<(usize, u32)>,
    /// How much of the `mdat` is left.
    data: usize,
}

impl FragmentReader {
    /// A reader at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How the samples are decoded, once the stream has told.
    #[must_use]
    pub fn config(&self) -> Option<FlacConfig> {
        self.config
    }

    /// The next sample, without copying it, or nothing if `buffer` does not hold all of it yet.
    ///
    /// # Errors
    /// When `buffer` does not go on as such a stream does.
    pub fn next_sample(&mut self, buffer: &mut BytesMut) -> Result<Option<Sample>, FragmentError> {
        loop {
            if let Some((size, duration)) = self.coming.last().copied().filter(|_| self.data > 0) {
                if size > self.data {
                    return Err(FragmentError::Unusable(self.position));
                }
                if buffer.len() < size {
                    return Ok(None);
                }
                self.coming.pop();
                self.data -= size;
                self.position += size as u64;
                return Ok(Some(Sample { bytes: buffer.split_to(size).freeze(), duration }));
            }
            if !self.next_box(buffer)? {
                return Ok(None);
            }
        }
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`FragmentError::Truncated`] if a fragment has begun.
    pub fn finish(&self, buffer: &[u8]) -> Result<(), FragmentError> {
        if buffer.is_empty() && self.coming.is_empty() && self.data == 0 {
            return Ok(());
        }
        Err(FragmentError::Truncated(self.position))
    }

    /// Reads a box, of an `mdat` its header only. Returns whether there was all of it.
    fn next_box(&mut self, buffer: &mut BytesMut) -> Result<bool, FragmentError> {
        let position = self.position;
        let unusable = FragmentError::Unusable(position);
        let Some(&[a, b, c, d, kind @ ..]) = buffer.first_chunk::<BOX_HEADER>() else {
            return Ok(false);
        };
        let size = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(BOX_HEADER..=BOX_LIMIT).contains(&size) || self.data > 0 {
            return Err(unusable);
        }
        let kind = FourCC::new(&kind);
        if kind == Mdat::KIND {
            buffer.advance(BOX_HEADER);
            self.position += BOX_HEADER as u64;
            self.data = size - BOX_HEADER;
            return Ok(true);
        }
        if buffer.len() < size {
            return Ok(false);
        }
        let unreadable = |source| FragmentError::Unreadable { position, source };
        let whole = buffer.split_to(size).freeze();
        let mut body = &whole[..];
        if kind == Moov::KIND {
            let moov = Moov::decode(&mut body).map_err(unreadable)?;
            self.config = Some(flac(&moov).ok_or(unusable)?);
            let extends = moov.mvex.iter().flat_map(|mvex| &mvex.trex).next();
            self.usual_duration = extends.map(|trex| trex.default_sample_duration);
        } else if kind == Moof::KIND {
            let moof = Moof::decode(&mut body).map_err(unreadable)?;
            self.coming = samples(&moof, self.usual_duration).ok_or(unusable)?;
        }
        self.position += size as u64;
        Ok(true)
    }
}

fn flac(moov: &Moov) -> Option<FlacConfig> {
    let [track] = &moov.trak[..] else { return None };
    let [SampleEntry::Flac(entry)] = &track.mdia.minf.stbl.stsd.codecs[..] else { return None };
    entry.dfla.blocks.iter().find_map(|block| match block {
        FlacMetadataBlock::StreamInfo {
            maximum_block_size,
            sample_rate,
            num_channels_minus_one,
            bits_per_sample_minus_one,
            ..
        } if *maximum_block_size > 0 && *sample_rate > 0 => Some(FlacConfig {
            rate: *sample_rate,
            channels: num_channels_minus_one + 1,
            bits: bits_per_sample_minus_one + 1,
            frame_duration: *maximum_block_size,
        }),
        _ => None,
    })
}

/// Size and duration of a fragment's samples, the first one last.
fn samples(moof: &Moof, usual_duration: Option<u32>) -> Option<Vec<(usize, u32)>> {
    let [fragment] = &moof.traf[..] else { return None };
    let usual = &fragment.tfhd;
    let mut samples = Vec::new();
    for run in &fragment.trun {
        // Every sample has at least a byte, so no honest run has more of them than a box has.
        if run.samples.len() > BOX_LIMIT {
            return None;
        }
        for entry in &run.samples {
            let size = usize::try_from(entry.size.or(usual.default_sample_size)?).ok()?;
            let duration = entry.duration.or(usual.default_sample_duration).or(usual_duration)?;
            if size == 0 {
                return None;
            }
            samples.push((size, duration));
        }
    }
    samples.reverse();
    Some(samples)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{CodecConfig, Packager};

    const CONFIG: FlacConfig =
        FlacConfig { rate: 48_000, channels: 2, bits: 16, frame_duration: 4096 };

    /// A stream of fragments, by our own packager, that holds `frames`.
    fn stream(frames: &[Vec<u8>], samples: u64) -> Vec<u8> {
        let mut packager = Packager::new(CodecConfig::Flac(CONFIG), 0);
        let mut media = Vec::new();
        for frame in frames {
            media.extend(packager.push(frame).expect("takes it"));
        }
        let package = packager.finish(samples).expect("packages");
        media.extend(package.segments);
        media.iter().fold(package.init.to_vec(), |stream, segment| {
            [stream, segment.bytes.to_vec()].concat()
        })
    }

    fn read_all(
        reader: &mut FragmentReader,
        buffer: &mut BytesMut,
    ) -> Result<Vec<Sample>, FragmentError> {
        std::iter::from_fn(|| reader.next_sample(buffer).transpose()).collect()
    }

    #[test]
    fn a_stream_that_ends_early_is_told() {
        let stream = stream(&vec![vec![7; 50]; 3], 3 * 4096 - 5);
        let (mut reader, mut buffer) = (FragmentReader::new(), BytesMut::from(&stream[..]));
        let samples = read_all(&mut reader, &mut buffer).expect("reads");
        let durations: Vec<u32> = samples.iter().map(|sample| sample.duration).collect();
        assert_eq!(durations, [4096, 4096, 4091]);
        assert!(reader.finish(&buffer).is_ok());
        let mut reader = FragmentReader::new();
        let mut cut = BytesMut::from(&stream[..stream.len() - 1]);
        read_all(&mut reader, &mut cut).expect("reads");
        assert!(matches!(reader.finish(&cut), Err(FragmentError::Truncated(_))));
    }

    #[test]
    fn boxes_that_lie_are_refused() {
        let good = stream(&[vec![7; 50]], 4096);
        for (place, byte) in [(0, 0xff), (3, 4), (good.len() - 55, 0xff)] {
            let mut bad = BytesMut::from(&good[..]);
            bad[place] = byte;
            let mut reader = FragmentReader::new();
            let read = read_all(&mut reader, &mut bad);
            assert!(read.is_err() || reader.finish(&bad).is_err(), "{place}");
        }
    }

    proptest! {
        #[test]
        fn samples_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..80), 1..150),
            cut in 1_usize..900,
            short in 0_u64..4096,
        ) {
            let stream = stream(&frames, frames.len() as u64 * 4096 - short);
            let (mut reader, mut buffer, mut samples) =
                (FragmentReader::new(), BytesMut::new(), vec![]);
            for piece in stream.chunks(cut) {
                buffer.extend_from_slice(piece);
                samples.extend(read_all(&mut reader, &mut buffer).expect("reads"));
            }
            prop_assert!(reader.finish(&buffer).is_ok());
            prop_assert_eq!(reader.config(), Some(CONFIG));
            let read: Vec<_> = samples.into_iter().map(|sample| sample.bytes).collect();
            prop_assert_eq!(read, frames);
        }

        #[test]
        fn no_bytes_make_it_panic(
            cut in 0_usize..2000,
            noise in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut bytes = stream(&vec![vec![7; 50]; 20], 20 * 4096);
            let cut = cut.min(bytes.len());
            let end = (cut + noise.len()).min(bytes.len());
            bytes.splice(cut..end, noise);
            let _ = read_all(&mut FragmentReader::new(), &mut BytesMut::from(&bytes[..]));
        }
    }
}
