//! A song as JSON, read as it comes in: `song_base64` goes to the disk as it is decoded, and nothing
//! else of the body is larger than what may describe a song. Memory does not grow with the song.

use std::{
    cell::Cell,
    io::{self, Cursor, Read},
    pin::pin,
};

use axum::{body::Bytes, http::StatusCode};
use base64::{
    alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    read::DecoderReader,
};
use futures_util::{Stream, StreamExt, stream};
use ingest::{Ingest, Spool};
use serde_json::{Map, Value};
use service::{BoxError, Problem, Result};
use struson::reader::{JsonReader, JsonStreamReader, ReaderError, ValueType};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::problem;
use crate::given::{DESCRIPTION_LIMIT, FIELDS, Given, from_fields};

/// The field that holds the file.
const FILE: &str = "song_base64";

/// How many pieces of a body, and of a file, wait for the other side.
const WAITING: usize = 2;

/// How many bytes of a file are handed on at a time.
const BLOCK: u64 = 64 * 1024;

/// How long the beginning of a `data:` URL may be.
const MEDIA_TYPE_LIMIT: u64 = 1024;

/// Encoders differ in whether they pad.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Receives a song as JSON.
pub(super) async fn receive(
    ingest: &Ingest,
    bytes: impl Stream<Item = Result<Bytes, axum::Error>> + Send,
) -> Result<(Spool, Given)> {
    let (to_reader, body) = channel(WAITING);
    let (file, decoded) = channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || read(Incoming::new(body), &file));
    // It owns its end of the channel: when the client leaves, the reader hears of it.
    let bring = async move {
        let mut bytes = pin!(bytes);
        while let Some(chunk) = bytes.next().await {
            // The reader has found something wrong, and says what.
            if to_reader.send(chunk).await.is_err() {
                return;
            }
        }
    };
    let decoded = stream::unfold(decoded, async |mut decoded: Receiver<Bytes>| {
        decoded.recv().await.map(|block| (Ok::<_, BoxError>(block), decoded))
    });
    let (spool, ()) = tokio::join!(ingest.receive(decoded), bring);
    let given = reading.await.map_err(Problem::internal)??;
    let spool = spool.map_err(problem)?;
    // Without an error, the reader only stops where the file was not taken.
    let given = given.ok_or_else(|| Problem::internal(io::Error::other("a file was not read")))?;
    Ok((spool, given))
}

/// Reads the JSON of a song, and hands its file on. Nothing if the file is not taken to its end.
fn read(body: impl Read, file: &Sender<Bytes>) -> Result<Option<Given>> {
    let left = Cell::new(DESCRIPTION_LIMIT);
    let mut json = JsonStreamReader::new(Rationed { body, left: &left });
    let (mut fields, mut has_file) = (Map::new(), false);
    json.begin_object().map_err(refused)?;
    while json.has_next().map_err(refused)? {
        let name = json.next_name_owned().map_err(refused)?;
        if fields.contains_key(&name) || (has_file && name == FILE) {
            return Err(Problem::bad_request(format!("{name} is there twice")));
        }
        if name == FILE {
            has_file = true;
            let described = left.replace(usize::MAX);
            let text = json.next_string_reader().map_err(refused)?;
            if !decode(text, file)? {
                return Ok(None);
            }
            left.set(described);
        } else if FIELDS.contains(&name.as_str()) {
            let value = value(&mut json, &name)?;
            fields.insert(name, value);
        } else {
            // Ahead of its value, however large that is.
            let detail = format!("not a description of a song: unknown field {name:?}");
            return Err(Problem::bad_request(detail));
        }
    }
    json.end_object().map_err(refused)?;
    json.consume_trailing_whitespace().map_err(refused)?;
    if !has_file {
        return Err(Problem::bad_request("song_base64 is missing: it is the file, in base64"));
    }
    from_fields(fields).map(Some)
}

/// The value of a field: a text, a number, a switch, or a list of texts.
fn value(json: &mut impl JsonReader, name: &str) -> Result<Value> {
    let kind = json.peek().map_err(refused)?;
    match kind {
        ValueType::String => json.next_string().map(Value::String).map_err(refused),
        ValueType::Number => {
            let number = json.next_number_as_string().map_err(refused)?;
            serde_json::from_str(&number)
                .map_err(|_| Problem::bad_request(format!("{name} is no number that can be")))
        }
        ValueType::Boolean => json.next_bool().map(Value::Bool).map_err(refused),
        ValueType::Null => json.next_null().map(|()| Value::Null).map_err(refused),
        ValueType::Array if name == "artists" => {
            let mut artists = Vec::new();
            json.begin_array().map_err(refused)?;
            while json.has_next().map_err(refused)? {
                artists.push(Value::String(json.next_string().map_err(refused)?));
            }
            json.end_array().map_err(refused)?;
            Ok(Value::Array(artists))
        }
        ValueType::Array | ValueType::Object => {
            Err(Problem::bad_request(format!("{name} must not be of the JSON type {kind}")))
        }
    }
}

/// Decodes a file, and hands it on. Returns whether all of it was taken.
fn decode(text: impl Read, file: &Sender<Bytes>) -> Result<bool> {
    let text = without_media_type(Unbroken(text))?;
    let mut decoder = DecoderReader::new(text, &BASE64);
    loop {
        let mut block = Vec::new();
        decoder
            .by_ref()
            .take(BLOCK)
            .read_to_end(&mut block)
            .map_err(|error| undecodable(&error))?;
        if block.is_empty() {
            return Ok(true);
        }
        if file.blocking_send(block.into()).is_err() {
            return Ok(false);
        }
    }
}

/// The base64 of a `data:` URL (RFC 2397), or the whole text where it is none.
fn without_media_type(mut text: impl Read) -> Result<impl Read> {
    const SCHEME: &[u8] = b"data:";
    let mut start = Vec::new();
    let mut read = |start: &mut Vec<u8>, count| {
        text.by_ref().take(count).read_to_end(start).map_err(|error| undecodable(&error))
    };
    read(&mut start, SCHEME.len() as u64)?;
    if start.eq_ignore_ascii_case(SCHEME) {
        for _ in 0..MEDIA_TYPE_LIMIT {
            if read(&mut start, 1)? == 0 || start.ends_with(b",") {
                break;
            }
        }
        if !start.to_ascii_lowercase().ends_with(b";base64,") {
            return Err(Problem::bad_request("song_base64 is a data: URL without base64"));
        }
        start.clear();
    }
    Ok(Cursor::new(start).chain(text))
}

/// Why the body cannot be read on.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("the body broke off: {0}")]
    Broken(axum::Error),
    #[error("what describes a song may have at most {DESCRIPTION_LIMIT} bytes")]
    TooLong,
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err wants")]
fn refused(error: ReaderError) -> Problem {
    let cause = match &error {
        ReaderError::IoError { error, .. } => stopped(error),
        _ => None,
    };
    cause.unwrap_or_else(|| Problem::bad_request(format!("not the JSON of a song: {error}")))
}

fn undecodable(error: &io::Error) -> Problem {
    stopped(error).unwrap_or_else(|| {
        Problem::bad_request(format!("song_base64 cannot be read as base64: {error}"))
    })
}

fn stopped(error: &io::Error) -> Option<Problem> {
    let stop = error.get_ref()?.downcast_ref::<Stop>()?;
    let detail = stop.to_string();
    Some(match stop {
        Stop::Broken(_) => Problem::bad_request(detail),
        Stop::TooLong => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail),
    })
}

/// A body whose pieces another task brings.
struct Incoming {
    pieces: Receiver<Result<Bytes, axum::Error>>,
    present: Bytes,
}

impl Incoming {
    fn new(pieces: Receiver<Result<Bytes, axum::Error>>) -> Self {
        Self { pieces, present: Bytes::new() }
    }
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.present.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.present = piece,
                Some(Err(error)) => return Err(io::Error::other(Stop::Broken(error))),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.present.len());
        buffer[..count].copy_from_slice(&self.present.split_to(count));
        Ok(count)
    }
}

/// A body that ends in an error once so many bytes of it were read.
struct Rationed<'a, R> {
    body: R,
    left: &'a Cell<usize>,
}

impl<R: Read> Read for Rationed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.body.read(buffer)?;
        let left = self.left.get().checked_sub(read);
        self.left.set(left.ok_or_else(|| io::Error::other(Stop::TooLong))?);
        Ok(read)
    }
}

/// A text without its white space. Encoders that break lines are as old as mail.
struct Unbroken<R>(R);

impl<R: Read> Read for Unbroken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.0.read(buffer)?;
            let mut kept = 0;
            for at in 0..read {
                if !buffer[at].is_ascii_whitespace() {
                    buffer[kept] = buffer[at];
                    kept += 1;
                }
            }
            if kept > 0 || read == 0 || buffer.is_empty() {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file in some JSON, and what describes it.
    fn song(json: &str) -> Result<(Vec<u8>, Given)> {
        let (file, mut decoded) = channel(1024);
        let given = read(json.as_bytes(), &file)?.expect("is taken");
        drop(file);
        let blocks: Vec<Bytes> = std::iter::from_fn(|| decoded.try_recv().ok()).collect();
        Ok((blocks.concat(), given))
    }

    #[test]
    fn base64_is_read_with_and_without_padding_line_breaks_and_media_type() {
        for text in
            ["aGk=", "aGk", "aG\\nk=\\r\\n", "data:audio/mpeg;base64,aGk=", "DATA:;base64,aGk"]
        {
            let json = format!(r#"{{"name": "n", "artists": ["a"], "song_base64": "{text}"}}"#);
            assert_eq!(song(&json).expect("is a song").0, b"hi", "{text:?}");
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
            r#"{"song_base64": "aGk=", "song_base64": "aGk="}"#,
            r#"{"song_base64": "aGk=", "name": "a", "name": "b"}"#,
            r#"{"song_base64": "aGk=", "name": ["a"]}"#,
            r#"{"song_base64": "aGk=", "artists": [["a"]]}"#,
            r#"{"song_base64": "data:audio/mpeg,hi"}"#,
            r#"{"song_base64": "aGk="} x"#,
            r#"{"song_base64": "aGk=""#,
        ] {
            assert!(song(json).is_err(), "{json}");
        }
    }

    #[test]
    fn only_the_file_may_be_large() {
        let large = "a".repeat(4 * DESCRIPTION_LIMIT);
        let json = format!(r#"{{"song_base64": "{large}", "name": "n"}}"#);
        assert_eq!(song(&json).expect("is a song").0.len(), 3 * DESCRIPTION_LIMIT);
        for json in [
            format!(r#"{{"song_base64": "aGk=", "name": "{large}"}}"#),
            format!(r#"{{"{large}": 1}}"#),
            format!(r#"{{"track": {}}}"#, "1".repeat(large.len())),
            format!(r#"{{"song_base64": "aGk="}}{}"#, " ".repeat(large.len())),
            format!(r#"{{"artists": [{}"a"]}}"#, r#""a","#.repeat(large.len() / 4)),
        ] {
            let problem = format!("{:?}", song(&json).expect_err("is too long"));
            assert!(problem.contains("too-large"), "{problem}");
        }
    }
}
