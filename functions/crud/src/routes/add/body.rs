//! The two forms that a song is sent in, told apart by the first byte: no audio file begins with `{`.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use futures_util::{Stream, StreamExt, stream};
use ingest::{Ingest, Spool};
use music::{Name, Patch};
use serde_json::{Map, Value};
use service::{BoxError, Problem, Result};

use super::problem;

/// JSON has to be in memory as a whole, twice: larger songs come as the file itself.
const JSON_LIMIT: usize = 64 * 1024 * 1024;

/// Encoders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a request says of a song besides its bytes.
pub(super) struct Given {
    pub(super) patch: Patch,
    pub(super) filename: Option<String>,
}

/// Receives a song of either form, of at most `limit` bytes of audio.
pub(super) async fn receive(
    ingest: &Ingest,
    limit: u64,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
    body: Body,
) -> Result<(Spool, Given)> {
    let announced = body.size_hint().lower();
    let mut bytes = body.into_data_stream();
    let first = loop {
        match bytes.next().await {
            Some(Ok(chunk)) if chunk.is_empty() => {}
            Some(Ok(chunk)) => break chunk,
            Some(Err(error)) => return Err(broken(&error)),
            None => return Err(Problem::bad_request("the body is empty: send a song")),
        }
    };
    let is_json = first.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let says_json = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let bytes = stream::iter([Ok(first)]).chain(bytes);
    if is_json || says_json {
        let json = collect(bytes).await?;
        let (audio, given) = from_json(&json)?;
        if audio.len() as u64 > limit {
            return Err(Problem::too_large(limit));
        }
        let audio = stream::iter([Ok::<_, BoxError>(Bytes::from(audio))]);
        return Ok((ingest.receive(audio).await.map_err(problem)?, given));
    }
    if announced > limit {
        return Err(Problem::too_large(limit));
    }
    let given =
        from_fields(query.into_iter().map(|(name, value)| (name, Value::String(value))).collect())?;
    let bytes = bytes.map(|chunk| chunk.map_err(BoxError::from));
    let spool = ingest.receive(bytes).await.map_err(problem)?;
    // What came in chunks announced nothing.
    if spool.bytes() > limit {
        return Err(Problem::too_large(limit));
    }
    Ok((spool, given))
}

fn broken(error: &axum::Error) -> Problem {
    Problem::bad_request(format!("the body broke off: {error}"))
}

async fn collect(
    bytes: impl Stream<Item = std::result::Result<Bytes, axum::Error>>,
) -> Result<Vec<u8>> {
    let mut bytes = std::pin::pin!(bytes);
    let mut json = Vec::new();
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if json.len() + chunk.len() > JSON_LIMIT {
            let detail = format!(
                "JSON may have at most {JSON_LIMIT} bytes: send the file itself as audio/*"
            );
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail));
        }
        json.extend_from_slice(&chunk);
    }
    Ok(json)
}

fn from_json(json: &[u8]) -> Result<(Vec<u8>, Given)> {
    let mut fields: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| Problem::bad_request(format!("not a JSON object: {error}")))?;
    let Some(Value::String(mut base64)) = fields.remove("song_base64") else {
        return Err(Problem::bad_request("song_base64 is missing: it is the file, in base64"));
    };
    // Encoders that break lines are as old as mail.
    base64.retain(|character| !character.is_ascii_whitespace());
    let audio = BASE64
        .decode(base64)
        .map_err(|error| Problem::bad_request(format!("song_base64 is not base64: {error}")))?;
    Ok((audio, from_fields(fields)?))
}

/// Reads what is given by name, in JSON or in a query. An empty text counts as not given.
fn from_fields(mut fields: Map<String, Value>) -> Result<Given> {
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
    let patch = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::bad_request(format!("not a description of a song: {error}")))?;
    Ok(Given { patch, filename })
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
    fn base64_is_read_with_and_without_padding_and_line_breaks() {
        for text in ["aGk=", "aGk", "aG\\nk=\\r\\n"] {
            let json = format!(r#"{{"name": "n", "author": "a", "song_base64": "{text}"}}"#);
            assert_eq!(from_json(json.as_bytes()).expect("is a song").0, b"hi", "{text:?}");
        }
    }

    #[test]
    fn malformed_json_and_base64_are_refused() {
        for json in [
            "{",
            "[]",
            "{}",
            r#"{"song_base64": 1}"#,
            r#"{"song_base64": "*"}"#,
            r#"{"song_base64": "aGk=", "id": "x"}"#,
        ] {
            assert!(from_json(json.as_bytes()).is_err(), "{json}");
        }
    }

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
