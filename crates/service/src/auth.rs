//! Who may do what: the API key.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use headers::{Authorization, HeaderMapExt, authorization::Bearer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Problem, ReadAccess, Result};

/// What a request is measured by.
pub(crate) struct Guard {
    key: [u8; 32],
    read_access: ReadAccess,
    base_path: String,
}

impl Guard {
    pub(crate) fn new(key: &str, read_access: ReadAccess, base_path: &str) -> Self {
        Self { key: digest(key.as_bytes()), read_access, base_path: base_path.to_owned() }
    }

    fn needs_key(&self, request: &Request) -> bool {
        let path = request.uri().path();
        let path = path.strip_prefix(&self.base_path).unwrap_or(path);
        match *request.method() {
            Method::OPTIONS => false,
            Method::GET | Method::HEAD => {
                path.starts_with("/uploads")
                    || (self.read_access == ReadAccess::Key && path.starts_with("/songs"))
            }
            _ => true,
        }
    }

    /// Compares digests, so that neither the time nor the length says how near a guess was.
    fn accepts(&self, request: &Request) -> bool {
        let headers = request.headers();
        let bearer = headers.typed_get::<Authorization<Bearer>>();
        let given = match &bearer {
            Some(bearer) => bearer.token().as_bytes(),
            None => headers.get("x-api-key").map_or(&[][..], HeaderValue::as_bytes),
        };
        digest(given).ct_eq(&self.key).into()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) async fn check(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response> {
    if guard.needs_key(&request) && !guard.accepts(&request) {
        let detail = "this needs the API key, as `Authorization: Bearer …` or `X-Api-Key: …`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"segue\"")));
    }
    Ok(next.run(request).await)
}
