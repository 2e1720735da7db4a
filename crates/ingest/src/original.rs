//! The file that a song was made from, in the store and out of it again.

use bytes::BytesMut;
use music::{Attempt, Song};
use store::{CHUNK_LIMIT, ChunkKey, Store};
use tokio::{fs::File, io::AsyncReadExt as _, time::Instant};

use crate::{Engine, Error, Result, Spool, spool::SpoolWriter, uploads::Uploads};

/// The bytes of one part. A quarter of what a chunk may have: backends copy what they write, more
/// than once, and whoever asks for a range of the file reads whole parts.
const PART: usize = CHUNK_LIMIT / 4;

/// How many parts may be on their way into the store.
const AT_ONCE: usize = 4;

/// Keeps a file as the original of a song, whose attempt stays alive meanwhile.
///
/// # Errors
/// [`Error::NoSuchSong`] if the attempt is not under way any more.
pub(crate) async fn keep(
    engine: &Engine,
    spool: &Spool,
    song: &Song,
    attempt: &Attempt,
) -> Result<()> {
    let uploads = Uploads::new(engine.store.clone(), engine.config.patience, AT_ONCE);
    let outcome = write(engine, spool, song, attempt, &uploads).await;
    // Nothing is under way any more when this returns, whatever happened.
    uploads.finish().await.and(outcome)
}

async fn write(
    engine: &Engine,
    spool: &Spool,
    song: &Song,
    attempt: &Attempt,
    uploads: &Uploads,
) -> Result<()> {
    let unreadable = |error| Error::Io("read a file", error);
    let mut file = File::open(spool.path()).await.map_err(unreadable)?;
    let (mut offset, mut renewed) = (0, Instant::now());
    while offset < spool.bytes() {
        let mut part = BytesMut::with_capacity(PART);
        while part.len() < PART && file.read_buf(&mut part).await.map_err(unreadable)? > 0 {}
        let length = part.len() as u64;
        if offset + length == spool.bytes() {
            // The last part says that all are there, whenever this process is killed.
            uploads.finish().await?;
        }
        uploads.put(ChunkKey::original(song.id, offset), part.freeze()).await?;
        offset += length;
        if renewed.elapsed() >= engine.config.lease / 3 {
            let attempt = Attempt { lease_until: engine.lease(), ..attempt.clone() };
            if !engine.ask(|store| store.renew(song.id, &attempt)).await? {
                return Err(Error::NoSuchSong(song.id));
            }
            renewed = Instant::now();
        }
    }
    Ok(())
}

/// Whether all of a song's original is in the store. Its last part is written after all others.
pub(crate) async fn is_complete(store: &dyn Store, song: &Song) -> store::Result<bool> {
    if !song.keeps_original() {
        return Ok(false);
    }
    let Some(last) = song.source.bytes.checked_sub(1) else { return Ok(false) };
    let part = match store.read_original(song.id, last).await {
        // It is there. That it is damaged is an error of `fetch`.
        Err(store::Error::Corrupt { .. }) => return Ok(true),
        part => part?,
    };
    Ok(part.is_some_and(|(offset, bytes)| offset + bytes.len() as u64 == song.source.bytes))
}

/// Takes a song's original out of the store.
///
/// # Errors
/// [`Error::NoOriginal`] if it is not there, or not all of it; [`Error::DamagedOriginal`] if it is not
/// as it was.
pub(crate) async fn fetch(engine: &Engine, song: &Song) -> Result<Spool> {
    let mut spool = SpoolWriter::new(&engine.workplace, song.source.bytes).await?;
    while spool.bytes() < song.source.bytes {
        let offset = spool.bytes();
        let part = match engine.ask(|store| store.read_original(song.id, offset)).await {
            Err(Error::Store(store::Error::Corrupt { .. })) => {
                return Err(Error::DamagedOriginal(song.id));
            }
            part => part?,
        };
        let part = part.filter(|(begin, bytes)| *begin == offset && !bytes.is_empty());
        let (_, bytes) = part.ok_or(Error::NoOriginal(song.id))?;
        spool.write(&bytes).await?;
    }
    let spool = spool.finish().await?;
    match &song.source.sha256 {
        Some(sha256) if sha256 != spool.sha256() => Err(Error::DamagedOriginal(song.id)),
        // Of an upload nobody has read all before.
        _ => Ok(spool),
    }
}
