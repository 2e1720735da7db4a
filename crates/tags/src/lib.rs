//! Reads the tags of audio files: `ID3v1`, `ID3v2`, APE, Vorbis comments, the metadata of MP4 and
//! QuickTime, RIFF INFO and the text chunks of AIFF.
//!
//! Any `Read + Seek` goes in, plain values come out. The crate depends on no other crate of Segue.
//!
//! # Why this is not a library
//! Files come from strangers, and the libraries for tags are made for a user's own files. The
//! three properties that Segue needs are the ones that none of them has:
//!
//! - **One fault costs one item.** A frame with text in a bad encoding, a picture that is too
//!   large, a date that does not parse or a wrong size must not cost the other fields
//!   (lofty-rs#458, #492, #613).
//! - **Bounds.** Time is linear in what is read, and [`Limits`] bound the bytes that are read, the
//!   items, the text that is kept and the bytes that are inflated. Items that are not wanted, such
//!   as pictures, are neither read nor inflated: their position and length are known where the
//!   tables of each format turn them away, which is where covers will be taken from.
//! - **Cancellation.** The reader has no state outside of its arguments. It stops at the first
//!   error that the file returns, so that a file that begins to fail ends the work. What was read
//!   before is kept, in this case as in every other.
//!
//! # To add a field
//! Add a variant to [`Field`] and a line to the table of each format that has it: `NAMES` in
//! `names.rs` (Vorbis, APE, `TXXX`, MP4's freeform items and QuickTime's keys), `TEXT` in
//! `id3v2.rs`, `ITEMS` in `mp4.rs`, `ITEMS` in `riff.rs`.
//!
//! # Decisions where files contradict the standards
//! - Text that is declared or defined as Latin-1 is UTF-8 if it is valid UTF-8 with at least one
//!   multibyte sequence, because many programs write that; Latin-1 text practically never looks so.
//!   Otherwise it is Windows-1252, which agrees with Latin-1 in every printable character.
//! - What cannot be decoded becomes U+FFFD. A text with nothing readable left is dropped.
//! - Several artists are several values: NUL-separated in every version of `ID3v2` and in APE,
//!   repeated in the others. A `/` never separates values, because of AC/DC.
//! - Of several tags in one file, the format's own kind has the first word, field by field; others
//!   fill in what it lacks. `ID3v1`, which cuts texts at 30 bytes, comes last.

mod ape;
mod date;
mod fields;
mod flac;
mod genre;
mod id3v1;
mod id3v2;
mod iff;
mod mp4;
mod mpeg;
mod names;
mod ogg;
mod quicktime;
mod riff;
mod source;
mod text;
mod vorbis;

use std::io;

pub use fields::{Field, Position, Tags};
use fields::{Found, Rank};
pub use source::ReadSeek;
use source::Source;

/// What a file is in, as far as it matters for tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MPEG audio frames or ADTS: tags are before and behind them.
    Mpeg,
    /// MP4, M4A and QuickTime.
    Mp4,
    /// FLAC in its own container.
    Flac,
    /// Ogg with Vorbis, Opus, FLAC or Speex.
    Ogg,
    /// WAV, RF64 and BW64.
    Wav,
    /// Sony Wave64.
    W64,
    /// AIFF and AIFF-C.
    Aiff,
}

/// How much reading one file may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that are read from the file. What is skipped does not count.
    pub bytes: u64,
    /// Reads of headers, sizes and texts. An item of a tag takes two or three. A long read counts
    /// once for every 256 bytes.
    pub reads: u64,
    /// Bytes that compressed `ID3v2` frames inflate to, all together.
    pub inflated: usize,
}

impl Default for Limits {
    /// 64 MiB, which is enough for a million items, four million reads, and 1 MiB inflated.
    fn default() -> Self {
        Self { bytes: 64 << 20, reads: 4 << 20, inflated: 1 << 20 }
    }
}

/// Why reading ended before all tags were read.
#[derive(Debug)]
pub enum Stopped {
    /// One of the [`Limits`] was reached.
    Limit,
    /// The file could not be read.
    Io(io::Error),
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Limit => formatter.write_str("the tags take too much reading"),
            Self::Io(_) => formatter.write_str("the file cannot be read"),
        }
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Limit => None,
            Self::Io(error) => Some(error),
        }
    }
}

type Result<T> = std::result::Result<T, Stopped>;

/// Reads the tags of `file`, which is in `format` or calls itself so.
///
/// There is no error: [`Tags::stopped`] tells if and why reading ended early, and the tags are what
/// was read until then.
pub fn read(file: &mut dyn ReadSeek, format: Format, limits: &Limits) -> Tags {
    let mut found = Found::default();
    let stopped = Source::new(file, limits)
        .and_then(|mut source| read_into(&mut source, format, &mut found))
        .err();
    found.finish(stopped)
}

fn read_into(source: &mut Source, format: Format, found: &mut Found) -> Result<()> {
    // Programs put ID3v2 in front of every format.
    let rank = if format == Format::Mpeg { Rank::Own } else { Rank::Foreign };
    let start = mpeg::leading(source, found, rank)?;
    match format {
        Format::Mpeg => mpeg::trailing(source, found, start),
        Format::Mp4 => mp4::read(source, found, start),
        Format::Flac => flac::read(source, found, start),
        Format::Ogg => ogg::read(source, found, start),
        Format::Wav => riff::read(source, found, start),
        Format::W64 => riff::read_w64(source, found, start),
        Format::Aiff => iff::read(source, found, start),
    }
}

/// A length in memory. Lengths above `usize` are cut by the limits anyway.
fn small(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}
