//! Claims: one document each, changed by updates that state their condition.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use music::Timestamp;

use super::{DUPLICATE_KEY, MongoDb, READ_LIMIT, WRITE_LIMIT, code, document, within};
use crate::{Claim, Claimed, Claims, Error, Result};

#[async_trait]
impl Claims for MongoDb {
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        let moment = now.as_millisecond();
        let free = doc! { "_id": &claim.key, "$or": [
            { "expires_at": { "$lte": moment } },
            { "lease_until": { "$lte": moment } },
        ] };
        let record = document::of_record(claim)?;
        // A claim that ends between two of these steps makes room for the next round.
        for _ in 0..3 {
            let taken = within(WRITE_LIMIT, async {
                let claims = &self.collections().await?.claims;
                match claims.find_one_and_replace(free.clone(), &record).upsert(true).await {
                    // There is one, and it is not free.
                    Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(None),
                    taken => taken.map(Some),
                }
            })
            .await?;
            if let Some(before) = taken {
                return Ok(Claimed::Ours(before.map_or(Ok(None), document::record)?));
            }
            let present: Option<Document> = within(READ_LIMIT, async {
                self.collections().await?.claims.find_one(doc! { "_id": &claim.key }).await
            })
            .await?;
            let present: Option<Claim> = present.map_or(Ok(None), document::record)?;
            if let Some(present) = present.filter(|present| !present.is_free(now)) {
                return Ok(Claimed::Theirs(present));
            }
        }
        Err(Error::unavailable("a key changes hands too often"))
    }

    async fn hold(&self, claim: &Claim) -> Result<bool> {
        let record = document::of_record(claim)?;
        let mut held = held_by(claim);
        // A sign of life that comes late does not undo the answer.
        if claim.lease_until.is_some() {
            held.insert("lease_until", doc! { "$exists": true });
        }
        let done = within(WRITE_LIMIT, async {
            self.collections().await?.claims.replace_one(held.clone(), &record).await
        })
        .await?;
        Ok(done.matched_count > 0)
    }

    async fn release(&self, claim: &Claim) -> Result<()> {
        within(WRITE_LIMIT, async {
            self.collections().await?.claims.delete_one(held_by(claim)).await
        })
        .await?;
        Ok(())
    }

    async fn forget_claims(&self, now: Timestamp) -> Result<u64> {
        let expired = doc! { "expires_at": { "$lte": now.as_millisecond() } };
        let done = within(WRITE_LIMIT, async {
            self.collections().await?.claims.delete_many(expired).await
        })
        .await?;
        Ok(done.deleted_count)
    }
}

fn held_by(claim: &Claim) -> Document {
    doc! { "_id": &claim.key, "song": claim.song.to_string() }
}
