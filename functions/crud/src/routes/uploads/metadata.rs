//! What `Upload-Metadata` (tus 1.0.0, Creation) says of a song.

use serde_json::{Map, Value};
use service::{Problem, Result};

use super::pairs::pairs;
use crate::given::{FIELDS, Given, from_fields};

/// How long the header may be: that of every field at its longest, and as much again.
const LIMIT: usize = 32 * 1024;

/// Reads the header's value. Of what is not about a song (clients send `filetype` and
/// `relativePath`), the file itself tells more.
pub(crate) fn parse(header: &str) -> Result<Given> {
    if header.len() > LIMIT {
        return Err(bad(&format!("it may have at most {LIMIT} bytes")));
    }
    let mut fields = Map::new();
    for (key, value) in pairs(header).map_err(|reason| bad(&reason))? {
        if !FIELDS.contains(&key) {
            continue;
        }
        let value = String::from_utf8(value)
            .map_err(|_| bad(&format!("the value of {key} is not UTF-8")))?;
        fields.insert(key.to_owned(), Value::String(value));
    }
    from_fields(fields)
}

/// The pairs of a header's value that are about a song: all that is kept of it.
pub(super) fn about_song(header: &str) -> String {
    let known = |pair: &&str| FIELDS.contains(&pair.split(' ').next().unwrap_or_default());
    header.split(',').map(str::trim).filter(known).collect::<Vec<_>>().join(",")
}

fn bad(reason: &str) -> Problem {
    Problem::bad_request(format!("Upload-Metadata: {reason}"))
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use music::Change;

    use super::*;

    fn pair(key: &str, value: &str) -> String {
        format!("{key} {}", BASE64_STANDARD.encode(value))
    }

    #[test]
    fn what_is_known_is_read_and_what_is_not_is_passed_over() {
        let header = [
            pair("name", "Jo\u{301}ga"),
            pair("track", "2"),
            pair("filename", "C:\\music\\..\\joga.flac"),
            pair("filetype", "audio/flac"),
            pair("artist", "\u{0}"),
            pair("album", ""),
            pair("lossless", "true"),
            "is_confidential".to_owned(),
        ]
        .join(",");
        let given = parse(&header).expect("is metadata");
        assert_eq!(given.patch.track, Change::Set(2));
        assert_eq!(given.patch.name, Change::Set(music::Name::parse("Jóga").expect("is a name")));
        assert_eq!(given.patch.album, Change::Keep);
        assert_eq!(given.filename.as_deref(), Some("joga.flac"));
        assert_eq!(given.lossless, Some(true));
        assert_eq!(parse("").expect("is metadata"), Given::default());
        let kept = about_song(&header);
        assert_eq!(parse(&kept).expect("is metadata"), given);
        assert!(!kept.contains("filetype") && !kept.contains("is_confidential"), "{kept}");
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for header in [
            "name ***".to_owned(),
            "name aGk=,name aGk=".to_owned(),
            ",".to_owned(),
            format!("name {}", BASE64_STANDARD.encode([0xff, 0xfe])),
            pair("artist", "a") + "," + &pair("author", "b"),
            pair("name", &"x".repeat(501)),
            pair("track", "two"),
            pair("lossless", "perhaps"),
            pair("track", "70000"),
            pair("n\u{e4}me", "x"),
            "x".repeat(LIMIT + 1),
        ] {
            assert!(parse(&header).is_err(), "{header:.60}");
        }
    }
}
