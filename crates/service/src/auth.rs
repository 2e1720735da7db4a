//! Who may do what: the API key, and where there is none, the origin of a browser's request.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use headers::{Authorization, HeaderMapExt, authorization::Bearer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{Access, Problem, ReadAccess, Result};

/// Decides whether a request may be handled.
#[derive(Debug)]
pub(crate) enum Guard {
    /// By the digest of the API key.
    Key {
        /// SHA-256 of the key.
        digest: [u8; 32],
        /// Whether reading needs it as well.
        read_access: ReadAccess,
    },
    /// There is no key, and the process may be on a person's own machine: any web page that the
    /// person opens can send it requests, so pages of other origins may not write.
    SameOrigin,
    /// There is no key, and the process is a public endpoint on Lambda: any client may do anything.
    Anyone,
}

impl Guard {
    pub(crate) fn new(key: Option<&str>, read_access: ReadAccess, on_lambda: bool) -> Self {
        match key {
            Some(key) => Self::Key { digest: digest(key.as_bytes()), read_access },
            None if on_lambda => Self::Anyone,
            None => Self::SameOrigin,
        }
    }

    fn check(&self, access: Access, headers: &HeaderMap) -> Result<()> {
        match (self, access) {
            (_, Access::Open)
            | (
                Self::Key { read_access: ReadAccess::Public, .. } | Self::SameOrigin,
                Access::Listen,
            )
            | (Self::Anyone, _) => Ok(()),
            (Self::Key { digest, .. }, _) => {
                if accepts(digest, headers) {
                    Ok(())
                } else {
                    Err(unauthorized())
                }
            }
            (Self::SameOrigin, _) => {
                if is_same_origin(headers) {
                    Ok(())
                } else {
                    Err(cross_origin())
                }
            }
        }
    }
}

/// Compares digests, so that neither the time nor the length says how near a guess was.
fn accepts(key: &[u8; 32], headers: &HeaderMap) -> bool {
    let bearer = headers.typed_get::<Authorization<Bearer>>();
    let given = match &bearer {
        Some(bearer) => bearer.token().as_bytes(),
        None => headers.get("x-api-key").map_or(&[][..], HeaderValue::as_bytes),
    };
    digest(given).ct_eq(key).into()
}

/// Whether a request comes from a page of this server, from the person at the browser, or from no
/// browser. Browsers send `Sec-Fetch-Site` (W3C Fetch Metadata) to loopback, and to other hosts only
/// over TLS; `Origin` comes with every request that writes (Fetch standard, "append a request
/// `Origin` header"). Other clients send neither.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter().peekable();
    if sites.peek().is_some() {
        return sites.all(|site| site == "same-origin" || site == "none");
    }
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    headers.get_all(header::ORIGIN).iter().all(|origin| {
        let origin = origin.as_bytes();
        let authority =
            origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
    })
}

fn unauthorized() -> Problem {
    let detail = "this needs the API key, as `Authorization: Bearer …` or `X-Api-Key: …`";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"segue\""))
}

fn cross_origin() -> Problem {
    let detail = "a web page of another origin may not write here: set API_KEY to allow it";
    Problem::new(StatusCode::FORBIDDEN, "cross-origin", detail)
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) async fn check(
    State((guard, access)): State<(Arc<Guard>, Access)>,
    request: Request,
    next: Next,
) -> Result<Response> {
    guard.check(access, request.headers())?;
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let name = name.parse::<axum::http::HeaderName>().expect("is a name");
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn a_write_without_a_key_needs_the_same_origin_or_no_browser() {
        let host = ("host", "localhost:8080");
        for allowed in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:8080")],
            &[("origin", "http://LOCALHOST:8080")],
        ] {
            let headers = headers(&[&[host], allowed].concat());
            assert!(Guard::SameOrigin.check(Access::Add, &headers).is_ok(), "{allowed:?}");
        }
        for refused in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:8080")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            &[("origin", "null")],
            &[("origin", "http://localhost:8081")],
            &[("origin", "http://evil.example")],
            &[("origin", "http://localhost:8080"), ("origin", "http://evil.example")],
        ] {
            let headers = headers(&[&[host], refused].concat());
            for access in [Access::Add, Access::Manage] {
                let problem = Guard::SameOrigin.check(access, &headers);
                assert!(problem.is_err(), "{access:?}: {refused:?}");
            }
        }
    }
}
