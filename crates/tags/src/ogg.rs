//! Ogg (RFC 3533): the comments of its first stream of sound.

use crate::{
    Result,
    fields::{Found, Rank},
    flac,
    source::Source,
    vorbis,
};

/// How many streams may begin before the one with the sound.
const STREAMS: usize = 16;

/// How many pieces of a packet are kept in mind. A picture of 64 MiB has a thousand.
const PIECE_LIMIT: usize = 64 * 1024;

/// How streams of sound begin, and how their packet of comments does.
const CODECS: &[(&[u8], &[u8])] = &[
    (b"\x01vorbis", b"\x03vorbis"),
    (b"OpusHead", b"OpusTags"),
    (b"Speex   ", b""),
    (b"\x7fFLAC", b""),
];

pub(crate) fn read(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    let mut at = start;
    for _ in 0..STREAMS {
        let Some(page) = Page::read(source, at)? else { return Ok(()) };
        // After the pages that begin streams there are none of streams not begun.
        if page.flags & FIRST == 0 {
            return Ok(());
        }
        let head = source.bytes(page.body, page.end - page.body)?;
        let codec = CODECS.iter().find(|(signature, _)| head.starts_with(signature));
        if let Some((signature, comments)) = codec {
            let is_flac = signature.ends_with(b"FLAC");
            if is_flac {
                // Behind the signature: versions, a count, `fLaC`, the header of the block.
                let info = head.get(17..).and_then(<[u8]>::first_chunk);
                found.bits = info.map(flac::bits);
            }
            return read_comments(source, found, &page, comments, is_flac);
        }
        at = page.end;
    }
    Ok(())
}

fn read_comments(
    source: &mut Source,
    found: &mut Found,
    first: &Page,
    signature: &[u8],
    is_flac: bool,
) -> Result<()> {
    let mut packet = source.packet(Pieces::second_packet(first));
    let head = packet.bytes(0, 8)?;
    if !head.starts_with(signature) {
        return Ok(());
    }
    // In FLAC the packet is a metadata block with its header (RFC 9639 §10.1).
    let start = if is_flac { 4 } else { signature.len() as u64 };
    if is_flac && head.first().is_none_or(|kind| kind & 0x7f != 4) {
        return Ok(());
    }
    found.tag(Rank::Own, |fields| vorbis::read(&mut packet, start, fields))
}

/// The flag of a page that begins a stream.
const FIRST: u8 = 2;

/// The header of a page.
struct Page {
    flags: u8,
    serial: [u8; 4],
    lacing: Vec<u8>,
    body: u64,
    end: u64,
}

impl Page {
    fn read(source: &mut Source, at: u64) -> Result<Option<Self>> {
        let Some(header) = source.array::<27>(at)? else { return Ok(None) };
        if !header.starts_with(b"OggS\0") {
            return Ok(None);
        }
        let lacing = source.bytes(at + 27, header[26].into())?;
        let body = at + 27 + u64::from(header[26]);
        let length = lacing.iter().map(|length| u64::from(*length)).sum::<u64>();
        let serial = [header[14], header[15], header[16], header[17]];
        Ok(Some(Self { flags: header[5], serial, lacing, body, end: body + length }))
    }
}

/// The pieces that pages cut a packet into, as far as they were looked for.
pub(crate) struct Pieces {
    serial: [u8; 4],
    /// Where the next page is.
    next_page: u64,
    known: Vec<Piece>,
    ended: bool,
}

struct Piece {
    /// Where in the packet it begins, and where in the file.
    logical: u64,
    offset: u64,
    length: u64,
}

impl Pieces {
    /// The second packet of the stream that begins with `first`: the first has that page alone.
    fn second_packet(first: &Page) -> Self {
        Self { serial: first.serial, next_page: first.end, known: Vec::new(), ended: false }
    }

    /// Where in the file the packet's byte `at` is, and how many bytes follow it there.
    pub(crate) fn find(&mut self, source: &mut Source, at: u64) -> Result<Option<(u64, u64)>> {
        loop {
            let end = self.known.last().map_or(0, |last| last.logical + last.length);
            if at < end {
                break;
            }
            if self.ended || self.known.len() >= PIECE_LIMIT {
                return Ok(None);
            }
            self.find_piece(source, end)?;
        }
        let index = self.known.partition_point(|piece| piece.logical <= at).saturating_sub(1);
        let piece = &self.known[index];
        let inside = at - piece.logical;
        Ok(Some((piece.offset + inside, piece.length - inside)))
    }

    /// Looks into the next page. Pages of other streams between are skipped.
    fn find_piece(&mut self, source: &mut Source, logical: u64) -> Result<()> {
        let Some(page) = Page::read(source, self.next_page)? else {
            self.ended = true;
            return Ok(());
        };
        self.next_page = page.end;
        if page.serial != self.serial {
            return Ok(());
        }
        let last = page.lacing.iter().position(|length| *length < 255);
        let segments = last.map_or(page.lacing.len(), |last| last + 1);
        let length = page.lacing[..segments].iter().map(|length| u64::from(*length)).sum();
        self.ended = last.is_some();
        if length > 0 {
            self.known.push(Piece { logical, offset: page.body, length });
        }
        Ok(())
    }
}
