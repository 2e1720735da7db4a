//! What people call a song: the texts and numbers that can be given, read from tags, and changed.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How long one text may be, in characters.
pub const FIELD_LIMIT: usize = 500;

/// Why a description was refused. The message names the field or the limit, for whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// A text has nothing left once control characters and outer white space are gone.
    #[error("a text must have at least one visible character")]
    Empty,
    /// A text is longer than [`FIELD_LIMIT`].
    #[error("a text must have at most {FIELD_LIMIT} characters")]
    TooLong,
    /// Neither the request nor the file's tags gave a field that every song has.
    #[error("{0} is missing: give it, or tag the file with it")]
    Missing(&'static str),
}

/// A text fit to be shown and searched: composed (NFC), without control characters, white space
/// single and never at an end, not empty, at most [`FIELD_LIMIT`] characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Reads a text that somebody chose to send, who should hear what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, DescriptionError> {
        // Normalising costs time in proportion to the text, so a hostile one is cut first; no
        // character composes out of more than a handful.
        if text.len() > FIELD_LIMIT * 32 {
            return Err(DescriptionError::TooLong);
        }
        let clean = clean(text);
        match clean.chars().count() {
            0 => Err(DescriptionError::Empty),
            1..=FIELD_LIMIT => Ok(Self(clean)),
            _ => Err(DescriptionError::TooLong),
        }
    }

    /// Reads a text found in a file: cuts what is too long, and is nothing where nothing is left.
    #[must_use]
    pub fn lossy(text: &str) -> Option<Self> {
        let head: String = text.chars().take(FIELD_LIMIT * 2).collect();
        let head: String = clean(&head).chars().take(FIELD_LIMIT).collect();
        let head = head.trim_end();
        (!head.is_empty()).then(|| Self(head.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = DescriptionError;

    fn try_from(text: String) -> Result<Self, DescriptionError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

fn clean(text: &str) -> String {
    // What is invisible goes first: it may be between marks that then have to change places.
    let visible: String = text
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .filter(|character| !is_invisible(*character))
        .nfc()
        .collect();
    visible.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Control characters, and the format characters that turn the direction of text around them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// The descriptive fields of a song. Every song has a name and an author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The title.
    pub name: Name,
    /// Who made it: the performer as the release credits them.
    pub author: Name,
    /// The release it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<Name>,
    /// Who the release is by, where that differs from song to song.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album_artist: Option<Name>,
    /// Its place on the disc, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u16>,
    /// The disc's place in the release, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disc: Option<u16>,
    /// The year of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// The genre, in the words of whoever tagged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genre: Option<Name>,
}

impl Description {
    /// The words that the song is found by: those of its name, author and album.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let album = self.album.as_ref().map(Name::as_str);
        crate::song_words([self.name.as_str(), self.author.as_str()].into_iter().chain(album))
    }

    /// Where the song stands on its album: ascending by disc, then track; what has neither, first.
    #[must_use]
    pub fn album_position(&self) -> i64 {
        i64::from(self.disc.unwrap_or(0)) << 16 | i64::from(self.track.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_composed_trimmed_and_free_of_control_characters() {
        let name = Name::parse(" \u{202e}Bjo\u{308}rk\u{0}\t \n Jóga ").expect("is a name");
        assert_eq!(name.as_str(), "Björk Jóga");
    }

    /// Found by `fuzz`.
    #[test]
    fn a_name_is_normalised_also_where_something_invisible_was() {
        let name = Name::parse("o\u{732}\u{0}\u{332}\u{732}").expect("is a name");
        assert_eq!(name.as_str(), "o\u{332}\u{732}\u{732}");
        assert_eq!(Name::parse(name.as_str()), Ok(name));
    }

    #[test]
    fn what_shows_nothing_is_no_name() {
        for text in ["", "  ", "\u{0}\u{1b}", "\u{200e}"] {
            assert_eq!(Name::parse(text), Err(DescriptionError::Empty), "{text:?}");
            assert_eq!(Name::lossy(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_refused_from_a_person_and_cut_from_a_file() {
        let long = "é".repeat(FIELD_LIMIT + 1);
        assert_eq!(Name::parse(&long), Err(DescriptionError::TooLong));
        assert_eq!(Name::parse(&"x".repeat(1 << 24)), Err(DescriptionError::TooLong));
        let cut = Name::lossy(&long).expect("is a name");
        assert_eq!(cut.as_str().chars().count(), FIELD_LIMIT);
        assert_eq!(Name::parse(cut.as_str()), Ok(cut));
    }
}
