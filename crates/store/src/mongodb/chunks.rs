//! Chunks: one document each, found by `_id`.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use mongodb::{
    bson::{Document, RawBsonRef, RawDocument, doc},
    raw_batch_cursor::RawBatch,
};
use music::SongId;

use super::{DUPLICATE_KEY, MongoDb, code, document, members::Member};
use crate::{
    CHUNK_LIMIT, ChunkGroup, ChunkKey, Chunks, Error, Result,
    key::{KeyRange, group_of, name_of, offset_of},
};

/// A server's reply, as it came.
struct Reply(RawBatch);

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        self.0.as_raw_document().as_bytes()
    }
}

impl MongoDb {
    /// The first document that a filter finds at a member, in one round trip, as a slice of the
    /// reply.
    ///
    /// A cursor of documents would copy each out of the reply, and out of the document its fields.
    async fn first(
        &self,
        member: Member,
        filter: Document,
        sort: Option<Document>,
    ) -> Result<Option<Bytes>> {
        let batch = self.gate.read_at(member, move |db| async move {
            let find = db.chunks_of(member).find(filter).limit(-1);
            let find = match sort {
                Some(sort) => find.sort(sort),
                None => find,
            };
            find.batch().await?.next().await.transpose()
        });
        let Some(batch) = batch.await? else { return Ok(None) };
        let reply = Bytes::from_owner(Reply(batch));
        let first = first_document(&reply).map_err(Error::backend)?;
        Ok(first.map(|document| reply.slice_ref(document.as_bytes())))
    }

    fn bytes_of(&self, document: &Bytes) -> Result<Option<Bytes>> {
        let raw = RawDocument::from_bytes(document).map_err(Error::backend)?;
        let bytes = document::chunk_bytes(raw, &self.verifier)?;
        Ok(bytes.map(|bytes| document.slice_ref(bytes)))
    }

    async fn read_at(&self, member: Member, key: &ChunkKey) -> Result<Option<Bytes>> {
        let found = self.first(member, doc! { "_id": key.to_string() }, None).await?;
        found.map_or(Ok(None), |document| self.bytes_of(&document))
    }

    async fn read_original_at(
        &self,
        member: Member,
        id: SongId,
        offset: u64,
    ) -> Result<Option<(u64, Bytes)>> {
        let first = KeyRange::group(id, ChunkGroup::Original).first;
        let last = ChunkKey::original(id, offset).to_string();
        let filter = doc! { "_id": { "$gte": first, "$lte": last } };
        let Some(found) = self.first(member, filter, Some(doc! { "_id": -1 })).await? else {
            return Ok(None);
        };
        let begin =
            RawDocument::from_bytes(&found).map_err(Error::backend)?.get_str("_id").map(offset_of);
        let (Ok(Some(begin)), Some(bytes)) = (begin, self.bytes_of(&found)?) else {
            return Ok(None);
        };
        Ok((offset - begin < bytes.len() as u64).then_some((begin, bytes)))
    }

    async fn remove_range(&self, range: KeyRange) -> Result<()> {
        let filter = doc! { "_id": { "$gte": range.first, "$lt": range.end } };
        self.gate.write(|db| async move { db.chunks.delete_many(filter).await }).await?;
        Ok(())
    }
}

#[async_trait]
impl Chunks for MongoDb {
    async fn put(&self, key: &ChunkKey, bytes: Bytes) -> Result<()> {
        if bytes.len() > CHUNK_LIMIT {
            return Err(Error::TooLarge(bytes.len()));
        }
        self.prepare().await?;
        let filter = doc! { "_id": key.to_string() };
        let document = document::of_chunk(key, &bytes);
        let written = self.gate.write(|db| async move {
            let replace =
                || db.chunks.replace_one(filter.clone(), &document).upsert(true).into_future();
            match replace().await {
                // Two first writes of one key at the same moment: the other one was it.
                Err(error) if code(&error) == Some(DUPLICATE_KEY) => replace().await,
                written => written,
            }
        });
        written.await.map(|_| ())
    }

    async fn put_new(&self, key: &ChunkKey, bytes: Bytes) -> Result<bool> {
        if bytes.len() > CHUNK_LIMIT {
            return Err(Error::TooLarge(bytes.len()));
        }
        self.prepare().await?;
        let document = document::of_chunk(key, &bytes);
        let written = self.gate.write(|db| async move {
            match db.chunks.insert_one(&document).await {
                Ok(_) => Ok(true),
                Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(false),
                Err(error) => Err(error),
            }
        });
        written.await
    }

    async fn read(&self, key: &ChunkKey) -> Result<Option<Bytes>> {
        self.gate.read_immutable(|member| self.read_at(member, key)).await
    }

    async fn read_original(&self, id: SongId, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.gate.read_immutable(|member| self.read_original_at(member, id, offset)).await
    }

    async fn remove_group(&self, id: SongId, group: ChunkGroup) -> Result<()> {
        self.remove_range(KeyRange::group(id, group)).await
    }

    async fn remove_all(&self, id: SongId) -> Result<()> {
        self.remove_range(KeyRange::song(id)).await
    }

    async fn chunk_names(&self, id: SongId, group: ChunkGroup) -> Result<Vec<String>> {
        let range = KeyRange::group(id, group);
        let filter = doc! { "_id": { "$gte": range.first, "$lt": range.end } };
        let found = self.gate.read(|db| async move {
            let chunks = db.chunks.clone_with_type::<Document>();
            let find = chunks.find(filter).projection(doc! { "_id": 1 });
            find.sort(doc! { "_id": 1 }).await?.try_collect::<Vec<_>>().await
        });
        let found = found.await?;
        let name = |document: &Document| document.get_str("_id").map(|key| name_of(key).to_owned());
        found.iter().map(|document| name(document).map_err(Error::backend)).collect()
    }

    async fn groups(
        &self,
        after: Option<(SongId, ChunkGroup)>,
        limit: usize,
    ) -> Result<Vec<(SongId, ChunkGroup)>> {
        let mut groups = Vec::new();
        // The empty text is before every key, and after the predecessor's ids, which are no texts.
        let mut from = after.map_or_else(String::new, |(id, group)| KeyRange::group(id, group).end);
        while groups.len() < limit {
            let rest = doc! { "_id": { "$gte": &from } };
            let found = self.gate.read(|db| async move {
                let find = db.chunks.find_one(rest);
                find.projection(doc! { "_id": 1 }).sort(doc! { "_id": 1 }).await
            });
            let Some(found) = found.await? else { break };
            let key = found.get_str("_id").map_err(Error::backend)?;
            from = match group_of(key) {
                Some((id, group)) => {
                    groups.push((id, group));
                    KeyRange::group(id, group).end
                }
                // Somebody else's: the text right after it.
                None => format!("{key}\0"),
            };
        }
        Ok(groups)
    }
}

fn first_document(reply: &[u8]) -> mongodb::bson::error::Result<Option<&RawDocument>> {
    let batch = RawDocument::from_bytes(reply)?.get_document("cursor")?.get_array("firstBatch")?;
    Ok(batch.get(0)?.and_then(RawBsonRef::as_document))
}
