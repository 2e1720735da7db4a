//! Uploads: one document each.

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt};
use mongodb::bson::{Document, doc};
use music::{SongId, Timestamp};

use super::{MongoDb, READ_LIMIT, WRITE_LIMIT, document, within};
use crate::{Error, Result, SCHEMA, Upload, Uploads};

#[async_trait]
impl Uploads for MongoDb {
    async fn insert_upload(&self, upload: &Upload) -> Result<()> {
        self.prepare().await?;
        let document = document::of_record(upload)?;
        within(WRITE_LIMIT, async { self.collections().await?.uploads.insert_one(document).await })
            .await?;
        Ok(())
    }

    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>> {
        let found = within(READ_LIMIT, async {
            self.collections().await?.uploads.find_one(doc! { "_id": id.to_string() }).await
        })
        .await?;
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
        let done = within(WRITE_LIMIT, async {
            self.collections().await?.uploads.update_one(filter, doc! { "$set": set }).await
        })
        .await?;
        Ok(done.matched_count > 0)
    }

    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool> {
        let filter = of_ours(id, doc! { "expires_at": { "$lte": expires_at.as_millisecond() } });
        let done = within(WRITE_LIMIT, async {
            self.collections().await?.uploads.delete_one(filter).await
        })
        .await?;
        Ok(done.deleted_count > 0)
    }

    async fn count_uploads(&self, now: Timestamp) -> Result<u64> {
        let open = doc! { "expires_at": { "$gt": now.as_millisecond() } };
        within(READ_LIMIT, async { self.collections().await?.uploads.count_documents(open).await })
            .await
    }

    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>> {
        let after = after.map_or_else(String::new, |id| id.to_string());
        let found: Vec<Document> = within(READ_LIMIT, async {
            let uploads = &self.collections().await?.uploads;
            let find = uploads.find(doc! { "_id": { "$gt": after }, "schema": { "$gte": SCHEMA } });
            find.sort(doc! { "_id": 1 }).await?.take(limit).try_collect().await
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
