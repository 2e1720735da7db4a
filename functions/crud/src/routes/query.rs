//! What a URL asks for behind its `?`.

use axum::{
    extract::{FromRequestParts, Query as Lenient},
    http::request::Parts,
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use service::Problem;

/// A query as a `T`. One that is not UTF-8 is refused: read as if it were, it would store or find
/// replacement characters.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if percent_decode_str(parts.uri.query().unwrap_or_default()).decode_utf8().is_err() {
            return Err(Problem::bad_request("the query is not UTF-8"));
        }
        match Lenient::try_from_uri(&parts.uri) {
            Ok(Lenient(query)) => Ok(Self(query)),
            Err(error) => Err(Problem::bad_request(error.body_text())),
        }
    }
}
