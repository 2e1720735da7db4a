//! One attempt at a revision, from its first sign of life to its commit or its end.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use music::{Attempt, Media, Revision, RevisionId, Song, SongId};
use store::ChunkGroup;
use tokio::time::sleep;

use crate::{
    Engine, Error, Outcome, Result, Spool, encode::Encoding, engine::after, original, probe,
    track::Shelf, uploads::Uploads,
};

/// How many segments may be on their way into the store: enough to hide how far away it is.
const AT_ONCE: usize = 6;

/// What the song says if it is not the file's fault.
pub(crate) const OUR_FAULT: &str =
    "it could not be ingested, for a reason that is not the file's; try again";

/// What the song says if its original is not what was sent.
const DAMAGED: &str = "the stored original of the song is damaged; send the file again";

/// See [`Ingest::run`](crate::Ingest::run).
pub(crate) async fn run(
    engine: &Engine,
    id: SongId,
    attempt: RevisionId,
    spool: Option<Spool>,
    lossless: bool,
) -> Result<Outcome> {
    let Some(song) = engine.ask(|store| store.get(id)).await? else { return Ok(Outcome::Ended) };
    if song.revision.as_ref().is_some_and(|revision| revision.id == attempt) {
        let_original_go(engine, &song).await;
        return Ok(Outcome::Ready(Box::new(song)));
    }
    if song.attempt.as_ref().is_none_or(|current| current.id != attempt) {
        return Ok(Outcome::Ended);
    }
    let uploads = Uploads::new(engine.store.clone(), engine.config.patience, AT_ONCE);
    let samples = AtomicU64::new(0);
    let expected = AtomicU64::new(expected_samples(&song));
    // Dropping whichever does not end first stops it: with the work, its ffmpeg.
    let outcome = tokio::select! {
        made = make(engine, &uploads, &song, attempt, spool, lossless, (&samples, &expected)) => made.map(Some),
        () = keep_alive(engine, &song, attempt, (&samples, &expected)) => Ok(None),
    };
    let drained = uploads.finish().await;
    match outcome.and_then(|made| drained.map(|()| made)) {
        Ok(Some(revision)) => commit(engine, id, revision).await,
        Ok(None) => clear(engine, id, attempt).await.map(|()| Outcome::Ended),
        Err(error) => {
            give_up(engine, id, attempt, &error).await;
            Err(error)
        }
    }
}

async fn make(
    engine: &Engine,
    uploads: &Uploads,
    song: &Song,
    attempt: RevisionId,
    spool: Option<Spool>,
    lossless: bool,
    (samples, expected): (&AtomicU64, &AtomicU64),
) -> Result<Revision> {
    let spool = match spool {
        Some(spool) => spool,
        None => original::fetch(engine, song).await?,
    };
    let media = match &song.source.media {
        Some(media) => media.clone(),
        None => identify(engine, song.id, attempt, &spool, expected).await?,
    };
    let shelf = Shelf { uploads, song: song.id, attempt };
    let room = engine.config.max_output_bytes.into();
    let encoding = Encoding { engine, shelf, media: &media, lossless, samples, room };
    encoding.run(&spool).await
}

/// Looks at a file that came in by parts, which nobody could do before, and tells the song's record.
async fn identify(
    engine: &Engine,
    id: SongId,
    attempt: RevisionId,
    spool: &Spool,
    expected: &AtomicU64,
) -> Result<Media> {
    let probe = probe::probe(engine, spool).await?;
    loop {
        let song = engine.ask(|store| store.get(id)).await?.ok_or(Error::NoSuchSong(id))?;
        if song.attempt.as_ref().is_none_or(|current| current.id != attempt) {
            return Err(Error::NoSuchSong(id));
        }
        let mut told = song;
        told.source.media = Some(probe.media());
        told.source.sha256 = Some(spool.sha256().to_owned());
        let tags = probe.tags.clone();
        let described = tags.complete_from_tags(told.description.clone(), told.stand_in.as_ref());
        let (version, source) = (told.version, &told.source);
        if engine.ask(|store| store.identify(id, version, source, &described)).await? {
            expected.store(expected_samples(&told), Ordering::Relaxed);
            return Ok(probe.media());
        }
        // The record changed meanwhile, by a sign of life or by somebody's hand.
    }
}

/// Gives signs of life for as long as they are wanted.
async fn keep_alive(
    engine: &Engine,
    song: &Song,
    attempt: RevisionId,
    (samples, expected): (&AtomicU64, &AtomicU64),
) {
    loop {
        let progress = progress(samples.load(Ordering::Relaxed), expected.load(Ordering::Relaxed));
        let sign = Attempt { id: attempt, lease_until: engine.lease(), progress };
        let pause = match engine.store.renew(song.id, &sign).await {
            Ok(true) => engine.config.lease / 3,
            Ok(false) => return,
            Err(error) => {
                // Whether the attempt still is wanted will be told at the commit at the latest.
                tracing::warn!(%error, song = %song.id, "no sign of life could be given");
                engine.config.lease / 12
            }
        };
        sleep(pause.max(Duration::from_millis(10))).await;
    }
}

/// How many samples are to be encoded, roughly: tags and framing count as sound. No end of them
/// where nobody has looked at the file yet.
fn expected_samples(song: &Song) -> u64 {
    let Some(format) = song.source.media.as_ref().map(|media| media.format) else {
        return u64::MAX;
    };
    let bits =
        u128::from(song.source.bytes) * 8 * u128::from(music::output_rate(format.sample_rate));
    u64::try_from(bits / u128::from(format.bitrate.max(1))).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a rough share")]
fn progress(samples: u64, expected: u64) -> f64 {
    // Not all of it before the commit.
    (samples as f64 / expected.max(1) as f64).min(0.99)
}

async fn commit(engine: &Engine, id: SongId, revision: Revision) -> Result<Outcome> {
    let removable_at = after(music::now(), engine.config.grace);
    let committed = engine.ask(|store| store.commit(id, &revision, removable_at)).await?;
    let song = if committed { engine.ask(|store| store.get(id)).await? } else { None };
    let Some(song) = song else {
        clear(engine, id, revision.id).await?;
        return Ok(Outcome::Ended);
    };
    let_original_go(engine, &song).await;
    Ok(Outcome::Ready(Box::new(song)))
}

/// Removes the file that a ready song was made from, where its record says that it is not kept.
/// What cannot be removed now is left to the sweep.
async fn let_original_go(engine: &Engine, song: &Song) {
    if !song.keeps_original()
        && let Err(error) =
            engine.ask(|store| store.remove_group(song.id, ChunkGroup::Original)).await
    {
        tracing::warn!(%error, song = %song.id, "an original is left to the sweep");
    }
}

/// Ends an attempt that failed. What cannot be done now is left to the sweep.
async fn give_up(engine: &Engine, id: SongId, attempt: RevisionId, error: &Error) {
    if matches!(error, Error::Store(store::Error::Unavailable(_))) {
        return;
    }
    let reason = match error {
        Error::Rejected(rejection) => rejection.to_string(),
        Error::DamagedOriginal(_) => DAMAGED.to_owned(),
        _ => OUR_FAULT.to_owned(),
    };
    let ended = async {
        engine.ask(|store| store.fail(id, attempt, &reason)).await?;
        clear(engine, id, attempt).await
    };
    if let Err(error) = ended.await {
        tracing::warn!(%error, song = %id, "a failed attempt is left to the sweep");
    }
}

/// Removes the chunks of an attempt that is not under way any more, unless they became the song's.
async fn clear(engine: &Engine, id: SongId, attempt: RevisionId) -> Result<()> {
    let Some(song) = engine.ask(|store| store.get(id)).await? else {
        return engine.ask(|store| store.remove_all(id)).await;
    };
    if song.revision.is_some_and(|revision| revision.id == attempt) {
        return Ok(());
    }
    engine.ask(|store| store.remove_group(id, ChunkGroup::Revision(attempt))).await?;
    if song.retired.iter().any(|retired| retired.id == attempt) {
        engine.ask(|store| store.forget(id, attempt)).await?;
    }
    Ok(())
}
