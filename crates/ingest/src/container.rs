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

/// How far behind a tag the sound is looked for: some writers count a tag's padding, or the picture
/// in it, other than they wrote it.
const SEARCHED_BEHIND_TAG: u64 = 16 << 20;

/// How far without a tag.
const SEARCHED: u64 = 64 * 1024;

/// How much of a file is held while frames are looked for in it, and how much of that is only looked
/// ahead into: more than [`CHAIN`] frames, of which ADTS has the longest.
const WINDOW: usize = 128 * 1024;
const AHEAD: usize = 32 * 1024;

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
    let head = read_at(file, offset, 64)?;
    if let Some(container) = by_signature(&head) {
        return Ok(Some(Recognised { container, offset }));
    }
    if is_mp4(file, offset)? {
        return Ok(Some(Recognised { container: Container::Mp4, offset }));
    }
    let searched = if offset > 0 { SEARCHED_BEHIND_TAG } else { SEARCHED };
    search(file, offset, offset + searched)
}

/// Looks for the first MPEG frames between two places, and, behind zeros, for what else may follow a
/// tag.
fn search(file: &mut (impl Read + Seek), from: u64, to: u64) -> io::Result<Option<Recognised>> {
    let (mut at, mut zeros) = (from, true);
    while at < to {
        let window = read_at(file, at, WINDOW)?;
        let ended = window.len() < WINDOW;
        let own = if ended { window.len() } else { WINDOW - AHEAD };
        if let Some(padding) = window[..own].iter().position(|byte| *byte != 0).filter(|_| zeros) {
            zeros = false;
            let offset = at + padding as u64;
            if let Some(container) = by_signature(&window[padding..]) {
                return Ok(Some(Recognised { container, offset }));
            }
        }
        let starts = (0..own).filter(|start| window[*start] == 0xff);
        let found = starts
            .into_iter()
            .find_map(|start| Some((start, mpeg_frames(&window[start..], ended)?)));
        if let Some((start, container)) = found {
            let offset = at + start as u64;
            return Ok((offset < to).then_some(Recognised { container, offset }));
        }
        if ended {
            break;
        }
        at += own as u64;
    }
    Ok(None)
}

/// Where the last MPEG frame ends in a file whose first begins at `offset`. What is behind it is
/// tags, or nothing that is sound.
///
/// Behind damage, [`CHAIN`] frames must follow one another to count.
pub(crate) fn frames_end(file: &mut (impl Read + Seek), offset: u64) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let (mut end, mut at, mut kind) = (offset, offset, None);
    let mut window = Vec::new();
    let mut begin = offset;
    let mut searching = false;
    while at < length {
        let ended = begin + window.len() as u64 >= length;
        let place = usize::try_from(at - begin).unwrap_or(usize::MAX);
        if window.len() < place.saturating_add(AHEAD) && !(ended && place < window.len()) {
            begin = at;
            window = read_at(file, begin, WINDOW)?;
            continue;
        }
        let bytes = &window[place..];
        let found = if searching {
            (bytes[0] == 0xff && chain(bytes, false).is_some()).then(|| MpegHeader::read(bytes))
        } else {
            Some(MpegHeader::read(bytes).filter(|header| kind.is_none_or(|it| it == header.kind)))
        };
        if let Some(header) = found.flatten() {
            (searching, kind) = (false, Some(header.kind));
            at += header.length as u64;
            end = at.min(length);
        } else if searching {
            at += 1;
        } else {
            searching = true;
        }
    }
    Ok(end)
}

/// Whether what begins at `offset` is ISO-BMFF or `QuickTime` that does not begin with its `ftyp`: a
/// walk over boxes of known types, up to a `ftyp` or to a `moov` with its header first.
fn is_mp4(file: &mut (impl Read + Seek), offset: u64) -> io::Result<bool> {
    /// Files have one or two of these before it.
    const BOXES: usize = 64;
    let length = file.seek(SeekFrom::End(0))?;
    let mut at = offset;
    for _ in 0..BOXES {
        let head = read_at(file, at, 16)?;
        let (Some(size), Some(kind)) = (head.first_chunk(), head.get(4..8)) else { break };
        let size = match (u32::from_be_bytes(*size), head.get(8..).and_then(<[u8]>::first_chunk)) {
            (1, Some(large)) => u64::from_be_bytes(*large),
            (size, _) => size.into(),
        };
        let known = matches!(
            kind,
            b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot" | b"PICT" | b"uuid"
        );
        // A size of 0 is the rest of the file.
        let Some(next) = at.checked_add(size).filter(|next| size >= 8 && *next <= length) else {
            break;
        };
        match kind {
            b"ftyp" => return Ok(true),
            b"moov" => {
                let first = read_at(file, at + 12, 4)?;
                return Ok([&b"mvhd"[..], b"cmov"].contains(&first.as_slice()));
            }
            _ if known => at = next,
            _ => break,
        }
    }
    Ok(false)
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
/// very end if the file `ended` with them.
fn mpeg_frames(bytes: &[u8], ended: bool) -> Option<Container> {
    let (first, at) = chain(bytes, ended)?;
    // The last one counted may be cut off, unless it is the only one.
    (at <= bytes.len() || at > first.length).then_some(first.container)
}

/// The first of such frames, and where the last one counted ends.
fn chain(bytes: &[u8], ended: bool) -> Option<(MpegHeader, usize)> {
    let first = MpegHeader::read(bytes)?;
    let mut at = first.length;
    for _ in 1..CHAIN {
        if ended && at == bytes.len() {
            break;
        }
        let next = MpegHeader::read(bytes.get(at..)?)?;
        if next.kind != first.kind {
            return None;
        }
        at += next.length;
    }
    Some((first, at))
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
    fn sound_is_found_behind_padding_that_its_tag_does_not_count() {
        for (sound, container) in [
            (mp3_frames(4), Container::Mp3),
            (adts_frames(4), Container::Adts),
            (b"fLaC\0\0\0\x22".to_vec(), Container::Flac),
        ] {
            for padding in [1, 100_000, 3_000_000] {
                let bytes = [id3(40), vec![0; padding], sound.clone()].concat();
                assert_eq!(told(&bytes), Some((container, 50 + padding as u64)));
            }
        }
        let picture = b"\xff\xd8\xff\xe0 picture".repeat(30_000);
        let bytes = [id3(40), picture.clone(), mp3_frames(4)].concat();
        assert_eq!(told(&bytes), Some((Container::Mp3, 50 + picture.len() as u64)));
        let beyond = [id3(40), vec![0; 17 << 20], mp3_frames(4)].concat();
        assert_eq!(told(&beyond), None);
    }

    fn boxed(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).expect("is small").to_be_bytes();
        [&size[..], kind, body].concat()
    }

    #[test]
    fn mp4_is_told_by_its_boxes_whichever_is_first() {
        let moov = boxed(b"moov", &boxed(b"mvhd", &[0; 100]));
        let ftyp = boxed(b"ftyp", b"M4A \0\0\0\0");
        let large = [&1_u32.to_be_bytes()[..], b"mdat", &24_u64.to_be_bytes(), &[7; 8]].concat();
        for boxes in [
            vec![moov.clone()],
            vec![boxed(b"free", &[0; 8]), ftyp.clone()],
            vec![boxed(b"skip", b""), boxed(b"mdat", &[7; 300]), moov.clone()],
            vec![boxed(b"wide", b""), boxed(b"mdat", &[7; 300]), moov.clone()],
            vec![boxed(b"wide", b""), large, moov.clone()],
        ] {
            assert_eq!(told(&boxes.concat()), Some((Container::Mp4, 0)));
        }
        let to_the_end = [&[0; 4][..], b"mdat", &moov].concat();
        for bytes in [
            [boxed(b"free", b""), boxed(b"mdat", &[7; 300])].concat(),
            [boxed(b"free", b""), boxed(b"text", b"")].concat(),
            boxed(b"moov", &boxed(b"text", &[0; 100])),
            boxed(b"mdat", &[7; 300])[..200].to_vec(),
            [boxed(b"mdat", b"")[..7].to_vec(), moov].concat(),
            boxed(b"free", b"").repeat(100_000),
            to_the_end,
        ] {
            assert_eq!(told(&bytes), None, "{:?}", &bytes[..bytes.len().min(40)]);
        }
    }

    #[test]
    fn frames_end_where_the_last_one_does() {
        let end = |bytes: &[u8]| frames_end(&mut Cursor::new(bytes), 0).expect("reads");
        let mut noise = vec![0; 300_000];
        let mut seed = 1_u32;
        for byte in &mut noise {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = seed.to_be_bytes()[0];
        }
        for frames in [mp3_frames(900), adts_frames(20_000)] {
            let whole = frames.len() as u64;
            assert_eq!(end(&frames), whole);
            assert_eq!(end(&frames[..frames.len() - 5]), whole - 5, "a frame that is cut off");
            let (zeros, ones) = (vec![0; 100_000], vec![0xff; 70_000]);
            for tail in [&b"TAG"[..], b"APETAGEX", &zeros, &ones, &noise] {
                assert_eq!(end(&[&frames[..], tail].concat()), whole);
            }
            let damaged = [&frames[..], &noise, &frames, b"TAG"].concat();
            assert_eq!(end(&damaged), 2 * whole + noise.len() as u64);
        }
        let changes = [mp3_frames(10), adts_frames(10)].concat();
        assert_eq!(end(&changes), changes.len() as u64);
        assert_eq!(end(b""), 0);
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
