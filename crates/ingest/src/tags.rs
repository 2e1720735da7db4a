//! What a file's tags say of the song, and how many bits its samples have. Never a reason to
//! refuse a file.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

use lofty::{
    config::{GlobalOptions, ParseOptions, apply_global_options},
    file::{AudioFile as _, FileType, TaggedFileExt as _},
    probe::Probe,
    tag::{Accessor as _, ItemKey, Tag},
};
use music::{Change, Name, Patch};

use crate::Container;

/// How much of a file is read for its tags, in bytes. Pictures are skipped, so that only a file
/// made to cost has more.
const READ_LIMIT: u64 = 32 << 20;

/// How large one item may be, in bytes.
const ITEM_LIMIT: usize = 1 << 20;

/// What tags told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tags {
    pub(crate) patch: Patch,
    /// Bits per sample, where the container tells.
    pub(crate) bits: Option<u8>,
}

/// Reads the tags of a file; nothing where they cannot be read.
pub(crate) fn read(path: &Path, container: Container) -> Tags {
    File::open(path)
        .map_err(Into::into)
        .and_then(|file| parse(file, container))
        .inspect_err(|error| tracing::debug!(%error, "tags cannot be read"))
        .unwrap_or_default()
}

/// Reads the tags of what is in a container, or what calls itself so.
pub(crate) fn parse(
    file: impl Read + Seek,
    container: Container,
) -> Result<Tags, Box<dyn std::error::Error>> {
    // The options are the thread's.
    apply_global_options(GlobalOptions::new().allocation_limit(ITEM_LIMIT));
    let reader = BufReader::new(Rationed { file, left: READ_LIMIT });
    // Only these tell bits; of the others, properties may take reading the whole file.
    let properties = matches!(container, Container::Flac | Container::Mp4);
    let options = ParseOptions::new().read_cover_art(false).read_properties(properties);
    let file = match container {
        Container::Ogg => Probe::new(reader).guess_file_type()?,
        Container::Mp3 => Probe::with_file_type(reader, FileType::Mpeg),
        Container::Adts => Probe::with_file_type(reader, FileType::Aac),
        Container::Mp4 => Probe::with_file_type(reader, FileType::Mp4),
        Container::Flac => Probe::with_file_type(reader, FileType::Flac),
        Container::Wav => Probe::with_file_type(reader, FileType::Wav),
        Container::Aiff => Probe::with_file_type(reader, FileType::Aiff),
        Container::W64 => return Ok(Tags::default()),
    }
    .options(options)
    .read()?;
    // The format's own kind of tag speaks last.
    let primary = file.primary_tag();
    let others =
        file.tags().iter().filter(|tag| Some(tag.tag_type()) != primary.map(Tag::tag_type));
    let patch = others.chain(primary).map(patch).fold(Patch::default(), Patch::then);
    Ok(Tags { patch, bits: file.properties().bit_depth().filter(|bits| *bits > 0) })
}

fn patch(tag: &Tag) -> Patch {
    let text = |key: ItemKey| Change::from(tag.get_string(key).and_then(Name::lossy));
    let number = |number: Option<u32>| {
        Change::from(number.and_then(|number| u16::try_from(number).ok()).filter(|it| *it > 0))
    };
    Patch {
        name: text(ItemKey::TrackTitle),
        author: text(ItemKey::TrackArtist),
        album: text(ItemKey::AlbumTitle),
        album_artist: text(ItemKey::AlbumArtist),
        track: number(tag.track()),
        disc: number(tag.disk()),
        year: number(tag.date().map(|date| date.year.into())),
        genre: text(ItemKey::Genre),
        ..Patch::default()
    }
}

/// A file that ends in an error once so many bytes of it were read.
struct Rationed<F> {
    file: F,
    left: u64,
}

impl<F: Read> Read for Rationed<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other("the tags take too much reading"))?;
        Ok(read)
    }
}

impl<F: Seek> Seek for Rationed<F> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
