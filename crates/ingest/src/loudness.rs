//! Reads what ffmpeg's `ebur128` filter says of the loudness so far, a few lines for each tenth of a
//! second. The last ones count.

use music::Loudness;

use crate::lines::Lines;

/// What an `ebur128` filter has said so far.
#[derive(Debug, Default)]
pub(crate) struct LoudnessReader {
    /// In LUFS.
    integrated: Option<f64>,
    /// Of full scale.
    true_peak: Option<f64>,
    /// How often the filter began: anew wherever the source changes its rate or channels.
    begun: u32,
    /// The loudness of each 400 ms, one every 100 ms, in LUFS: what is above the absolute gate.
    blocks: Vec<f32>,
    lines: Lines,
}

impl LoudnessReader {
    /// Takes what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(bytes, |line| self.read(line));
        self.lines = lines;
    }

    fn read(&mut self, line: &str) {
        let value = |key| line.strip_prefix(key)?.parse::<f64>().ok().filter(|it| it.is_finite());
        if line.starts_with("frame:0 ") {
            self.begun += 1;
        } else if let Some(block) = value("lavfi.r128.M=") {
            #[expect(clippy::cast_possible_truncation, reason = "of three digits")]
            self.blocks.extend((block > SILENCE).then_some(block as f32));
        } else if let Some(integrated) = value("lavfi.r128.I=") {
            self.integrated = Some(integrated);
        } else if let Some(peak) = value("lavfi.r128.true_peak=") {
            // Each time the filter begins, so does this.
            self.true_peak = Some(self.true_peak.map_or(peak, |before| before.max(peak)));
        }
    }

    /// Whether the source changed its rate or channels midway.
    pub(crate) fn changed(&self) -> bool {
        self.begun > 1
    }

    /// The loudness of all that was heard; nothing if that was silence.
    pub(crate) fn finish(self) -> Option<Loudness> {
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        let integrated = if self.changed() { integrated(&self.blocks) } else { self.integrated };
        let true_peak = self.true_peak.filter(|peak| *peak > 0.0);
        Some(Loudness {
            integrated: rounded(integrated.filter(|integrated| *integrated > SILENCE)?),
            true_peak: true_peak.map(|peak| rounded(20.0 * peak.log10())),
        })
    }
}

/// What is as quiet, in LUFS, counts as silence (EBU R 128 s1, ITU-R BS.1770-5 annex 1, the absolute
/// gate), and the filter says this of it.
const SILENCE: f64 = -70.0;

/// The loudness of blocks together, without those that are more than 10 LU quieter than all are on
/// average (ITU-R BS.1770-5 annex 1, the relative gate). The filter says it of what it heard since it
/// began; this is for a sound that it heard in pieces.
fn integrated(blocks: &[f32]) -> Option<f64> {
    let mean = |gate: f64| {
        let loud = blocks.iter().map(|block| f64::from(*block)).filter(|block| *block > gate);
        let (energy, count) = loud.fold((0.0, 0.0), |(energy, count), block| {
            (energy + 10_f64.powf(block / 10.0), count + 1.0)
        });
        (count > 0.0).then(|| 10.0 * (energy / count).log10())
    };
    mean(mean(SILENCE)? - 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, cut: usize) -> Option<Loudness> {
        let mut reader = LoudnessReader::default();
        text.as_bytes().chunks(cut).for_each(|piece| reader.push(piece));
        reader.finish()
    }

    #[test]
    fn the_last_lines_count_however_the_stream_is_cut() {
        let text = "frame:0    pts:0       pts_time:0\n\
            lavfi.r128.I=-70.000\nlavfi.r128.true_peak=0.000\n\
            frame:1    pts:4410    pts_time:0.1\n\
            lavfi.r128.I=-14.321\nlavfi.r128.LRA.low=0.000\n\
            lavfi.r128.true_peaks_ch1=0.900\nlavfi.r128.true_peak=0.500\n";
        for cut in [1, 7, 1000] {
            let loudness = Loudness { integrated: -14.32, true_peak: Some(-6.02) };
            assert_eq!(read(text, cut), Some(loudness));
        }
    }

    #[test]
    fn what_the_filter_heard_in_pieces_is_as_loud_as_all_of_them() {
        let piece = |block: f64, peak: f64| {
            let block = format!(
                "lavfi.r128.M={block}\nlavfi.r128.I={block}\nlavfi.r128.true_peak={peak}\n"
            );
            let unfilled = "frame:0 pts:0\nlavfi.r128.M=-120.691\nlavfi.r128.I=-70.000\n";
            format!("{unfilled}{}", block.repeat(10))
        };
        let text = piece(-20.0, 0.5) + &piece(-17.0, 0.1);
        // The mean of 0.01 and 0.01995 is 0.01498.
        let both = Loudness { integrated: -18.25, true_peak: Some(-6.02) };
        assert_eq!(read(&text, 9), Some(both));
        let quiet = piece(-20.0, 0.5) + &piece(-60.0, 0.1);
        assert_eq!(read(&quiet, 9).map(|it| it.integrated), Some(-20.0), "a gate is kept");
        assert_eq!(read(&piece(-20.0, 0.5), 9).map(|it| it.integrated), Some(-20.0));
    }

    #[test]
    fn silence_has_no_loudness() {
        assert_eq!(read("lavfi.r128.I=-70.000\nlavfi.r128.true_peak=0.000\n", 9), None);
        assert_eq!(read("", 1), None);
        assert_eq!(read("lavfi.r128.I=nan\n", 1), None);
    }
}
