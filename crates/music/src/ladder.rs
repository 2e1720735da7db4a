//! Which variants a source is worth.

use serde::{Deserialize, Serialize};

/// The parts of a source's format that decide what is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AudioFormat {
    /// Samples per second and channel, as decoded, in Hz.
    pub sample_rate: u32,
    /// Channels, as decoded.
    pub channels: u16,
    /// Bits of encoded audio ÷ decoded duration, in bit/s, without tags, pictures and framing.
    pub bitrate: u64,
    /// Whether nothing was thrown away when it was encoded.
    pub lossless: bool,
}

/// One step of the ladder: a variant to be encoded as AAC-LC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// The variant's name, a path segment.
    pub name: &'static str,
    /// What the encoder is asked for, in bit/s.
    pub bitrate: u32,
}

const LOW: Rung = Rung { name: "64k", bitrate: 64_000 };
const MIDDLE: Rung = Rung { name: "128k", bitrate: 128_000 };
const HIGH: Rung = Rung { name: "256k", bitrate: 256_000 };

/// The rungs that a source is worth, lowest first, never none.
///
/// Encoding a source at more than it holds makes files larger and nothing better: 128 kb/s is made
/// of what has more than 64, 256 of stereo with more than 128, and everything of lossless sources.
#[must_use]
pub fn ladder(source: &AudioFormat) -> Vec<Rung> {
    let mut rungs = vec![LOW];
    if source.lossless || source.bitrate > u64::from(LOW.bitrate) {
        rungs.push(MIDDLE);
    }
    if source.lossless || (source.bitrate > u64::from(MIDDLE.bitrate) && source.channels > 1) {
        rungs.push(HIGH);
    }
    rungs
}

/// The rungs beside a source that is carried as it is: those clearly below it.
///
/// One at or near its rate would sound worse and save nothing.
#[must_use]
pub fn ladder_below(source: &AudioFormat) -> Vec<Rung> {
    let mut rungs = ladder(source);
    rungs.retain(|rung| u64::from(rung.bitrate) * 10 <= source.bitrate * 9);
    rungs
}

/// The sample rate that FLAC is made at, in Hz: the source's own where that has segments on the
/// same grid as AAC and is at most 96 kHz, else one of its family.
#[must_use]
pub const fn lossless_rate(sample_rate: u32) -> u32 {
    let base = output_rate(sample_rate);
    if sample_rate >= 2 * base { 2 * base } else { base }
}

/// The sample rate that AAC is made at, in Hz: 44,100 for the 11,025 family, else 48,000.
///
/// Low rates are raised as well: at 8 kHz the encoder would clamp every rung to 36 kb/s.
#[must_use]
pub const fn output_rate(sample_rate: u32) -> u32 {
    if sample_rate.is_multiple_of(11_025) { 44_100 } else { 48_000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bitrate: u64, channels: u16, lossless: bool) -> Vec<&'static str> {
        let source = AudioFormat { sample_rate: 44_100, channels, bitrate, lossless };
        ladder(&source).iter().map(|rung| rung.name).collect()
    }

    #[test]
    fn no_rung_promises_more_than_the_source_holds() {
        assert_eq!(names(24_000, 1, false), ["64k"]);
        assert_eq!(names(64_000, 2, false), ["64k"]);
        assert_eq!(names(64_001, 2, false), ["64k", "128k"]);
        assert_eq!(names(128_000, 2, false), ["64k", "128k"]);
        assert_eq!(names(320_000, 2, false), ["64k", "128k", "256k"]);
        assert_eq!(names(320_000, 1, false), ["64k", "128k"]);
    }

    #[test]
    fn a_lossless_source_has_every_rung_whatever_it_was_packed_to() {
        assert_eq!(names(1_411_000, 2, true), ["64k", "128k", "256k"]);
        assert_eq!(names(30_000, 1, true), ["64k", "128k", "256k"]);
    }

    #[test]
    fn beside_a_carried_source_only_lower_rungs_are_made() {
        let below = |bitrate| {
            let source = AudioFormat { sample_rate: 48_000, channels: 2, bitrate, lossless: false };
            ladder_below(&source).iter().map(|rung| rung.name).collect::<Vec<_>>()
        };
        assert_eq!(below(320_000), ["64k", "128k", "256k"]);
        assert_eq!(below(256_300), ["64k", "128k"]);
        assert_eq!(below(127_000), ["64k"]);
        assert!(below(64_000).is_empty());
    }

    #[test]
    fn lossless_rates_are_the_sources_own_as_far_as_the_grid_has_them() {
        for rate in [44_100, 48_000, 88_200, 96_000] {
            assert_eq!(lossless_rate(rate), rate);
        }
        for (rate, made) in
            [(8_000, 48_000), (22_050, 44_100), (176_400, 88_200), (192_000, 96_000)]
        {
            assert_eq!(lossless_rate(rate), made);
        }
    }

    #[test]
    fn rates_stay_in_their_family() {
        for rate in [11_025, 22_050, 44_100, 88_200, 176_400] {
            assert_eq!(output_rate(rate), 44_100);
        }
        for rate in [8_000, 16_000, 32_000, 48_000, 96_000, 192_000] {
            assert_eq!(output_rate(rate), 48_000);
        }
    }
}
