//! APE tags, versions 1 and 2.

use crate::{
    Result,
    fields::Fields,
    names::{self, NAME_LIMIT},
    source::Source,
    text,
};

/// How long the footer is, and the header of version 2.
const FOOTER: u64 = 32;

/// Reads the tag that ends at `end`; returns where it begins, or `None` if none ends there.
pub(crate) fn read(source: &mut Source, end: u64, fields: &mut Fields) -> Result<Option<u64>> {
    let Some(items_end) = end.checked_sub(FOOTER) else { return Ok(None) };
    let Some(footer) = source.array::<32>(items_end)? else { return Ok(None) };
    let Some(footer) = footer.strip_prefix(b"APETAGEX") else { return Ok(None) };
    let word = |at: usize| footer.get(at..at + 4).and_then(le).unwrap_or(0);
    // The size counts the items and the footer, the flag tells of a header before them.
    let (size, count, flags) = (u64::from(word(4)), word(8), word(12));
    let is_header = flags & 1 << 29 != 0;
    let start = end.checked_sub(size).filter(|_| size >= FOOTER && !is_header);
    let Some(start) = start else { return Ok(Some(items_end)) };
    read_items(source, start, items_end, count, fields)?;
    let header = if flags & 1 << 31 == 0 { 0 } else { FOOTER };
    Ok(Some(start.saturating_sub(header)))
}

fn read_items(
    source: &mut Source,
    start: u64,
    end: u64,
    count: u32,
    fields: &mut Fields,
) -> Result<()> {
    let mut at = start;
    for _ in 0..count {
        if at + 8 > end {
            break;
        }
        let Some(head) = source.array::<8>(at)? else { break };
        let (size, flags) = (le(&head[..4]).unwrap_or(0), le(&head[4..]).unwrap_or(0));
        // A key has at most 255 bytes.
        let key = source.bytes(at + 8, (end - at - 8).min(256))?;
        let Some(length) = key.iter().position(|byte| *byte == 0) else { break };
        let value = at + 8 + length as u64 + 1;
        let key = &key[..length];
        // These bits are 0 for text.
        if flags & 0b110 == 0
            && length <= NAME_LIMIT
            && let Some(named) = names::field(key)
        {
            let bytes = source.bytes(value, u64::from(size).min(end.saturating_sub(value)))?;
            fields.add(named, &text::latin1(&bytes));
        }
        at = value + u64::from(size);
    }
    Ok(())
}

fn le(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.first_chunk()?))
}
