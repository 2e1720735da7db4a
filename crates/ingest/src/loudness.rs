//! Reads what ffmpeg's `ebur128` filter says of the loudness so far, a few lines for each tenth of a
//! second. The last ones count.

use music::Loudness;

/// No line that means anything to us is longer.
const LINE: usize = 128;

/// What an `ebur128` filter has said so far.
#[derive(Debug, Default)]
pub(crate) struct LoudnessReader {
    /// In LUFS.
    integrated: Option<f64>,
    /// Of full scale.
    true_peak: Option<f64>,
    line: Vec<u8>,
}

impl LoudnessReader {
    /// Takes what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() < LINE {
                    self.line.push(*byte);
                }
                continue;
            }
            self.read();
            self.line.clear();
        }
    }

    fn read(&mut self) {
        let value = |key: &[u8]| {
            let value = str::from_utf8(self.line.strip_prefix(key)?).ok()?;
            value.parse::<f64>().ok().filter(|value| value.is_finite())
        };
        if let Some(integrated) = value(b"lavfi.r128.I=") {
            self.integrated = Some(integrated);
        } else if let Some(peak) = value(b"lavfi.r128.true_peak=") {
            self.true_peak = Some(peak);
        }
    }

    /// The loudness of all that was heard; nothing if that was silence.
    pub(crate) fn finish(self) -> Option<Loudness> {
        /// What is as quiet counts as silence (EBU R 128 s1, ITU-R BS.1770-5 annex 1, the absolute
        /// gate), and the filter says this of it.
        const SILENCE: f64 = -70.0;
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
    fn silence_has_no_loudness() {
        assert_eq!(read("lavfi.r128.I=-70.000\nlavfi.r128.true_peak=0.000\n", 9), None);
        assert_eq!(read("", 1), None);
        assert_eq!(read("lavfi.r128.I=nan\n", 1), None);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let mut reader = LoudnessReader::default();
        for _ in 0..100 {
            reader.push(&[b'x'; 1000]);
        }
        assert!(reader.line.capacity() < 4 * LINE);
        reader.push(b"\nlavfi.r128.I=-20.000\n");
        assert!(reader.finish().is_some());
    }
}
