//! The one tokeniser behind search: what is indexed and what is asked for meet here.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// How many words of a song are searched: enough for the names of as many artists as it may have.
pub const WORD_LIMIT: usize = 192;

/// How many words of a query are asked for.
const QUERY_LIMIT: usize = 64;

/// How many characters of one word are kept. A longer word is found by its beginning.
const WORD_LENGTH: usize = 32;

/// The words that a song is found by, out of its descriptive texts: in order, each once.
///
/// A word is a run of letters and digits after compatibility decomposition (NFKD), without
/// combining marks, in lower case: "Björk – Jóga" gives `bjork`, `joga`.
pub fn song_words<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut words = Vec::new();
    for word in texts.into_iter().flat_map(tokens) {
        if !words.contains(&word) {
            words.push(word);
        }
        if words.len() == WORD_LIMIT {
            break;
        }
    }
    words
}

/// The words that a query asks for. A song matches if every one of them begins one of the song's.
///
/// A word that begins another one of the query says nothing more and is left out.
#[must_use]
pub fn query_words(query: &str) -> Vec<String> {
    let mut words = song_words([query]);
    words.truncate(QUERY_LIMIT);
    words
        .iter()
        .filter(|word| {
            !words.iter().any(|other| other.len() > word.len() && other.starts_with(word.as_str()))
        })
        .cloned()
        .collect()
}

fn tokens(text: &str) -> impl Iterator<Item = String> {
    // Lower case comes after the marks are gone: "İ" would otherwise leave a mark of its own behind.
    let plain: String = text
        .nfkd()
        .filter(|character| !is_combining_mark(*character))
        .flat_map(char::to_lowercase)
        .filter(|character| !is_combining_mark(*character))
        .collect();
    plain
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_LENGTH).collect())
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_compatibility_forms_do_not_matter() {
        assert_eq!(song_words(["Björk – JÓGA"]), ["bjork", "joga"]);
        assert_eq!(song_words(["ﬁnale Ⅳ"]), ["finale", "iv"]);
        assert_eq!(song_words(["İstanbul"]), ["istanbul"]);
        assert_eq!(song_words(["Ελλάδα"]), ["ελλαδα"]);
    }

    #[test]
    fn each_word_is_kept_once_and_only_so_many() {
        assert_eq!(song_words(["one two", "two three"]), ["one", "two", "three"]);
        let many =
            (0..=WORD_LIMIT).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        assert_eq!(song_words([many.as_str()]).len(), WORD_LIMIT);
    }

    #[test]
    fn a_long_word_is_still_found_by_its_beginning() {
        let long = "a".repeat(1000);
        let indexed = song_words([long.as_str()]);
        let asked = query_words(&long);
        assert!(indexed[0].starts_with(&asked[0]));
    }

    #[test]
    fn a_query_word_that_begins_another_is_left_out() {
        assert_eq!(query_words("be beat les"), ["beat", "les"]);
    }

    #[test]
    fn a_text_without_letters_has_no_words() {
        assert!(query_words(" -- !? \u{301}").is_empty());
    }
}
