//! `init.mp4` and `{number}.m4s`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, Method},
    response::Response,
};
use headers::ETag;
use music::{RevisionId, SongId};
use service::{Problem, Result, conditional};
use store::{ChunkKey, Store};

use super::IMMUTABLE;

/// `GET /stream/{id}/{revision}/{variant}/{file}`: one chunk, found by its key alone.
pub(crate) async fn media(
    State(store): State<Arc<dyn Store>>,
    Path((id, revision, variant, file)): Path<(String, String, String, String)>,
    method: Method,
    request: HeaderMap,
) -> Result<Response> {
    let missing = || Problem::not_found("there is no such segment");
    let key = key(&id, &revision, &variant, &file).ok_or_else(missing)?;
    let etag: ETag = format!("\"{revision}-{variant}-{file}\"").parse().map_err(|_| missing())?;
    let bytes = store.read(&key).await?.ok_or_else(missing)?;
    let length = bytes.len() as u64;
    let selection = conditional::select(&method, &request, &etag, length);
    Ok(conditional::respond(selection, &etag, length, "audio/mp4", IMMUTABLE, |range| {
        // A chunk is at most 4 MiB, so its bounds fit.
        #[expect(clippy::cast_possible_truncation, reason = "within the length of a slice")]
        Body::from(bytes.slice(range.start as usize..range.end as usize))
    }))
}

/// The key that a path stands for. Each key has one path, so that a cache holds it once.
fn key(id: &str, revision: &str, variant: &str, file: &str) -> Option<ChunkKey> {
    let id: SongId = id.parse().ok()?;
    let revision: RevisionId = revision.parse().ok()?;
    let plain = |character: char| character.is_ascii_alphanumeric();
    if variant.is_empty() || !variant.chars().all(plain) {
        return None;
    }
    if file == "init.mp4" {
        return Some(ChunkKey::init(id, revision, variant));
    }
    let digits = file.strip_suffix(".m4s")?;
    let number: u32 = digits.parse().ok()?;
    (number.to_string() == digits).then(|| ChunkKey::segment(id, revision, variant, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_path() {
        let (id, revision) = (SongId::new().to_string(), RevisionId::new().to_string());
        let key = |variant: &str, file: &str| key(&id, &revision, variant, file);
        assert_eq!(
            key("128k", "7.m4s").expect("is a key").to_string(),
            format!("{id}/{revision}/128k/7.m4s")
        );
        for file in ["07.m4s", "+7.m4s", "-7.m4s", "7.m4s ", ".m4s", "4294967296.m4s", "7.mp4", "7"]
        {
            assert!(key("128k", file).is_none(), "{file:?}");
        }
        for variant in ["", "..", "128k/..", "\u{e9}"] {
            assert!(key(variant, "init.mp4").is_none(), "{variant:?}");
        }
    }
}
