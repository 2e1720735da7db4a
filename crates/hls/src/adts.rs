//! AAC frames out of an ADTS stream (ISO/IEC 14496-3 §1.A.2.2), as its bytes come in.

use bytes::{Buf, Bytes, BytesMut};

/// Fixed and variable header together, without the optional CRC.
const HEADER: usize = 7;

/// Samples per second for each `sampling_frequency_index` (ISO/IEC 14496-3 table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Why bytes are not an ADTS stream that can be carried in MP4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdtsError {
    /// There is no header where one must be.
    #[error("byte {0} does not begin an ADTS frame")]
    NoSync(u64),
    /// A header contradicts itself, or asks for what MP4 cannot say of it.
    #[error("the ADTS header at byte {0} cannot be used")]
    Unusable(u64),
    /// The configuration is not that of the frames before.
    #[error("the configuration changes at byte {0}")]
    Changed(u64),
    /// The stream ends within a frame.
    #[error("the stream ends within the frame at byte {0}")]
    Truncated(u64),
}

/// What a decoder must know of an AAC-LC stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AacConfig {
    frequency_index: u8,
    channel_configuration: u8,
}

impl AacConfig {
    /// Decoded samples in every frame, per channel (ISO/IEC 14496-3 §4.5.2.1.1, without
    /// `frameLengthFlag`, which ADTS cannot set).
    pub const FRAME_DURATION: u32 = 1024;

    /// The configuration of AAC-LC at `rate` Hz with one or two channels.
    #[must_use]
    pub fn new(rate: u32, channels: u16) -> Option<Self> {
        let frequency_index = RATES.iter().position(|known| *known == rate)?;
        let channel_configuration = u8::try_from(channels).ok().filter(|it| matches!(it, 1..=2))?;
        Some(Self { frequency_index: u8::try_from(frequency_index).ok()?, channel_configuration })
    }

    /// Samples per second and channel, in Hz.
    #[must_use]
    pub fn rate(&self) -> u32 {
        RATES[usize::from(self.frequency_index)]
    }

    /// How many channels there are (ISO/IEC 14496-3 table 1.19).
    #[must_use]
    pub fn channels(&self) -> u16 {
        match self.channel_configuration {
            7 => 8,
            channels => channels.into(),
        }
    }

    /// The `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1): object type 2, AAC-LC.
    #[must_use]
    pub fn audio_specific_config(&self) -> [u8; 2] {
        let bits = 2 << 11
            | u16::from(self.frequency_index) << 7
            | u16::from(self.channel_configuration) << 3;
        bits.to_be_bytes()
    }
}

/// Takes AAC frames off the front of a buffer that somebody else fills.
#[derive(Debug, Clone, Default)]
pub struct AdtsReader {
    config: Option<AacConfig>,
    position: u64,
}

impl AdtsReader {
    /// A reader at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration of all frames, once there was one.
    #[must_use]
    pub fn config(&self) -> Option<AacConfig> {
        self.config
    }

    /// The next frame, without its header and without copying it, or nothing if `buffer` does not
    /// hold all of it yet.
    ///
    /// # Errors
    /// When `buffer` does not begin with a frame, or with one unlike those before. Nothing is taken
    /// off it then, and it stays so.
    pub fn next_frame(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, AdtsError> {
        let Some(&header) = buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::read(header, self.position)?;
        if self.config.is_some_and(|config| config != header.config) {
            return Err(AdtsError::Changed(self.position));
        }
        if buffer.len() < header.frame_length {
            return Ok(None);
        }
        self.config = Some(header.config);
        self.position += header.frame_length as u64;
        let mut frame = buffer.split_to(header.frame_length);
        frame.advance(header.length);
        Ok(Some(frame.freeze()))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// [`AdtsError::Truncated`] if `buffer` still holds part of a frame.
    pub fn finish(&self, buffer: &[u8]) -> Result<(), AdtsError> {
        if buffer.is_empty() { Ok(()) } else { Err(AdtsError::Truncated(self.position)) }
    }
}

struct Header {
    config: AacConfig,
    /// Of the header, in bytes.
    length: usize,
    /// Of header and frame together, in bytes.
    frame_length: usize,
}

impl Header {
    fn read(bytes: [u8; HEADER], position: u64) -> Result<Self, AdtsError> {
        // syncword, then layer, which is always 0.
        if bytes[0] != 0xff || bytes[1] & 0xf6 != 0xf0 {
            return Err(AdtsError::NoSync(position));
        }
        let protected = bytes[1] & 1 == 0;
        let profile = bytes[2] >> 6;
        let frequency_index = bytes[2] >> 2 & 0xf;
        let channel_configuration = (bytes[2] & 1) << 2 | bytes[3] >> 6;
        let frame_length = usize::from(bytes[3] & 3) << 11
            | usize::from(bytes[4]) << 3
            | usize::from(bytes[5] >> 5);
        let raw_data_blocks = bytes[6] & 3;
        let length = if protected { HEADER + 2 } else { HEADER };
        // Profile 1 is AAC-LC. Configuration 0 puts the channels into the frame, where MP4 has no
        // place for them; several blocks in a frame would be several samples.
        let usable = profile == 1
            && usize::from(frequency_index) < RATES.len()
            && channel_configuration != 0
            && raw_data_blocks == 0
            && frame_length > length;
        if !usable {
            return Err(AdtsError::Unusable(position));
        }
        Ok(Self {
            config: AacConfig { frequency_index, channel_configuration },
            length,
            frame_length,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame of 48 kHz stereo AAC-LC that holds `payload`.
    fn adts(payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(HEADER + payload.len()).expect("is small");
        let [_, low] = (length << 5 | 0x1f).to_be_bytes();
        let [.., middle, _] = (u32::from(length) << 5).to_be_bytes();
        let mut bytes = vec![0xff, 0xf1, 0x4c, 0x80, middle, low, 0xfc];
        bytes[3] |= u8::try_from(length >> 11).expect("is small");
        bytes.extend_from_slice(payload);
        bytes
    }

    fn read_all(reader: &mut AdtsReader, buffer: &mut BytesMut) -> Result<Vec<Bytes>, AdtsError> {
        std::iter::from_fn(|| reader.next_frame(buffer).transpose()).collect()
    }

    #[test]
    fn the_configuration_is_the_one_that_mp4_carries() {
        let mut reader = AdtsReader::new();
        read_all(&mut reader, &mut adts(b"frame").as_slice().into()).expect("reads");
        let config = reader.config().expect("there was a frame");
        assert_eq!((config.rate(), config.channels()), (48_000, 2));
        // ffmpeg writes these two bytes into the esds of 48 kHz stereo.
        assert_eq!(config.audio_specific_config(), [0x11, 0x90]);
        assert_eq!(AacConfig::new(48_000, 2), Some(config));
        assert_eq!(AacConfig::new(48_001, 2), None);
    }

    #[test]
    fn a_crc_is_not_part_of_the_frame() {
        let mut bytes = adts(b"..frame");
        bytes[1] &= !1;
        let frames = read_all(&mut AdtsReader::new(), &mut bytes.as_slice().into());
        assert_eq!(frames, Ok(vec![Bytes::from_static(b"frame")]));
    }

    #[test]
    fn what_is_not_one_steady_stream_is_refused() {
        let good = adts(b"frame");
        let with = |index: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[index] = value;
            let mut both = BytesMut::from(good.as_slice());
            both.extend_from_slice(&bytes);
            read_all(&mut AdtsReader::new(), &mut both)
        };
        assert_eq!(with(0, 0), Err(AdtsError::NoSync(12)));
        assert_eq!(with(2, 0x50), Err(AdtsError::Changed(12)), "another rate");
        assert_eq!(with(2, 0x0c), Err(AdtsError::Unusable(12)), "AAC Main");
        assert_eq!(with(3, 0), Err(AdtsError::Unusable(12)), "channels in the frame");
        assert_eq!(with(6, 0xfd), Err(AdtsError::Unusable(12)), "two blocks");
        assert_eq!(with(4, 0), Err(AdtsError::Unusable(12)), "shorter than its header");
        let part = &good[..good.len() - 1];
        assert_eq!(AdtsReader::new().finish(part), Err(AdtsError::Truncated(0)));
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..20),
            cut in 1_usize..700,
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| adts(payload)).collect();
            let (mut reader, mut buffer, mut frames) = (AdtsReader::new(), BytesMut::new(), vec![]);
            for piece in stream.chunks(cut) {
                buffer.extend_from_slice(piece);
                frames.extend(read_all(&mut reader, &mut buffer).expect("reads"));
            }
            prop_assert_eq!(reader.finish(&buffer), Ok(()));
            prop_assert_eq!(frames, payloads);
        }

        #[test]
        fn no_bytes_make_it_panic_or_stop_short(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(bytes.as_slice());
            let mut reader = AdtsReader::new();
            if read_all(&mut reader, &mut buffer).is_ok() {
                prop_assert!(buffer.len() < 1 << 13);
            }
        }
    }
}
