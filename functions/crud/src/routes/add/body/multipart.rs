//! A song as a part of a form, `multipart/form-data` (RFC 7578): the file goes to the disk as it
//! comes in, the other parts describe it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{body::Bytes, http::StatusCode};
use futures_util::{Stream, StreamExt, stream};
use ingest::{Ingest, Spool};
use multer::{Field, Multipart};
use service::{BoxError, Problem, Result};

use super::problem;
use crate::given::{DESCRIPTION_LIMIT, FIELDS};

/// Receives the file of a form, and the fields that describe it. Other fields are passed over, as
/// those of tus are: upload forms send what concerns themselves.
pub(super) async fn receive(
    ingest: &Ingest,
    bytes: impl Stream<Item = Result<Bytes, axum::Error>> + Send,
    boundary: String,
) -> Result<(Spool, Vec<(String, String)>)> {
    let ration = Arc::new(Ration::default());
    let mut parts = Multipart::new(rationed(bytes, Arc::clone(&ration)), boundary);
    let (mut song, mut fields) = (None, Vec::new());
    while let Some(part) = parts.next_field().await.map_err(|error| refused(&ration, &error))? {
        if !is_file(&part) {
            let Some(name) = part.name().filter(|it| FIELDS.contains(it)).map(str::to_owned) else {
                pass_over(part).await.map_err(|error| refused(&ration, &error))?;
                continue;
            };
            let bytes = part.bytes().await.map_err(|error| refused(&ration, &error))?;
            let text = String::from_utf8(bytes.into())
                .map_err(|_| Problem::bad_request(format!("the part {name} is not UTF-8")))?;
            fields.push((name, text));
            continue;
        }
        if song.is_some() {
            return Err(Problem::bad_request("the form has more than one file: send one song"));
        }
        if let Some(name) = part.file_name() {
            // Ahead of a field of that name, which says more.
            fields.insert(0, ("filename".to_owned(), name.to_owned()));
        }
        ration.lift();
        song = Some(ingest.receive(part).await.map_err(problem)?);
        ration.impose();
    }
    let song = song.ok_or_else(|| Problem::bad_request("the form has no file: send one"))?;
    Ok((song, fields))
}

fn is_file(part: &Field<'_>) -> bool {
    let kind = part.content_type();
    part.file_name().is_some() || kind.is_some_and(|it| it.type_() == "audio")
}

async fn pass_over(mut part: Field<'_>) -> multer::Result<()> {
    while part.chunk().await?.is_some() {}
    Ok(())
}

fn refused(ration: &Ration, error: &multer::Error) -> Problem {
    if ration.is_spent() {
        let detail =
            format!("apart from its file, a form may have at most {DESCRIPTION_LIMIT} bytes");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail);
    }
    Problem::bad_request(format!("not a form: {error}"))
}

/// How much of a form has been read that is not its file.
#[derive(Default)]
struct Ration {
    read: AtomicUsize,
    lifted: AtomicBool,
}

impl Ration {
    fn lift(&self) {
        self.lifted.store(true, Ordering::Relaxed);
    }

    fn impose(&self) {
        self.read.store(0, Ordering::Relaxed);
        self.lifted.store(false, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        !self.lifted.load(Ordering::Relaxed)
            && self.read.load(Ordering::Relaxed) > DESCRIPTION_LIMIT
    }
}

/// The pieces of a body, one whenever it is asked. `multer` keeps all that it is given, until what
/// it looks for is among it, and takes all that is ready.
fn rationed(
    bytes: impl Stream<Item = Result<Bytes, axum::Error>> + Send,
    ration: Arc<Ration>,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    bytes
        .map(move |piece| {
            let piece = piece.map_err(BoxError::from)?;
            if ration.is_spent() {
                return Err(BoxError::from("it has too much beside its file"));
            }
            ration.read.fetch_add(piece.len(), Ordering::Relaxed);
            Ok(piece)
        })
        // It takes an end that comes with the last piece for one that came too early.
        .chain(stream::iter([Ok(Bytes::new())]))
        .then(async |piece| {
            tokio::task::yield_now().await;
            piece
        })
}
