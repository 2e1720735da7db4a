//! What a request says of a song besides its bytes.

use music::{Name, Patch};
use serde_json::{Map, Value};
use service::{Problem, Result, parse_switch};

/// A description as far as it is given, and what the sender calls the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Given {
    pub(crate) patch: Patch,
    pub(crate) filename: Option<String>,
    /// Whether FLAC is made of what is lossless.
    pub(crate) lossless: Option<bool>,
}

/// The names of all that can be given.
pub(crate) const FIELDS: [&str; 12] = [
    "name",
    "artist",
    "author",
    "artists",
    "album",
    "album_artist",
    "track",
    "disc",
    "year",
    "genre",
    "filename",
    "lossless",
];

/// How many bytes may describe a song, in whatever form: every field at its longest, escaped.
pub(crate) const DESCRIPTION_LIMIT: usize = 64 * 1024;

/// The fields that pairs of a name and a text give: the last text of each name, and of `artists`
/// all of them.
pub(crate) fn fields(pairs: impl IntoIterator<Item = (String, String)>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, text) in pairs {
        match fields.get_mut(&name) {
            Some(Value::Array(artists)) => artists.push(text.into()),
            None if name == "artists" => {
                fields.insert(name, Value::Array(vec![text.into()]));
            }
            _ => {
                fields.insert(name, text.into());
            }
        }
    }
    fields
}

/// Reads what is given by name. A text in which nothing shows counts as not given.
pub(crate) fn from_fields(mut fields: Map<String, Value>) -> Result<Given> {
    let shows = |value: &Value| value.as_str().is_none_or(|text| Name::lossy(text).is_some());
    if let Some(Value::Array(artists)) = fields.get_mut("artists") {
        artists.retain(shows);
    }
    fields.retain(|_, value| shows(value) && value.as_array().is_none_or(|it| !it.is_empty()));
    for name in ["track", "disc", "year"] {
        if let Some(value) = fields.get_mut(name)
            && let Some(number) = value.as_str().and_then(|text| text.parse::<u16>().ok())
        {
            *value = number.into();
        }
    }
    let filename = match fields.remove("filename") {
        Some(Value::String(name)) => file_name(&name),
        _ => None,
    };
    let flac = match fields.remove("lossless") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(lossless)) => Some(lossless),
        Some(Value::String(text)) => Some(lossless(&text)?),
        Some(_) => return Err(neither()),
    };
    let patch: Patch = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::bad_request(format!("not a description of a song: {error}")))?;
    let patch = match &filename {
        Some(filename) => patch.without_name_of(filename),
        None => patch,
    };
    Ok(Given { patch, filename, lossless: flac })
}

/// Whether FLAC is asked for, in a query.
pub(crate) fn lossless(text: &str) -> Result<bool> {
    parse_switch(text).ok_or_else(neither)
}

fn neither() -> Problem {
    Problem::bad_request("lossless is neither on (true) nor off (false)")
}

/// The last component of what may be a path on either kind of system, fit to be shown.
fn file_name(path: &str) -> Option<String> {
    let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
    Name::lossy(last).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use music::Change;

    #[test]
    fn numbers_may_come_as_text_and_empty_texts_are_not_given() {
        let fields = [("track", "3"), ("album", ""), ("filename", "C:\\Music\\..\\a.mp3")];
        let given = from_fields(
            fields.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect(),
        );
        let given = given.expect("is a description");
        assert_eq!((given.patch.track, given.patch.album), (Change::Set(3), Change::Keep));
        assert_eq!(given.filename.as_deref(), Some("a.mp3"));
    }

    fn given(pairs: &[(&str, &str)]) -> Result<Given> {
        from_fields(fields(pairs.iter().map(|(name, text)| ((*name).into(), (*text).into()))))
    }

    #[test]
    fn the_credit_has_two_names_and_its_artists_may_be_many() {
        let name = |text| Name::parse(text).expect("is a name");
        for pair in [("artist", "Björk"), ("author", "Björk")] {
            let given = given(&[pair]).expect("is a description");
            assert_eq!(given.patch.author, Change::Set(name("Björk")));
        }
        let both = given(&[("artist", "Bjo\u{308}rk"), ("author", "Björk")]);
        assert_eq!(both.expect("are the same").patch.author, Change::Set(name("Björk")));
        assert!(given(&[("artist", "A"), ("author", "B")]).is_err());
        let many = given(&[("artists", "A"), ("artists", "\u{200b}"), ("artists", "B")]);
        let artists = many.expect("is a description").patch.artists;
        assert_eq!(artists, Change::Set(vec![name("A"), name("B")]));
        let fifty_one = (0..51).map(|number| ("artists".to_owned(), number.to_string()));
        assert!(from_fields(fields(fifty_one)).is_err());
    }

    #[test]
    fn what_shows_nothing_is_not_given() {
        let given = given(&[("author", "\u{200b}\u{2060}"), ("name", "\u{ad}"), ("artists", "")]);
        assert_eq!(given.expect("is a description"), Given::default());
    }

    #[test]
    fn a_name_that_is_the_file_s_is_not_given() {
        for name in ["03 Jóga.mp3", "03 Jóga"] {
            let given = given(&[("name", name), ("filename", "a/03 Jóga.mp3")]);
            assert_eq!(given.expect("is a description").patch.name, Change::Keep, "{name}");
        }
    }
}
