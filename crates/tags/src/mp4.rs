//! MP4 (ISO/IEC 14496-12), with iTunes' metadata.

use crate::{
    Field, Result,
    fields::{Fields, Found, Named, Rank},
    flac,
    names::{self, NAME_LIMIT},
    quicktime,
    source::{ITEM_LIMIT, Source},
    text::{self, Endian},
};

/// The items of iTunes' `ilst`, and what they hold.
const ITEMS: &[(&[u8; 4], Value)] = &[
    (b"aART", Value::Text(Field::AlbumArtist)),
    (b"cpil", Value::Number(Field::Compilation)),
    (b"disk", Value::Pair(Field::Disc, Field::DiscTotal)),
    (b"trkn", Value::Pair(Field::Track, Field::TrackTotal)),
    (b"\xa9ART", Value::Text(Field::Artist)),
    (b"\xa9alb", Value::Text(Field::Album)),
    (b"\xa9day", Value::Text(Field::Recorded)),
    (b"\xa9gen", Value::Text(Field::Genre)),
    (b"gnre", Value::Genre),
    (b"\xa9nam", Value::Text(Field::Title)),
    (b"\xa9wrt", Value::Text(Field::Composer)),
];

#[derive(Debug, Clone, Copy)]
enum Value {
    Text(Field),
    Number(Field),
    /// Two reserved bytes, a number and the number of all, 16 bits each.
    Pair(Field, Field),
    /// The number of an `ID3v1` genre, counted from 1.
    Genre,
}

/// A box: its type, and where its body is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mp4Box {
    pub(crate) kind: [u8; 4],
    pub(crate) body: u64,
    pub(crate) end: u64,
}

/// The box at `at`, cut at `end`; `None` if there is none (ISO/IEC 14496-12 §4.2).
pub(crate) fn box_at(source: &mut Source, at: u64, end: u64) -> Result<Option<Mp4Box>> {
    if end.saturating_sub(at) < 8 {
        return Ok(None);
    }
    let Some([a, b, c, d, kind @ ..]) = source.array::<8>(at)? else { return Ok(None) };
    let (size, header) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (end - at, 8),
        1 => (source.array(at + 8)?.map_or(0, u64::from_be_bytes), 16),
        size => (size.into(), 8),
    };
    let whole = Mp4Box { kind, body: at + header, end: at.saturating_add(size).min(end) };
    Ok((size >= header && whole.body <= whole.end).then_some(whole))
}

/// Calls `visit` for each box from `at` to `end`, until it returns `false`.
pub(crate) fn boxes(
    source: &mut Source,
    mut at: u64,
    end: u64,
    mut visit: impl FnMut(&mut Source, Mp4Box) -> Result<bool>,
) -> Result<()> {
    while let Some(inner) = box_at(source, at, end)? {
        if !visit(source, inner)? {
            break;
        }
        at = inner.end;
    }
    Ok(())
}

pub(crate) fn read(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    let end = source.length();
    boxes(source, start, end, |source, outer| match &outer.kind {
        b"moov" => read_moov(source, found, outer).map(|()| false),
        b"meta" => read_meta(source, found, outer).map(|()| true),
        _ => Ok(true),
    })
}

fn read_moov(source: &mut Source, found: &mut Found, moov: Mp4Box) -> Result<()> {
    // Tags first: a file made to cost may have tracks without end.
    boxes(source, moov.body, moov.end, |source, inner| {
        match &inner.kind {
            b"meta" => read_meta(source, found, inner)?,
            b"udta" => read_user_data(source, found, inner)?,
            _ => {}
        }
        Ok(true)
    })?;
    boxes(source, moov.body, moov.end, |source, inner| {
        if &inner.kind == b"trak" && found.bits.is_none() {
            found.bits = bits(source, inner)?;
        }
        Ok(found.bits.is_none())
    })
}

fn read_user_data(source: &mut Source, found: &mut Found, udta: Mp4Box) -> Result<()> {
    boxes(source, udta.body, udta.end, |source, inner| {
        if &inner.kind == b"meta" {
            read_meta(source, found, inner)?;
        }
        Ok(true)
    })?;
    found.tag(Rank::OwnOld, |fields| quicktime::read_user_data(source, udta, fields))
}

/// Reads a `meta` box, which has a version and flags in MP4 and none in QuickTime.
fn read_meta(source: &mut Source, found: &mut Found, meta: Mp4Box) -> Result<()> {
    let plain = box_at(source, meta.body, meta.end)?.is_some_and(|it| &it.kind == b"hdlr");
    let start = if plain { meta.body } else { meta.body + 4 };
    let mut keys = None;
    boxes(source, start, meta.end, |source, inner| {
        match &inner.kind {
            b"keys" => keys = Some(quicktime::read_keys(source, inner)?),
            b"ilst" => {
                let keys = keys.as_deref().unwrap_or_default();
                found.tag(Rank::Own, |fields| read_items(source, inner, keys, fields))?;
            }
            _ => {}
        }
        Ok(true)
    })
}

/// Reads the items of `ilst`. `keys` names those that have a number for a type.
fn read_items(
    source: &mut Source,
    ilst: Mp4Box,
    keys: &[(u32, Named)],
    fields: &mut Fields,
) -> Result<()> {
    boxes(source, ilst.body, ilst.end, |source, item| {
        let number = u32::from_be_bytes(item.kind);
        let named = if &item.kind == b"----" {
            freeform(source, item)?
        } else {
            keys.iter().find(|(key, _)| *key == number).map(|(_, named)| *named)
        };
        let own = ITEMS.iter().position(|(kind, _)| **kind == item.kind);
        let value = match (named, own) {
            (Some(named), _) => Some((Value::Text(named.field), named.order)),
            (None, Some(order)) => Some((ITEMS[order].1, order)),
            (None, None) => None,
        };
        if let Some((value, order)) = value {
            boxes(source, item.body, item.end, |source, data| {
                if &data.kind == b"data" {
                    read_data(source, data, value, order, fields)?;
                }
                Ok(true)
            })?;
        }
        Ok(true)
    })
}

/// The field that a freeform item names.
fn freeform(source: &mut Source, item: Mp4Box) -> Result<Option<Named>> {
    let mut named = None;
    boxes(source, item.body, item.end, |source, inner| {
        if &inner.kind == b"name" {
            // Behind a version and flags.
            let length = (inner.end - inner.body).saturating_sub(4);
            let name = source.bytes(inner.body + 4, length.min(NAME_LIMIT as u64 + 1))?;
            named = names::field(&name);
        }
        Ok(&inner.kind != b"name")
    })?;
    Ok(named)
}

/// Reads a `data` box: a type of the value, a locale, the value.
fn read_data(
    source: &mut Source,
    data: Mp4Box,
    value: Value,
    order: usize,
    fields: &mut Fields,
) -> Result<()> {
    let named = |field| Named { field, order };
    let Some([_, _, _, kind, _, _, _, _]) = source.array::<8>(data.body)? else { return Ok(()) };
    let length = data.end.saturating_sub(data.body + 8).min(ITEM_LIMIT);
    let bytes = source.bytes(data.body + 8, length)?;
    match value {
        // QuickTime's well-known types: 1 is UTF-8, 2 UTF-16, 21 and 22 are integers.
        Value::Text(field) => match kind {
            2 => fields.add(named(field), &text::utf16(&bytes, Some(Endian::Big))),
            21 | 22 => fields.add_number(named(field), &integer(&bytes).to_string()),
            _ => fields.add(named(field), &text::utf8(&bytes)),
        },
        Value::Number(field) => fields.add_number(named(field), &integer(&bytes).to_string()),
        Value::Pair(number, total) => {
            let at = |at| bytes.get(at..at + 2).map_or(0, integer);
            fields.add_number(named(number), &at(2).to_string());
            fields.add_number(named(total), &at(4).to_string());
        }
        Value::Genre => {
            let number = integer(&bytes).checked_sub(1).map(|number| number.to_string());
            fields.add(named(Field::Genre), &number.unwrap_or_default());
        }
    }
    Ok(())
}

fn integer(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bits per sample of a track, if it is ALAC or FLAC.
fn bits(source: &mut Source, trak: Mp4Box) -> Result<Option<u8>> {
    let mut inside = trak;
    for kind in [b"mdia", b"minf", b"stbl", b"stsd"] {
        let Some(inner) = child(source, inside.body, inside.end, *kind)? else { return Ok(None) };
        inside = inner;
    }
    // Behind a version, flags and a count.
    let Some(entry) = box_at(source, inside.body + 8, inside.end)? else { return Ok(None) };
    let is_alac = &entry.kind == b"alac";
    if !is_alac && &entry.kind != b"fLaC" {
        return Ok(None);
    }
    // Behind the fields of a sample entry, more of them in QuickTime's version 1, is the codec's own
    // box, with a version and flags.
    let version = source.array(entry.body + 8)?.map_or(0, u16::from_be_bytes);
    let fields = if version == 1 { 44 } else { 28 };
    let kind = if is_alac { b"alac" } else { b"dfLa" };
    let Some(own) = child(source, entry.body + fields, entry.end, *kind)? else { return Ok(None) };
    let bits = if is_alac {
        // A frame length of 32 bits and a version come before the bits.
        source.array(own.body + 9)?.map(|[bits]| bits)
    } else {
        source.array(own.body + 8)?.map(|info| flac::bits(&info))
    };
    Ok(bits.filter(|bits| *bits > 0))
}

fn child(source: &mut Source, at: u64, end: u64, kind: [u8; 4]) -> Result<Option<Mp4Box>> {
    let mut found = None;
    boxes(source, at, end, |_, inner| {
        if inner.kind == kind {
            found = Some(inner);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}
