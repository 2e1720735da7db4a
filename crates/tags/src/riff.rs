//! The chunks of WAV, RF64, BW64 and Wave64.

use crate::{
    Field, Result,
    fields::{Fields, Found, Named, Rank},
    id3v2,
    iff::Chunk,
    source::Source,
    text::{self, Endian},
};

/// The items of a `LIST` of type `INFO`, and of Wave64's summary.
const ITEMS: &[(&[u8; 4], Field)] = &[
    (b"IART", Field::Artist),
    (b"ICRD", Field::Recorded),
    (b"IFRM", Field::TrackTotal),
    (b"IGNR", Field::Genre),
    (b"IMUS", Field::Composer),
    (b"INAM", Field::Title),
    (b"IPRD", Field::Album),
    (b"IPRT", Field::Track),
    (b"ITRK", Field::Track),
];

fn field(id: [u8; 4]) -> Option<Named> {
    let order = ITEMS.iter().position(|(item, _)| item.eq_ignore_ascii_case(&id))?;
    Some(Named { field: ITEMS[order].1, order })
}

pub(crate) fn read(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    let (mut at, mut data_size) = (start + 12, None);
    while let Some(mut chunk) = Chunk::read(source, at, u32::from_le_bytes)? {
        let body = at + 8;
        match &chunk.id {
            // The size of what is larger than 4 GiB (EBU Tech 3306 §3): behind that of the file.
            b"ds64" => data_size = source.array(body + 8)?.map(u64::from_le_bytes),
            b"data" if chunk.size == u32::MAX => {
                let Some(size) = data_size else { break };
                chunk.end = body.saturating_add(size).saturating_add(size % 2);
                chunk.size = 0;
            }
            b"LIST" => read_list(source, found, body, chunk.end)?,
            b"id3 " | b"ID3 " => {
                found.tag(Rank::Own, |fields| id3v2::read(source, body, chunk.end, fields))?;
            }
            _ => {}
        }
        at = chunk.next(source)?;
    }
    Ok(())
}

fn read_list(source: &mut Source, found: &mut Found, start: u64, end: u64) -> Result<()> {
    if source.array(start)? != Some(*b"INFO") {
        return Ok(());
    }
    found.tag(Rank::OwnOld, |fields| {
        let mut at = start + 4;
        while at + 8 <= end
            && let Some(item) = Chunk::read(source, at, u32::from_le_bytes)?
        {
            let body = at + 8;
            if let Some(field) = field(item.id) {
                let bytes = source.bytes(body, item.end.min(end) - body)?;
                // A text ends at its first NUL; what is behind it is what the buffer had.
                let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                fields.add(field, &text::latin1(&bytes[..length]));
            }
            at = item.next(source)?;
        }
        Ok(())
    })
}

/// The GUIDs of Wave64 chunks that hold tags.
const LIST: [u8; 16] = *b"list\x2f\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
const SUMMARY: [u8; 16] = *b"\xbc\x94\x5f\x92\x5a\x52\xd2\x11\x86\xdc\x00\xc0\x4f\x8e\xdb\x8a";

/// Reads Sony Wave64: chunks with a GUID and a size of 64 bits, which counts both.
pub(crate) fn read_w64(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    let mut at = start + 40;
    while let Some(header) = source.array::<24>(at)? {
        let (id, size) = header.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
        let size = size.first_chunk().map_or(0, |size| u64::from_le_bytes(*size));
        if size < 24 {
            break;
        }
        let (body, end) = (at + 24, at.saturating_add(size));
        match *id {
            LIST => read_list(source, found, body, end)?,
            SUMMARY => {
                found.tag(Rank::OwnOld, |fields| read_summary(source, body, end, fields))?;
            }
            _ => {}
        }
        // Chunks are aligned from the beginning of the first.
        at = start.saturating_add((end - start).saturating_add(7) & !7);
    }
    Ok(())
}

/// Items of an id, a size and UTF-16, behind their count.
fn read_summary(source: &mut Source, start: u64, end: u64, fields: &mut Fields) -> Result<()> {
    let mut at = start + 4;
    while at + 8 <= end
        && let Some(item) = Chunk::read(source, at, u32::from_le_bytes)?
    {
        if let Some(field) = field(item.id) {
            let bytes = source.bytes(at + 8, item.end.min(end) - at - 8)?;
            fields.add(field, &text::utf16(&bytes, Some(Endian::Little)));
        }
        at = item.end;
    }
    Ok(())
}
