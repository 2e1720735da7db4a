//! Playlists (RFC 8216 §4), rendered from a revision and its timeline.

use std::fmt;

use music::{NOMINAL_SECONDS, Revision, Timeline, Variant};

/// What both kinds begin with. EXT-X-MAP in a media playlist of whole segments needs version 6
/// (§7). Every AAC and FLAC frame decodes without the segment before it, which players may know
/// (§4.3.5.1).
const HEAD: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n";

/// Lists variants of a revision, the one to begin with first (RFC 8216 §4.3.4).
///
/// URIs are relative to the directory above the revision's: `{revision}/{variant}/playlist.m3u8`.
#[derive(Debug, Clone)]
pub struct MultivariantPlaylist<'a> {
    revision: &'a Revision,
    variants: Vec<&'a Variant>,
}

impl<'a> MultivariantPlaylist<'a> {
    /// The playlist of the variants that every player can play.
    #[must_use]
    pub fn new(revision: &'a Revision) -> Self {
        Self { revision, variants: revision.lossy().collect() }
    }

    /// The playlist that begins with what is lossless; the others are there for players that cannot
    /// decode it, and for slow connections. Nothing if the revision has nothing lossless.
    #[must_use]
    pub fn lossless(revision: &'a Revision) -> Option<Self> {
        revision.lossless().next()?;
        Some(Self { revision, variants: revision.lossless().chain(revision.lossy()).collect() })
    }
}

impl fmt::Display for MultivariantPlaylist<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        // The order is the revision's: players begin with the first variant that they can play
        // (Apple's HLS Authoring Specification, on the order of variants).
        for variant in &self.variants {
            // BANDWIDTH is required, the others should be there (§4.3.4.2; Apple requires them).
            writeln!(
                formatter,
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{}\"\n{}/{}/playlist.m3u8",
                variant.bandwidth,
                variant.average_bandwidth,
                variant.codec.codecs(),
                self.revision.id,
                variant.name,
            )?;
        }
        Ok(())
    }
}

/// Lists the segments of one variant (RFC 8216 §4.3.3).
///
/// URIs are relative to the playlist: `init.mp4`, `{number}.m4s` from 0.
#[derive(Debug, Clone, Copy)]
pub struct MediaPlaylist<'a> {
    timeline: &'a Timeline,
}

impl<'a> MediaPlaylist<'a> {
    /// The playlist of all segments on `timeline`.
    #[must_use]
    pub fn new(timeline: &'a Timeline) -> Self {
        Self { timeline }
    }
}

impl fmt::Display for MediaPlaylist<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        writeln!(
            formatter,
            "#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"init.mp4\"",
            target_duration(self.timeline),
        )?;
        for (number, duration) in self.timeline.segments().enumerate() {
            // Half a microsecond of rounding: the samples can be told from the text at any rate
            // below 1 MHz.
            let micros = rounded(duration, self.timeline.timescale, 1_000_000);
            let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
            writeln!(formatter, "#EXTINF:{seconds}.{micros:06},\n{number}.m4s")?;
        }
        // Nothing will be added (§4.3.3.4).
        formatter.write_str("#EXT-X-ENDLIST\n")
    }
}

/// EXT-X-TARGETDURATION in seconds: no EXTINF, rounded to the nearest integer, is above it
/// (RFC 8216 §4.3.3.1). It is the nominal duration at least, so that all variants of a song state
/// the same (§6.2.4): one sample more or less at another rate may round a short song elsewhere.
pub(crate) fn target_duration(timeline: &Timeline) -> u64 {
    let longest = timeline.runs.iter().map(|run| run.duration).max().unwrap_or(0);
    rounded(longest, timeline.timescale, 1).max(NOMINAL_SECONDS)
}

/// `duration` of `timescale` units a second, in units of which there are `per_second`, to the
/// nearest.
fn rounded(duration: u64, timescale: u32, per_second: u64) -> u64 {
    let timescale = u128::from(timescale.max(1));
    let units = (u128::from(duration) * u128::from(per_second) + timescale / 2) / timescale;
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use m3u8_rs::Playlist;
    use music::{Codec, RevisionId, Run, testing};
    use proptest::prelude::*;

    use super::*;

    fn variant(name: &str, bandwidth: u64) -> Variant {
        Variant {
            name: name.into(),
            bandwidth,
            average_bandwidth: bandwidth - 1000,
            ..testing::revision(RevisionId::new(), 480_000).variants.remove(0)
        }
    }

    fn revision(variants: Vec<Variant>) -> Revision {
        Revision { variants, ..testing::revision(RevisionId::new(), 480_000) }
    }

    #[test]
    fn what_is_lossless_is_in_a_playlist_of_its_own_only() {
        let aac = variant("128k", 140_000);
        let flac = Variant { codec: Codec::Flac, ..variant("lossless", 900_000) };
        let revision = revision(vec![aac.clone(), flac]);
        assert!(!MultivariantPlaylist::new(&revision).to_string().contains("fLaC"));
        let lossless = MultivariantPlaylist::lossless(&revision).expect("has it").to_string();
        let playlist = m3u8_rs::parse_master_playlist_res(lossless.as_bytes()).expect("parses");
        let codecs: Vec<_> =
            playlist.variants.iter().filter_map(|variant| variant.codecs.as_deref()).collect();
        assert_eq!(codecs, ["fLaC", "mp4a.40.2"]);
        assert!(MultivariantPlaylist::lossless(&self::revision(vec![aac])).is_none());
    }

    #[test]
    fn a_multivariant_playlist_reads_as_written_here() {
        let revision = revision(vec![variant("128k", 140_000), variant("64k", 70_000)]);
        let id = revision.id;
        let text = MultivariantPlaylist::new(&revision).to_string();
        assert_eq!(
            text,
            format!(
                "#EXTM3U\n\
                 #EXT-X-VERSION:6\n\
                 #EXT-X-INDEPENDENT-SEGMENTS\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=140000,AVERAGE-BANDWIDTH=139000,CODECS=\"mp4a.40.2\"\n\
                 {id}/128k/playlist.m3u8\n\
                 #EXT-X-STREAM-INF:BANDWIDTH=70000,AVERAGE-BANDWIDTH=69000,CODECS=\"mp4a.40.2\"\n\
                 {id}/64k/playlist.m3u8\n"
            )
        );
        let playlist = m3u8_rs::parse_master_playlist_res(text.as_bytes()).expect("parses");
        assert_eq!(playlist.variants[0].average_bandwidth, Some(139_000));
        assert_eq!(playlist.unknown_tags, []);
    }

    #[test]
    fn a_media_playlist_reads_as_written_here() {
        let timeline = Timeline::new(44_100, 266_240 + 44_101);
        assert_eq!(
            MediaPlaylist::new(&timeline).to_string(),
            "#EXTM3U\n\
             #EXT-X-VERSION:6\n\
             #EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-TARGETDURATION:6\n\
             #EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-PLAYLIST-TYPE:VOD\n\
             #EXT-X-MAP:URI=\"init.mp4\"\n\
             #EXTINF:6.037188,\n\
             0.m4s\n\
             #EXTINF:1.000023,\n\
             1.m4s\n\
             #EXT-X-ENDLIST\n"
        );
    }

    /// RFC 8216 §4.3.3.1, with the words of §4.3.2.1 on rounding.
    #[test]
    fn the_target_duration_is_the_longest_duration_rounded_and_never_under_the_nominal_one() {
        let of = |duration| {
            target_duration(&Timeline { timescale: 1000, runs: vec![Run { duration, count: 1 }] })
        };
        assert_eq!((of(6499), of(6500), of(10)), (6, 7, 6));
    }

    /// RFC 8216 §6.2.4: the target durations of all variants are the same.
    #[test]
    fn variants_state_one_target_duration_however_short_the_song_and_whatever_the_rate() {
        for samples in (1..700_000).step_by(997).chain([263_999, 264_000, 294_911, 294_912]) {
            let timelines = [
                Timeline::new(96_000, 2 * samples - 1),
                Timeline::new(48_000, samples),
                Timeline::shifted(48_000, samples, 960),
                Timeline::new(44_100, samples),
            ];
            assert_eq!(timelines.each_ref().map(target_duration), [6; 4], "{samples} samples");
        }
    }

    proptest! {
        #[test]
        fn the_samples_of_each_segment_can_be_told_from_its_extinf(
            timescale in 8_000_u32..=192_000,
            samples in 1_u64..100_000_000,
        ) {
            let timeline = Timeline::new(timescale, samples);
            let text = MediaPlaylist::new(&timeline).to_string();
            let extinfs = text
                .lines()
                .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','))
                .map(|seconds| seconds.parse::<f64>().expect("is a number"));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let read: Vec<u64> =
                extinfs.map(|seconds| (seconds * f64::from(timescale)).round() as u64).collect();
            prop_assert_eq!(read, timeline.segments().collect::<Vec<_>>());

            let Ok(Playlist::MediaPlaylist(playlist)) = m3u8_rs::parse_playlist_res(text.as_bytes())
            else {
                return Err(TestCaseError::fail("m3u8-rs does not take it for a media playlist"));
            };
            prop_assert!(playlist.end_list && playlist.independent_segments);
            prop_assert_eq!(playlist.segments.len(), timeline.len());
            prop_assert_eq!(playlist.segments[0].map.as_ref().map(|map| map.uri.as_str()), Some("init.mp4"));
            let target = f64::from(u32::try_from(playlist.target_duration).expect("is small"));
            for segment in &playlist.segments {
                prop_assert!(f64::from(segment.duration).round() <= target);
            }
        }
    }
}
