//! Where and how the samples of uncompressed sound lie in WAV, Wave64 and AIFF.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use crate::Container;

/// How samples lie in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Whether samples are IEEE 754 numbers; integers if not.
    pub(crate) float: bool,
    pub(crate) big_endian: bool,
    /// Bytes that one sample of one channel takes.
    pub(crate) width: u8,
    /// How many bits of them hold sound, the highest ones.
    pub(crate) valid_bits: u8,
    /// Where the samples are in the file, in bytes.
    pub(crate) data: Range<u64>,
}

/// The most chunks that are looked at. Files of sound have a dozen.
const CHUNKS: usize = 1000;

/// `KSDATAFORMAT_SUBTYPE_PCM` and `_IEEE_FLOAT` but for their first two bytes, which are a format tag.
const SUBTYPE: [u8; 14] = *b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71";

/// Reads the layout of what begins at `offset`; nothing where the file does not tell it, or holds
/// neither integers nor floating point.
pub(crate) fn layout(
    file: &mut (impl Read + Seek),
    container: Container,
    offset: u64,
) -> io::Result<Option<Layout>> {
    let length = file.seek(SeekFrom::End(0))?;
    // The length of the form's header, of a chunk's name, of its size, and what chunks align to.
    let (header, name, size, align) = match container {
        Container::Wav | Container::Aiff => (12, 4, 4, 2),
        Container::W64 => (40, 16, 8, 8),
        _ => return Ok(None),
    };
    let mut format = None;
    let mut large = None;
    let mut at = offset.saturating_add(header);
    for _ in 0..CHUNKS {
        let head = read_at(file, at, name + size)?;
        if head.len() < name + size {
            return Ok(None);
        }
        let bytes = match container {
            Container::Wav => little(&head[4..]),
            Container::Aiff => little(&[head[7], head[6], head[5], head[4]]),
            // Of Wave64, the size is that of the header as well.
            _ => little(&head[16..]).saturating_sub(24),
        };
        let begin = at + (name + size) as u64;
        let body = |file: &mut _, most| read_at(file, begin, most);
        match (container, &head[..4]) {
            (Container::Wav, b"ds64") => {
                // EBU Tech 3306: the RIFF's size, then that of `data`.
                large = body(file, 16)?.get(8..16).map(little);
            }
            (Container::Aiff, b"COMM") => format = common(&body(file, 22)?, bytes),
            (Container::Wav | Container::W64, b"fmt ") => format = wave(&body(file, 40)?),
            (Container::Wav | Container::W64, b"data") | (Container::Aiff, b"SSND") => {
                // SSND begins with an offset and a block size.
                let skipped = if container == Container::Aiff { 8 } else { 0 };
                let bytes = match large {
                    Some(large) if bytes == u64::from(u32::MAX) => large,
                    // What a writer that could not seek leaves: it goes on to the end.
                    _ if bytes == 0 => u64::MAX,
                    _ => bytes,
                };
                let end = begin.saturating_add(bytes).min(length);
                let data = begin.saturating_add(skipped).min(end)..end;
                return Ok(format.map(|format: Layout| Layout { data, ..format }));
            }
            _ => {}
        }
        at = begin.saturating_add(bytes.next_multiple_of(align));
    }
    Ok(None)
}

/// WAVEFORMATEX, or WAVEFORMATEXTENSIBLE.
fn wave(format: &[u8]) -> Option<Layout> {
    let field = |at: usize| Some(little(format.get(at..at + 2)?));
    let (tag, channels, block, bits) = (field(0)?, field(2)?, field(12)?, field(14)?);
    let extensible = tag == 0xfffe && format.get(26..40) == Some(&SUBTYPE[..]);
    let (tag, valid) = if extensible { (field(24)?, field(18)?) } else { (tag, bits) };
    let float = match tag {
        1 => false,
        3 => true,
        _ => return None,
    };
    let width = if channels > 0 && block % channels == 0 { block / channels } else { bits / 8 };
    let width = u8::try_from(width).ok().filter(|width| (1..=8).contains(width))?;
    let valid_bits = u8::try_from(valid).ok().filter(|valid| (1..=8 * width).contains(valid));
    let valid_bits = valid_bits.unwrap_or(8 * width);
    Some(Layout { float, big_endian: false, width, valid_bits, data: 0..0 })
}

/// The Common Chunk of AIFF and AIFF-C, which has a compression type behind the 80 bit sample rate.
fn common(chunk: &[u8], bytes: u64) -> Option<Layout> {
    let bits = u8::from_be_bytes([*chunk.get(7)?]);
    let kind = if bytes >= 22 { chunk.get(18..22)? } else { b"NONE" };
    let (float, big_endian, width) = match kind {
        b"NONE" | b"twos" => (false, true, bits.div_ceil(8)),
        b"sowt" => (false, false, bits.div_ceil(8)),
        b"fl32" | b"FL32" => (true, true, 4),
        b"fl64" | b"FL64" => (true, true, 8),
        _ => return None,
    };
    let valid_bits = if float { 8 * width } else { bits };
    (1..=8).contains(&width).then_some(Layout { float, big_endian, width, valid_bits, data: 0..0 })
}

fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn read_at(file: &mut (impl Read + Seek), offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(length);
    file.seek(SeekFrom::Start(offset))?;
    file.take(length as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The header of a WAV of unknown length, of interleaved 32 bit floats.
pub(crate) fn float_header(rate: u32, channels: u16) -> Vec<u8> {
    let frame = 4 * channels;
    let mut header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x03\0".to_vec();
    header.extend(channels.to_le_bytes());
    header.extend(rate.to_le_bytes());
    header.extend(rate.saturating_mul(frame.into()).to_le_bytes());
    header.extend(frame.to_le_bytes());
    header.extend(b"\x20\0data\xff\xff\xff\xff");
    header
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn riff(format: &[u8], size: u32, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(format.len()).expect("is small").to_le_bytes();
        [b"RIFF\0\0\0\0WAVEfmt ", &length[..], format, b"data", &size.to_le_bytes(), data].concat()
    }

    fn read(bytes: &[u8], container: Container) -> Option<Layout> {
        layout(&mut Cursor::new(bytes), container, 0).expect("reads")
    }

    /// Two channels at 44.1 kHz, `width` bytes a sample, of which `valid` bits are sound.
    fn extensible(tag: u8, width: u8, valid: u8) -> Vec<u8> {
        let head = [0xfe, 0xff, 2, 0, 0x44, 0xac, 0, 0, 0, 0, 0, 0, 2 * width, 0, 8 * width, 0];
        [&head[..], &[22, 0, valid, 0, 3, 0, 0, 0, tag, 0], &SUBTYPE].concat()
    }

    #[test]
    fn the_valid_bits_and_the_width_of_wave_samples_are_told() {
        for (tag, width, valid) in [(1, 4, 24), (1, 3, 20), (1, 2, 16), (3, 4, 32)] {
            let layout = read(&riff(&extensible(tag, width, valid), 16, &[0; 20]), Container::Wav);
            let layout = layout.expect("is told");
            assert_eq!((layout.float, layout.width, layout.valid_bits), (tag == 3, width, valid));
            assert_eq!(layout.data, 68..84);
        }
        let absurd = read(&riff(&extensible(1, 4, 200), 0, &[0; 20]), Container::Wav);
        assert_eq!(absurd.map(|it| (it.valid_bits, it.data)), Some((32, 68..88)));
    }

    #[test]
    fn what_is_cut_off_or_compressed_has_no_layout() {
        let whole = riff(&extensible(1, 4, 24), 16, &[0; 16]);
        for length in 0..68 {
            assert_eq!(read(&whole[..length], Container::Wav), None);
        }
        let adpcm = riff(&[2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 4, 0], 4, &[0; 4]);
        assert_eq!(read(&adpcm, Container::Wav), None);
        assert_eq!(read(&whole, Container::Mp3), None);
    }

    #[test]
    fn floats_of_aiff_c_are_big_endian() {
        let common = b"COMM\0\0\0\x18\0\x01\0\0\0\x01\0\x20\x40\x0e\xac\x44\0\0\0\0\0\0FL32\0\0";
        let sound = b"SSND\0\0\0\x0c\0\0\0\0\0\0\0\0\x7f\xc0\0\0";
        let bytes = [&b"FORM\0\0\0\0AIFC"[..], common, sound].concat();
        let layout = read(&bytes, Container::Aiff).expect("is told");
        assert_eq!((layout.float, layout.big_endian, layout.width), (true, true, 4));
        assert_eq!(layout.data, 60..64);
    }
}
