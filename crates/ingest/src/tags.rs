//! Turns the tags of a file into a description of the song. Tags are never a reason to refuse a
//! file.

use std::{fs::File, path::Path};

use music::{Change, Name, Patch};
use tags::{Field, Format, Limits, ReadSeek};

use crate::Container;

/// What tags told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tags {
    pub(crate) patch: Patch,
    /// Bits per sample, where the container tells.
    pub(crate) bits: Option<u8>,
}

/// Reads the tags of a file; none if it cannot be opened. This takes as much reading as [`Limits`]
/// allow at most, so that it ends soon even if the request that asked for it has ended.
pub(crate) fn read(path: &Path, container: Container) -> Tags {
    match File::open(path) {
        Ok(mut file) => parse(&mut file, container),
        Err(error) => {
            tracing::debug!(%error, "a file cannot be opened for its tags");
            Tags::default()
        }
    }
}

/// Reads the tags of a file that is in `container`, or calls itself so.
pub(crate) fn parse(file: &mut dyn ReadSeek, container: Container) -> Tags {
    let tags = ::tags::read(file, format(container), &Limits::default());
    if let Some(reason) = tags.stopped() {
        tracing::debug!(%reason, "not all tags were read");
    }
    Tags { patch: patch(&tags), bits: tags.bits() }
}

fn format(container: Container) -> Format {
    match container {
        Container::Mp3 | Container::Adts => Format::Mpeg,
        Container::Mp4 => Format::Mp4,
        Container::Flac => Format::Flac,
        Container::Ogg => Format::Ogg,
        Container::Wav => Format::Wav,
        Container::W64 => Format::W64,
        Container::Aiff => Format::Aiff,
    }
}

fn patch(tags: &tags::Tags) -> Patch {
    let text = |text: Option<&str>| Change::from(text.and_then(Name::lossy));
    let number = |number: Option<u32>| Change::from(number.and_then(|it| u16::try_from(it).ok()));
    Patch {
        name: text(tags.first(Field::Title)),
        author: text(author(tags).as_deref()),
        album: text(tags.first(Field::Album)),
        album_artist: text(joined(tags.all(Field::AlbumArtist)).as_deref()),
        track: number(tags.track().number),
        disc: number(tags.disc().number),
        year: Change::from(tags.year()),
        genre: text(tags.first(Field::Genre)),
    }
}

/// The artists as one text. [`tags::Tags::artists`] has them one by one.
fn author(tags: &tags::Tags) -> Option<String> {
    joined(tags.credit())
}

fn joined(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}
