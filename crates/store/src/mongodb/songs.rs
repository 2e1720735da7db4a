//! Songs: one document each, changed by updates that state their condition.

use async_trait::async_trait;
use mongodb::{
    bson::{Bson, Document, doc},
    options::{ReturnDocument, UpdateModifications},
};
use music::{
    Attempt, Description, Retired, Revision, RevisionId, Song, SongId, Source, Status, Timestamp,
    now,
};
use tokio::time::timeout;

use super::{
    MongoDb,
    document::{self, literal},
    gate::READ_LIMIT,
    lists::{self, Find},
};
use crate::{Error, Page, Query, Result, SCHEMA, Songs};

impl MongoDb {
    /// Makes a conditional change. Returns whether the condition held.
    async fn change(
        &self,
        id: SongId,
        condition: Document,
        update: impl Into<UpdateModifications>,
    ) -> Result<bool> {
        let (filter, update) = (of_ours(id, condition), update.into());
        let done =
            self.gate.write(|db| async move { db.songs.update_one(filter, update).await }).await?;
        if done.matched_count == 0 {
            self.refuse_newer(id).await?;
        }
        Ok(done.matched_count > 0)
    }

    /// What a change did not find may be there, in a form that we must not touch.
    async fn refuse_newer(&self, id: SongId) -> Result<()> {
        let by_id = doc! { "_id": id.to_string() };
        let found = self
            .gate
            .read(
                |db| async move { db.songs.find_one(by_id).projection(doc! { "schema": 1 }).await },
            )
            .await?;
        found.map_or(Ok(false), |found| document::is_ours(&found)).map(|_| ())
    }
}

#[async_trait]
impl Songs for MongoDb {
    async fn insert(&self, song: &Song) -> Result<()> {
        self.prepare().await?;
        let document = match &song.attempt {
            Some(attempt) => {
                let attempt = Some(self.skew().await?.correct_attempt(attempt));
                document::of_song(&Song { attempt, ..song.clone() })?
            }
            None => document::of_song(song)?,
        };
        self.gate.write(|db| async move { db.songs.insert_one(document).await }).await?;
        Ok(())
    }

    async fn get(&self, id: SongId) -> Result<Option<Song>> {
        let by_id = doc! { "_id": id.to_string() };
        let found = self.gate.read(|db| async move { db.songs.find_one(by_id).await }).await?;
        found.map_or(Ok(None), |found| document::song(&found))
    }

    async fn list(&self, query: &Query) -> Result<Page> {
        let songs = self.find(lists::of(query)?).await?;
        Ok(Page::of(songs, query.limit))
    }

    async fn describe(
        &self,
        id: SongId,
        version: u64,
        description: &Description,
    ) -> Result<Option<Song>> {
        let Ok(version) = i64::try_from(version) else { return Ok(None) };
        let filter = of_ours(id, doc! { "version": version });
        let update =
            document::describing(description, doc! { "updated_at": now().as_millisecond() })?;
        let changed = self.gate.write(|db| async move {
            let changed = db.songs.find_one_and_update(filter, update);
            changed.return_document(ReturnDocument::After).await
        });
        let Some(changed) = changed.await? else {
            self.refuse_newer(id).await?;
            return Ok(None);
        };
        document::song(&changed)
    }

    async fn identify(
        &self,
        id: SongId,
        version: u64,
        source: &Source,
        description: &Description,
    ) -> Result<bool> {
        let Ok(version) = i64::try_from(version) else { return Ok(false) };
        let changed = doc! { "updated_at": now().as_millisecond() };
        let update = document::identifying(source, description, changed)?;
        self.change(id, doc! { "version": version }, update).await
    }

    async fn made_of(&self, sha256: &str, limit: usize) -> Result<Vec<Song>> {
        let filter = doc! { "source.sha256": sha256 };
        self.find(Find { filter, sort: Some(doc! { "_id": -1 }), along: None, limit }).await
    }

    async fn remove(&self, id: SongId) -> Result<bool> {
        let filter = of_ours(id, doc! {});
        let done = self.gate.write(|db| async move { db.songs.delete_one(filter).await }).await?;
        if done.deleted_count == 0 {
            self.refuse_newer(id).await?;
        }
        Ok(done.deleted_count > 0)
    }

    async fn begin(&self, id: SongId, attempt: &Attempt, now: Timestamp) -> Result<bool> {
        let skew = self.skew().await?;
        let attempt = &skew.correct_attempt(attempt);
        let free = doc! { "$or": [
            { "attempt": { "$exists": false } },
            { "attempt.lease_until": { "$lte": skew.correct(now).as_millisecond() } },
        ] };
        let update = changed(doc! {
            "attempt": literal(attempt)?,
            "status": { "$cond": [{ "$eq": ["$status", "failed"] }, "processing", "$status"] },
            "retired": and_retired("$attempt", now),
        });
        self.change(id, free, vec![update, doc! { "$unset": "error" }]).await
    }

    async fn renew(&self, id: SongId, attempt: &Attempt) -> Result<bool> {
        let attempt = &self.skew().await?.correct_attempt(attempt);
        let update = changed(doc! { "attempt": literal(attempt)? });
        self.change(id, under_way(attempt.id), vec![update]).await
    }

    async fn commit(
        &self,
        id: SongId,
        revision: &Revision,
        superseded_removable_at: Timestamp,
    ) -> Result<bool> {
        let update = changed(doc! {
            "revision": literal(revision)?,
            "status": literal(&Status::Ready)?,
            "retired": and_retired("$revision", superseded_removable_at),
        });
        let update = vec![update, doc! { "$unset": ["attempt", "error"] }];
        if self.change(id, under_way(revision.id), update).await? {
            return Ok(true);
        }
        let mine = of_ours(id, doc! { "revision.id": revision.id.to_string() });
        let found = self
            .gate
            .read(|db| async move { db.songs.find_one(mine).projection(doc! { "_id": 1 }).await })
            .await?;
        Ok(found.is_some())
    }

    async fn fail(&self, id: SongId, attempt: RevisionId, reason: &str) -> Result<bool> {
        self.change(id, under_way(attempt), failed(reason)?).await
    }

    async fn fail_expired(
        &self,
        id: SongId,
        attempt: RevisionId,
        now: Timestamp,
        reason: &str,
    ) -> Result<bool> {
        let mut is_over = under_way(attempt);
        is_over.insert("attempt.lease_until", doc! { "$lte": now.as_millisecond() });
        self.change(id, is_over, failed(reason)?).await
    }

    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Song>> {
        let find = async {
            let now = self.skew().await?.correct(now);
            let filter = doc! { "attempt.lease_until": { "$lte": now.as_millisecond() } };
            let sort = Some(doc! { "attempt.lease_until": 1 });
            self.find(Find { filter, sort, along: None, limit }).await
        };
        timeout(READ_LIMIT, find).await.map_err(Error::unavailable)?
    }

    async fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<(SongId, Retired)>> {
        let filter = doc! { "retired.removable_at": { "$lte": now.as_millisecond() } };
        let songs = self.find(Find { filter, sort: None, along: None, limit }).await?;
        let retired = songs
            .into_iter()
            .flat_map(|song| song.retired.into_iter().map(move |retired| (song.id, retired)));
        Ok(retired.filter(|(_, retired)| retired.removable_at <= now).take(limit).collect())
    }

    async fn forget(&self, id: SongId, retired: RevisionId) -> Result<()> {
        let update = doc! {
            "$pull": { "retired": { "id": retired.to_string() } },
            "$set": { "updated_at": now().as_millisecond() },
            "$inc": { "version": 1_i64 },
        };
        self.change(id, doc! { "retired.id": retired.to_string() }, update).await?;
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let ping = doc! { "ping": 1 };
        self.gate.read(|db| async move { db.database.run_command(ping).await }).await?;
        Ok(())
    }
}

/// A condition on a song that this program can change.
fn of_ours(id: SongId, condition: Document) -> Document {
    let mut filter = doc! { "_id": id.to_string(), "schema": SCHEMA };
    filter.extend(condition);
    filter
}

fn under_way(attempt: RevisionId) -> Document {
    doc! { "attempt.id": attempt.to_string() }
}

/// The update that ends the attempt under way.
fn failed(reason: &str) -> Result<Vec<Document>> {
    let update = changed(doc! {
        "error": literal(&reason)?,
        "status": { "$cond": [is_there("$revision"), "$status", "failed"] },
        "retired": and_retired("$attempt", now()),
    });
    Ok(vec![update, doc! { "$unset": "attempt" }])
}

/// The stage of an update that sets fields, and what every change sets.
fn changed(mut fields: Document) -> Document {
    fields.insert("version", doc! { "$add": ["$version", 1_i64] });
    fields.insert("updated_at", now().as_millisecond());
    doc! { "$set": fields }
}

/// The retired revisions and, if it is there, the one in `field`; an attempt has no variants.
fn and_retired(field: &str, removable_at: Timestamp) -> Bson {
    let entry = doc! {
        "id": format!("{field}.id"),
        "removable_at": removable_at.as_millisecond(),
        "variants": format!("{field}.variants"),
    };
    doc! { "$concatArrays": [
        { "$ifNull": ["$retired", []] },
        { "$cond": [is_there(field), [entry], []] },
    ] }
    .into()
}

fn is_there(field: &str) -> Document {
    doc! { "$gt": [field, Bson::Null] }
}
