//! `POST /songs` and `POST /songs/{id}/ingest`: songs in.

mod body;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use ingest::{Error, Ingest, Outcome, Rejection, Spool};
use music::{Song, SongId, Status};
use serde::Deserialize;
use service::{Problem, Result, background, conditional};

use super::{etag, no_such_song, parse_id, query::Query};
use crate::{
    Crud,
    claim::{self, Held},
    given,
    worker::{Job, hand_over},
};

/// Where a gateway waits for the answer, what is estimated to take longer is not waited for.
const SYNCHRONOUS_ESTIMATE: Duration = Duration::from_secs(15);

/// When an ingest under way may be worth asking about again.
const UNDER_WAY: Duration = Duration::from_secs(10);

/// `POST /songs`: a song as JSON, as a form, or as the file itself.
pub(crate) async fn add(
    State(crud): State<Crud>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response> {
    let started = Instant::now();
    let busy = |_| Problem::unavailable("too many songs are being received");
    let _place = Arc::clone(&crud.receiving).try_acquire_owned().map_err(busy)?;
    let (spool, given) = body::receive(&crud, &headers, query, body).await?;
    let held = match claim::take(&crud, &headers, &spool, &given).await? {
        claim::Taken::Unasked => None,
        claim::Taken::Ours(held) => Some(held),
        claim::Taken::Answered(id) => return repeated(&crud, id).await,
    };
    let probe = crud.ingest.probe(&spool).await.map_err(problem)?;
    // As the request says, else as the tags do, else as the file's name does.
    let told = probe.tags.clone().then(given.patch);
    let (description, _) = told.describe_meanwhile(given.filename.as_deref());

    let limit = crud.config.synchronous_limit();
    let too_long =
        limit.is_some() && crud.ingest.estimate(&probe, given.lossless) > SYNCHRONOUS_ESTIMATE;
    let asynchronous = too_long || prefers_async(&headers);
    let id = held.as_ref().map_or_else(SongId::new, Held::song);
    let mut unfinished = Unfinished { crud: &crud, song: Some(id) };
    let song = crud
        .ingest
        .add_as(id, &spool, &probe, description, given.filename.as_deref())
        .await
        .map_err(problem)?;
    let lossless = given.lossless;
    let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
    let ready =
        if asynchronous { None } else { encode(&crud, &song, spool, lossless, left).await? };
    if ready.is_none() {
        crud.hand_over(&song, lossless).await?;
    }
    unfinished.song = None;
    if let Some(held) = held {
        settle(&crud, held).await?;
    }
    match ready {
        Some(song) => crud.answer_located(StatusCode::CREATED, &song),
        None => crud.answer_located(StatusCode::ACCEPTED, &song),
    }
}

/// Keeps the answer under the request's key, or lets the song go: one of the two, also for a client
/// that does not wait for it. Where it is not known whether the key is settled, the song stays, for
/// the next request with the key: it is answered with the song, or takes the key over and removes it.
async fn settle(crud: &Crud, held: Held) -> Result<()> {
    let (ingest, id) = (crud.ingest.clone(), held.song());
    let settling = background::spawn(async move {
        if held.settle().await? {
            return Ok(());
        }
        discard(&ingest, id).await;
        Err(removed())
    });
    settling.await.unwrap_or_else(|error| Err(Problem::internal(error)))
}

async fn discard(ingest: &Ingest, id: SongId) {
    if let Err(error) = ingest.discard(id).await {
        tracing::warn!(%id, error = %error, "an abandoned song is left to the sweep");
    }
}

/// The answer to a request that was answered before: the song as it now is.
async fn repeated(crud: &Crud, id: SongId) -> Result<Response> {
    let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
    let made = song.status == Status::Ready;
    crud.answer_located(if made { StatusCode::CREATED } else { StatusCode::ACCEPTED }, &song)
}

/// How `POST /songs/{id}/ingest` may be asked.
#[derive(Deserialize)]
pub(crate) struct Again {
    lossless: Option<String>,
}

/// `POST /songs/{id}/ingest?lossless=`: makes a new revision from the original; the present one plays on.
/// `If-Match` is honoured.
pub(crate) async fn ingest_again(
    State(crud): State<Crud>,
    Path(id): Path<String>,
    Query(Again { lossless }): Query<Again>,
    request: HeaderMap,
) -> Result<Response> {
    let id = parse_id(&id)?;
    let lossless = lossless.as_deref().map(given::lossless).transpose()?;
    if request.contains_key(header::IF_MATCH) {
        let song = crud.store.get(id).await?.ok_or_else(no_such_song)?;
        conditional::check_match(&request, &etag(&song)?)?;
    }
    let song = crud.ingest.again(id).await.map_err(problem)?;
    if let Err(error) = crud.hand_over(&song, lossless).await {
        if let Some(attempt) = &song.attempt {
            crud.store.fail(song.id, attempt.id, "the ingest could not be started").await?;
        }
        return Err(error);
    }
    crud.answer_located(StatusCode::ACCEPTED, &song)
}

/// The ready song, or nothing if it was not ready `within` its time.
async fn encode(
    crud: &Crud,
    song: &Song,
    spool: Spool,
    lossless: Option<bool>,
    within: Option<Duration>,
) -> Result<Option<Song>> {
    let Some(attempt) = &song.attempt else { return Ok(None) };
    let encoding = async {
        let closed = |_| Problem::unavailable("this process is stopping");
        let _permit = crud.encoding.acquire().await.map_err(closed)?;
        let run = crud.ingest.run(song.id, attempt.id, Some(spool), lossless);
        match run.await.map_err(problem)? {
            Outcome::Ready(song) => Ok(Some(*song)),
            Outcome::Ended => Err(removed()),
        }
    };
    match within {
        Some(within) => tokio::time::timeout(within, encoding).await.unwrap_or(Ok(None)),
        None => encoding.await,
    }
}

/// RFC 7240 §4.1.
fn prefers_async(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).any(|preference| {
        preference
            .split(';')
            .next()
            .is_some_and(|name| name.trim().eq_ignore_ascii_case("respond-async"))
    })
}

impl Crud {
    /// Hands the attempt that `song` has under way to whoever performs jobs.
    async fn hand_over(&self, song: &Song, lossless: Option<bool>) -> Result<()> {
        let job = Job::of(song, lossless);
        let stands = hand_over(self.store.as_ref(), self.dispatch.as_ref(), song, job).await?;
        if stands { Ok(()) } else { Err(removed()) }
    }
}

/// A song that nobody has been told of. If the request fails, or its client leaves, it goes.
struct Unfinished<'a> {
    crud: &'a Crud,
    song: Option<SongId>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Some(id) = self.song else { return };
        let ingest = self.crud.ingest.clone();
        background::spawn(async move { discard(&ingest, id).await });
    }
}

/// What the client hears of an ingest that did not happen.
pub(crate) fn problem(error: Error) -> Problem {
    match error {
        Error::Rejected(rejection) => {
            let detail = rejection.to_string();
            match rejection {
                Rejection::TooLarge { limit } => Problem::too_large(limit),
                _ => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-playable", detail),
            }
        }
        Error::Incomplete(error) => Problem::bad_request(format!("the body broke off: {error}")),
        Error::NoSuchSong(_) => no_such_song(),
        Error::UnderWay(_) => {
            let detail = "an ingest of this song is under way";
            Problem::new(StatusCode::CONFLICT, "ingest-under-way", detail).retry_after(UNDER_WAY)
        }
        Error::NoOriginal(_) => {
            let detail = "the original of this song was not kept: send it again";
            Problem::new(StatusCode::CONFLICT, "no-original", detail)
        }
        Error::Store(error) => error.into(),
        Error::NoSpace(what, error) => {
            tracing::warn!(what, %error, "the working directory is full");
            Problem::insufficient_storage("there is no room left to work on the file")
        }
        error => Problem::internal(error),
    }
}

fn removed() -> Problem {
    Problem::new(StatusCode::CONFLICT, "removed", "the song was removed while it was being made")
}
