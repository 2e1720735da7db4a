//! The names that fields have in formats that name them in words.

use crate::Field;

/// The longest name that is looked up, in bytes. A longer one is none of ours.
pub(crate) const NAME_LIMIT: usize = 64;

/// Names as Vorbis comments, APE items, `TXXX` frames, freeform items of MP4 and keys of QuickTime
/// have them, in upper case and without anything but letters and digits.
const NAMES: &[(&str, Field)] = &[
    ("ALBUM", Field::Album),
    ("ALBUMARTIST", Field::AlbumArtist),
    ("ALBUMARTISTS", Field::AlbumArtist),
    ("ARTIST", Field::Artist),
    ("ARTISTS", Field::Artists),
    ("COMPILATION", Field::Compilation),
    ("COMPOSER", Field::Composer),
    ("CREATIONDATE", Field::Recorded),
    ("DATE", Field::Recorded),
    ("DISC", Field::Disc),
    ("DISCNUMBER", Field::Disc),
    ("DISCTOTAL", Field::DiscTotal),
    ("GENRE", Field::Genre),
    ("ORIGINALDATE", Field::Original),
    ("ORIGINALYEAR", Field::Original),
    ("RELEASEDATE", Field::Released),
    ("TITLE", Field::Title),
    ("TOTALDISCS", Field::DiscTotal),
    ("TOTALTRACKS", Field::TrackTotal),
    ("TRACK", Field::Track),
    ("TRACKNUMBER", Field::Track),
    ("TRACKTOTAL", Field::TrackTotal),
    ("YEAR", Field::Recorded),
];

/// The field that a name stands for, whatever its case and the signs between its words.
pub(crate) fn field(name: &[u8]) -> Option<Field> {
    if name.len() > NAME_LIMIT {
        return None;
    }
    let letters = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    let plain: Vec<u8> = letters.map(u8::to_ascii_uppercase).collect();
    let (_, field) = NAMES.iter().find(|(name, _)| name.as_bytes() == plain)?;
    Some(*field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_signs_do_not_matter() {
        for name in ["ALBUMARTIST", "album_artist", "Album Artist", "albumArtist"] {
            assert_eq!(field(name.as_bytes()), Some(Field::AlbumArtist), "{name}");
        }
        assert_eq!(field(b"ALBUMARTISTSORT"), None);
        assert_eq!(field(b""), None);
    }
}
