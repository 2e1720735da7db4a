//! Songs and chunks as documents.
//!
//! A song's document has the fields of its JSON, with `_id` for `id`; beside them `schema`, and what
//! is searched and sorted by: `prefixes` and `album_position`.

use mongodb::bson::{
    Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, cstr, deserialize_from_document,
    deserialize_from_slice, doc, rawdoc, serialize_to_bson, serialize_to_document,
    spec::BinarySubtype,
};
use music::{Description, Song, Source};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ChunkKey, Error, Result, SCHEMA,
    checksum::{Verifier, checksum},
    query::prefixes,
};

/// The fields of a description that a song may lack.
const OPTIONAL: [&str; 7] = ["artists", "album", "album_artist", "track", "disc", "year", "genre"];

pub(super) fn of_song(song: &Song) -> Result<RawDocumentBuf> {
    let mut fields = serialize_to_document(song).map_err(Error::backend)?;
    fields.remove("id");
    let mut document = doc! { "_id": song.id.to_string(), "schema": SCHEMA };
    document.extend(fields);
    document.extend(found_by(&song.description));
    RawDocumentBuf::try_from(&document).map_err(Error::backend)
}

/// The update that tells what a song's file is, and gives it another description.
pub(super) fn identifying(
    source: &Source,
    description: &Description,
    changed: Document,
) -> Result<Document> {
    let mut changed = changed;
    changed.insert("source", serialize_to_bson(source).map_err(Error::backend)?);
    let mut update = describing(description, changed)?;
    match update.get_document_mut("$unset") {
        Ok(unset) => {
            unset.insert("stand_in", "");
        }
        Err(_) => {
            update.insert("$unset", doc! { "stand_in": "" });
        }
    }
    Ok(update)
}

/// The update that gives a song another description.
pub(super) fn describing(description: &Description, changed: Document) -> Result<Document> {
    let mut set = serialize_to_document(description).map_err(Error::backend)?;
    let unset: Document = OPTIONAL
        .iter()
        .filter(|name| !set.contains_key(*name))
        .map(|name| ((*name).to_owned(), "".into()))
        .collect();
    set.extend(found_by(description));
    set.extend(changed);
    let mut update = doc! { "$set": set, "$inc": { "version": 1_i64 } };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    Ok(update)
}

fn found_by(description: &Description) -> Document {
    let prefixes: Vec<String> = prefixes(description).into_iter().collect();
    doc! { "prefixes": prefixes, "album_position": description.album_position() }
}

/// A value as an expression that means itself, whatever it begins with.
pub(super) fn literal(value: &impl Serialize) -> Result<Bson> {
    Ok(doc! { "$literal": serialize_to_bson(value).map_err(Error::backend)? }.into())
}

/// The song of a document; nothing where it is none of ours.
pub(super) fn song(document: &RawDocument) -> Result<Option<Song>> {
    if !is_ours(document)? {
        return Ok(None);
    }
    let mut fields = RawDocumentBuf::new();
    for element in document {
        match element.map_err(Error::backend)? {
            (name, id) if name.as_str() == "_id" => fields.append(cstr!("id"), id),
            (name, _) if ["schema", "prefixes", "album_position"].contains(&name.as_str()) => {}
            (name, value) => fields.append(name, value),
        }
    }
    deserialize_from_slice(fields.as_bytes()).map(Some).map_err(Error::backend)
}

/// A record as a document: its JSON, with `schema`.
pub(super) fn of_record(record: &impl Serialize) -> Result<Document> {
    let mut document = serialize_to_document(record).map_err(Error::backend)?;
    if let Some(id) = document.remove("id") {
        document.insert("_id", id);
    }
    document.insert("schema", SCHEMA);
    Ok(document)
}

/// The record of a document; nothing where it is none of ours.
pub(super) fn record<T: DeserializeOwned>(mut document: Document) -> Result<Option<T>> {
    let raw = RawDocumentBuf::try_from(&document).map_err(Error::backend)?;
    if !is_ours(&raw)? {
        return Ok(None);
    }
    if let Some(id) = document.get("_id").cloned() {
        document.insert("id", id);
    }
    deserialize_from_document(document).map(Some).map_err(Error::backend)
}

pub(super) fn of_chunk(key: &ChunkKey, bytes: &[u8]) -> RawDocumentBuf {
    let id = key.to_string();
    let mut document = rawdoc! {
        "_id": &*id,
        "schema": SCHEMA,
        "music_id": key.song().to_string(),
        "chunk_name": key.chunk_name(),
        "checksum": i64::from(checksum(&id, bytes)),
    };
    let bytes = mongodb::bson::RawBinaryRef { subtype: BinarySubtype::Generic, bytes };
    document.append(cstr!("chunk_bytes"), bytes);
    document
}

/// The bytes in a chunk's document, verified; nothing where it is none of ours.
pub(super) fn chunk_bytes<'a>(
    document: &'a RawDocument,
    verifier: &Verifier,
) -> Result<Option<&'a [u8]>> {
    if !is_ours(document)? {
        return Ok(None);
    }
    let bytes = document.get_binary("chunk_bytes").map_err(Error::backend)?.bytes;
    let checksum = integer(document.get("checksum").map_err(Error::backend)?);
    verifier.verify(document.get_str("_id").map_err(Error::backend)?, bytes, checksum)?;
    Ok(Some(bytes))
}

/// A number, of whatever type the tool that wrote it gives to numbers.
fn integer(value: Option<RawBsonRef<'_>>) -> Option<i64> {
    match value? {
        RawBsonRef::Int32(number) => Some(number.into()),
        RawBsonRef::Int64(number) => Some(number),
        // Shells and import tools write every number as a double.
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and so stays another")]
        RawBsonRef::Double(number) => Some(number as i64),
        _ => None,
    }
}

/// Whether a document is one of ours, not the predecessor's, which have no schema.
///
/// # Errors
/// [`Error::NewerSchema`] if it is one of ours to come.
pub(super) fn is_ours(document: &RawDocument) -> Result<bool> {
    let Some(schema) = integer(document.get("schema").map_err(Error::backend)?) else {
        return Ok(false);
    };
    if schema > i64::from(SCHEMA) {
        let document = match document.get_str("_id") {
            Ok(id) => format!("document {id}"),
            Err(_) => "a document".to_owned(),
        };
        return Err(Error::NewerSchema { document, schema });
    }
    Ok(true)
}
