//! BANDWIDTH and AVERAGE-BANDWIDTH (RFC 8216 §4.3.4.2), measured.

use music::Timeline;

use super::boxes::Rates;
use crate::playlist::target_duration;

/// The bit rates of segments of `sizes` bytes on `timeline`.
pub(super) fn rates(timeline: &Timeline, sizes: &[u64]) -> Rates {
    let segments: Vec<(u64, u64)> = timeline.segments().zip(sizes.iter().copied()).collect();
    let rate = |bytes: u64, duration: u64| {
        let bits = u128::from(bytes) * 8 * u128::from(timeline.timescale);
        u64::try_from(bits.div_ceil(u128::from(duration.max(1)))).unwrap_or(u64::MAX)
    };
    let average = rate(sizes.iter().sum(), timeline.samples());

    // "The peak segment bit rate of a Media Playlist is the largest bit rate of any continuous set
    // of segments whose total duration is between 0.5 and 1.5 times the target duration."
    let target = target_duration(timeline) * u64::from(timeline.timescale);
    let mut peak = 0;
    for first in 0..segments.len() {
        let (mut bytes, mut duration) = (0, 0);
        for (segment_duration, size) in &segments[first..] {
            bytes += size;
            duration += segment_duration;
            if duration * 2 > target * 3 {
                break;
            }
            if duration * 2 >= target {
                peak = peak.max(rate(bytes, duration));
            }
        }
    }
    // A track may be too short for any such set.
    Rates { peak: peak.max(average), average }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(samples: u64) -> Timeline {
        Timeline::new(48_000, samples)
    }

    #[test]
    fn the_peak_is_that_of_the_largest_segment() {
        let segment = music::segment_duration(48_000);
        let rates = rates(&timeline(3 * segment), &[100_000, 200_000, 150_000]);
        assert_eq!(rates.peak, (200_000 * 8 * 48_000_u64).div_ceil(segment));
        assert_eq!(rates.average, (150_000 * 8 * 48_000_u64).div_ceil(segment));
    }

    #[test]
    fn a_short_last_segment_counts_only_with_the_one_before_it() {
        let (segment, last) = (music::segment_duration(48_000), music::shortest_segment(48_000));
        let rates = rates(&timeline(segment + last), &[100_000, 9_000]);
        assert_eq!(rates.peak, (109_000 * 8 * 48_000_u64).div_ceil(segment + last));
    }

    #[test]
    fn a_song_too_short_for_the_rule_has_its_average_for_its_peak() {
        let rates = rates(&timeline(100), &[50]);
        assert_eq!((rates.peak, rates.average), (50 * 8 * 480, 50 * 8 * 480));
    }
}
