//! Claims: one document each, changed by updates that state their condition.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use music::Timestamp;

use super::{DUPLICATE_KEY, MongoDb, code, document};
use crate::{Claim, Claimed, Claims, Error, Result};

#[async_trait]
impl Claims for MongoDb {
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        let skew = self.skew().await?;
        let (claim, now) = (&skew.correct_claim(claim), skew.correct(now));
        let moment = now.as_millisecond();
        let free = doc! { "_id": &claim.key, "$or": [
            { "expires_at": { "$lte": moment } },
            { "lease_until": { "$lte": moment } },
        ] };
        let record = document::of_record(claim)?;
        // A claim that ends between two of these steps makes room for the next round.
        for _ in 0..3 {
            let (free, record) = (free.clone(), record.clone());
            let taken = self.gate.write(|db| async move {
                match db.claims.find_one_and_replace(free, &record).upsert(true).await {
                    // There is one, and it is not free.
                    Err(error) if code(&error) == Some(DUPLICATE_KEY) => Ok(None),
                    taken => taken.map(Some),
                }
            });
            let taken = taken.await?;
            if let Some(before) = taken {
                return Ok(Claimed::Ours(before.map_or(Ok(None), document::record)?));
            }
            let by_key = doc! { "_id": &claim.key };
            let present: Option<Document> =
                self.gate.read(|db| async move { db.claims.find_one(by_key).await }).await?;
            let present: Option<Claim> = present.map_or(Ok(None), document::record)?;
            if let Some(present) = present.filter(|present| !present.is_free(now)) {
                return Ok(Claimed::Theirs(present));
            }
        }
        Err(Error::unavailable("a key changes hands too often"))
    }

    async fn hold(&self, claim: &Claim) -> Result<bool> {
        let claim = &self.skew().await?.correct_claim(claim);
        let record = document::of_record(claim)?;
        let mut held = held_by(claim);
        // A sign of life that comes late does not undo the answer.
        if claim.lease_until.is_some() {
            held.insert("lease_until", doc! { "$exists": true });
        }
        let done =
            self.gate.write(|db| async move { db.claims.replace_one(held, &record).await }).await?;
        Ok(done.matched_count > 0)
    }

    async fn release(&self, claim: &Claim) -> Result<()> {
        let held = held_by(claim);
        self.gate.write(|db| async move { db.claims.delete_one(held).await }).await?;
        Ok(())
    }

    async fn forget_claims(&self, now: Timestamp) -> Result<u64> {
        let expired = doc! { "expires_at": { "$lte": now.as_millisecond() } };
        let done =
            self.gate.write(|db| async move { db.claims.delete_many(expired).await }).await?;
        Ok(done.deleted_count)
    }
}

fn held_by(claim: &Claim) -> Document {
    doc! { "_id": &claim.key, "song": claim.song.to_string() }
}
