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
use ingest::Spool;
use serde_json::{Map, Value};
use service::{BoxError, Problem, Result};

use super::problem;
use crate::{
    Crud,
    given::{Given, from_fields},
};

/// JSON has to be in memory as a whole, twice: larger songs come as the file itself.
const JSON_LIMIT: usize = 64 * 1024 * 1024;

/// Encoders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Receives a song of either form.
pub(super) async fn receive(
    crud: &Crud,
    headers: &HeaderMap,
    query: Vec<(String, String)>,
    body: Body,
) -> Result<(Spool, Given)> {
    let (ingest, limit) = (&crud.ingest, crud.config.request_limit());
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
        let closed = |_| Problem::unavailable("this process is stopping");
        let _place = crud.parsing.acquire().await.map_err(closed)?;
        let json = collect(bytes).await?;
        let parsing = tokio::task::spawn_blocking(move || from_json(&json));
        let (audio, given) = parsing.await.map_err(Problem::internal)??;
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
