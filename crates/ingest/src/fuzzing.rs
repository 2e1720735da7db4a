//! What reads bytes that somebody sent, without the files and processes around it: for `fuzz`.

use std::io::Cursor;

use music::Patch;

use crate::{Container, container, framecrc::FrameCrc, tags};

/// Which container `bytes` are in, and how many of them are before it.
#[must_use]
pub fn recognise(bytes: &[u8]) -> Option<(Container, u64)> {
    // Memory does not fail to be read.
    let recognised = container::recognise(&mut Cursor::new(bytes)).ok().flatten()?;
    Some((recognised.container, recognised.offset))
}

/// What the tags of `bytes` say, taken for being in `container`.
#[must_use]
pub fn tags(bytes: &[u8], container: Container) -> Patch {
    tags::parse(Cursor::new(bytes), container).map(|tags| tags.patch).unwrap_or_default()
}

/// What a `framecrc` stream says that comes in `pieces`: bytes, units, and seconds.
pub fn framecrc<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (u64, u64, f64) {
    let mut read = FrameCrc::default();
    for piece in pieces {
        read.push(piece);
    }
    (read.bytes, read.duration, read.seconds())
}
