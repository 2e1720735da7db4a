//! The jobs: making songs playable, and tidying up.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use ingest::{Ingest, Outcome};
use jiff::SignedDuration;
use music::{Attempt, RevisionId, Song, SongId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{BoxError, Dispatch, DispatchError, Jobs, Problem};
use store::{Store, Upload};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::uploads::Uploads;

/// A job: to make the revision that an attempt promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    song: SongId,
    attempt: RevisionId,
    /// Whether FLAC is made of what is lossless, where somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lossless: Option<bool>,
}

impl Job {
    /// The job of the attempt that `song` has under way, if it has one.
    pub(crate) fn of(song: &Song, lossless: Option<bool>) -> Option<Self> {
        song.attempt.as_ref().map(|attempt| Self { song: song.id, attempt: attempt.id, lossless })
    }

    pub(crate) fn to_value(self) -> Value {
        serde_json::json!(self)
    }
}

/// How long a job may wait before somebody begins it.
const QUEUE_LEASE: SignedDuration = SignedDuration::from_hours(1);

/// How often a job that waits gives a sign of life.
const SIGN: Duration = Duration::from_mins(10);

/// Hands the attempt that `song` has under way to whoever performs jobs, with a lease long enough to
/// wait for its turn. Returns whether the attempt still stands.
pub(crate) async fn hand_over(
    store: &dyn Store,
    dispatch: &dyn Dispatch,
    song: &Song,
    job: Option<Job>,
) -> service::Result<bool> {
    let (Some(job), Some(attempt)) = (job, song.attempt.clone()) else {
        return Ok(false);
    };
    let attempt = Attempt { lease_until: music::now() + QUEUE_LEASE, ..attempt };
    if !store.renew(song.id, &attempt).await? {
        return Ok(false);
    }
    dispatch.submit(job.to_value()).await.map(|()| true).map_err(|error| match error {
        DispatchError::Full => Problem::unavailable("too many songs are waiting"),
        DispatchError::Platform(error) => {
            tracing::error!(error, "job not taken");
            Problem::unavailable("the platform did not take the job")
        }
    })
}

/// Performs the jobs of `crud`.
pub struct Worker {
    store: Arc<dyn Store>,
    ingest: Ingest,
    uploads: Uploads,
    encoding: Arc<Semaphore>,
    /// Whoever performs jobs in turn: this worker, or one in a process of its own.
    dispatch: OnceLock<Arc<dyn Dispatch>>,
}

impl Worker {
    /// Sweeps until all there is was looked at, every ready song too: `crud sweep`.
    ///
    /// The songs of uploads that a crash left complete are made here and now: no process stays to
    /// hand them to. One that cannot be made keeps nothing else from being swept; it is the error.
    pub async fn sweep_all(&self) -> Result<(), BoxError> {
        let made = self.make_all().await;
        loop {
            let swept = self.ingest.sweep(music::now()).await?;
            tracing::info!(?swept, "swept");
            if swept.complete && swept.checked {
                return made;
            }
        }
    }

    /// Makes the songs of all complete uploads, as far as they can be made.
    async fn make_all(&self) -> Result<(), BoxError> {
        let mut made = Ok(());
        for upload in self.uploads.complete().await? {
            if let Err(error) = self.make(&upload).await {
                tracing::warn!(error, upload = %upload.id, "a complete upload has to wait");
                made = Err(error);
            }
        }
        made
    }

    /// Makes the song of a complete upload, while somebody waits.
    async fn make(&self, upload: &Upload) -> Result<(), BoxError> {
        if let Some((_, Some(job))) = self.uploads.become_song(upload).await? {
            self.perform(job.to_value()).await?;
        }
        Ok(self.uploads.forget(upload).await?)
    }

    pub(crate) fn new(
        store: Arc<dyn Store>,
        ingest: Ingest,
        uploads: Uploads,
        encoding: Arc<Semaphore>,
    ) -> Self {
        Self { store, ingest, uploads, encoding, dispatch: OnceLock::new() }
    }

    /// Waits until a song may be encoded, and keeps its attempt's lease from running out meanwhile.
    async fn turn(
        &self,
        song: SongId,
        attempt: RevisionId,
    ) -> Result<SemaphorePermit<'_>, BoxError> {
        let mut turn = std::pin::pin!(self.encoding.acquire());
        loop {
            if let Ok(permit) = tokio::time::timeout(SIGN, &mut turn).await {
                return Ok(permit?);
            }
            let lease_until = music::now() + QUEUE_LEASE;
            let attempt = Attempt { id: attempt, lease_until, progress: 0.0 };
            if let Err(error) = self.store.renew(song, &attempt).await {
                tracing::warn!(%error, %song, "no sign of life could be given for a waiting job");
            }
        }
    }

    /// Says who performs the jobs that a sweep finds.
    pub(crate) fn hand_over_to(&self, dispatch: Arc<dyn Dispatch>) {
        // Once is enough: there is one for the process.
        let _ = self.dispatch.set(dispatch);
    }

    /// Makes songs of the uploads that a crash left complete.
    async fn finish_uploads(&self) -> Result<(), BoxError> {
        let Some(dispatch) = self.dispatch.get() else { return Ok(()) };
        for upload in self.uploads.complete().await? {
            // One that is not taken now waits for the next sweep.
            if let Err(problem) = self.uploads.finish(dispatch.as_ref(), &upload).await {
                tracing::warn!(?problem, upload = %upload.id, "a complete upload has to wait");
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Jobs for Worker {
    /// Makes the revision. A second delivery of a job finds its attempt no longer under way, or
    /// does the same again under the same keys.
    async fn perform(&self, job: Value) -> Result<(), BoxError> {
        let Job { song, attempt, lossless } = serde_json::from_value(job)?;
        let _permit = self.turn(song, attempt).await?;
        let outcome = match self.ingest.run(song, attempt, None, lossless).await {
            // Delivered again: what failed for a reason of ours is worth another attempt.
            Ok(Outcome::Ended) => match self.ingest.again_after_fault(song).await? {
                Some(attempt) => self.ingest.run(song, attempt, None, lossless).await,
                None => Ok(Outcome::Ended),
            },
            outcome => outcome,
        };
        match outcome {
            Ok(_) => Ok(()),
            // Told to whoever sent the file, by the song's own `error`.
            Err(ingest::Error::Rejected(rejection)) => {
                tracing::info!(%song, %rejection, "song failed");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn sweep(&self) -> Result<bool, BoxError> {
        // Before the attempts of their songs are ended for waiting too long.
        if let Err(error) = self.finish_uploads().await {
            tracing::warn!(%error, "complete uploads wait for the next sweep");
        }
        let swept = self.ingest.sweep(music::now()).await?;
        tracing::info!(?swept, "swept");
        Ok(swept.complete)
    }

    async fn catch_up(&self) {
        if self.uploads.take_waiting()
            && let Err(error) = self.finish_uploads().await
        {
            tracing::warn!(%error, "complete uploads wait for the next sweep");
        }
    }
}
