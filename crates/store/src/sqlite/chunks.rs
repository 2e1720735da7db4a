//! Chunks: one row each, found by the text of its key.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use music::SongId;
use rusqlite::{OptionalExtension, Row, params};

use super::{Durability, Failure, Space, Sqlite, check, count};
use crate::{
    CHUNK_LIMIT, ChunkGroup, ChunkKey, Chunks, Error, Result, SCHEMA,
    checksum::{Verifier, checksum},
    key::{KeyRange, group_of, name_of, offset_of},
};

/// Chunks removed at a time, so that others can write in between.
const BATCH: usize = 64;

impl Sqlite {
    async fn remove_range(&self, range: KeyRange) -> Result<()> {
        loop {
            let range = range.clone();
            let removed = self
                .write(Durability::WithNext, Space::Reserve, move |transaction| {
                    let mut remove = transaction.prepare_cached(
                        "DELETE FROM chunks WHERE rowid IN
                         (SELECT rowid FROM chunks WHERE key >= ?1 AND key < ?2 LIMIT ?3)",
                    )?;
                    Ok(remove.execute(params![range.first, range.end, count(BATCH)])?)
                })
                .await?;
            if removed < BATCH {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Chunks for Sqlite {
    async fn put(&self, key: &ChunkKey, bytes: Bytes) -> Result<()> {
        if bytes.len() > CHUNK_LIMIT {
            return Err(Error::TooLarge(bytes.len()));
        }
        let key = key.to_string();
        self.write(Durability::WithNext, Space::Room, move |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO chunks (key, schema, bytes, checksum) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET schema = excluded.schema, bytes = excluded.bytes,
                 checksum = excluded.checksum",
            )?;
            put.execute(params![key, SCHEMA, &bytes[..], checksum(&key, &bytes)])?;
            Ok(())
        })
        .await
    }

    async fn put_new(&self, key: &ChunkKey, bytes: Bytes) -> Result<bool> {
        if bytes.len() > CHUNK_LIMIT {
            return Err(Error::TooLarge(bytes.len()));
        }
        let key = key.to_string();
        self.write(Durability::WithNext, Space::Room, move |transaction| {
            let mut put = transaction.prepare_cached(
                "INSERT INTO chunks (key, schema, bytes, checksum) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO NOTHING",
            )?;
            Ok(put.execute(params![key, SCHEMA, &bytes[..], checksum(&key, &bytes)])? == 1)
        })
        .await
    }

    async fn read(&self, key: &ChunkKey) -> Result<Option<Bytes>> {
        let (key, verifier) = (key.to_string(), Arc::clone(&self.verifier));
        self.read(move |transaction| {
            let mut find = transaction
                .prepare_cached("SELECT key, schema, bytes, checksum FROM chunks WHERE key = ?1")?;
            Ok(find
                .query_one([key], |row| Ok(chunk(row, &verifier)))
                .optional()?
                .transpose()?
                .map(|(_, bytes)| bytes))
        })
        .await
    }

    async fn read_original(&self, id: SongId, offset: u64) -> Result<Option<(u64, Bytes)>> {
        let first = KeyRange::group(id, ChunkGroup::Original).first;
        let last = ChunkKey::original(id, offset).to_string();
        let verifier = Arc::clone(&self.verifier);
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT key, schema, bytes, checksum FROM chunks
                 WHERE key >= ?1 AND key <= ?2 ORDER BY key DESC LIMIT 1",
            )?;
            let found = find.query_one([first, last], |row| Ok(chunk(row, &verifier)));
            let found = found.optional()?.transpose()?;
            let found = found.and_then(|(key, bytes)| Some((offset_of(&key)?, bytes)));
            Ok(found.filter(|(begin, bytes)| offset - begin < bytes.len() as u64))
        })
        .await
    }

    async fn remove_group(&self, id: SongId, group: ChunkGroup) -> Result<()> {
        self.remove_range(KeyRange::group(id, group)).await
    }

    async fn remove_all(&self, id: SongId) -> Result<()> {
        self.remove_range(KeyRange::song(id)).await
    }

    async fn chunk_names(&self, id: SongId, group: ChunkGroup) -> Result<Vec<String>> {
        let range = KeyRange::group(id, group);
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(
                "SELECT key FROM chunks WHERE key >= ?1 AND key < ?2 ORDER BY key",
            )?;
            let keys = find.query_map([range.first, range.end], |row| {
                let key = row.get_ref(0)?.as_str()?;
                Ok(name_of(key).to_owned())
            })?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    async fn groups(
        &self,
        after: Option<(SongId, ChunkGroup)>,
        limit: usize,
    ) -> Result<Vec<(SongId, ChunkGroup)>> {
        let mut from = after.map_or_else(String::new, |(id, group)| KeyRange::group(id, group).end);
        self.read(move |transaction| {
            let mut next = transaction
                .prepare_cached("SELECT key FROM chunks WHERE key >= ?1 ORDER BY key LIMIT 1")?;
            let mut groups = Vec::new();
            while groups.len() < limit {
                let Some(key) =
                    next.query_one([&from], |row| row.get::<_, String>(0)).optional()?
                else {
                    break;
                };
                from = match group_of(&key) {
                    Some((id, group)) => {
                        groups.push((id, group));
                        KeyRange::group(id, group).end
                    }
                    None => format!("{key}\0"),
                };
            }
            Ok(groups)
        })
        .await
    }
}

/// The chunk of a row of `key`, `schema`, `bytes`, `checksum`.
fn chunk(row: &Row<'_>, verifier: &Verifier) -> Result<(String, Bytes), Failure> {
    let key: String = row.get(0)?;
    check(row.get(1)?, || format!("chunk {key}"))?;
    let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    verifier.verify(&key, bytes, row.get(3)?)?;
    Ok((key, Bytes::copy_from_slice(bytes)))
}
