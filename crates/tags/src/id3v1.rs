//! `ID3v1` and 1.1: 128 bytes at the end of a file.

use crate::{Field, fields::Fields, genre, text};

/// How long the tag is.
pub(crate) const LENGTH: u64 = 128;

/// Reads the tag, unless it is none.
pub(crate) fn read(tag: &[u8; 128], fields: &mut Fields) -> bool {
    let Some(tag) = tag.strip_prefix(b"TAG") else { return false };
    let (texts, year) = (&tag[..90], &tag[90..94]);
    for (bytes, field) in [
        (&texts[..30], Field::Title),
        (&texts[30..60], Field::Artist),
        (&texts[60..90], Field::Album),
        (year, Field::Recorded),
    ] {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        fields.add(field, &text::latin1(&bytes[..end]));
    }
    if let [0, track] = tag[122..124] {
        fields.add_number(Field::Track, &track.to_string());
    }
    if let Some(genre) = genre::by_number(tag[124].into()) {
        fields.add(Field::Genre, genre);
    }
    true
}
