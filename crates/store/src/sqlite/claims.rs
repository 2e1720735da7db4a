//! Claims: one row each, changed by reading, deciding and writing in one transaction.

use async_trait::async_trait;
use music::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::{Durability, Failure, Space, Sqlite, check};
use crate::{Claim, Claimed, Claims, Result, SCHEMA};

#[async_trait]
impl Claims for Sqlite {
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        let claim = claim.clone();
        self.write(Durability::Now, Space::Room, move |transaction| {
            let present = find(transaction, &claim.key)?;
            if let Some(present) = present.as_ref().filter(|present| !present.is_free(now)) {
                return Ok(Claimed::Theirs(present.clone()));
            }
            save(transaction, &claim)?;
            Ok(Claimed::Ours(present))
        })
        .await
    }

    async fn hold(&self, claim: &Claim) -> Result<bool> {
        let claim = claim.clone();
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            // A sign of life that comes late does not undo the answer.
            let is_held = find(transaction, &claim.key)?.is_some_and(|present| {
                let is_sign = claim.lease_until.is_some();
                present.song == claim.song && (!is_sign || present.lease_until.is_some())
            });
            if is_held {
                save(transaction, &claim)?;
            }
            Ok(is_held)
        })
        .await
    }

    async fn release(&self, claim: &Claim) -> Result<()> {
        let claim = claim.clone();
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            if find(transaction, &claim.key)?.is_some_and(|present| present.song == claim.song) {
                transaction
                    .prepare_cached("DELETE FROM claims WHERE key = ?1")?
                    .execute([claim.key])?;
            }
            Ok(())
        })
        .await
    }

    async fn forget_claims(&self, now: Timestamp) -> Result<u64> {
        self.write(Durability::Now, Space::Reserve, move |transaction| {
            let mut remove =
                transaction.prepare_cached("DELETE FROM claims WHERE expires_at <= ?1")?;
            Ok(remove.execute([now.as_millisecond()])? as u64)
        })
        .await
    }
}

fn find(transaction: &Transaction<'_>, key: &str) -> Result<Option<Claim>, Failure> {
    let mut find =
        transaction.prepare_cached("SELECT key, schema, record FROM claims WHERE key = ?1")?;
    find.query_one([key], |row| Ok(claim(row))).optional()?.transpose()
}

fn claim(row: &Row<'_>) -> Result<Claim, Failure> {
    check(row.get(1)?, || "the claim of a key".to_owned())?;
    let record = row.get_ref(2)?.as_bytes().map_err(rusqlite::Error::from)?;
    Ok(serde_json::from_slice(record)?)
}

fn save(transaction: &Transaction<'_>, claim: &Claim) -> Result<(), Failure> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO claims (key, schema, expires_at, record) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, record = excluded.record",
    )?;
    let expires_at = claim.expires_at.as_millisecond();
    put.execute(params![claim.key, SCHEMA, expires_at, serde_json::to_string(claim)?])?;
    Ok(())
}
