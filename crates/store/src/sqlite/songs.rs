//! Songs: one row each, changed by reading, deciding and writing in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use music::{
    Attempt, Description, Retired, Revision, RevisionId, Song, SongId, Source, Status, Timestamp,
    now,
};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Durability, Failure, Space, Sqlite, check, count, search};
use crate::{Page, Query, Result, SCHEMA, Songs, query::prefixes};

impl Sqlite {
    /// Changes a song if `change` says so. Returns the song as it then is, or nothing if there is
    /// none or it is not changed.
    async fn change(
        &self,
        id: SongId,
        space: Space,
        change: impl FnOnce(&mut Song) -> bool + Clone + Send + 'static,
    ) -> Result<Option<Song>> {
        self.write(Durability::Now, space, move |transaction| {
            let Some(mut song) = find(transaction, id)? else { return Ok(None) };
            if !change(&mut song) {
                return Ok(None);
            }
            save(transaction, &mut song)?;
            Ok(Some(song))
        })
        .await
    }

    /// Ends the attempt under way, if it is one of those that `ends` names.
    async fn end(
        &self,
        id: SongId,
        reason: &str,
        ends: impl FnOnce(&Attempt) -> bool + Clone + Send + 'static,
    ) -> Result<bool> {
        let reason = reason.to_owned();
        let changed = self.change(id, Space::Reserve, move |song| {
            let Some(ended) = song.attempt.take_if(|attempt| ends(attempt)) else { return false };
            song.retired.push(Retired::fruitless(ended.id, now()));
            song.error = Some(reason);
            if song.revision.is_none() {
                song.status = Status::Failed;
            }
            true
        });
        Ok(changed.await?.is_some())
    }
}

#[async_trait]
impl Songs for Sqlite {
    async fn insert(&self, song: &Song) -> Result<()> {
        let song = song.clone();
        self.write(Durability::Now, Space::Room, move |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO songs (id, schema, status, album, album_position, lease_until, removable_at, sha256, record)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?;
            insert.execute(params![
                song.id.to_string(),
                SCHEMA,
                status_text(song.status),
                song.description.album.as_ref().map(music::Name::as_str),
                song.description.album_position(),
                lease_until(&song),
                removable_at(&song),
                sha256(&song),
                serde_json::to_string(&song)?,
            ])?;
            insert_prefixes(transaction, &song)
        })
        .await
    }

    async fn get(&self, id: SongId) -> Result<Option<Song>> {
        self.read(move |transaction| find(transaction, id)).await
    }

    async fn list(&self, query: &Query) -> Result<Page> {
        let query = query.clone();
        self.read(move |transaction| {
            let statement = search::statement(transaction, &query)?;
            let mut find = transaction.prepare_cached(&statement.text)?;
            let rows =
                find.query_map(rusqlite::params_from_iter(statement.values), |row| Ok(song(row)))?;
            let songs = rows.map(|row| row?).collect::<Result<_, Failure>>()?;
            Ok(Page::of(songs, query.limit))
        })
        .await
    }

    async fn describe(
        &self,
        id: SongId,
        version: u64,
        description: &Description,
    ) -> Result<Option<Song>> {
        let description = description.clone();
        self.write(Durability::Now, Space::Room, move |transaction| {
            let found = find(transaction, id)?.filter(|song| song.version == version);
            let Some(mut song) = found else { return Ok(None) };
            remove_prefixes(transaction, &song)?;
            song.description = description;
            save(transaction, &mut song)?;
            insert_prefixes(transaction, &song)?;
            Ok(Some(song))
        })
        .await
    }

    async fn identify(
        &self,
        id: SongId,
        version: u64,
        source: &Source,
        description: &Description,
    ) -> Result<bool> {
        let (source, description) = (source.clone(), description.clone());
        self.write(Durability::Now, Space::Room, move |transaction| {
            let found = find(transaction, id)?.filter(|song| song.version == version);
            let Some(mut song) = found else { return Ok(false) };
            remove_prefixes(transaction, &song)?;
            song.source = source;
            song.description = description;
            song.stand_in = None;
            save(transaction, &mut song)?;
            insert_prefixes(transaction, &song)?;
            Ok(true)
        })
        .await
    }

    async fn made_of(&self, sha256: &str, limit: usize) -> Result<Vec<Song>> {
        let sha256 = sha256.to_owned();
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT id, schema, record FROM songs WHERE sha256 = ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            let rows = find.query_map(params![sha256, count(limit)], |row| Ok(song(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    async fn remove(&self, id: SongId) -> Result<bool> {
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            let Some(song) = find(transaction, id)? else { return Ok(false) };
            transaction
                .prepare_cached("DELETE FROM songs WHERE id = ?1")?
                .execute([id.to_string()])?;
            remove_prefixes(transaction, &song)?;
            Ok(true)
        })
        .await
    }

    async fn begin(&self, id: SongId, attempt: &Attempt, now: Timestamp) -> Result<bool> {
        let attempt = attempt.clone();
        let changed = self.change(id, Space::Room, move |song| {
            if song.attempt.as_ref().is_some_and(|other| other.lease_until > now) {
                return false;
            }
            let ended = song.attempt.replace(attempt);
            song.retired.extend(ended.map(|ended| Retired::fruitless(ended.id, now)));
            song.error = None;
            if song.status == Status::Failed {
                song.status = Status::Processing;
            }
            true
        });
        Ok(changed.await?.is_some())
    }

    async fn renew(&self, id: SongId, attempt: &Attempt) -> Result<bool> {
        let attempt = attempt.clone();
        let changed = self.change(id, Space::Reserve, move |song| {
            let is_under_way = is_under_way(song, attempt.id);
            if is_under_way {
                song.attempt = Some(attempt);
            }
            is_under_way
        });
        Ok(changed.await?.is_some())
    }

    async fn commit(
        &self,
        id: SongId,
        revision: &Revision,
        superseded_removable_at: Timestamp,
    ) -> Result<bool> {
        let revision = revision.clone();
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            let Some(mut song) = find(transaction, id)? else { return Ok(false) };
            if !is_under_way(&song, revision.id) {
                return Ok(song.revision.is_some_and(|current| current.id == revision.id));
            }
            let superseded = song.revision.replace(revision);
            song.retired
                .extend(superseded.map(|old| Retired::superseded(old, superseded_removable_at)));
            song.attempt = None;
            song.error = None;
            song.status = Status::Ready;
            save(transaction, &mut song)?;
            Ok(true)
        })
        .await
    }

    async fn fail(&self, id: SongId, attempt: RevisionId, reason: &str) -> Result<bool> {
        self.end(id, reason, move |current| current.id == attempt).await
    }

    async fn fail_expired(
        &self,
        id: SongId,
        attempt: RevisionId,
        now: Timestamp,
        reason: &str,
    ) -> Result<bool> {
        let is_over = move |current: &Attempt| current.id == attempt && current.lease_until <= now;
        self.end(id, reason, is_over).await
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Song>> {
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT id, schema, record FROM songs WHERE lease_until <= ?1 ORDER BY lease_until LIMIT ?2",
            )?;
            let rows = find.query_map(params![now.as_millisecond(), count(limit)], |row| Ok(song(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }

    async fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<(SongId, Retired)>> {
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT id, schema, record FROM songs WHERE removable_at <= ?1 ORDER BY removable_at LIMIT ?2",
            )?;
            let rows = find.query_map(params![now.as_millisecond(), count(limit)], |row| Ok(song(row)))?;
            let mut removable = Vec::new();
            for row in rows {
                let song = row??;
                let due = song.retired.into_iter().filter(|retired| retired.removable_at <= now);
                removable.extend(due.map(|retired| (song.id, retired)));
            }
            removable.truncate(limit);
            Ok(removable)
        })
        .await
    }

    async fn forget(&self, id: SongId, retired: RevisionId) -> Result<()> {
        let change = self.change(id, Space::Reserve, move |song| {
            let before = song.retired.len();
            song.retired.retain(|other| other.id != retired);
            song.retired.len() < before
        });
        change.await.map(|_| ())
    }

    async fn ping(&self) -> Result<()> {
        let reserve = Arc::clone(&self.reserve);
        self.read(move |transaction| {
            transaction.query_one("SELECT 1", [], |_| Ok(()))?;
            reserve.check(transaction)
        })
        .await
    }
}

fn is_under_way(song: &Song, attempt: RevisionId) -> bool {
    song.attempt.as_ref().is_some_and(|current| current.id == attempt)
}

fn find(transaction: &Transaction<'_>, id: SongId) -> Result<Option<Song>, Failure> {
    let mut find =
        transaction.prepare_cached("SELECT id, schema, record FROM songs WHERE id = ?1")?;
    find.query_one([id.to_string()], |row| Ok(song(row))).optional()?.transpose()
}

/// The song of a row of `id`, `schema`, `record`.
fn song(row: &Row<'_>) -> Result<Song, Failure> {
    check(row.get(1)?, || format!("song {}", row.get::<_, String>(0).unwrap_or_default()))?;
    let record = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(serde_json::from_slice(record)?)
}

/// Writes a changed song back. What it is searched by stays.
fn save(transaction: &Transaction<'_>, song: &mut Song) -> Result<(), Failure> {
    song.version += 1;
    song.updated_at = now();
    let mut update = transaction.prepare_cached(
        "UPDATE songs SET status = ?2, album = ?3, album_position = ?4, lease_until = ?5, removable_at = ?6,
         sha256 = ?7, record = ?8 WHERE id = ?1",
    )?;
    update.execute(params![
        song.id.to_string(),
        status_text(song.status),
        song.description.album.as_ref().map(music::Name::as_str),
        song.description.album_position(),
        lease_until(song),
        removable_at(song),
        sha256(song),
        serde_json::to_string(song)?,
    ])?;
    Ok(())
}

fn insert_prefixes(transaction: &Transaction<'_>, song: &Song) -> Result<(), Failure> {
    let mut insert =
        transaction.prepare_cached("INSERT INTO prefixes (prefix, song) VALUES (?1, ?2)")?;
    for prefix in prefixes(&song.description) {
        insert.execute(params![prefix, song.id.to_string()])?;
    }
    Ok(())
}

fn remove_prefixes(transaction: &Transaction<'_>, song: &Song) -> Result<(), Failure> {
    let mut remove =
        transaction.prepare_cached("DELETE FROM prefixes WHERE prefix = ?1 AND song = ?2")?;
    for prefix in prefixes(&song.description) {
        remove.execute(params![prefix, song.id.to_string()])?;
    }
    Ok(())
}

pub(super) fn status_text(status: Status) -> &'static str {
    match status {
        Status::Processing => "processing",
        Status::Ready => "ready",
        Status::Failed => "failed",
    }
}

/// Empty while nobody knows it; nobody asks for that.
fn sha256(song: &Song) -> &str {
    song.source.sha256.as_deref().unwrap_or_default()
}

fn lease_until(song: &Song) -> Option<i64> {
    song.attempt.as_ref().map(|attempt| attempt.lease_until.as_millisecond())
}

fn removable_at(song: &Song) -> Option<i64> {
    song.retired.iter().map(|retired| retired.removable_at.as_millisecond()).min()
}
