//! The chunks of AIFF and AIFF-C.

use crate::{
    Field, Result,
    fields::{Found, Rank},
    id3v2,
    source::Source,
    text,
};

/// The chunks that hold a text.
const TEXT: &[(&[u8; 4], Field)] = &[(b"NAME", Field::Title), (b"AUTH", Field::Artist)];

pub(crate) fn read(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    let mut at = start + 12;
    while let Some(chunk) = Chunk::read(source, at, u32::from_be_bytes)? {
        let body = at + 8;
        if &chunk.id == b"ID3 " || &chunk.id == b"id3 " {
            found.tag(Rank::Own, |fields| id3v2::read(source, body, chunk.end, fields))?;
        } else if let Some((_, field)) = TEXT.iter().find(|(id, _)| **id == chunk.id) {
            found.tag(Rank::OwnOld, |fields| {
                let bytes = source.bytes(body, chunk.end - body)?;
                fields.add(*field, &text::latin1(&bytes));
                Ok(())
            })?;
        }
        at = chunk.next(source)?;
    }
    Ok(())
}

/// A chunk of an IFF file, of which RIFF is one: an id, a size, and that many bytes.
pub(crate) struct Chunk {
    pub(crate) id: [u8; 4],
    pub(crate) size: u32,
    pub(crate) end: u64,
}

impl Chunk {
    pub(crate) fn read(
        source: &mut Source,
        at: u64,
        size: impl FnOnce([u8; 4]) -> u32,
    ) -> Result<Option<Self>> {
        let Some([id @ .., a, b, c, d]) = source.array::<8>(at)? else { return Ok(None) };
        let size = size([a, b, c, d]);
        Ok(Some(Self { id, size, end: at + 8 + u64::from(size) }))
    }

    /// Where the next chunk is. An odd size is followed by a byte that does not count, which some
    /// programs leave out.
    pub(crate) fn next(&self, source: &mut Source) -> Result<u64> {
        if self.size.is_multiple_of(2) {
            return Ok(self.end);
        }
        let is_id = |id: [u8; 4]| id.iter().all(|byte| matches!(byte, b' '..=b'~'));
        let padded = source.array(self.end + 1)?.is_some_and(is_id);
        let unpadded = source.array(self.end)?.is_some_and(is_id);
        Ok(if unpadded && !padded { self.end } else { self.end + 1 })
    }
}
