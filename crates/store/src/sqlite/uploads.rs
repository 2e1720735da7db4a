//! Uploads: one row each.

use async_trait::async_trait;
use music::{SongId, Timestamp};
use rusqlite::{OptionalExtension, Row, params};

use super::{Durability, Failure, Space, Sqlite, check, count};
use crate::{Error, Result, SCHEMA, Upload, Uploads};

const COLUMNS: &str = "id, schema, upload_offset, expires_at, record";

#[async_trait]
impl Uploads for Sqlite {
    async fn insert_upload(&self, upload: &Upload) -> Result<()> {
        let upload = upload.clone();
        self.write(Durability::Now, Space::Room, move |transaction| {
            let mut insert = transaction.prepare_cached(&format!(
                "INSERT INTO uploads ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"
            ))?;
            insert.execute(params![
                upload.id.to_string(),
                SCHEMA,
                integer(upload.offset)?,
                upload.expires_at.as_millisecond(),
                serde_json::to_string(&upload)?,
            ])?;
            Ok(())
        })
        .await
    }

    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>> {
        self.read(move |transaction| {
            let mut find = transaction
                .prepare_cached(&format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1"))?;
            find.query_one([id.to_string()], |row| Ok(upload(row))).optional()?.transpose()
        })
        .await
    }

    async fn advance_upload(
        &self,
        id: SongId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<bool> {
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            let mut update = transaction.prepare_cached(
                "UPDATE uploads SET upload_offset = ?4, expires_at = ?5
                 WHERE id = ?1 AND schema = ?2 AND upload_offset = ?3",
            )?;
            let expires_at = expires_at.as_millisecond();
            let (from, to) = (integer(from)?, integer(to)?);
            Ok(update.execute(params![id.to_string(), SCHEMA, from, to, expires_at])? == 1)
        })
        .await
    }

    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool> {
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            let mut remove = transaction.prepare_cached(
                "DELETE FROM uploads WHERE id = ?1 AND schema = ?2 AND expires_at <= ?3",
            )?;
            let expires_at = expires_at.as_millisecond();
            Ok(remove.execute(params![id.to_string(), SCHEMA, expires_at])? == 1)
        })
        .await
    }

    async fn count_uploads(&self, now: Timestamp) -> Result<u64> {
        self.read(move |transaction| {
            let mut count =
                transaction.prepare_cached("SELECT count(*) FROM uploads WHERE expires_at > ?1")?;
            let found: i64 = count.query_one([now.as_millisecond()], |row| row.get(0))?;
            Ok(u64::try_from(found).map_err(Error::backend)?)
        })
        .await
    }

    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>> {
        self.read(move |transaction| {
            let mut find = transaction.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM uploads WHERE id > ?1 ORDER BY id LIMIT ?2"
            ))?;
            let after = after.map_or_else(String::new, |id| id.to_string());
            let rows = find.query_map(params![after, count(limit)], |row| Ok(upload(row)))?;
            rows.map(|row| row?).collect()
        })
        .await
    }
}

fn upload(row: &Row<'_>) -> Result<Upload, Failure> {
    check(row.get(1)?, || format!("upload {}", row.get::<_, String>(0).unwrap_or_default()))?;
    let record = row.get_ref(4)?.as_bytes().map_err(rusqlite::Error::from)?;
    let upload: Upload = serde_json::from_slice(record)?;
    let offset = u64::try_from(row.get::<_, i64>(2)?).map_err(Error::backend)?;
    let expires_at = Timestamp::from_millisecond(row.get(3)?).map_err(Error::backend)?;
    Ok(Upload { offset, expires_at, ..upload })
}

/// An offset, as SQLite counts.
fn integer(offset: u64) -> Result<i64, Failure> {
    Ok(i64::try_from(offset).map_err(Error::backend)?)
}
