//! The DASH manifest of the same segments (ISO/IEC 23009-1).

use std::fmt;

use music::{Revision, Variant};

/// Presents a revision's AAC variants to DASH players (ISO/IEC 23009-1 §5, the live profile, whose
/// segments are files of their own; static, for all of them are there).
///
/// URLs are relative to the directory above the revision's, as those of the
/// [`MultivariantPlaylist`](crate::MultivariantPlaylist) are. What is lossless is left out: a DASH
/// player would take it for the best there is.
#[derive(Debug, Clone, Copy)]
pub struct Manifest<'a> {
    revision: &'a Revision,
}

impl<'a> Manifest<'a> {
    /// The manifest of `revision`.
    #[must_use]
    pub fn new(revision: &'a Revision) -> Self {
        Self { revision }
    }
}

impl fmt::Display for Manifest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As long as the longest segment: a player needs no more to begin with (§5.3.1.2).
        let buffer = self.revision.lossy().map(longest_segment).fold(0.0, f64::max);
        write!(
            formatter,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
             profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" \
             mediaPresentationDuration=\"PT{:.6}S\" minBufferTime=\"PT{buffer:.3}S\">\n\
             <Period start=\"PT0S\">\n\
             <AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" \
             startWithSAP=\"1\">\n",
            self.revision.seconds(),
        )?;
        for variant in self.revision.lossy() {
            representation(formatter, self.revision, variant)?;
        }
        formatter.write_str("</AdaptationSet>\n</Period>\n</MPD>\n")
    }
}

fn representation(
    formatter: &mut fmt::Formatter<'_>,
    revision: &Revision,
    variant: &Variant,
) -> fmt::Result {
    let timeline = &variant.timeline;
    // Names and ids hold nothing that XML would have to escape.
    write!(
        formatter,
        "<Representation id=\"{name}\" bandwidth=\"{}\" codecs=\"{}\" audioSamplingRate=\"{rate}\">\n\
         <AudioChannelConfiguration \
         schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"{}\"/>\n\
         <SegmentTemplate timescale=\"{rate}\" startNumber=\"0\" \
         initialization=\"{revision}/{name}/init.mp4\" media=\"{revision}/{name}/$Number$.m4s\">\n\
         <SegmentTimeline>\n",
        variant.bandwidth,
        variant.codec.codecs(),
        variant.channels,
        name = variant.name,
        rate = timeline.timescale,
        revision = revision.id,
    )?;
    // Times are those of the presentation, behind the edit list (§5.3.9.6; §3.1 on presentation
    // time), so the first segment begins at 0 although its media begins with the priming.
    let mut start = Some(0);
    for run in &timeline.runs {
        formatter.write_str("<S")?;
        if let Some(start) = start.take() {
            write!(formatter, " t=\"{start}\"")?;
        }
        write!(formatter, " d=\"{}\"", run.duration)?;
        if run.count > 1 {
            // How often it is repeated after the first.
            write!(formatter, " r=\"{}\"", run.count - 1)?;
        }
        formatter.write_str("/>\n")?;
    }
    formatter.write_str("</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n")
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred thousand samples")]
fn longest_segment(variant: &Variant) -> f64 {
    let longest = variant.timeline.runs.iter().map(|run| run.duration).max().unwrap_or(0);
    longest as f64 / f64::from(variant.timeline.timescale)
}

#[cfg(test)]
mod tests {
    use music::{RevisionId, testing};

    use super::*;

    #[test]
    fn a_manifest_reads_as_written_here() {
        let revision = testing::revision(RevisionId::new(), 2 * 286_720 + 48_000);
        let id = revision.id;
        assert_eq!(
            Manifest::new(&revision).to_string(),
            format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="urn:mpeg:dash:profile:isoff-live:2011" mediaPresentationDuration="PT12.946667S" minBufferTime="PT5.973S">
<Period start="PT0S">
<AdaptationSet contentType="audio" mimeType="audio/mp4" segmentAlignment="true" startWithSAP="1">
<Representation id="128k" bandwidth="140000" codecs="mp4a.40.2" audioSamplingRate="48000">
<AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" value="2"/>
<SegmentTemplate timescale="48000" startNumber="0" initialization="{id}/128k/init.mp4" media="{id}/128k/$Number$.m4s">
<SegmentTimeline>
<S t="0" d="286720" r="1"/>
<S d="48000"/>
</SegmentTimeline>
</SegmentTemplate>
</Representation>
</AdaptationSet>
</Period>
</MPD>
"#
            )
        );
    }
}
