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
        } else if let Some(integrated) = value("lavfi.r128.I=") {
            self.integrated = Some(integrated);
        } else if let Some(peak) = value("lavfi.r128.true_peak=") {
            self.true_peak = Some(peak);
        }
    }

    /// The loudness of all that was heard; nothing if that was silence, or if the filter heard it in
    /// pieces and so knows the last one only.
    pub(crate) fn finish(self) -> Option<Loudness> {
        /// What is as quiet counts as silence (EBU R 128 s1, ITU-R BS.1770-5 annex 1, the absolute
        /// gate), and the filter says this of it.
        const SILENCE: f64 = -70.0;
        if self.begun > 1 {
            return None;
        }
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        let true_peak = self.true_peak.filter(|peak| *peak > 0.0);
        Some(Loudness {
            integrated: rounded(self.integrated.filter(|integrated| *integrated > SILENCE)?),
            true_peak: true_peak.map(|peak| rounded(20.0 * peak.log10())),
        })
    }
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
    fn what_the_filter_heard_in_pieces_has_no_loudness() {
        let once = "frame:0    pts:0\nlavfi.r128.I=-14.0\nframe:01   pts:1\n";
        assert!(read(once, 9).is_some());
        assert_eq!(read(&once.repeat(2), 9), None);
    }

    #[test]
    fn silence_has_no_loudness() {
        assert_eq!(read("lavfi.r128.I=-70.000\nlavfi.r128.true_peak=0.000\n", 9), None);
        assert_eq!(read("", 1), None);
        assert_eq!(read("lavfi.r128.I=nan\n", 1), None);
    }
}
