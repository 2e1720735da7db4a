//! `Idempotency-Key`: a request that is sent again is not made again.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, StatusCode};
use ingest::Spool;
use jiff::SignedDuration;
use music::SongId;
use service::{Problem, Result, background};
use sha2::{Digest, Sha256};
use store::{Claim, Claimed, Store};
use tokio::task::JoinHandle;

use crate::{Crud, given::Given};

/// How long a key is remembered.
const MEMORY: SignedDuration = SignedDuration::from_hours(24);

/// How long whoever answers is believed to be alive after the last sign of life.
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// How often they give one.
const SIGN: Duration = Duration::from_secs(20);

/// When an answer that is being made may be worth asking for again.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// How often a key is tried to be settled, and the time between the first two tries, which grows by
/// itself: 5 s and the time that the database takes, less than a lease.
const SETTLING: u32 = 8;
const PAUSE: Duration = Duration::from_millis(180);

const KEY_LIMIT: usize = 255;

/// How taking a request's key went.
pub(crate) enum Taken {
    /// It has none.
    Unasked,
    /// This request is the one that is made.
    Ours(Held),
    /// It was answered before, with this song.
    Answered(SongId),
}

/// Takes the key that a request comes with.
pub(crate) async fn take(
    crud: &Crud,
    headers: &HeaderMap,
    spool: &Spool,
    given: &Given,
) -> Result<Taken> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(Taken::Unasked) };
    let key = key.to_str().ok().filter(|key| {
        (1..=KEY_LIMIT).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let Some(key) = key else {
        let detail = format!("Idempotency-Key must be 1 to {KEY_LIMIT} visible ASCII characters");
        return Err(Problem::bad_request(detail));
    };
    let now = music::now();
    let claim = Claim {
        key: key.to_owned(),
        fingerprint: fingerprint(spool, given),
        song: SongId::new(),
        lease_until: Some(now + LEASE),
        expires_at: now + MEMORY,
    };
    match crud.store.claim(&claim, now).await? {
        Claimed::Ours(before) => {
            let held = Held::new(Arc::clone(&crud.store), claim);
            // Nobody has been told of what an unanswered request left.
            if let Some(left) = before.filter(|claim| claim.lease_until.is_some()) {
                crud.ingest.discard(left.song).await.map_err(super::routes::problem)?;
            }
            Ok(Taken::Ours(held))
        }
        Claimed::Theirs(other) if other.fingerprint != claim.fingerprint => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "this Idempotency-Key came with another song before",
        )),
        Claimed::Theirs(other) if other.lease_until.is_some() => Err(Problem::new(
            StatusCode::CONFLICT,
            "in-flight",
            "a request with this Idempotency-Key is being answered",
        )
        .retry_after(IN_FLIGHT)),
        Claimed::Theirs(other) => Ok(Taken::Answered(other.song)),
    }
}

/// What tells one song to be added from another.
fn fingerprint(spool: &Spool, given: &Given) -> String {
    let text = format!("{}\n{given:?}", spool.sha256());
    ingest::hexadecimal(&Sha256::digest(text))
}

/// A key that a request under way has. If it comes to nothing, the key goes: it may be tried again.
pub(crate) struct Held {
    store: Arc<dyn Store>,
    claim: Option<Claim>,
    song: SongId,
    signs: JoinHandle<()>,
}

impl Held {
    fn new(store: Arc<dyn Store>, claim: Claim) -> Self {
        let signs = tokio::spawn(give_signs(Arc::clone(&store), claim.clone()));
        Self { store, song: claim.song, claim: Some(claim), signs }
    }

    /// The song that the request makes.
    pub(crate) fn song(&self) -> SongId {
        self.song
    }

    /// Keeps the answer. Returns whether the key still was this request's.
    ///
    /// A database that does not answer is asked again: the answer that it lost may have been that the
    /// key is settled, and then the song must stay.
    ///
    /// # Errors
    /// The database did not answer. The key is then either settled, or free once its lease is over.
    pub(crate) async fn settle(mut self) -> Result<bool> {
        self.signs.abort();
        // A sign that is on its way is not overtaken.
        let _ = (&mut self.signs).await;
        // From here on the key is not let go: it may be settled already.
        let Some(claim) = self.claim.take() else { return Ok(false) };
        let settled = Claim { lease_until: None, ..claim };
        let mut asked = 1;
        loop {
            match self.store.hold(&settled).await {
                Ok(held) => return Ok(held),
                Err(error) if asked == SETTLING => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "a key could not be settled"),
            }
            tokio::time::sleep(PAUSE * asked).await;
            asked += 1;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.signs.abort();
        let Some(claim) = self.claim.take() else { return };
        let store = Arc::clone(&self.store);
        background::spawn(async move {
            if let Err(error) = store.release(&claim).await {
                tracing::warn!(%error, "a key is left to its lease");
            }
        });
    }
}

async fn give_signs(store: Arc<dyn Store>, claim: Claim) {
    loop {
        tokio::time::sleep(SIGN).await;
        let sign = Claim { lease_until: Some(music::now() + LEASE), ..claim.clone() };
        match store.hold(&sign).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "no sign of life could be given for a key"),
        }
    }
}
