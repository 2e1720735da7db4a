//! The metadata that QuickTime has and MP4 has not: texts in `udta`, and keys with names.

use crate::{
    Field, Result,
    fields::{Fields, Named},
    mp4::{Mp4Box, boxes},
    names::{self, NAME_LIMIT},
    source::Source,
    text::{self, Endian},
};

/// Texts in `udta`, each with a size and a language (QuickTime File Format, "User data atoms").
const TEXT: &[(&[u8; 4], Field)] = &[
    (b"\xa9ART", Field::Artist),
    (b"\xa9alb", Field::Album),
    (b"\xa9com", Field::Composer),
    (b"\xa9day", Field::Recorded),
    (b"\xa9gen", Field::Genre),
    (b"\xa9nam", Field::Title),
    (b"\xa9trk", Field::Track),
    (b"\xa9wrt", Field::Composer),
];

/// Texts of 3GPP in `udta` (3GPP TS 26.244 §8).
const TEXT_3GPP: &[(&[u8; 4], Field)] = &[
    (b"albm", Field::Album),
    (b"auth", Field::Composer),
    (b"gnre", Field::Genre),
    (b"perf", Field::Artist),
    (b"titl", Field::Title),
];

/// How many keys are read.
const KEY_LIMIT: u32 = 1024;

/// Reads the texts that are in `udta` itself.
pub(crate) fn read_user_data(source: &mut Source, udta: Mp4Box, fields: &mut Fields) -> Result<()> {
    boxes(source, udta.body, udta.end, |source, inner| {
        if let Some((_, field)) = TEXT.iter().find(|(kind, _)| **kind == inner.kind) {
            read_text(source, inner, *field, fields)?;
        } else if let Some((_, field)) = TEXT_3GPP.iter().find(|(kind, _)| **kind == inner.kind) {
            // Behind a version, flags and a language. A NUL ends the text.
            let length = (inner.end - inner.body).saturating_sub(6);
            let bytes = source.bytes(inner.body + 6, length)?;
            let text = match &bytes[..] {
                [0xfe, 0xff, ..] => text::utf16(&bytes, Some(Endian::Big)),
                bytes => text::utf8(bytes),
            };
            fields.add(*field, text.split('\0').next().unwrap_or_default());
        }
        Ok(true)
    })
}

/// Reads texts of a size, a language and bytes each. A file may have one for each language: the
/// first is taken.
fn read_text(source: &mut Source, inner: Mp4Box, field: Field, fields: &mut Fields) -> Result<()> {
    let Some([high, low, language @ ..]) = source.array::<4>(inner.body)? else { return Ok(()) };
    let length = u64::from(u16::from_be_bytes([high, low])).min(inner.end - inner.body);
    let bytes = source.bytes(inner.body + 4, length)?;
    // Languages below 0x400 are those of Macintosh, with its encodings.
    let is_macintosh = u16::from_be_bytes(language) < 0x400;
    let text = match &bytes[..] {
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => text::utf16(&bytes, None),
        bytes if is_macintosh => text::mac_roman(bytes),
        bytes => text::utf8(bytes),
    };
    fields.add(field, &text);
    Ok(())
}

/// The keys that name a field, with their numbers from 1 (QuickTime File Format, "Metadata item keys
/// atom").
pub(crate) fn read_keys(source: &mut Source, keys: Mp4Box) -> Result<Vec<(u32, Named)>> {
    let Some(count) = source.array(keys.body + 4)?.map(u32::from_be_bytes) else {
        return Ok(Vec::new());
    };
    let (mut number, mut named) = (0, Vec::new());
    boxes(source, keys.body + 8, keys.end, |source, key| {
        number += 1;
        let length = (key.end - key.body).min(NAME_LIMIT as u64);
        let name = source.bytes(key.body, length)?;
        let name = name.strip_prefix(b"com.apple.quicktime.").unwrap_or(&name);
        named.extend(names::field(name).map(|named| (number, named)));
        Ok(number < count.min(KEY_LIMIT))
    })?;
    Ok(named)
}
