//! Uploads between two requests: which parts are in, and what becomes of one that is complete.
//!
//! A part is in once its chunk is: chunks are only ever written where none is, so of several parts
//! that come for one offset exactly one is kept, whole. The offset in the upload's record follows.
//! Where a crash kept it from doing so, whoever looks at the upload next makes up for it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ingest::Ingest;
use jiff::SignedDuration;
use music::{Song, SongId, Timestamp};
use service::{Dispatch, Problem, Result};
use store::{ChunkKey, Store, Upload};

use crate::{
    routes::metadata,
    worker::{Job, hand_over},
};

/// How many uploads are asked for at a time.
const PAGE: usize = 100;

/// How long an upload waits for its first part, where it waits no shorter for all others. One that
/// was begun and left costs its client nothing.
const FIRST_PART: Duration = Duration::from_hours(1);

/// When there may be room for another upload.
const CROWDED: Duration = Duration::from_mins(1);

/// The uploads of a store.
#[derive(Clone)]
pub(crate) struct Uploads {
    store: Arc<dyn Store>,
    ingest: Ingest,
    /// How long an upload waits for its next part.
    patience: Duration,
    /// How many may be open at a time.
    limit: u64,
    /// Counts those that this process begins, so that it keeps to the limit although several
    /// requests begin one at a time.
    beginnings: Arc<Mutex<Beginnings>>,
    /// Whether one that is complete had to wait since this was last asked.
    waiting: Arc<AtomicBool>,
}

/// How many uploads this process has begun to insert, and how many of these inserts have ended.
#[derive(Debug, Default)]
struct Beginnings {
    begun: u64,
    ended: u64,
}

/// An upload that is being inserted.
struct Beginning(Arc<Mutex<Beginnings>>);

impl Beginning {
    /// How many inserts have ended. A count of the store that is asked for after this has all of them.
    fn ended(beginnings: &Mutex<Beginnings>) -> u64 {
        beginnings.lock().unwrap_or_else(PoisonError::into_inner).ended
    }

    /// Takes a place for one upload more, if there is one beside the `open` uploads that the store
    /// counted after `ended` inserts, and all that were begun besides these.
    fn within(
        beginnings: &Arc<Mutex<Beginnings>>,
        limit: u64,
        open: u64,
        ended: u64,
    ) -> Option<Self> {
        let mut all = beginnings.lock().unwrap_or_else(PoisonError::into_inner);
        if open + (all.begun - ended) >= limit {
            return None;
        }
        all.begun += 1;
        Some(Self(Arc::clone(beginnings)))
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
    }
}

impl Uploads {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        ingest: Ingest,
        patience: Duration,
        limit: u64,
    ) -> Self {
        let (beginnings, waiting) = Default::default();
        Self { store, ingest, patience, limit, beginnings, waiting }
    }

    /// Begins an upload of which nothing is in yet.
    ///
    /// The limit is one for all clients: they share one key, and behind a proxy one address, so that
    /// nothing tells them apart. Hence 503, which clients of tus try again, and not 429, which says
    /// that this client asks too much.
    pub(crate) async fn begin(&self, length: u64, metadata: String) -> Result<Upload> {
        let in_store = Beginning::ended(&self.beginnings);
        let open = self.store.count_uploads(music::now()).await?;
        let Some(_beginning) = Beginning::within(&self.beginnings, self.limit, open, in_store)
        else {
            let detail = "too many uploads are open: finish them or give them up";
            return Err(Problem::unavailable(detail).retry_after(CROWDED));
        };
        let expires_at = after(self.patience.min(FIRST_PART));
        let upload = Upload { id: SongId::new(), length, offset: 0, metadata, expires_at };
        self.store.insert_upload(&upload).await?;
        Ok(upload)
    }

    /// When an upload is given up of which a part came in just now.
    pub(crate) fn expiry(&self) -> Timestamp {
        after(self.patience)
    }

    /// Whether a complete upload had to wait since this was last asked.
    pub(crate) fn take_waiting(&self) -> bool {
        self.waiting.swap(false, Ordering::Relaxed)
    }

    /// An upload, with the offset that its parts give it.
    pub(crate) async fn find(&self, id: SongId) -> store::Result<Option<Upload>> {
        let Some(mut upload) = self.store.get_upload(id).await? else { return Ok(None) };
        while upload.offset < upload.length
            && let Some(part) = self.store.read(&ChunkKey::original(id, upload.offset)).await?
            && !part.is_empty()
        {
            let to = upload.offset + part.len() as u64;
            let expires_at = upload.expires_at.max(self.expiry());
            // Not moved: somebody else moved it, or the upload is gone.
            if !self.store.advance_upload(id, upload.offset, to, expires_at).await? {
                let Some(present) = self.store.get_upload(id).await? else { return Ok(None) };
                upload = present;
                continue;
            }
            upload = Upload { offset: to, expires_at, ..upload };
        }
        Ok(Some(upload))
    }

    /// Uploads whose parts are all in.
    pub(crate) async fn complete(&self) -> store::Result<Vec<Upload>> {
        let (mut complete, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list_uploads(after, PAGE).await?;
            for upload in &page {
                let found = self.find(upload.id).await?;
                complete.extend(found.filter(|upload| upload.offset == upload.length));
            }
            after = page.last().map(|upload| upload.id);
            if page.len() < PAGE {
                return Ok(complete);
            }
        }
    }

    /// Makes a complete upload a song that is about to be ingested. Harmless to repeat: the upload's
    /// record goes last.
    pub(crate) async fn finish(&self, dispatch: &dyn Dispatch, upload: &Upload) -> Result<()> {
        let Some((song, job)) = self.become_song(upload).await? else {
            return Err(Problem::not_found("the upload was given up"));
        };
        // Where its attempt does not stand any more there is nothing left to hand over.
        if let Err(problem) = hand_over(self.store.as_ref(), dispatch, &song, job).await {
            self.waiting.store(true, Ordering::Relaxed);
            return Err(problem);
        }
        Ok(self.forget(upload).await?)
    }

    /// The song of a complete upload, and the job that makes it playable, unless it was given up
    /// meanwhile.
    pub(crate) async fn become_song(
        &self,
        upload: &Upload,
    ) -> store::Result<Option<(Song, Option<Job>)>> {
        // Was read when the upload was made.
        let given = metadata::parse(&upload.metadata).unwrap_or_default();
        let filename = given.filename.as_deref();
        match self.ingest.add_uploaded(upload, given.patch, filename).await {
            Ok(song) => {
                let job = Job::of(&song, given.lossless);
                Ok(Some((song, job)))
            }
            Err(ingest::Error::NoSuchSong(_)) => Ok(None),
            Err(ingest::Error::Store(error)) => Err(error),
            Err(error) => Err(store::Error::Backend(error.into())),
        }
    }

    /// Forgets an upload that became a song.
    pub(crate) async fn forget(&self, upload: &Upload) -> store::Result<()> {
        self.store.remove_upload(upload.id, Timestamp::MAX).await.map(|_| ())
    }
}

/// The moment when a time is over that begins now.
fn after(time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    // The last moment there is stands for those that never expire.
    let never = Timestamp::MAX - SignedDuration::from_secs(1);
    music::now().checked_add(time).unwrap_or(never)
}
