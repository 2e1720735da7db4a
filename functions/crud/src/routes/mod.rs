//! The routes, as their paths have them.

mod add;
mod list;
mod media_type;
mod original;
mod query;
mod song;
mod uploads;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use headers::{ETag, HeaderMapExt};
use music::{Song, SongId};
use service::{Problem, Result};

pub(crate) use add::{add, ingest_again, problem};
pub(crate) use list::list;
pub(crate) use original::original;
pub(crate) use song::{describe, remove, show};
pub(crate) use uploads::{
    append, create as create_upload, metadata, options as upload_options, overridden, resumable,
    show as show_upload, terminate,
};

use crate::{Crud, song_json::SongJson};

fn no_such_song() -> Problem {
    Problem::not_found("there is no such song")
}

/// The id that a path holds. One that cannot be is one that is not there.
fn parse_id(id: &str) -> Result<SongId> {
    id.parse().map_err(|_| no_such_song())
}

fn etag(song: &Song) -> Result<ETag> {
    format!("\"{}\"", song.version).parse().map_err(|_| Problem::bad_request("not an entity tag"))
}

/// A song changes while it is made: who has it asks whether it still is as it was.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

impl Crud {
    /// A song as the body of an answer, with its entity tag.
    fn answer(&self, status: StatusCode, song: &Song) -> Result<Response> {
        let json = Json(SongJson::new(song, self.config.http.base_path()));
        let mut response = (status, json).into_response();
        response.headers_mut().typed_insert(etag(song)?);
        response.headers_mut().insert(header::CACHE_CONTROL, NO_CACHE);
        Ok(response)
    }

    /// A song that was just added or is being made anew, and where it is from now on.
    fn answer_located(&self, status: StatusCode, song: &Song) -> Result<Response> {
        let mut response = self.answer(status, song)?;
        let location = format!("{}/songs/{}", self.config.http.base_path(), song.id);
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }
}
