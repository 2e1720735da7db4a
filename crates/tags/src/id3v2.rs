//! `ID3v2`, versions 2.2 to 2.4.
//!
//! Frames follow one another without anything that marks where one begins, so that one wrong size
//! would cost all that follow. Wherever a frame's size does not lead to another frame, to padding or
//! to the end of the tag, the next frame is searched for by its id.

use flate2::{Decompress, FlushDecompress, Status};

use crate::{
    Field, Result,
    fields::{Fields, Named},
    names, small,
    source::{ITEM_LIMIT, Source, View},
    text::{self, Endian},
};

/// Frames that hold text: their ids in 2.3 and 2.4, their ids in 2.2, and the field. A frame counts
/// in each version, because programs write `TDRC` into 2.3 and `TYER` into 2.4 (navidrome#63).
const TEXT: &[(&[u8; 4], &[u8; 3], Field)] = &[
    (b"TALB", b"TAL", Field::Album),
    (b"TCMP", b"TCP", Field::Compilation),
    (b"TCOM", b"TCM", Field::Composer),
    (b"TCON", b"TCO", Field::Genre),
    (b"TDOR", b"TOR", Field::Original),
    (b"TDRC", b"TYE", Field::Recorded),
    (b"TDRL", b"TDR", Field::Released),
    (b"TIT2", b"TT2", Field::Title),
    (b"TORY", b"TOR", Field::Original),
    (b"TPE1", b"TP1", Field::Artist),
    (b"TPE2", b"TP2", Field::AlbumArtist),
    (b"TPOS", b"TPA", Field::Disc),
    (b"TRCK", b"TRK", Field::Track),
    (b"TYER", b"TYE", Field::Recorded),
];

/// The ids by which a frame is found behind a damaged one: those of the standards, of iTunes and of
/// the usual extensions.
#[rustfmt::skip]
const KNOWN: [&[u8; 4]; 112] = [
    b"AENC", b"APIC", b"ASPI", b"CHAP", b"COMM", b"COMR", b"CTOC", b"ENCR", b"EQU2", b"EQUA",
    b"ETCO", b"GEOB", b"GRID", b"GRP1", b"IPLS", b"LINK", b"MCDI", b"MLLT", b"MVIN", b"MVNM",
    b"NCON", b"OWNE", b"PCNT", b"PCST", b"POPM", b"POSS", b"PRIV", b"RBUF", b"RGAD", b"RVA2",
    b"RVAD", b"RVRB", b"SEEK", b"SIGN", b"SYLT", b"SYTC", b"TALB", b"TBPM", b"TCAT", b"TCMP",
    b"TCOM", b"TCON", b"TCOP", b"TDAT", b"TDEN", b"TDES", b"TDLY", b"TDOR", b"TDRC", b"TDRL",
    b"TDTG", b"TENC", b"TEXT", b"TFLT", b"TGID", b"TIME", b"TIPL", b"TIT1", b"TIT2", b"TIT3",
    b"TKEY", b"TKWD", b"TLAN", b"TLEN", b"TMCL", b"TMED", b"TMOO", b"TOAL", b"TOFN", b"TOLY",
    b"TOPE", b"TORY", b"TOWN", b"TPE1", b"TPE2", b"TPE3", b"TPE4", b"TPOS", b"TPRO", b"TPUB",
    b"TRCK", b"TRDA", b"TRSN", b"TRSO", b"TSIZ", b"TSO2", b"TSOA", b"TSOC", b"TSOP", b"TSOT",
    b"TSRC", b"TSSE", b"TSST", b"TXXX", b"TYER", b"UFID", b"USER", b"USLT", b"WCOM", b"WCOP",
    b"WFED", b"WOAF", b"WOAR", b"WOAS", b"WORS", b"WPAY", b"WPUB", b"WXXX", b"XDOR", b"XSOA",
    b"XSOP", b"XSOT",
];

/// The same of version 2.2.
#[rustfmt::skip]
const KNOWN_2_2: [&[u8; 3]; 79] = [
    b"BUF", b"CNT", b"COM", b"CRA", b"CRM", b"EQU", b"ETC", b"GEO", b"GP1", b"IPL", b"LNK", b"MCI",
    b"MLL", b"MVI", b"MVN", b"PCS", b"PIC", b"POP", b"REV", b"RVA", b"SLT", b"STC", b"TAL", b"TBP",
    b"TCM", b"TCO", b"TCP", b"TCR", b"TCT", b"TDA", b"TDR", b"TDS", b"TDY", b"TEN", b"TFT", b"TID",
    b"TIM", b"TKE", b"TKW", b"TLA", b"TLE", b"TMT", b"TOA", b"TOF", b"TOL", b"TOR", b"TOT", b"TP1",
    b"TP2", b"TP3", b"TP4", b"TPA", b"TPB", b"TRC", b"TRD", b"TRK", b"TS2", b"TSA", b"TSC", b"TSI",
    b"TSP", b"TSS", b"TST", b"TT1", b"TT2", b"TT3", b"TXT", b"TXX", b"TYE", b"UFI", b"ULT", b"WAF",
    b"WAR", b"WAS", b"WCM", b"WCP", b"WFD", b"WPB", b"WXX",
];

/// How long the header is, and the footer.
const HEADER: u64 = 10;

/// How many bytes of a `TXXX` frame are read for its description.
const DESCRIPTION_LIMIT: u64 = 256;

/// Where a tag ends, and how far behind its end another tag is, if it says so.
pub(crate) struct Tag {
    pub(crate) end: u64,
    pub(crate) seek: Option<u32>,
}

/// Reads the tag at `at`, which is not read beyond `limit`; `None` if none begins there.
pub(crate) fn read(
    source: &mut Source,
    at: u64,
    limit: u64,
    fields: &mut Fields,
) -> Result<Option<Tag>> {
    let Some(header) = source.array::<10>(at)? else { return Ok(None) };
    let [b'I', b'D', b'3', major, minor, flags, size @ ..] = header else { return Ok(None) };
    let Some(size) = synchsafe(size).filter(|_| major != 0xff && minor != 0xff) else {
        return Ok(None);
    };
    let end = at + HEADER + u64::from(size);
    let version = match major {
        // The bit says that the tag is compressed, by no known method (ID3v2.2 §3.1).
        2 if flags & 0x40 == 0 => Some(Version::Two),
        3 => Some(Version::Three),
        4 => Some(Version::Four),
        _ => None,
    };
    let mut seek = None;
    if let Some(version) = version {
        let unsynchronised = flags & 0x80 != 0;
        let body = at + HEADER;
        // In 2.4 sizes count the bytes as they are in the file, and each frame is decoded alone.
        let view = if unsynchronised && version != Version::Four {
            source.unsynchronised(body, end.min(limit))
        } else {
            source.view(body, end.min(limit))
        };
        let extended = flags & 0x40 != 0 && version != Version::Two;
        let mut frames = Frames { view, version, unsynchronised };
        seek = frames.read(extended, fields)?;
    }
    let footer = if major == 4 && flags & 0x10 != 0 { HEADER } else { 0 };
    Ok(Some(Tag { end: end + footer, seek }))
}

/// Where the tag begins whose footer ends at `end` (ID3v2.4.0 structure §3.4).
pub(crate) fn before(source: &mut Source, end: u64) -> Result<Option<u64>> {
    let Some(at) = end.checked_sub(HEADER) else { return Ok(None) };
    let Some([b'3', b'D', b'I', _, _, _, size @ ..]) = source.array::<10>(at)? else {
        return Ok(None);
    };
    let size = synchsafe(size).map(u64::from);
    Ok(size.and_then(|size| at.checked_sub(size + HEADER)))
}

/// A number of 28 bits, seven in each byte (ID3v2.4.0 structure §6.2).
fn synchsafe(bytes: [u8; 4]) -> Option<u32> {
    if bytes.iter().any(|byte| byte & 0x80 != 0) {
        return None;
    }
    Some(bytes.iter().fold(0, |number, byte| number << 7 | u32::from(*byte)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Two,
    Three,
    Four,
}

/// The header of a frame.
struct Frame {
    /// In 2.2 the last byte is zero.
    id: [u8; 4],
    /// The sizes that it may have, the likelier first.
    sizes: [Option<u64>; 2],
    flags: u8,
    body: u64,
}

/// How likely it is that a frame ends at some place.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum End {
    No,
    Padding,
    Certain,
}

struct Frames<'s, 'f> {
    view: View<'s, 'f>,
    version: Version,
    /// In 2.4: each frame is unsynchronised, whatever its own flag says.
    unsynchronised: bool,
}

impl Frames<'_, '_> {
    fn read(&mut self, extended: bool, fields: &mut Fields) -> Result<Option<u32>> {
        let mut at = if extended { self.behind_extended_header()? } else { 0 };
        let mut seek = None;
        loop {
            let Some(frame) = self.frame(at)? else {
                if self.is_padding(at)? {
                    break;
                }
                let Some(next) = self.search(at)? else { break };
                at = next;
                continue;
            };
            self.view.mark();
            let (size, next) = self.measure(&frame)?;
            if let Some(offset) = self.take(&frame, size, fields)? {
                seek = Some(offset);
            }
            let Some(next) = next else { break };
            at = next;
        }
        Ok(seek)
    }

    /// Where the frames begin behind an extended header. Its size counts itself in 2.4 and not in
    /// 2.3, and programs confuse the two, or set the flag without a header (`SDL_mixer#476`).
    fn behind_extended_header(&mut self) -> Result<u64> {
        let Some(size) = self.view.array::<4>(0)? else { return Ok(0) };
        let (plain, safe) = (Some(u32::from_be_bytes(size)), synchsafe(size));
        let sizes = if self.version == Version::Three { [plain, safe] } else { [safe, plain] };
        let own = if self.version == Version::Three { [4, 0] } else { [0, 4] };
        for size in sizes.into_iter().flatten() {
            for own in own {
                let at = u64::from(size) + own;
                if self.ends(at)? == End::Certain && at < self.view.length() {
                    return Ok(at);
                }
            }
        }
        Ok(self.search(0)?.unwrap_or(self.view.length()))
    }

    /// The header of a frame at `at`; `None` if there is nothing like an id there.
    fn frame(&mut self, at: u64) -> Result<Option<Frame>> {
        let is_id = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        if self.version == Version::Two {
            let Some([a, b, c, size @ ..]) = self.view.array::<6>(at)? else { return Ok(None) };
            let size = size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
            let frame =
                Frame { id: [a, b, c, 0], sizes: [Some(size), None], flags: 0, body: at + 6 };
            return Ok([a, b, c].iter().all(is_id).then_some(frame));
        }
        let Some([a, b, c, d, rest @ ..]) = self.view.array::<10>(at)? else { return Ok(None) };
        let size = [rest[0], rest[1], rest[2], rest[3]];
        let (plain, safe) = (Some(u32::from_be_bytes(size)), synchsafe(size));
        // iTunes writes sizes of 2.3 into 2.4 (node-taglib-sharp#102), others those of 2.4 into 2.3.
        let sizes = if self.version == Version::Three { [plain, safe] } else { [safe, plain] };
        // iTunes converts tags from 2.2 and leaves some ids as they were, with a NUL or a space.
        let is_old = matches!(d, 0 | b' ') && self.version == Version::Three;
        let id = [a, b, c, if is_old { 0 } else { d }];
        let all = id[..if is_old { 3 } else { 4 }].iter().all(is_id);
        let sizes = sizes.map(|size| size.map(u64::from));
        Ok(all.then_some(Frame { id, sizes, flags: rest[5], body: at + HEADER }))
    }

    /// Whether nothing but zeros follows, as far as a header would reach.
    fn is_padding(&mut self, at: u64) -> Result<bool> {
        let bytes = self.view.bytes(at, HEADER)?;
        Ok(bytes.iter().all(|byte| *byte == 0))
    }

    /// Whether a frame may end at `at`.
    fn ends(&mut self, at: u64) -> Result<End> {
        if at == self.view.length() {
            return Ok(End::Certain);
        }
        if at > self.view.length() {
            return Ok(End::No);
        }
        if let Some(frame) = self.frame(at)? {
            let room = self.view.length() - frame.body.min(self.view.length());
            let fits = frame.sizes.iter().flatten().any(|size| *size <= room);
            return Ok(if fits || is_known(frame.id) { End::Certain } else { End::No });
        }
        Ok(if self.is_padding(at)? { End::Padding } else { End::No })
    }

    /// How many bytes the frame has, and where the next one is.
    fn measure(&mut self, frame: &Frame) -> Result<(u64, Option<u64>)> {
        for wanted in [End::Certain, End::Padding] {
            for size in frame.sizes.into_iter().flatten() {
                if self.ends(frame.body + size)? >= wanted {
                    return Ok((size, Some(frame.body + size)));
                }
                // In most frames both readings of a size are the same.
                if frame.sizes[0] == frame.sizes[1] {
                    break;
                }
            }
        }
        let next = self.search(frame.body)?;
        let room = next.unwrap_or(self.view.length()).saturating_sub(frame.body);
        let size = frame.sizes.into_iter().flatten().next().unwrap_or(room);
        Ok((size.min(room), next))
    }

    /// Where the first frame from `from` on is.
    fn search(&mut self, from: u64) -> Result<Option<u64>> {
        let length = if self.version == Version::Two { 3 } else { 4 };
        // The next frame is mostly near.
        let (mut at, mut reach) = (from, 64);
        loop {
            let bytes = self.view.bytes(at, reach)?;
            reach = (reach * 2).min(4096);
            if bytes.len() < length {
                return Ok(None);
            }
            for (index, id) in bytes.windows(length).enumerate() {
                let id = [id[0], id[1], id[2], id.get(3).copied().unwrap_or(0)];
                if !id[0].is_ascii_uppercase() || !is_known(id) {
                    continue;
                }
                let candidate = at + index as u64;
                if let Some(frame) = self.frame(candidate)?
                    && self.is_likely(&frame)?
                {
                    return Ok(Some(candidate));
                }
            }
            at += (bytes.len() - length + 1) as u64;
        }
    }

    /// Whether what has a known id is a frame and not a part of another: its size leads to a good
    /// end, or it is a text with an encoding that fits into the tag.
    fn is_likely(&mut self, frame: &Frame) -> Result<bool> {
        for size in frame.sizes.into_iter().flatten() {
            if self.ends(frame.body + size)? > End::No {
                return Ok(true);
            }
        }
        let room = self.view.length().saturating_sub(frame.body);
        let fits = frame.sizes.iter().flatten().any(|size| *size <= room);
        Ok(frame.id[0] == b'T' && fits && matches!(self.view.array(frame.body)?, Some([0..=3])))
    }

    /// Takes what a frame says; returns the offset of a `SEEK` frame.
    fn take(&mut self, frame: &Frame, size: u64, fields: &mut Fields) -> Result<Option<u32>> {
        match &frame.id {
            b"SEEK" => return Ok(self.view.array(frame.body)?.map(u32::from_be_bytes)),
            b"TXXX" | b"TXX\0" => self.take_user_text(frame, size, fields)?,
            id => {
                let order = TEXT.iter().position(|(new, old, _)| match id {
                    [old_id @ .., 0] => *old == old_id,
                    id => *new == id,
                });
                if let Some(order) = order
                    && let Some(body) = self.body(frame, size)?
                    && let Some((encoding, text)) = split_encoding(&body)
                {
                    fields.add(Named { field: TEXT[order].2, order }, &decode(encoding, text));
                }
            }
        }
        Ok(None)
    }

    /// Takes a text that names its field itself (ID3v2.4.0 frames §4.2.6).
    fn take_user_text(&mut self, frame: &Frame, size: u64, fields: &mut Fields) -> Result<()> {
        let plain = frame.flags == 0 && !self.unsynchronised;
        let head = if plain {
            Some(self.view.bytes(frame.body, size.min(DESCRIPTION_LIMIT))?)
        } else {
            self.body(frame, size)?
        };
        let Some((encoding, text)) = head.as_deref().and_then(split_encoding) else {
            return Ok(());
        };
        let Some((description, _)) = split_nul(encoding, text) else { return Ok(()) };
        let description = decode(encoding, description);
        let Some(named) = names::field(description.trim().as_bytes()) else { return Ok(()) };
        let whole = if plain && size > DESCRIPTION_LIMIT { self.body(frame, size)? } else { head };
        let Some((encoding, text)) = whole.as_deref().and_then(split_encoding) else {
            return Ok(());
        };
        let Some((_, value)) = split_nul(encoding, text) else { return Ok(()) };
        fields.add(named, &decode(encoding, value));
        Ok(())
    }

    /// The bytes of a frame, decoded as its flags say; `None` if that cannot be done.
    fn body(&mut self, frame: &Frame, size: u64) -> Result<Option<Vec<u8>>> {
        let flag = |bit: u8| frame.flags & bit != 0;
        // What is between the header and the body: ID3v2.3 §3.3.1, ID3v2.4.0 structure §4.1.2.
        let (encrypted, compressed, extra) = match self.version {
            Version::Two => (false, false, 0),
            Version::Three => {
                let compressed = flag(0x80);
                (flag(0x40), compressed, if compressed { 4 } else { 0 } + u64::from(flag(0x20)))
            }
            Version::Four => {
                let length = if flag(0x01) { 4 } else { 0 };
                (flag(0x04), flag(0x08), length + u64::from(flag(0x40)))
            }
        };
        if encrypted || size < extra {
            return Ok(None);
        }
        let size = (size - extra).min(ITEM_LIMIT);
        let mut bytes = self.view.bytes(frame.body + extra, size)?;
        if self.version == Version::Four && (flag(0x02) || self.unsynchronised) {
            resynchronise(&mut bytes);
        }
        if compressed {
            return Ok(inflate(&bytes, self.view.source.inflatable()));
        }
        Ok(Some(bytes))
    }
}

fn is_known(id: [u8; 4]) -> bool {
    match id {
        [a, b, c, 0] => KNOWN_2_2.binary_search(&&[a, b, c]).is_ok(),
        id => KNOWN.binary_search(&&id).is_ok(),
    }
}

/// Takes out the zeros that unsynchronisation put behind 0xff.
fn resynchronise(bytes: &mut Vec<u8>) {
    let mut after_ff = false;
    bytes.retain(|byte| {
        let inserted = after_ff && *byte == 0;
        after_ff = *byte == 0xff;
        !inserted
    });
}

/// What zlib data inflates to, as much of it as is left of the limits and whole before a fault;
/// `None` if that is nothing.
fn inflate(bytes: &[u8], left: &mut usize) -> Option<Vec<u8>> {
    let mut inflated = Vec::with_capacity((*left).min(small(ITEM_LIMIT)));
    let mut zlib = Decompress::new(true);
    while inflated.len() < inflated.capacity() {
        let (read, written) = (zlib.total_in(), inflated.len());
        let rest = bytes.get(small(read)..)?;
        let status = zlib.decompress_vec(rest, &mut inflated, FlushDecompress::Sync);
        let stuck = zlib.total_in() == read && inflated.len() == written;
        if stuck || !matches!(status, Ok(Status::Ok)) {
            break;
        }
    }
    *left -= inflated.len();
    (!inflated.is_empty()).then_some(inflated)
}

/// The byte that tells the encoding, and the text behind it. A text without such a byte is taken
/// as Latin-1 or UTF-16 with a byte order mark.
fn split_encoding(body: &[u8]) -> Option<(u8, &[u8])> {
    match body {
        [] => None,
        [0xfe | 0xff, ..] => Some((1, body)),
        [first, ..] if *first >= b' ' => Some((0, body)),
        [encoding, text @ ..] => Some((*encoding, text)),
    }
}

/// Text in the encoding that a frame declares (ID3v2.4.0 structure §4). A byte that declares none
/// is taken for Latin-1, unless there is a byte order mark (lofty-rs#492).
fn decode(encoding: u8, text: &[u8]) -> String {
    let is_marked = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff");
    match encoding {
        1 => text::utf16(text, None),
        2 => text::utf16(text, Some(Endian::Big)),
        3 => text::utf8(text),
        _ if is_marked => text::utf16(text, None),
        _ => text::latin1(text),
    }
}

/// What is before the first NUL, and what is behind it.
fn split_nul(encoding: u8, text: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(encoding, 1 | 2) {
        let (pairs, _) = text.as_chunks::<2>();
        let at = 2 * pairs.iter().position(|pair| *pair == [0, 0])?;
        return Some((&text[..at], &text[at + 2..]));
    }
    let at = text.iter().position(|byte| *byte == 0)?;
    Some((&text[..at], &text[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids_are_in_order() {
        assert!(KNOWN.is_sorted() && KNOWN_2_2.is_sorted());
        for (new, old, _) in TEXT {
            assert!(KNOWN.contains(new), "{new:?}");
            assert!(KNOWN_2_2.contains(old), "{old:?}");
        }
    }
}
