//! Writes what formats are made of: boxes, chunks, tags, pages. True or false.

/// A box of ISO-BMFF with its size (ISO/IEC 14496-12 §4.2).
pub(super) fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("is small");
    [&size.to_be_bytes()[..], &kind, body].concat()
}

/// A file with the first box under `path` replaced by `box_bytes`, and the sizes of those around it
/// made right.
pub(super) fn replace_box(file: &[u8], path: &[[u8; 4]], new: &[u8]) -> Vec<u8> {
    let Some((kind, inner)) = path.split_first() else { return new.to_vec() };
    let Some((start, size)) = find_box(file, *kind) else { return file.to_vec() };
    let body = &file[start + 8..start + size];
    let replaced = match inner {
        [] => new.to_vec(),
        inner => boxed(*kind, &replace_box(body, inner, new)),
    };
    [&file[..start], &replaced, &file[start + size..]].concat()
}

/// Where the first box of a kind is among those that follow one another, and its size.
pub(super) fn find_box(bytes: &[u8], kind: [u8; 4]) -> Option<(usize, usize)> {
    let mut at = 0;
    loop {
        let size = u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize;
        if size < 8 || at + size > bytes.len() {
            return None;
        }
        if bytes[at + 4..at + 8] == kind {
            return Some((at, size));
        }
        at += size;
    }
}

/// An `ID3v2.4` tag of frames.
pub(super) fn id3(frames: &[u8]) -> Vec<u8> {
    [&b"ID3\x04\0\0"[..], &synchsafe(frames.len()), frames].concat()
}

/// A frame of such a tag.
pub(super) fn id3_frame(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&kind[..], &synchsafe(body.len()), &[0, 0], body].concat()
}

/// Seven bits a byte (ID3v2.4.0 structure §6.2).
pub(super) fn synchsafe(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7f).expect("has 7 bits"))
}

/// A WAV file that claims what it likes.
pub(super) fn wav(
    format: u16,
    channels: u16,
    rate: u32,
    block: u16,
    bits: u16,
    data: u32,
) -> Vec<u8> {
    let mut file = b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\0\0\0".to_vec();
    file.extend(format.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend(rate.wrapping_mul(block.into()).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(data.to_le_bytes());
    file.extend((0..20_000_u32).flat_map(|it| (it.wrapping_mul(977) >> 3).to_le_bytes()));
    file
}

/// An AIFF file that does; its rate is an 80 bit float.
pub(super) fn aiff(channels: u16, frames: u32, bits: u16, rate: [u8; 10]) -> Vec<u8> {
    let mut file = b"FORM\x7f\xff\xff\xffAIFFCOMM\0\0\0\x12".to_vec();
    file.extend(channels.to_be_bytes());
    file.extend(frames.to_be_bytes());
    file.extend(bits.to_be_bytes());
    file.extend(rate);
    file.extend(b"SSND\x7f\xff\xff\xff\0\0\0\0\0\0\0\0");
    file.extend((0..20_000_u32).flat_map(|it| (it.wrapping_mul(977) >> 3).to_be_bytes()));
    file
}

/// A metadata block of FLAC (RFC 9639 §8.1), that says it is `length` bytes long.
pub(super) fn flac_block(kind: u8, length: usize, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(length).expect("is small").to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// A FLAC file with blocks behind its first one.
pub(super) fn flac_with(file: &[u8], blocks: &[u8]) -> Vec<u8> {
    const STREAMINFO_END: usize = 42;
    let mut first = file[..STREAMINFO_END].to_vec();
    first[4] &= 0x7f;
    [&first, blocks, &file[STREAMINFO_END..]].concat()
}
