//! Uploads: one document each.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use music::{SongId, Timestamp};

use super::{MongoDb, document, lists::limit_of};
use crate::{Error, Result, SCHEMA, Upload, Uploads};

#[async_trait]
impl Uploads for MongoDb {
    async fn insert_upload(&self, upload: &Upload) -> Result<()> {
        self.prepare().await?;
        let document = document::of_record(upload)?;
        self.gate.write(|db| async move { db.uploads.insert_one(document).await }).await?;
        Ok(())
    }

    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>> {
        let by_id = doc! { "_id": id.to_string() };
        let found = self.gate.read(|db| async move { db.uploads.find_one(by_id).await }).await?;
        found.map_or(Ok(None), document::record)
    }

    async fn advance_upload(
        &self,
        id: SongId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<bool> {
        let filter = of_ours(id, doc! { "offset": integer(from)? });
        let set = doc! { "offset": integer(to)?, "expires_at": expires_at.as_millisecond() };
        let update = doc! { "$set": set };
        let done = self
            .gate
            .write(|db| async move { db.uploads.update_one(filter, update).await })
            .await?;
        Ok(done.matched_count > 0)
    }

    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool> {
        let filter = of_ours(id, doc! { "expires_at": { "$lte": expires_at.as_millisecond() } });
        let done = self.gate.write(|db| async move { db.uploads.delete_one(filter).await }).await?;
        Ok(done.deleted_count > 0)
    }

    async fn count_uploads(&self, now: Timestamp) -> Result<u64> {
        let open = doc! { "expires_at": { "$gt": now.as_millisecond() } };
        self.gate.read(|db| async move { db.uploads.count_documents(open).await }).await
    }

    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>> {
        if limit == 0 {
            // To the server it would mean all.
            return Ok(Vec::new());
        }
        let after = after.map_or_else(String::new, |id| id.to_string());
        let filter = doc! { "_id": { "$gt": after }, "schema": { "$gte": SCHEMA } };
        let found: Vec<Document> = self
            .gate
            .read(move |db| async move {
                // A cursor that is read to its end is not closed by a command of its own.
                let find = db.uploads.find(filter).limit(i64::from(limit_of(limit)));
                find.sort(doc! { "_id": 1 }).await?.try_collect().await
            })
            .await?;
        found.into_iter().filter_map(|found| document::record(found).transpose()).collect()
    }
}

/// A condition on an upload that this program can change.
fn of_ours(id: SongId, condition: Document) -> Document {
    let mut filter = doc! { "_id": id.to_string(), "schema": SCHEMA };
    filter.extend(condition);
    filter
}

/// An offset, as the database counts.
fn integer(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(Error::backend)
}
