//! What is before and behind MPEG audio frames.

use crate::{
    Result, ape,
    fields::{Found, Rank},
    id3v1, id3v2,
    source::Source,
};

/// How many tags at the end are looked through. Real files have at most three.
const TRAILERS: usize = 16;

/// Reads the `ID3v2` tags that the file begins with; returns where what follows them begins.
pub(crate) fn leading(source: &mut Source, found: &mut Found, rank: Rank) -> Result<u64> {
    let mut at = 0;
    while let Some(tag) = found.tag(rank, |fields| id3v2::read(source, at, u64::MAX, fields))? {
        // A tag at the front may say how far behind it another one is (ID3v2.4.0 frames §4.29).
        if let Some(seek) = tag.seek {
            let behind = tag.end.saturating_add(seek.into());
            found.tag(rank, |fields| id3v2::read(source, behind, u64::MAX, fields))?;
        }
        at = tag.end;
    }
    Ok(at)
}

/// Reads the tags that the file ends with, which begin behind `front`, in whatever order they are.
pub(crate) fn trailing(source: &mut Source, found: &mut Found, front: u64) -> Result<()> {
    let mut end = source.length();
    for _ in 0..TRAILERS {
        let Some(start) = trailer(source, found, end)?.filter(|start| *start >= front) else {
            break;
        };
        end = start;
    }
    Ok(())
}

/// Reads the tag that ends at `end`; returns where it begins.
fn trailer(source: &mut Source, found: &mut Found, end: u64) -> Result<Option<u64>> {
    if let Some(start) = end.checked_sub(id3v1::LENGTH)
        && let Some(tag) = source.array(start)?
        && found.tag(Rank::Cut, |fields| Ok(id3v1::read(&tag, fields)))?
    {
        return Ok(Some(start));
    }
    if let Some(start) = found.tag(Rank::Foreign, |fields| ape::read(source, end, fields))? {
        return Ok(Some(start));
    }
    if let Some(start) = lyrics3(source, end)? {
        return Ok(Some(start));
    }
    let Some(start) = id3v2::before(source, end)? else { return Ok(None) };
    found.tag(Rank::Own, |fields| id3v2::read(source, start, end, fields))?;
    Ok(Some(start))
}

/// Where the `Lyrics3` v2 tag begins that ends at `end`: it ends with six digits, which are its
/// length without them and the signature, and the signature. Version 1 has no length: it begins at
/// most 5,100 bytes before.
fn lyrics3(source: &mut Source, end: u64) -> Result<Option<u64>> {
    let Some(at) = end.checked_sub(15) else { return Ok(None) };
    let Some(tail) = source.array::<15>(at)? else { return Ok(None) };
    if let Some(digits) = tail.strip_suffix(b"LYRICS200") {
        let length = std::str::from_utf8(digits).ok().and_then(|it| it.parse::<u64>().ok());
        return Ok(length.and_then(|length| at.checked_sub(length)));
    }
    if !tail.ends_with(b"LYRICSEND") {
        return Ok(None);
    }
    let begin = end.saturating_sub(5_120);
    let bytes = source.bytes(begin, end - begin)?;
    let start = bytes.windows(11).rposition(|it| it == b"LYRICSBEGIN");
    Ok(start.map(|start| begin + start as u64))
}
