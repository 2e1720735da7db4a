//! `Upload-Checksum` (tus 1.0.0, Checksum): whether a part arrived as it was sent.

use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use service::{Problem, Result};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The value of `Tus-Checksum-Algorithm`.
pub(super) const ALGORITHMS: &str = "sha1,sha256";

/// What a part must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Checksum {
    Sha1(Vec<u8>),
    Sha256(Vec<u8>),
}

impl Checksum {
    /// What the request says, if it does.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get("upload-checksum") else { return Ok(None) };
        let pair = value.to_str().ok().and_then(|value| value.trim().split_once(' '));
        let Some((algorithm, digest)) = pair else {
            return Err(Problem::bad_request("Upload-Checksum must be an algorithm and a digest"));
        };
        let digest = BASE64_STANDARD.decode(digest.trim()).map_err(|error| {
            Problem::bad_request(format!("Upload-Checksum: the digest is not base64: {error}"))
        })?;
        match algorithm {
            "sha1" => Ok(Some(Self::Sha1(digest))),
            "sha256" => Ok(Some(Self::Sha256(digest))),
            _ => {
                let detail = format!("Upload-Checksum: the algorithm must be one of {ALGORITHMS}");
                Err(Problem::bad_request(detail))
            }
        }
    }

    /// Refuses with 460 what hashes to something else.
    pub(super) fn check(&self, bytes: &[u8]) -> Result<()> {
        let holds = match self {
            Self::Sha1(digest) => Sha1::digest(bytes)[..] == digest[..],
            Self::Sha256(digest) => Sha256::digest(bytes)[..] == digest[..],
        };
        if holds { Ok(()) } else { Err(mismatch()) }
    }
}

fn mismatch() -> Problem {
    let status = StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST);
    Problem::new(status, "checksum-mismatch", "the part does not have the checksum that was given")
}
