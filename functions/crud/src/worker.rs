//! The jobs: making songs playable, and tidying up.

use std::sync::Arc;

use async_trait::async_trait;
use ingest::Ingest;
use music::{RevisionId, Song, SongId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{BoxError, Jobs};
use tokio::sync::Semaphore;

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

/// Performs the jobs of `crud`.
pub struct Worker {
    ingest: Ingest,
    encoding: Arc<Semaphore>,
}

impl Worker {
    /// Sweeps until all there is was looked at: `crud sweep`.
    pub async fn sweep_all(&self) -> Result<(), BoxError> {
        loop {
            let swept = self.ingest.sweep(music::now()).await?;
            tracing::info!(?swept, "swept");
            if swept.complete {
                return Ok(());
            }
        }
    }

    pub(crate) fn new(ingest: Ingest, encoding: Arc<Semaphore>) -> Self {
        Self { ingest, encoding }
    }
}

#[async_trait]
impl Jobs for Worker {
    /// Makes the revision. A second delivery of a job finds its attempt no longer under way, or
    /// does the same again under the same keys.
    async fn perform(&self, job: Value) -> Result<(), BoxError> {
        let Job { song, attempt, lossless } = serde_json::from_value(job)?;
        let _permit = self.encoding.acquire().await?;
        match self.ingest.run(song, attempt, None, lossless).await {
            Ok(_) => Ok(()),
            // Told to whoever sent the file, by the song's own `error`.
            Err(ingest::Error::Rejected(rejection)) => {
                tracing::info!(%song, %rejection, "song failed");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn sweep(&self) -> Result<(), BoxError> {
        let swept = self.ingest.sweep(music::now()).await?;
        tracing::info!(?swept, "swept");
        Ok(())
    }
}
