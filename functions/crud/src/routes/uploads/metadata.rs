//! What `Upload-Metadata` (tus 1.0.0, Creation) says of a song.

use serde_json::{Map, Value};
use service::{Problem, Result};

use super::pairs::pairs;
use crate::given::{Given, from_fields};

/// How long the header may be: that of every field at its longest, and as much again.
const LIMIT: usize = 32 * 1024;

/// The keys that say something of a song. Clients send others: of what they may mean, Segue asks the
/// file itself.
const KNOWN: [&str; 10] = [
    "name",
    "author",
    "album",
    "album_artist",
    "track",
    "disc",
    "year",
    "genre",
    "filename",
    "lossless",
];

/// Reads the header's value.
pub(crate) fn parse(header: &str) -> Result<Given> {
    if header.len() > LIMIT {
        return Err(bad(&format!("it may have at most {LIMIT} bytes")));
    }
    let mut fields = Map::new();
    for (key, value) in pairs(header).map_err(|reason| bad(&reason))? {
        if !KNOWN.contains(&key) {
            continue;
        }
        let value = String::from_utf8(value)
            .map_err(|_| bad(&format!("the value of {key} is not UTF-8")))?;
        fields.insert(key.to_owned(), Value::String(value));
    }
    from_fields(fields)
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
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for header in [
            "name ***".to_owned(),
            "name aGk=,name aGk=".to_owned(),
            ",".to_owned(),
            format!("name {}", BASE64_STANDARD.encode([0xff, 0xfe])),
            pair("name", "\u{0}"),
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
