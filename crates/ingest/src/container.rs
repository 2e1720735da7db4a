//! Which container a file is in, told from its bytes alone.

use std::io::{self, Read, Seek, SeekFrom};

/// A container that songs may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Container {
    Mp3,
    Adts,
    Mp4,
    Flac,
    Wav,
    W64,
    Aiff,
    Ogg,
}

impl Container {
    /// What [`music::Media::container`] calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "adts",
            Self::Mp4 => "mp4",
            Self::Flac => "flac",
            Self::Wav | Self::W64 => "wav",
            Self::Aiff => "aiff",
            Self::Ogg => "ogg",
        }
    }

    /// What ffmpeg calls the demuxer (`-f`).
    pub(crate) fn demuxer(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
            Self::Mp4 => "mov",
            Self::Flac => "flac",
            Self::Wav => "wav",
            Self::W64 => "w64",
            Self::Aiff => "aiff",
            Self::Ogg => "ogg",
        }
    }
}

/// Where in a file the container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Recognised {
    pub(crate) container: Container,
    /// Bytes before it: tags, padding, or the rest of a frame that something was cut out of.
    pub(crate) offset: u64,
}

/// How far behind tags the first MPEG frame is looked for.
const SEARCHED: usize = 64 * 1024;

/// How many MPEG frames must follow one another. Three headers that agree do not come about in
/// what is not MPEG audio.
const CHAIN: usize = 3;

/// The GUID that Sony Wave64 begins with, and the one of its form.
const W64: [u8; 16] = *b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
const W64_WAVE: [u8; 16] = *b"wave\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";

/// Tells what a file is in; nothing if it is in none of ours.
pub(crate) fn recognise(file: &mut (impl Read + Seek)) -> io::Result<Option<Recognised>> {
    let mut offset = 0;
    // Whoever tags with ID3 puts it in front of whatever the file is, more than once if need be.
    for _ in 0..8 {
        let head = read_at(file, offset, 10)?;
        let Some(length) = id3v2_length(&head) else { break };
        offset += length;
    }
    let head = read_at(file, offset, SEARCHED)?;
    if let Some(container) = by_signature(&head) {
        return Ok(Some(Recognised { container, offset }));
    }
    let frames = (0..head.len()).find_map(|start| Some((start, mpeg_frames(&head[start..])?)));
    Ok(frames.map(|(start, container)| Recognised { container, offset: offset + start as u64 }))
}

fn read_at(file: &mut (impl Read + Seek), offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The length of an `ID3v2` tag with its header and footer (ID3v2.4.0 structure §3.1).
fn id3v2_length(head: &[u8]) -> Option<u64> {
    let header: &[u8; 10] = head.first_chunk()?;
    let [b'I', b'D', b'3', major, minor, flags, size @ ..] = header else { return None };
    if *major == 0xff || *minor == 0xff || size.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    let size = size.iter().fold(0, |size, byte| size << 7 | u64::from(*byte));
    let footer = if flags & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}

fn by_signature(head: &[u8]) -> Option<Container> {
    let at = |offset: usize, text: &[u8]| head.get(offset..offset + text.len()) == Some(text);
    if at(0, b"fLaC") {
        return Some(Container::Flac);
    }
    if at(0, b"OggS\0") {
        return Some(Container::Ogg);
    }
    if at(4, b"ftyp") {
        return Some(Container::Mp4);
    }
    if at(0, b"FORM") && (at(8, b"AIFF") || at(8, b"AIFC")) {
        return Some(Container::Aiff);
    }
    // RF64 and BW64 are RIFF with room for more than 4 GiB (EBU Tech 3306, ITU-R BS.2088).
    if (at(0, b"RIFF") || at(0, b"RF64") || at(0, b"BW64")) && at(8, b"WAVE") {
        return Some(Container::Wav);
    }
    if at(0, &W64) && at(24, &W64_WAVE) {
        return Some(Container::W64);
    }
    None
}

/// What `bytes` are if they begin with MPEG audio frames: [`CHAIN`] of them, or fewer up to the
/// very end.
fn mpeg_frames(bytes: &[u8]) -> Option<Container> {
    let first = MpegHeader::read(bytes)?;
    let mut at = first.length;
    for _ in 1..CHAIN {
        if at == bytes.len() {
            break;
        }
        let next = MpegHeader::read(bytes.get(at..)?)?;
        if next.kind != first.kind {
            return None;
        }
        at += next.length;
    }
    // The last one counted may be cut off, unless it is the only one.
    (at <= bytes.len() || at > first.length).then_some(first.container)
}

struct MpegHeader {
    container: Container,
    /// What frames of one stream have in common: version, layer and sample rate.
    kind: (u8, u8, u8),
    length: usize,
}

impl MpegHeader {
    fn read(bytes: &[u8]) -> Option<Self> {
        let header: [u8; 7] = *bytes.first_chunk()?;
        if header[0] != 0xff || header[1] & 0xe0 != 0xe0 {
            return None;
        }
        if header[1] & 0xf6 == 0xf0 { Self::adts(header) } else { Self::layer_three(header) }
    }

    /// ISO/IEC 14496-3 §1.A.2.2.
    fn adts(header: [u8; 7]) -> Option<Self> {
        let frequency = header[2] >> 2 & 0xf;
        let length = usize::from(header[3] & 3) << 11
            | usize::from(header[4]) << 3
            | usize::from(header[5] >> 5);
        (frequency < 13 && length > 7).then_some(Self {
            container: Container::Adts,
            kind: (header[1] & 8, header[2] >> 6, frequency),
            length,
        })
    }

    /// ISO/IEC 11172-3 §2.4.1.3 and 13818-3; version 2.5 is Fraunhofer's.
    fn layer_three(header: [u8; 7]) -> Option<Self> {
        const V1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
        const V2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
        let (version, layer) = (header[1] >> 3 & 3, header[1] >> 1 & 3);
        let (bitrate, frequency) = (header[2] >> 4, header[2] >> 2 & 3);
        let padding = u32::from(header[2] >> 1 & 1);
        // Layer III is 1; version 1 and frequency 3 are reserved. Free format (bitrate 0) does not
        // tell its length.
        if layer != 1 || version == 1 || frequency == 3 || matches!(bitrate, 0 | 15) {
            return None;
        }
        let base = [44_100, 48_000, 32_000][usize::from(frequency)];
        let (rate, bitrate, slots) = match version {
            3 => (base, V1[usize::from(bitrate)], 144),
            2 => (base / 2, V2[usize::from(bitrate)], 72),
            _ => (base / 4, V2[usize::from(bitrate)], 72),
        };
        let length = slots * bitrate * 1000 / rate + padding;
        Some(Self {
            container: Container::Mp3,
            kind: (version, layer, frequency),
            length: usize::try_from(length).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn told(bytes: &[u8]) -> Option<(Container, u64)> {
        let recognised = recognise(&mut Cursor::new(bytes)).expect("reads");
        recognised.map(|it| (it.container, it.offset))
    }

    /// 128 kb/s at 44.1 kHz: 417 bytes.
    fn mp3_frames(count: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
        frame.resize(417, 0x55);
        frame.repeat(count)
    }

    fn adts_frames(count: usize) -> Vec<u8> {
        let mut frame = vec![0xff, 0xf1, 0x4c, 0x80, 0x02, 0x1f, 0xfc];
        frame.resize(16, 0x55);
        frame.repeat(count)
    }

    fn id3(body: usize) -> Vec<u8> {
        let mut tag = b"ID3\x04\0\0\0\0".to_vec();
        tag.push(u8::try_from(body >> 7).expect("is small"));
        tag.push(u8::try_from(body & 0x7f).expect("is small"));
        tag.resize(10 + body, 0);
        tag
    }

    #[test]
    fn each_container_is_told_by_its_beginning() {
        assert_eq!(told(b"fLaC\0\0\0\x22"), Some((Container::Flac, 0)));
        assert_eq!(told(b"OggS\0\x02"), Some((Container::Ogg, 0)));
        assert_eq!(told(b"\0\0\0\x20ftypM4A "), Some((Container::Mp4, 0)));
        assert_eq!(told(b"FORM\0\0\0\0AIFC"), Some((Container::Aiff, 0)));
        assert_eq!(told(b"RF64\xff\xff\xff\xffWAVEds64"), Some((Container::Wav, 0)));
        assert_eq!(told(&mp3_frames(3)), Some((Container::Mp3, 0)));
        assert_eq!(told(&adts_frames(3)), Some((Container::Adts, 0)));
        let w64 = [&W64[..], &[0; 8], &W64_WAVE].concat();
        assert_eq!(told(&w64), Some((Container::W64, 0)));
    }

    #[test]
    fn id3_tags_say_nothing_of_what_follows_them() {
        for (frames, container) in [
            (mp3_frames(3), Container::Mp3),
            (adts_frames(3), Container::Adts),
            (b"fLaC\0\0\0\x22".to_vec(), Container::Flac),
        ] {
            let tagged = [id3(300), id3(20), frames].concat();
            assert_eq!(told(&tagged), Some((container, 340)));
        }
        assert_eq!(told(&[id3(30), b"only text".to_vec()].concat()), None);
        assert_eq!(told(&id3(3000)[..100]), None);
    }

    #[test]
    fn frames_are_found_behind_junk_and_cut_off_at_the_end() {
        let cut = mp3_frames(4);
        let junk = [b"\xff\xfb\x90 not a frame".to_vec(), cut[..1500].to_vec()].concat();
        assert_eq!(told(&junk), Some((Container::Mp3, 15)));
        assert_eq!(told(&mp3_frames(1)), Some((Container::Mp3, 0)));
        assert_eq!(told(&mp3_frames(1)[..100]), None);
    }

    #[test]
    fn everything_else_is_in_none() {
        for bytes in [
            &b""[..],
            b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"<?xml version=\"1.0\"?><MPD/>",
            b"RIFF\0\0\0\0AVI LIST",
            b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0#B\x86",
            b"\xff\xfb\x90\x00 one header, then text that goes on for a while",
            &vec![0; 100_000],
            &vec![0xff; 100_000],
        ] {
            assert_eq!(told(bytes), None, "{:?}", &bytes[..bytes.len().min(40)]);
        }
    }
}
