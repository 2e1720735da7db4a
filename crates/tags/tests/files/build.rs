//! Builds files, and reads them while it counts what the reader takes.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use tags::{Field, Format, Limits, Tags};

/// Which version of `ID3v2` a tag is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Two,
    Three,
    Four,
}

pub(crate) const VERSIONS: [Version; 3] = [Version::Two, Version::Three, Version::Four];

pub(crate) fn synchsafe(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7f).unwrap())
}

pub(crate) fn be(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap().to_be_bytes()
}

pub(crate) fn le(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap().to_le_bytes()
}

impl Version {
    /// A frame that says of itself that it has `size` bytes.
    pub(crate) fn frame_sized(self, id: &str, size: usize, flags: u8, body: &[u8]) -> Vec<u8> {
        let header = match self {
            Self::Two => [id.as_bytes(), &be(size)[1..]].concat(),
            Self::Three => [id.as_bytes(), &be(size), &[0, flags]].concat(),
            Self::Four => [id.as_bytes(), &synchsafe(size), &[0, flags]].concat(),
        };
        [&header, body].concat()
    }

    pub(crate) fn frame(self, id: &str, body: &[u8]) -> Vec<u8> {
        self.frame_sized(id, body.len(), 0, body)
    }

    /// A text frame in Latin-1, named as in 2.4.
    pub(crate) fn text(self, id: &str, text: &str) -> Vec<u8> {
        self.frame(self.id(id), &[b"\0", text.as_bytes()].concat())
    }

    /// What this version calls a frame of 2.4.
    pub(crate) fn id(self, id: &str) -> &str {
        if self != Self::Two {
            return id;
        }
        match id {
            "TIT2" => "TT2",
            "TPE1" => "TP1",
            "TPE2" => "TP2",
            "TALB" => "TAL",
            "TCON" => "TCO",
            "TRCK" => "TRK",
            "TDRC" | "TYER" => "TYE",
            "TXXX" => "TXX",
            other => panic!("no id for {other}"),
        }
    }

    pub(crate) fn tag_flagged(self, flags: u8, body: &[u8]) -> Vec<u8> {
        let major = match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
        };
        [b"ID3", &[major, 0, flags][..], &synchsafe(body.len()), body].concat()
    }

    pub(crate) fn tag(self, frames: &[Vec<u8>]) -> Vec<u8> {
        self.tag_flagged(0, &frames.concat())
    }
}

/// Puts a zero behind each 0xff (`ID3v2` unsynchronisation).
pub(crate) fn unsynchronise(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| if *byte == 0xff { vec![0xff, 0] } else { vec![*byte] }).collect()
}

/// Some MPEG frames.
pub(crate) fn mpeg() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x00];
    frame.resize(417, 0x55);
    frame.repeat(3)
}

/// A chunk of RIFF.
pub(crate) fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let pad = vec![0; body.len() % 2];
    [&id[..], &le(body.len()), body, &pad].concat()
}

/// A WAV of some chunks, the first of which is sound.
pub(crate) fn wav(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WAVE".to_vec(), chunk(b"data", &[0; 64]), chunks.concat()].concat();
    chunk(b"RIFF", &body)
}

/// A chunk of AIFF.
pub(crate) fn chunk_be(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let pad = vec![0; body.len() % 2];
    [&id[..], &be(body.len()), body, &pad].concat()
}

pub(crate) fn aiff(chunks: &[Vec<u8>]) -> Vec<u8> {
    chunk_be(b"FORM", &[b"AIFF".to_vec(), chunk_be(b"SSND", &[0; 64]), chunks.concat()].concat())
}

/// A box of MP4.
pub(crate) fn mp4_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&be(8 + body.len()), &kind[..], body].concat()
}

/// An item of `ilst` with values of one type.
pub(crate) fn item(kind: &[u8; 4], code: u8, values: &[&[u8]]) -> Vec<u8> {
    let data = |value: &&[u8]| mp4_box(b"data", &[&[0, 0, 0, code, 0, 0, 0, 0], *value].concat());
    mp4_box(kind, &values.iter().flat_map(data).collect::<Vec<_>>())
}

pub(crate) fn ilst(items: &[Vec<u8>]) -> Vec<u8> {
    let hdlr = mp4_box(b"hdlr", b"\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0");
    let ilst = mp4_box(b"ilst", &items.concat());
    mp4_box(b"udta", &mp4_box(b"meta", &[vec![0; 4], hdlr, ilst].concat()))
}

pub(crate) fn mp4(inside_moov: &[u8]) -> Vec<u8> {
    [mp4_box(b"ftyp", b"M4A \0\0\0\0"), mp4_box(b"moov", inside_moov), mp4_box(b"mdat", &[0; 64])]
        .concat()
}

/// The packet of Vorbis comments, without what comes before it in each format.
pub(crate) fn comments(comments: &[Vec<u8>]) -> Vec<u8> {
    let mut packet = [&le(4)[..], b"mine", &le(comments.len())].concat();
    for comment in comments {
        packet.extend(le(comment.len()));
        packet.extend(comment);
    }
    packet
}

pub(crate) fn flac_block(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &be(body.len())[1..], body].concat()
}

/// A FLAC of 24 bits with some blocks.
pub(crate) fn flac(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut info = vec![0; 34];
    (info[12], info[13]) = (0x01, 0x70);
    let padding = flac_block(0x81, &[0; 16]);
    [b"fLaC".to_vec(), flac_block(0, &info), blocks.concat(), padding].concat()
}

/// The pages of one stream: each packet begins a page.
pub(crate) fn ogg(serial: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        let mut lacing = vec![255; packet.len() / 255];
        lacing.push(u8::try_from(packet.len() % 255).unwrap());
        let mut rest = &packet[..];
        for (page, lacing) in lacing.chunks(255).enumerate() {
            let length = lacing.iter().map(|length| usize::from(*length)).sum();
            let flags = u8::from(page > 0) | if number == 0 { 2 } else { 0 };
            file.extend(b"OggS\0");
            file.push(flags);
            file.extend([0; 8]);
            file.extend(serial.to_le_bytes());
            file.extend([0; 8]);
            file.push(u8::try_from(lacing.len()).unwrap());
            file.extend(lacing);
            file.extend(&rest[..length]);
            rest = &rest[length..];
        }
    }
    file
}

/// An Opus of some comments.
pub(crate) fn opus(list: &[Vec<u8>]) -> Vec<u8> {
    let tags = [b"OpusTags".to_vec(), comments(list)].concat();
    ogg(7, &[b"OpusHead\x01\x02rest of it".to_vec(), tags, vec![0; 100]])
}

pub(crate) fn vorbis(list: &[Vec<u8>]) -> Vec<u8> {
    let tags = [b"\x03vorbis".to_vec(), comments(list), vec![1]].concat();
    ogg(7, &[b"\x01vorbis rest of it".to_vec(), tags, vec![0; 100]])
}

/// The `ID3v1` tag of some texts, cut as it cuts them.
pub(crate) fn id3v1(title: &str, artist: &str, year: &str, genre: u8) -> Vec<u8> {
    let mut tag = b"TAG".to_vec();
    for (text, length) in [(title, 30), (artist, 30), ("", 30), (year, 4), ("", 30)] {
        let mut bytes = text.as_bytes()[..text.len().min(length)].to_vec();
        bytes.resize(length, 0);
        tag.extend(bytes);
    }
    tag.push(genre);
    tag
}

pub(crate) fn ape(items: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in items {
        body.extend([&le(value.len()), &[0; 4], key.as_bytes(), b"\0", value.as_bytes()].concat());
    }
    let side = |flags: u32| {
        let counts = [le(2000), le(body.len() + 32), le(items.len()), flags.to_le_bytes()];
        [&b"APETAGEX"[..], counts.as_flattened(), &[0; 8]].concat()
    };
    [side(0xa000_0000), body.clone(), side(0x8000_0000)].concat()
}

/// A file that counts what is read of it, and fails once so many bytes were.
pub(crate) struct Counted {
    file: Cursor<Vec<u8>>,
    pub(crate) bytes: u64,
    pub(crate) limit: u64,
}

impl Counted {
    pub(crate) fn new(file: Vec<u8>) -> Self {
        Self { file: Cursor::new(file), bytes: 0, limit: u64::MAX }
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes >= self.limit {
            return Err(io::Error::other("the file is gone"));
        }
        let read = self.file.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl Seek for Counted {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

/// Reads a file whole.
pub(crate) fn read(file: &[u8], format: Format) -> Tags {
    let tags = tags::read(&mut Cursor::new(file), format, &Limits::default());
    assert!(tags.stopped().is_none(), "{:?}", tags.stopped());
    tags
}

/// The tags of an MPEG file that begins with `tag`.
pub(crate) fn read_id3(tag: &[u8]) -> Tags {
    read(&[tag, &mpeg()].concat(), Format::Mpeg)
}

pub(crate) fn title(tags: &Tags) -> Option<&str> {
    tags.first(Field::Title)
}
