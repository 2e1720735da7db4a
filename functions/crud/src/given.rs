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

/// Reads what is given by name, in JSON or in a query. An empty text counts as not given.
pub(crate) fn from_fields(mut fields: Map<String, Value>) -> Result<Given> {
    fields.retain(|_, value| value.as_str() != Some(""));
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
    let patch = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::bad_request(format!("not a description of a song: {error}")))?;
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
}
