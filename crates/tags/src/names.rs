//! The names that fields have in formats that name them in words.

use crate::{Field, fields::Named};

/// The longest name that is looked up, in bytes. A longer one is none of ours.
pub(crate) const NAME_LIMIT: usize = 64;

/// Names as Vorbis comments, APE items, `TXXX` frames, freeform items of MP4 and keys of QuickTime
/// have them, in upper case and without anything but letters and digits. Of several names of one
/// field, the first is believed.
const NAMES: &[(&str, Field)] = &[
    ("ALBUM", Field::Album),
    ("ALBUMARTIST", Field::AlbumArtist),
    ("ALBUMARTISTS", Field::AlbumArtist),
    ("ARTIST", Field::Artist),
    ("ARTISTS", Field::Artists),
    ("COMPILATION", Field::Compilation),
    ("COMPOSER", Field::Composer),
    ("DATE", Field::Recorded),
    ("YEAR", Field::Recorded),
    ("CREATIONDATE", Field::Recorded),
    ("DISCTOTAL", Field::DiscTotal),
    ("DISCNUMBER", Field::Disc),
    ("DISC", Field::Disc),
    ("GENRE", Field::Genre),
    ("ORIGINALDATE", Field::Original),
    ("ORIGINALYEAR", Field::Original),
    ("RELEASEDATE", Field::Released),
    ("TITLE", Field::Title),
    ("TOTALDISCS", Field::DiscTotal),
    ("TOTALTRACKS", Field::TrackTotal),
    ("TRACKTOTAL", Field::TrackTotal),
    ("TRACKNUMBER", Field::Track),
    ("TRACK", Field::Track),
];

/// The order of the first name: the formats' own ids come before.
const FIRST: usize = 1000;

/// The field that a name stands for, whatever its case and the signs between its words.
pub(crate) fn field(name: &[u8]) -> Option<Named> {
    if name.len() > NAME_LIMIT {
        return None;
    }
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let plain: Vec<u8> = letters.map(u8::to_ascii_uppercase).collect();
    let index = NAMES.iter().position(|(name, _)| name.as_bytes() == plain)?;
    Some(Named { field: NAMES[index].1, order: FIRST + index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_signs_do_not_matter() {
        for name in ["ALBUMARTIST", "album_artist", "Album Artist", "albumArtist"] {
            let named = field(name.as_bytes()).map(|named| named.field);
            assert_eq!(named, Some(Field::AlbumArtist), "{name}");
        }
        assert!(field(b"ALBUMARTISTSORT").is_none());
        assert!(field(b"").is_none());
    }
}
