//! What of `ingest` and `crud` reads bytes that somebody sent. Taken in by path: as dependencies they
//! would bring a database driver, and be built for minutes.
#![allow(dead_code, unreachable_pub)]

#[path = "../../crates/ingest/src/container.rs"]
mod container;
#[path = "../../crates/ingest/src/framecrc.rs"]
mod framecrc;
#[path = "../../crates/ingest/src/lines.rs"]
mod lines;
#[path = "../../functions/crud/src/routes/uploads/pairs.rs"]
mod pairs_of;
#[path = "../../crates/ingest/src/tags.rs"]
mod tags_of;

use std::io::Cursor;

use music::Patch;

pub use container::Container;

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
    tags_of::parse(&mut Cursor::new(bytes), container).patch
}

/// What a `framecrc` stream says that comes in `pieces`: bytes, units, and seconds.
pub fn framecrc<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (u64, i64, f64) {
    let mut read = framecrc::FrameCrc::default();
    for piece in pieces {
        read.push(piece);
    }
    (read.bytes, read.duration, read.seconds())
}

/// The pairs of an `Upload-Metadata`, if it is one.
#[must_use]
pub fn pairs(header: &str) -> Option<Vec<(&str, Vec<u8>)>> {
    pairs_of::pairs(header).ok()
}
