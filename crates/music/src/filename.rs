//! What a file's name tells of a song whose tags say nothing.

/// The longest ending, in characters: `.flac`, `.aiff`.
const ENDING_LIMIT: usize = 5;

/// A file's name without its ending.
pub(crate) fn stem(filename: &str) -> &str {
    match filename.rsplit_once('.') {
        Some((stem, ending)) if is_ending(ending) => stem,
        _ => filename,
    }
}

/// Whether what follows a name's last dot is a kind of file, and not a word of the name.
fn is_ending(text: &str) -> bool {
    (1..=ENDING_LIMIT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// The title in a file's name: without its ending and the number of the track (and of the disc)
/// before it. A number that may be part of the title stays: "99 Luftballons", "1979", "50-50".
pub(crate) fn title(filename: &str) -> &str {
    let stem = stem(filename).trim();
    without_track(stem).unwrap_or(stem)
}

/// What follows the number of a track, if `text` begins with one and goes on with a title.
fn without_track(text: &str) -> Option<&str> {
    const DASHES: [char; 3] = ['-', '–', '—'];

    let (first, rest) = number(text)?;
    // Disc and track: "1-03".
    let second = rest.strip_prefix('-').and_then(number).filter(|(track, _)| track.len() == 2);
    let (digits, rest) = match second {
        Some((_, rest)) if first.len() <= 2 => (None, rest),
        _ => (Some(first), rest),
    };
    let blank = |character: char| character.is_whitespace() || character == '_';
    let mark = rest.trim_start_matches(blank);
    let marked = mark.strip_prefix(DASHES).or_else(|| mark.strip_prefix(['.', ')']));
    let title = marked.unwrap_or(mark).trim_start_matches(blank);
    let is_apart = mark.len() < rest.len() || marked.is_some_and(|text| title.len() < text.len());
    let begins_with_letter = title.starts_with(char::is_alphabetic);
    let goes = match (digits, marked) {
        // A number and a blank may begin a title, unless it is written as tracks are: "03".
        (Some(digits), None) => is_apart && digits.len() > 1 && digits.starts_with('0'),
        (Some(_), Some(_)) if is_apart => true,
        // "24-7" and "9.5" are words.
        (Some(digits), Some(_)) => {
            begins_with_letter && (digits.len() > 1 || !mark.starts_with(DASHES))
        }
        (None, None) => is_apart,
        (None, Some(_)) => is_apart || begins_with_letter,
    };
    (goes && title.chars().any(char::is_alphabetic)).then_some(title)
}

/// The one to three digits that a text begins with, and what follows them.
fn number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|character: char| !character.is_ascii_digit())?;
    (1..=3).contains(&end).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_number_is_no_part_of_the_title() {
        for name in [
            "03 - Jóga.flac",
            "03. Jóga",
            "03.Jóga.mp3",
            "3. Jóga.mp3",
            "1-03 Jóga",
            "1-03 - Jóga.flac",
            "03_Jóga",
            "03 Jóga.mp3",
            "003 Jóga.mp3",
            "12-Jóga.ogg",
            "12 – Jóga.ogg",
            "7) Jóga",
            "Jóga.m4a",
        ] {
            assert_eq!(title(name), "Jóga", "{name}");
        }
        assert_eq!(title("03_joga"), "joga");
        assert_eq!(title("03 - 99 Luftballons.mp3"), "99 Luftballons");
    }

    #[test]
    fn a_number_that_may_belong_to_the_title_stays() {
        for (name, expected) in [
            ("99 Luftballons.mp3", "99 Luftballons"),
            ("1979.mp3", "1979"),
            ("03.mp3", "03"),
            ("50-50.mp3", "50-50"),
            ("24-7 Love.mp3", "24-7 Love"),
            ("9.5 Weeks.mp3", "9.5 Weeks"),
            ("7-Eleven.mp3", "7-Eleven"),
            ("2_become_1.mp3", "2_become_1"),
            ("101 Dalmatians", "101 Dalmatians"),
            ("1999 - Prince.mp3", "1999 - Prince"),
            ("Mr. Big", "Mr. Big"),
            ("03 - .mp3", "03 -"),
        ] {
            assert_eq!(title(name), expected, "{name}");
        }
    }
}
