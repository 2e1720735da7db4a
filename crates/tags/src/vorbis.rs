//! Vorbis comments, in whatever they are.

use crate::{
    Result,
    fields::Fields,
    names::{self, NAME_LIMIT},
    source::View,
    text,
};

/// Reads a vendor's name and comments (Vorbis I §5.2.1) from the position `at` to the end, wherever
/// that comes first: where the comments are over or where the bytes are.
pub(crate) fn read(view: &mut View, at: u64, fields: &mut Fields) -> Result<()> {
    let Some(vendor) = view.array(at)?.map(u32::from_le_bytes) else { return Ok(()) };
    let mut at = at + 4 + u64::from(vendor);
    let Some(count) = view.array(at)?.map(u32::from_le_bytes) else { return Ok(()) };
    at += 4;
    for _ in 0..count {
        let Some(length) = view.array(at)?.map(u32::from_le_bytes) else { break };
        let length = u64::from(length);
        // The name first: a picture is skipped.
        let mut comment = view.bytes(at + 4, length.min(NAME_LIMIT as u64 + 1))?;
        if let Some(name) = comment.iter().position(|byte| *byte == b'=')
            && let Some(named) = names::field(&comment[..name])
        {
            let have = comment.len() as u64;
            if length > have {
                comment.extend(view.bytes(at + 4 + have, length - have)?);
            }
            fields.add(named, &text::utf8(&comment[name + 1..]));
        }
        at += 4 + length;
    }
    Ok(())
}
