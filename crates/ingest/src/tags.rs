//! Turns the tags of a file into a description of the song. Tags are never a reason to refuse a
//! file.

use std::{fs::File, path::Path};

use music::{ARTIST_LIMIT, Change, Name, Patch};
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
        artists: artists(tags),
    }
}

/// The individual artists, if there are several. A single one is the credit itself.
fn artists(tags: &tags::Tags) -> Change<Vec<Name>> {
    let names: Vec<_> = tags.artists().iter().filter_map(|name| Name::lossy(name)).collect();
    match names.len() {
        0 | 1 => Change::Keep,
        _ => Change::Set(names.into_iter().take(ARTIST_LIMIT).collect()),
    }
}

/// The artists as one text, as the release credits them.
fn author(tags: &tags::Tags) -> Option<String> {
    joined(tags.credit())
}

fn joined(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// An `ID3v2.4` tag of text frames in UTF-8.
    fn parsed(frames: &[(&str, &str)]) -> Patch {
        let mut body = Vec::new();
        for (id, text) in frames {
            let size = u8::try_from(text.len() + 1).expect("is small");
            body.extend([id.as_bytes(), &[0, 0, 0, size, 0, 0, 3], text.as_bytes()].concat());
        }
        let size =
            [body.len() >> 7, body.len() & 0x7f].map(|it| u8::try_from(it).expect("is small"));
        let file = [b"ID3\x04\0\0\0\0", &size[..], &body].concat();
        parse(&mut Cursor::new(file), Container::Mp3).patch
    }

    fn name(text: &str) -> Change<Name> {
        Change::Set(Name::parse(text).expect("is a name"))
    }

    #[test]
    fn every_field_of_the_tags_that_a_description_has_is_in_it() {
        let patch = parsed(&[
            ("TIT2", "Title"),
            ("TPE1", "Alice\0Bob"),
            ("TALB", "Album"),
            ("TPE2", "Band"),
            ("TRCK", "3/12"),
            ("TPOS", "1/2"),
            ("TDRC", "2001-05-04"),
            ("TCON", "17"),
        ]);
        let expected = Patch {
            name: name("Title"),
            author: name("Alice, Bob"),
            artists: Change::Set(
                ["Alice", "Bob"].map(|name| Name::parse(name).expect("is a name")).into(),
            ),
            album: name("Album"),
            album_artist: name("Band"),
            track: Change::Set(3),
            disc: Change::Set(1),
            year: Change::Set(2001),
            genre: name("Rock"),
        };
        assert_eq!(patch, expected);
    }

    #[test]
    fn what_no_description_can_have_is_left_out() {
        let patch = parsed(&[("TIT2", "\u{202e}"), ("TRCK", "70000"), ("TPE1", "AC/DC")]);
        assert_eq!(patch, Patch { author: name("AC/DC"), ..Patch::default() });
    }
}
