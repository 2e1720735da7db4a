//! Keys under which requests are made once, however often they are sent.

use async_trait::async_trait;
use music::{SongId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;

/// What is known of the request that came with a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The key, as its client chose it.
    #[serde(rename = "_id")]
    pub key: String,
    /// What tells this request from another with the same key.
    pub fingerprint: String,
    /// The song that the request makes.
    pub song: SongId,
    /// Until when whoever answers it is known to be alive; nothing once it has been answered.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::millisecond::optional"
    )]
    pub lease_until: Option<Timestamp>,
    /// When the key is forgotten.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub expires_at: Timestamp,
}

impl Claim {
    /// Whether another request may take the key at `now`.
    pub(crate) fn is_free(&self, now: Timestamp) -> bool {
        self.expires_at <= now || self.lease_until.is_some_and(|lease| lease <= now)
    }
}

/// How asking for a key went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// It is the asker's now. Whoever had it, until a lease ran out unanswered, may have left a song.
    Ours(Option<Claim>),
    /// Another request has it, and its answer stands or is still being made.
    Theirs(Claim),
}

/// The records of keys. Each method is atomic and durable once it returns `Ok`.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Takes a key, unless another request has it at `now`.
    async fn claim(&self, claim: &Claim, now: Timestamp) -> Result<Claimed>;

    /// Changes the lease of a claim on its key, if it still has it. Returns whether it does.
    async fn hold(&self, claim: &Claim) -> Result<bool>;

    /// Lets a key go, if the claim still has it.
    async fn release(&self, claim: &Claim) -> Result<()>;

    /// Forgets the keys that have expired at `now`. Returns how many.
    async fn forget_claims(&self, now: Timestamp) -> Result<u64>;
}
