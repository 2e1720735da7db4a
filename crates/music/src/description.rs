//! What people call a song: the texts and numbers that can be given, read from tags, and changed.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How long one text may be, in characters.
pub const FIELD_LIMIT: usize = 500;

/// How many individual artists one song may have.
pub const ARTIST_LIMIT: usize = 50;

/// Why a description was refused. The message names the field or the limit, for whoever gave it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// A text has nothing left once control characters and outer white space are gone.
    #[error("a text must have at least one visible character")]
    Empty,
    /// A text is longer than [`FIELD_LIMIT`].
    #[error("a text must have at most {FIELD_LIMIT} characters")]
    TooLong,
    /// A field that every song has would go, or was not given.
    #[error("{0} is missing: every song has one")]
    Missing(&'static str),
    /// `artist` and its other name, `author`, were given with different values.
    #[error("artist and author are two names of one field, and differ")]
    TwoCredits,
    /// More individual artists than [`ARTIST_LIMIT`].
    #[error("a song must have at most {ARTIST_LIMIT} artists")]
    TooManyArtists,
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
            _ if !clean.chars().any(shows) => Err(DescriptionError::Empty),
            ..=FIELD_LIMIT => Ok(Self(clean)),
            _ => Err(DescriptionError::TooLong),
        }
    }

    /// Reads a text found in a file: cuts what is too long, and is nothing where nothing is left.
    #[must_use]
    pub fn lossy(text: &str) -> Option<Self> {
        let head: String = text.chars().take(FIELD_LIMIT * 2).collect();
        let head: String = clean(&head).chars().take(FIELD_LIMIT).collect();
        let head = head.trim_end();
        head.chars().any(shows).then(|| Self(head.to_owned()))
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

/// Whether a reader sees anything of a character. What does not show by itself (the code points that
/// Unicode calls `Default_Ignorable`, and the blanks of Hangul and Braille) may stand between others
/// that do: emoji and Persian are written with it.
fn shows(character: char) -> bool {
    !character.is_whitespace()
        && !is_invisible(character)
        && !matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Who made a song: the credit as the release prints it, such as "Björk feat. Tricky", and the
/// individual artists in it, of which there is at least one, and none twice.
///
/// Its JSON, which is part of the description's, has `author` for the credit. It has `artists` only
/// where the credit is not the one artist: records that older versions wrote have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "CreditRecord", into = "CreditRecord")]
pub struct Credit {
    name: Name,
    /// Empty where the credit's name is the one artist.
    artists: Vec<Name>,
}

#[derive(Serialize, Deserialize)]
struct CreditRecord {
    author: Name,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    artists: Vec<Name>,
}

impl From<CreditRecord> for Credit {
    fn from(record: CreditRecord) -> Self {
        Self::new(record.author, record.artists)
    }
}

impl From<Credit> for CreditRecord {
    fn from(credit: Credit) -> Self {
        Self { author: credit.name, artists: credit.artists }
    }
}

impl Credit {
    /// The credit of one artist.
    #[must_use]
    pub fn of(artist: Name) -> Self {
        Self { name: artist, artists: Vec::new() }
    }

    /// A credit and the artists in it: those of `artists`, each once, at most [`ARTIST_LIMIT`]; the
    /// credit itself if there are none.
    #[must_use]
    pub fn new(name: Name, artists: Vec<Name>) -> Self {
        let mut each: Vec<Name> = Vec::new();
        for artist in artists {
            if each.len() < ARTIST_LIMIT && !each.contains(&artist) {
                each.push(artist);
            }
        }
        if each == [name.clone()] {
            each.clear();
        }
        Self { name, artists: each }
    }

    /// The credit that names each of `artists`, with commas between them; nothing if there are none.
    #[must_use]
    pub fn joined(artists: Vec<Name>) -> Option<Self> {
        let first = artists.first()?.clone();
        let all = Self::new(first, artists);
        let names: Vec<&str> = all.artists().iter().map(Name::as_str).collect();
        let name = Name::lossy(&names.join(", "))?;
        Some(Self::new(name, all.artists().to_vec()))
    }

    /// The credit, as it is shown.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The individual artists, at least one.
    #[must_use]
    pub fn artists(&self) -> &[Name] {
        if self.artists.is_empty() { std::slice::from_ref(&self.name) } else { &self.artists }
    }
}

/// The descriptive fields of a song. Every song has a name and a credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The title.
    pub name: Name,
    /// Who made it.
    #[serde(flatten)]
    pub credit: Credit,
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
    /// The words that the song is found by: those of its name, credit, album and artists.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let texts = [&self.name, self.credit.name()].into_iter().chain(&self.album);
        crate::song_words(texts.chain(self.credit.artists()).map(Name::as_str))
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
        let blanks = ["\u{200b}", "\u{3164} \u{2800}", "\u{ad}\u{2060}\u{fe0f}", "\u{e0061}"];
        for text in ["", "  ", "\u{0}\u{1b}", "\u{200e}"].into_iter().chain(blanks) {
            assert_eq!(Name::parse(text), Err(DescriptionError::Empty), "{text:?}");
            assert_eq!(Name::lossy(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_does_not_show_stays_between_what_does() {
        for text in ["👩\u{200d}🎤", "می\u{200c}خواهم"] {
            assert_eq!(Name::parse(text).expect("is a name").as_str(), text);
        }
    }

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::parse(text).expect("is a name")).collect()
    }

    #[test]
    fn a_credit_has_at_least_one_artist_and_each_once() {
        let [bjork, tricky] = ["Björk", "Tricky"].map(|it| Name::parse(it).expect("is a name"));
        assert_eq!(Credit::of(bjork.clone()).artists(), std::slice::from_ref(&bjork));
        assert_eq!(Credit::new(bjork.clone(), names(&["Björk"])), Credit::of(bjork.clone()));
        let both = Credit::joined(names(&["Björk", "Tricky", "Björk"])).expect("has artists");
        assert_eq!((both.name().as_str(), both.artists()), ("Björk, Tricky", &[bjork, tricky][..]));
        assert_eq!(Credit::joined(Vec::new()), None);
        let many = (0..100).map(|it| Name::parse(&format!("{it:0>20}")).expect("is a name"));
        let many = Credit::joined(many.collect()).expect("has artists");
        assert_eq!(many.artists().len(), ARTIST_LIMIT);
        assert_eq!(many.name().as_str().chars().count(), FIELD_LIMIT);
    }

    #[test]
    fn a_record_of_one_artist_is_as_it_was_before_there_were_several() {
        let before = r#"{"name":"Jóga","author":"Björk","album":"Homogenic"}"#;
        let description: Description = serde_json::from_str(before).expect("is a description");
        assert_eq!(description.credit, Credit::of(names(&["Björk"])[0].clone()));
        assert_eq!(serde_json::to_string(&description).expect("is JSON"), before);
        let both = Credit::joined(names(&["A", "B"])).expect("has artists");
        let several = Description { credit: both, ..description };
        let text = serde_json::to_string(&several).expect("is JSON");
        assert!(text.contains(r#""author":"A, B","artists":["A","B"]"#), "{text}");
        assert_eq!(serde_json::from_str::<Description>(&text).expect("is one"), several);
    }

    #[test]
    fn every_artist_of_a_long_list_is_found() {
        let all = (0..ARTIST_LIMIT).map(|it| format!("Vorname{it} Nachname{it}"));
        let all: Vec<Name> = all.map(|it| Name::parse(&it).expect("is a name")).collect();
        let [title] = &names(&["Title"])[..] else { unreachable!("is one") };
        let credit = Credit::new(title.clone(), all);
        let words = Description { credit, ..crate::testing::description("Name", "a") }.words();
        for number in 0..ARTIST_LIMIT {
            assert!(words.contains(&format!("nachname{number}")), "{number}");
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
