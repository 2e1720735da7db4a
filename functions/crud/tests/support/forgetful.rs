//! A store that does what it is asked, and loses answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use axum::body::Bytes;
use music::{Attempt, Description, Retired, Revision, RevisionId, Song, SongId, Source, Timestamp};
use store::{
    ChunkGroup, ChunkKey, Chunks, Claim, Claimed, Claims, Page, Query, Result, Songs, Store,
    Upload, Uploads,
};

/// A store that settles keys, and loses the first answers that say so.
pub(crate) struct Forgetful {
    inner: Arc<dyn Store>,
    /// How many more answers it loses.
    lost: AtomicUsize,
}

impl Forgetful {
    pub(crate) fn new(inner: Arc<dyn Store>, lost: usize) -> Arc<Self> {
        Arc::new(Self { inner, lost: AtomicUsize::new(lost) })
    }

    fn take_answer(&self) -> bool {
        let fewer = |left: usize| left.checked_sub(1);
        self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
    }
}

#[async_trait]
impl Songs for Forgetful {
    async fn insert(&self, song: &Song) -> Result<()> {
        self.inner.insert(song).await
    }
    async fn get(&self, id: SongId) -> Result<Option<Song>> {
        self.inner.get(id).await
    }
    async fn list(&self, query: &Query) -> Result<Page> {
        self.inner.list(query).await
    }
    async fn describe(
        &self,
        id: SongId,
        version: u64,
        description: &Description,
    ) -> Result<Option<Song>> {
        self.inner.describe(id, version, description).await
    }
    async fn identify(
        &self,
        id: SongId,
        version: u64,
        source: &Source,
        description: &Description,
    ) -> Result<bool> {
        self.inner.identify(id, version, source, description).await
    }
    async fn made_of(&self, sha256: &str, limit: usize) -> Result<Vec<Song>> {
        self.inner.made_of(sha256, limit).await
    }
    async fn remove(&self, id: SongId) -> Result<bool> {
        self.inner.remove(id).await
    }
    async fn begin(&self, id: SongId, attempt: &Attempt, now: Timestamp) -> Result<bool> {
        self.inner.begin(id, attempt, now).await
    }
    async fn renew(&self, id: SongId, attempt: &Attempt) -> Result<bool> {
        self.inner.renew(id, attempt).await
    }
    async fn commit(
        &self,
        id: SongId,
        revision: &Revision,
        removable_at: Timestamp,
    ) -> Result<bool> {
        self.inner.commit(id, revision, removable_at).await
    }
    async fn fail(&self, id: SongId, attempt: RevisionId, reason: &str) -> Result<bool> {
        self.inner.fail(id, attempt, reason).await
    }
    async fn fail_expired(
        &self,
        id: SongId,
        attempt: RevisionId,
        now: Timestamp,
        reason: &str,
    ) -> Result<bool> {
        self.inner.fail_expired(id, attempt, now, reason).await
    }
    async fn expired(&self, now: Timestamp, limit: usize) -> Result<Vec<Song>> {
        self.inner.expired(now, limit).await
    }
    async fn removable(&self, now: Timestamp, limit: usize) -> Result<Vec<(SongId, Retired)>> {
        self.inner.removable(now, limit).await
    }
    async fn forget(&self, id: SongId, retired: RevisionId) -> Result<()> {
        self.inner.forget(id, retired).await
    }
    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

#[async_trait]
impl Chunks for Forgetful {
    async fn put(&self, key: &ChunkKey, bytes: Bytes) -> Result<()> {
        self.inner.put(key, bytes).await
    }
    async fn put_new(&self, key: &ChunkKey, bytes: Bytes) -> Result<bool> {
        self.inner.put_new(key, bytes).await
    }
    async fn read(&self, key: &ChunkKey) -> Result<Option<Bytes>> {
        self.inner.read(key).await
    }
    async fn read_original(&self, id: SongId, offset: u64) -> Result<Option<(u64, Bytes)>> {
        self.inner.read_original(id, offset).await
    }
    async fn remove_group(&self, id: SongId, group: ChunkGroup) -> Result<()> {
        self.inner.remove_group(id, group).await
    }
    async fn remove_all(&self, id: SongId) -> Result<()> {
        self.inner.remove_all(id).await
    }
    async fn chunk_names(&self, id: SongId, group: ChunkGroup) -> Result<Vec<String>> {
        self.inner.chunk_names(id, group).await
    }
    async fn groups(
        &self,
        after: Option<(SongId, ChunkGroup)>,
        limit: usize,
    ) -> Result<Vec<(SongId, ChunkGroup)>> {
        self.inner.groups(after, limit).await
    }
}

#[async_trait]
impl Uploads for Forgetful {
    async fn insert_upload(&self, upload: &Upload) -> Result<()> {
        self.inner.insert_upload(upload).await
    }
    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>> {
        self.inner.get_upload(id).await
    }
    async fn advance_upload(
        &self,
        id: SongId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<bool> {
        self.inner.advance_upload(id, from, to, expires_at).await
    }
    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool> {
        self.inner.remove_upload(id, expires_at).await
    }
    async fn count_uploads(&self, now: Timestamp) -> Result<u64> {
        self.inner.count_uploads(now).await
    }

    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>> {
        self.inner.list_uploads(after, limit).await
    }
}

#[async_trait]
impl Claims for Forgetful {
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed> {
        self.inner.claim(claim, now).await
    }
    async fn hold(&self, claim: &Claim) -> Result<bool> {
        let held = self.inner.hold(claim).await?;
        if claim.lease_until.is_none() && self.take_answer() {
            return Err(store::Error::Unavailable("the answer was lost".into()));
        }
        Ok(held)
    }
    async fn release(&self, claim: &Claim) -> Result<()> {
        // It is as far away as when it lost an answer.
        let _ = claim;
        Err(store::Error::Unavailable("away".into()))
    }
    async fn forget_claims(&self, now: Timestamp) -> Result<u64> {
        self.inner.forget_claims(now).await
    }
}
