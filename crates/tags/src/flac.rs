//! FLAC in its own container (RFC 9639 §8).

use crate::{
    Result,
    fields::{Found, Rank},
    source::Source,
    vorbis,
};

pub(crate) fn read(source: &mut Source, found: &mut Found, start: u64) -> Result<()> {
    if source.array(start)? != Some(*b"fLaC") {
        return Ok(());
    }
    let mut at = start + 4;
    while let Some([kind, size @ ..]) = source.array::<4>(at)? {
        let size = size.iter().fold(0, |size, byte| size << 8 | u64::from(*byte));
        let body = at + 4;
        match kind & 0x7f {
            0 => found.bits = source.array(body)?.map(|info| bits(&info)),
            4 => found.tag(Rank::Own, |fields| {
                vorbis::read(&mut source.view(body, body + size), 0, fields)
            })?,
            _ => {}
        }
        if kind & 0x80 != 0 {
            break;
        }
        at = body + size;
    }
    Ok(())
}

/// Bits per sample out of the beginning of STREAMINFO (RFC 9639 §8.2).
pub(crate) fn bits(info: &[u8; 14]) -> u8 {
    ((info[12] & 1) << 4 | info[13] >> 4) + 1
}
