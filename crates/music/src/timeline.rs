//! When each segment of a song begins and ends, the same in every variant.

use serde::{Deserialize, Serialize};

use crate::output_rate;

/// Segments are a whole number of these samples long: the least common multiple of the frame
/// lengths of AAC-LC (1024) and of our FLAC (4096), so that frames of either end at a boundary.
const GRID: u64 = 4096;

/// What a segment aims at, in seconds.
pub const NOMINAL_SECONDS: u64 = 6;

/// The shortest segment that follows another one, in samples at the rate that AAC is made at:
/// 0.17 s at 48 kHz. hls.js 1.7.4 never ends a song whose last segment lasts 27 ms or less.
const SHORTEST: u64 = 8192;

/// The duration of every segment but the last, in samples at `rate` (Hz): as near to 6 s as whole
/// frames allow at the rate that AAC is made at, and at all others the same time.
#[must_use]
pub const fn segment_duration(rate: u32) -> u64 {
    let base = output_rate(rate) as u64;
    let duration = (NOMINAL_SECONDS * base + GRID / 2) / GRID * GRID;
    duration * rate as u64 / base
}

/// The shortest duration of a segment that follows another one, in samples at `rate` (Hz). What is
/// left of a song beyond its last boundary is added to the segment before it if it is shorter.
///
/// At twice the rate of the AAC variants this is one sample less than twice as much: the AAC encoder
/// is given half as many samples, rounded up, and all variants of a song must decide alike.
#[must_use]
pub const fn shortest_segment(rate: u32) -> u64 {
    (SHORTEST - 1) * rate as u64 / output_rate(rate) as u64 + 1
}

/// Consecutive segments of one duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The presentation duration of each, in units of the timeline's timescale.
    pub duration: u64,
    /// How many follow one another.
    pub count: u32,
}

/// The presentation times of a variant's segments, run-length encoded.
///
/// Presentation time begins where the source begins: samples that an encoder needs before its
/// first one are not on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// Units per second; the sample rate of the variant, in Hz.
    pub timescale: u32,
    /// The segments, first to last.
    pub runs: Vec<Run>,
}

impl Timeline {
    /// The timeline of `samples` samples at `rate` Hz: equal segments, then the rest, in a
    /// segment of its own if it is no shorter than [`shortest_segment`], else in the last one.
    #[must_use]
    pub fn new(rate: u32, samples: u64) -> Self {
        Self::shifted(rate, samples, 0)
    }

    /// The same, with every boundary `shift` samples later: where no frame ends on the grid.
    #[must_use]
    pub fn shifted(rate: u32, samples: u64, shift: u64) -> Self {
        let duration = segment_duration(rate);
        let first = (duration + shift).min(samples);
        let mut whole = (samples - first) / duration;
        let mut last = samples - first - whole * duration;
        let mut beginning = first;
        if last < shortest_segment(rate) {
            if whole > 0 {
                whole -= 1;
                last += duration;
            } else {
                beginning += last;
                last = 0;
            }
        }
        let mut runs: Vec<Run> = Vec::with_capacity(3);
        for (duration, count) in [(beginning, 1), (duration, whole), (last, 1)] {
            let count = u32::try_from(count).unwrap_or(u32::MAX);
            match runs.last_mut() {
                Some(run) if run.duration == duration => {
                    run.count = run.count.saturating_add(count);
                }
                _ if duration > 0 && count > 0 => runs.push(Run { duration, count }),
                _ => {}
            }
        }
        Self { timescale: rate, runs }
    }

    /// The duration of each segment, in units of the timescale.
    pub fn segments(&self) -> impl Iterator<Item = u64> {
        self.runs.iter().flat_map(|run| std::iter::repeat_n(run.duration, run.count as usize))
    }

    /// How many segments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.count as usize).sum()
    }

    /// Whether there is no segment at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The duration of all segments together, in samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.runs.iter().map(|run| run.duration * u64::from(run.count)).sum()
    }

    /// The duration of all segments together, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 samples are thousands of years")]
    pub fn seconds(&self) -> f64 {
        self.samples() as f64 / f64::from(self.timescale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_six_seconds_to_within_half_a_second_at_both_rates() {
        assert_eq!(segment_duration(48_000), 70 * 4096);
        assert_eq!(segment_duration(44_100), 65 * 4096);
        assert_eq!(segment_duration(96_000), 140 * 4096);
        assert_eq!(segment_duration(88_200), 130 * 4096);
        for rate in [44_100, 48_000] {
            let halves = segment_duration(rate) * 2 / u64::from(rate);
            assert!((11..13).contains(&halves), "{rate} Hz");
        }
    }

    #[test]
    fn the_segments_add_up_to_the_samples() {
        let duration = segment_duration(48_000);
        for samples in [0, 1, duration - 1, duration, duration + 1, 12_345_678] {
            let timeline = Timeline::new(48_000, samples);
            assert_eq!(timeline.samples(), samples);
            assert_eq!(timeline.segments().sum::<u64>(), samples);
            assert_eq!(timeline.segments().count(), timeline.len());
            assert!(timeline.segments().all(|segment| segment > 0));
        }
    }

    #[test]
    fn a_song_has_no_segment_under_the_shortest_but_the_only_one_and_none_half_a_second_too_long() {
        for (rate, shift) in [(44_100, 0), (44_100, 1023), (48_000, 0), (48_000, 960), (96_000, 0)]
        {
            let (duration, shortest) = (segment_duration(rate), shortest_segment(rate));
            let longest = (NOMINAL_SECONDS * 2 + 1) * u64::from(rate) / 2;
            for boundary in [0, duration + shift, 2 * duration + shift, 3 * duration + shift] {
                for tail in 0..=shortest + 4096 {
                    let timeline = Timeline::shifted(rate, boundary + tail, shift);
                    let segments: Vec<u64> = timeline.segments().collect();
                    assert_eq!(timeline.samples(), boundary + tail);
                    let too_short = segments.iter().any(|it| *it < shortest);
                    assert!(!too_short || segments.len() == 1, "{segments:?}");
                    assert!(segments.iter().all(|it| *it < longest), "{segments:?}");
                    let own = u64::from(tail >= shortest || boundary == 0 && tail > 0);
                    assert_eq!(segments.len() as u64, boundary / duration + own, "{segments:?}");
                }
            }
        }
    }

    /// swresample rounds to the nearest sample, halves up.
    #[test]
    fn variants_at_twice_the_rate_of_the_others_have_as_many_segments() {
        for (rate, double) in [(44_100, 88_200), (48_000, 96_000)] {
            for tail in 0..20_000 {
                let samples = 2 * segment_duration(double) + tail;
                let others = Timeline::new(rate, samples.div_ceil(2));
                assert_eq!(Timeline::new(double, samples).len(), others.len(), "{tail}");
            }
        }
    }

    #[test]
    fn a_shift_moves_every_boundary_and_no_end() {
        let duration = segment_duration(48_000);
        let segments =
            |samples| Timeline::shifted(48_000, samples, 960).segments().collect::<Vec<_>>();
        assert_eq!(segments(3 * duration), [duration + 960, duration, duration - 960]);
        assert_eq!(segments(duration + 960), [duration + 960]);
        assert_eq!(segments(duration + 961), [duration + 961]);
        assert_eq!(segments(duration + 960 + 8192), [duration + 960, 8192]);
        assert_eq!(segments(5), [5]);
        let whole = Timeline::new(48_000, 3 * duration);
        assert_eq!(whole.runs, [Run { duration, count: 3 }]);
    }
}
