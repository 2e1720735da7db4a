//! How the frames of a track are decoded.

use music::Codec;

use crate::AacConfig;

/// How a track's frames are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// AAC-LC.
    Aac(AacConfig),
    /// FLAC.
    Flac(FlacConfig),
}

/// What a decoder must know of a FLAC stream: its STREAMINFO (RFC 9639 §8.2), but for what is known
/// only at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlacConfig {
    /// Samples per second and channel, in Hz.
    pub rate: u32,
    /// How many channels there are, 1 to 8.
    pub channels: u8,
    /// Bits per sample, 4 to 32.
    pub bits: u8,
    /// Samples in every frame but the last, per channel.
    pub frame_duration: u16,
}

impl CodecConfig {
    /// Samples per second and channel, in Hz: the track's timescale.
    #[must_use]
    pub fn rate(&self) -> u32 {
        match self {
            Self::Aac(config) => config.rate(),
            Self::Flac(config) => config.rate,
        }
    }

    /// How many channels there are.
    #[must_use]
    pub fn channels(&self) -> u16 {
        match self {
            Self::Aac(config) => config.channels(),
            Self::Flac(config) => config.channels.into(),
        }
    }

    /// Decoded samples in every frame, per channel.
    #[must_use]
    pub fn frame_duration(&self) -> u32 {
        match self {
            Self::Aac(_) => AacConfig::FRAME_DURATION,
            Self::Flac(config) => config.frame_duration.into(),
        }
    }

    /// Which codec it is.
    #[must_use]
    pub fn codec(&self) -> Codec {
        match self {
            Self::Aac(_) => Codec::Aac,
            Self::Flac(_) => Codec::Flac,
        }
    }

    /// How many frames away decoding must begin for a frame to sound right, where that is not the
    /// frame itself. AAC's windows reach into the next frame (ISO/IEC 14496-24 §B); FLAC's frames
    /// stand alone (RFC 9639 §9).
    pub(super) fn roll_distance(&self) -> Option<i16> {
        match self {
            Self::Aac(_) => Some(-1),
            Self::Flac(_) => None,
        }
    }
}
