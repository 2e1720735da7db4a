//! Files that are still on their way in, part by part.

use async_trait::async_trait;
use music::{SongId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

/// A file of which not all parts are in yet. Its parts are chunks of the song's original, each
/// under the offset that it begins at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id, the one that the song will have.
    pub id: SongId,
    /// The size of the whole file, in bytes.
    pub length: u64,
    /// How many bytes are known to be in. The chunk at this offset may be in already: whoever wrote
    /// it had no time to say so.
    pub offset: u64,
    /// What its sender says of it, as the value of `Upload-Metadata` (tus 1.0.0, Creation).
    pub metadata: String,
    /// When it is given up unless another part comes in.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub expires_at: Timestamp,
}

/// The records of uploads.
///
/// Each method is atomic and durable once it returns `Ok`. A record that a newer program wrote is
/// refused as [`Error::NewerSchema`](crate::Error::NewerSchema), on a list as well.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Adds an upload. Its record is there before the first of its parts, so that no part is ever
    /// without a record that names it.
    ///
    /// # Errors
    /// [`Error::Backend`](crate::Error::Backend) if there is one with its id.
    async fn insert_upload(&self, upload: &Upload) -> Result<()>;

    /// The upload.
    async fn get_upload(&self, id: SongId) -> Result<Option<Upload>>;

    /// Moves an upload's offset from `from` to `to`, and its end to `expires_at`, if it is there
    /// and its offset still is `from`. Returns whether it was moved.
    async fn advance_upload(
        &self,
        id: SongId,
        from: u64,
        to: u64,
        expires_at: Timestamp,
    ) -> Result<bool>;

    /// Removes an upload's record, if it expires at `expires_at` or before. Returns whether it did.
    ///
    /// Its parts stay: whoever gives an upload up removes them next.
    async fn remove_upload(&self, id: SongId, expires_at: Timestamp) -> Result<bool>;

    /// How many uploads have not expired at `now`.
    async fn count_uploads(&self, now: Timestamp) -> Result<u64>;

    /// Uploads in the order of their ids, after `after`, at most `limit`.
    async fn list_uploads(&self, after: Option<SongId>, limit: usize) -> Result<Vec<Upload>>;
}
