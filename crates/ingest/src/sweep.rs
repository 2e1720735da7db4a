//! Tidies up what crashes left, a bounded amount at a time.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use music::{Song, SongId, Status, Timestamp};
use store::{ChunkGroup, ChunkKey, Cursor, Query};

use crate::{Engine, Result, Swept, original};

/// How many records are asked for at a time.
const PAGE: usize = 100;

/// How many of each kind are looked at in one sweep.
const ATTEMPTS: usize = 1_000;
const REVISIONS: usize = 1_000;
const UPLOADS: usize = 1_000;
const GROUPS: usize = 10_000;
const SONGS: usize = 200;

/// What a song says whose attempt stopped giving signs of life.
pub(crate) const INTERRUPTED: &str = "ingesting it was interrupted; try again";

/// Where the next sweep goes on, where one did not look at all there is.
#[derive(Debug, Default)]
pub(crate) struct Place {
    chunks: Mutex<Option<(SongId, ChunkGroup)>>,
    uploads: Mutex<Option<SongId>>,
    songs: Mutex<Option<Cursor>>,
}

fn recall<T: Copy>(place: &Mutex<Option<T>>) -> Option<T> {
    *place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<T>(place: &Mutex<Option<T>>, after: Option<T>) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = after;
}

/// See [`Ingest::sweep`](crate::Ingest::sweep).
pub(crate) async fn sweep(engine: &Engine, place: &Place, now: Timestamp) -> Result<Swept> {
    let mut swept = Swept { complete: true, ..Swept::default() };
    end_attempts(engine, now, &mut swept).await?;
    remove_revisions(engine, now, &mut swept).await?;
    remove_uploads(engine, place, now, &mut swept).await?;
    remove_orphans(engine, place, &mut swept).await?;
    engine.store.forget_claims(now).await?;
    match engine.workplace.sweep() {
        Ok(directories) => swept.directories = directories,
        Err(error) => tracing::warn!(%error, "the working directory cannot be swept"),
    }
    check_songs(engine, place, &mut swept).await?;
    Ok(swept)
}

/// Ends the attempts whose lease ran out. Their chunks go with those of other retired revisions.
async fn end_attempts(engine: &Engine, now: Timestamp, swept: &mut Swept) -> Result<()> {
    for _ in 0..ATTEMPTS / PAGE {
        let songs = engine.store.expired(now, PAGE).await?;
        for song in &songs {
            let Some(attempt) = &song.attempt else { continue };
            // It may have given a sign of life since it was listed.
            if engine.store.fail_expired(song.id, attempt.id, now, INTERRUPTED).await? {
                swept.attempts += 1;
                tracing::info!(song = %song.id, attempt = %attempt.id, "an attempt was interrupted");
            }
        }
        if songs.len() < PAGE {
            return Ok(());
        }
    }
    swept.complete = false;
    Ok(())
}

/// Removes chunks before the record that names them forgets them.
async fn remove_revisions(engine: &Engine, now: Timestamp, swept: &mut Swept) -> Result<()> {
    for _ in 0..REVISIONS / PAGE {
        let retired = engine.store.removable(now, PAGE).await?;
        for (song, retired) in &retired {
            engine.store.remove_group(*song, ChunkGroup::Revision(retired.id)).await?;
            engine.store.forget(*song, retired.id).await?;
            swept.revisions += 1;
        }
        if retired.len() < PAGE {
            return Ok(());
        }
    }
    swept.complete = false;
    Ok(())
}

/// Removes uploads of which no part came in for too long. One of which all parts are in becomes a
/// song, however late.
///
/// The record goes first, and only if it has not been given more time meanwhile: then no part can
/// follow, and a crash leaves chunks that neither a song nor an upload names.
async fn remove_uploads(
    engine: &Engine,
    place: &Place,
    now: Timestamp,
    swept: &mut Swept,
) -> Result<()> {
    let mut after = recall(&place.uploads);
    for _ in 0..UPLOADS / PAGE {
        let uploads = engine.store.list_uploads(after, PAGE).await?;
        for upload in &uploads {
            let given_up = upload.offset < upload.length && upload.expires_at <= now;
            if given_up && engine.store.remove_upload(upload.id, now).await? {
                engine.store.remove_group(upload.id, ChunkGroup::Original).await?;
                swept.uploads += 1;
                tracing::info!(upload = %upload.id, "an upload was given up");
            }
        }
        after = uploads.last().map(|upload| upload.id);
        if uploads.len() < PAGE {
            remember(&place.uploads, None);
            return Ok(());
        }
    }
    remember(&place.uploads, after);
    swept.complete = false;
    Ok(())
}

/// Removes chunks that no song and no upload knows of.
///
/// The record is read after the chunks were seen: it names an attempt before the first of its
/// chunks is written, so what it does not name then nobody will.
async fn remove_orphans(engine: &Engine, place: &Place, swept: &mut Swept) -> Result<()> {
    let mut after = recall(&place.chunks);
    for _ in 0..GROUPS / PAGE {
        let groups = engine.store.groups(after, PAGE).await?;
        // Read again for each page: what a page shows may be younger than the last reading.
        let mut known: Option<(SongId, Option<Song>)> = None;
        for (id, group) in &groups {
            let song = match known.take() {
                Some((known, song)) if known == *id => song,
                _ => engine.store.get(*id).await?,
            };
            if !is_wanted(engine, *id, song.as_ref(), *group).await? {
                engine.store.remove_group(*id, *group).await?;
                swept.orphans += 1;
                tracing::info!(song = %id, %group, "chunks without a song");
            }
            known = Some((*id, song));
        }
        after = groups.last().copied();
        if groups.len() < PAGE {
            remember(&place.chunks, None);
            return Ok(());
        }
    }
    remember(&place.chunks, after);
    swept.complete = false;
    Ok(())
}

/// Looks whether all chunks of ready songs are there, newest songs first. Reads keys only.
async fn check_songs(engine: &Engine, place: &Place, swept: &mut Swept) -> Result<()> {
    let mut after = recall(&place.songs);
    for _ in 0..SONGS / PAGE {
        let query =
            Query { status: Status::Ready, words: Vec::new(), album: None, after, limit: PAGE };
        let page = engine.store.list(&query).await?;
        for song in &page.songs {
            swept.missing += missing(engine, song).await?;
        }
        after = page.next;
        if after.is_none() {
            swept.checked = true;
            break;
        }
    }
    remember(&place.songs, after);
    Ok(())
}

/// How many chunks of a song's revision are not in the store.
async fn missing(engine: &Engine, song: &Song) -> Result<usize> {
    let Some(revision) = &song.revision else { return Ok(0) };
    let group = ChunkGroup::Revision(revision.id);
    let found: HashSet<String> =
        engine.store.chunk_names(song.id, group).await?.into_iter().collect();
    let keys = revision.variants.iter().flat_map(|variant| {
        let segments = variant.timeline.runs.iter().map(|run| run.count).sum();
        let segment = |number| ChunkKey::segment(song.id, revision.id, &variant.name, number);
        let init = ChunkKey::init(song.id, revision.id, &variant.name);
        std::iter::once(init).chain((0..segments).map(segment))
    });
    let missing: Vec<_> =
        keys.map(|key| key.chunk_name()).filter(|name| !found.contains(name)).collect();
    let Some(first) = missing.first() else { return Ok(0) };
    // It may have been removed, or made anew, since it was listed.
    let present = engine.store.get(song.id).await?.and_then(|song| song.revision);
    if present.is_none_or(|present| present.id != revision.id) {
        return Ok(0);
    }
    let missing = missing.len();
    tracing::error!(song = %song.id, missing, first, "chunks of a ready song are missing: ingest it again");
    Ok(missing)
}

/// Whether a group of chunks is of use to a song or an upload, or may come to be.
async fn is_wanted(
    engine: &Engine,
    id: SongId,
    song: Option<&Song>,
    group: ChunkGroup,
) -> Result<bool> {
    let Some(song) = song else {
        return Ok(group == ChunkGroup::Original && is_arriving(engine, id).await?);
    };
    if group == ChunkGroup::Original && !song.keeps_original() {
        return Ok(false);
    }
    // Of a file that never arrived completely nothing can be made, once nobody is sending it.
    let ended = song.status == Status::Failed && song.attempt.is_none();
    if group == ChunkGroup::Original && ended {
        return Ok(original::is_complete(engine.store.as_ref(), song).await?);
    }
    Ok(names(song, group))
}

/// Whether a file's parts belong to an upload, or to the song that it became a moment ago: the song
/// is inserted before the upload's record goes, so that in this order one of the two is seen.
async fn is_arriving(engine: &Engine, id: SongId) -> Result<bool> {
    Ok(engine.store.get_upload(id).await?.is_some() || engine.store.get(id).await?.is_some())
}

fn names(song: &Song, group: ChunkGroup) -> bool {
    let ChunkGroup::Revision(id) = group else { return true };
    song.attempt.as_ref().is_some_and(|attempt| attempt.id == id)
        || song.revision.as_ref().is_some_and(|revision| revision.id == id)
        || song.retired.iter().any(|retired| retired.id == id)
}
