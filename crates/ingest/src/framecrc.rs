//! Reads what ffmpeg's `framecrc` muxer writes: the one output that tells codec, rate and every
//! packet's size and duration in a form that is the same in every version, at next to no cost.

use std::ops::Range;

use crate::lines::Lines;

/// What a `framecrc` stream has said so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FrameCrc {
    /// `#codec_id`, ffmpeg's name of the codec.
    pub(crate) codec: String,
    /// `#sample_rate`, in Hz.
    pub(crate) sample_rate: u32,
    /// `#tb`, in seconds.
    time_base: f64,
    pub(crate) packets: u64,
    /// The sum of the packets' sizes, in bytes.
    pub(crate) bytes: u64,
    /// The sum of the packets' durations, in units of the time base.
    pub(crate) duration: i64,
    first: i64,
    last: i64,
    last_duration: i64,
    /// Whether a packet begins elsewhere than where the one before it ended.
    gaps: bool,
    /// Whether a packet begins before the one before it did.
    back: bool,
    lines: Lines,
}

impl FrameCrc {
    /// Takes what comes next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(bytes, |line| self.read(line));
        self.lines = lines;
    }

    fn read(&mut self, line: &str) {
        if let Some(header) = line.strip_prefix('#') {
            let Some((name, value)) = header.split_once(": ") else { return };
            match name {
                "codec_id 0" => value.clone_into(&mut self.codec),
                "sample_rate 0" => self.sample_rate = value.parse().unwrap_or(0),
                "tb 0" => self.time_base = ratio(value).unwrap_or(0.0),
                _ => {}
            }
            return;
        }
        // stream, dts, pts, duration, size, checksum, …
        let mut fields = line.split(',').map(str::trim).skip(2);
        let mut field = || fields.next()?.parse::<i64>().ok();
        let (Some(pts), Some(duration), Some(size)) = (field(), field(), field()) else { return };
        let duration = signed(duration);
        if self.packets == 0 {
            self.first = pts;
        } else if self.last.checked_add(self.last_duration) != Some(pts) {
            self.gaps = true;
        }
        self.back |= self.packets > 0 && pts < self.last;
        (self.last, self.last_duration) = (pts, duration);
        self.packets += 1;
        self.bytes = self.bytes.saturating_add_signed(size.max(0));
        self.duration = self.duration.saturating_add(duration);
    }

    /// The packets' presentation times in samples of `rate` Hz, from the first one's beginning to the
    /// last one's end, if they follow one another.
    pub(crate) fn samples(&self, rate: u32) -> Option<Range<i64>> {
        let samples = |units: i64| {
            #[expect(clippy::cast_precision_loss, reason = "2^53 samples are thousands of years")]
            let samples = units as f64 * self.time_base * f64::from(rate);
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            ((samples - samples.round()).abs() < 0.01).then_some(samples.round() as i64)
        };
        if self.gaps || self.packets == 0 {
            return None;
        }
        Some(samples(self.first)?..samples(self.last.checked_add(self.last_duration)?)?)
    }

    /// Whether a packet begins elsewhere than where the one before it ended.
    pub(crate) fn gaps(&self) -> bool {
        self.gaps
    }

    /// How long all packets are together, in seconds: by their durations, or from the first to the
    /// last if they do not tell.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub(crate) fn seconds(&self) -> f64 {
        let units = match self.duration {
            0 => self.last.saturating_sub(self.first) as f64,
            duration => duration as f64,
        };
        units.max(0.0) * self.time_base
    }

    /// How much sound the container says there is, in seconds: from the time 0, or the first packet's
    /// if that is later, to the last packet's end. Nothing where that is not told, or times go back.
    #[expect(clippy::cast_precision_loss, reason = "2^53 samples are thousands of years")]
    pub(crate) fn sound(&self) -> Option<f64> {
        let told =
            self.packets > 0 && self.last_duration != 0 && !self.back && self.time_base > 0.0;
        let end = self.last.saturating_add(self.last_duration);
        let units = end.saturating_sub(self.first.max(0));
        told.then_some(units.max(0) as f64 * self.time_base)
    }
}

/// A packet at the end of a stream may take less than nothing, where more than itself is cut off
/// (`granulepos` of the last page, RFC 3533 §6). The muxer writes that as a 32 bit number without
/// its sign.
fn signed(duration: i64) -> i64 {
    u32::try_from(duration).map_or(duration, |it| it.cast_signed().into())
}

fn ratio(text: &str) -> Option<f64> {
    let (numerator, denominator) = text.split_once('/')?;
    let (numerator, denominator) =
        (numerator.parse::<f64>().ok()?, denominator.parse::<f64>().ok()?);
    (denominator > 0.0).then(|| numerator / denominator)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VORBIS: &str = "#extradata 0:     4303, 0xade7fe72\n\
        #software: Lavf61.7.103\n\
        #tb 0: 1/44100\n\
        #media_type 0: audio\n\
        #codec_id 0: vorbis\n\
        #sample_rate 0: 44100\n\
        #channel_layout_name 0: stereo\n\
        0,       -128,       -128,      128,       82, 0x58f12958, S=1,      273\n\
        0,          0,          0,      576,      406, 0xa716d340\n\
        0,        576,        576,     1024,      411, 0x3178d38d\n";

    #[test]
    fn packets_add_up_however_the_stream_is_cut() {
        for cut in [1, 7, 100, 10_000] {
            let mut read = FrameCrc::default();
            for piece in VORBIS.as_bytes().chunks(cut) {
                read.push(piece);
            }
            assert_eq!((read.codec.as_str(), read.sample_rate), ("vorbis", 44_100));
            assert_eq!((read.bytes, read.duration), (82 + 406 + 411, 128 + 576 + 1024));
            assert!((read.seconds() - 1728.0 / 44_100.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_packet_that_takes_less_than_nothing_counts_as_that() {
        let mut read = FrameCrc::default();
        read.push(b"#tb 0: 1/44100\n0, 0, 0, 128, 72, 0x0\n0, 128, 128, 4294967256, 80, 0x0\n");
        assert_eq!(read.duration, 88);
        assert!((read.sound().expect("is told") - 88.0 / 44_100.0).abs() < 1e-9);
        read.push(b"0, 216, 216, 0, 80, 0x0\n");
        assert_eq!(read.sound(), None);
    }

    #[test]
    fn packets_that_follow_one_another_tell_their_samples() {
        let read = |packets: &str| {
            let mut read = FrameCrc::default();
            read.push(b"#tb 0: 1/88200\n");
            read.push(packets.as_bytes());
            read.samples(44_100)
        };
        assert_eq!(
            read("0, -2048, -2048, 2048, 7, 0x0\n0, 0, 0, 1360, 7, 0x0\n"),
            Some(-1024..680)
        );
        assert_eq!(read("0, 0, 0, 2048, 7, 0x0\n0, 2050, 2050, 2048, 7, 0x0\n"), None);
        assert_eq!(read("0, 0, 0, 2047, 7, 0x0\n"), None, "half a sample");
        assert_eq!(read(""), None);
    }
}
