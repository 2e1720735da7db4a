//! The database's clock, by which leases are kept.
//!
//! Several processes share leases, and their clocks may differ by minutes: a process whose clock is
//! ahead would take the lease of a live process for over. So a lease is stored as the database's
//! clock has it, and judged by that. Callers go on to say everything by their own clock.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::SignedDuration;
use mongodb::{Database, bson::doc};
use music::{Attempt, Timestamp};
use tokio::time::Instant;

use super::MongoDb;
use crate::{Claim, Result};

/// Clocks that differ by less are the same. It is far below every lease, and far above how exactly a
/// difference can be measured, so that what is written is read back as it was.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// How long a measured difference is used.
const FRESH: Duration = Duration::from_mins(1);

/// Reads this process's clock.
pub(super) type LocalClock = fn() -> Timestamp;

/// How this process's clock differs from the database's.
#[derive(Debug)]
pub(super) struct Clock {
    local: LocalClock,
    measured: Mutex<Option<(Instant, Skew)>>,
}

/// How far the database's clock is ahead of this process's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skew(SignedDuration);

impl Skew {
    /// What the database's clock shows when this process's shows `time`.
    pub(super) fn correct(self, time: Timestamp) -> Timestamp {
        // A time that is beyond all others stays so.
        time.checked_add(self.0).unwrap_or(time)
    }

    /// An attempt with its lease by the database's clock.
    pub(super) fn correct_attempt(self, attempt: &Attempt) -> Attempt {
        Attempt { lease_until: self.correct(attempt.lease_until), ..attempt.clone() }
    }

    /// A claim with its lease by the database's clock.
    pub(super) fn correct_claim(self, claim: &Claim) -> Claim {
        let lease_until = claim.lease_until.map(|lease| self.correct(lease));
        Claim { lease_until, ..claim.clone() }
    }
}

impl Clock {
    pub(super) fn new(local: LocalClock) -> Self {
        Self { local, measured: Mutex::new(None) }
    }

    /// Measures the difference, unless it was measured a moment ago.
    pub(super) async fn skew(&self, database: &Database) -> mongodb::error::Result<Skew> {
        if let Some(skew) = self.fresh() {
            return Ok(skew);
        }
        let before = (self.local)();
        let hello = database.run_command(doc! { "hello": 1 }).await?;
        let after = (self.local)();
        // A server that does not tell the time is taken to have ours.
        let Ok(theirs) = hello.get_datetime("localTime") else {
            return Ok(Skew(SignedDuration::ZERO));
        };
        let ahead_of = |ours: Timestamp| {
            let difference = theirs.timestamp_millis().saturating_sub(ours.as_millisecond());
            SignedDuration::from_millis(difference)
        };
        // The server read its clock between the two. If the process was frozen meanwhile, they are far
        // apart, and say nothing about a difference.
        let (least, most) = (ahead_of(after), ahead_of(before));
        let skew = if least < TOLERANCE && most > -TOLERANCE {
            Skew(SignedDuration::ZERO)
        } else {
            let difference = least + (most - least) / 2;
            tracing::warn!(%difference, "this machine's clock is not that of the database");
            Skew(difference)
        };
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), skew));
        Ok(skew)
    }

    fn fresh(&self) -> Option<Skew> {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, skew)| skew)
    }
}

impl MongoDb {
    pub(super) async fn skew(&self) -> Result<Skew> {
        self.gate.read(|db| async move { db.clock.skew(&db.database).await }).await
    }
}

#[cfg(test)]
mod tests {
    use music::{RevisionId, SongId, now, testing};

    use super::*;
    use crate::{Claimed, Claims, Songs, testing::TestDatabase};

    const SKEW: SignedDuration = SignedDuration::from_mins(5);
    const LEASE: SignedDuration = SignedDuration::from_mins(1);

    fn right() -> Timestamp {
        now()
    }

    fn ahead() -> Timestamp {
        now() + SKEW
    }

    fn behind() -> Timestamp {
        now() - SKEW
    }

    const CLOCKS: [LocalClock; 3] = [right, ahead, behind];

    fn attempt(lease_until: Timestamp) -> Attempt {
        Attempt { id: RevisionId::new(), lease_until, progress: 0.0 }
    }

    #[tokio::test]
    async fn a_lease_runs_as_long_whatever_clock_it_is_given_and_judged_by() {
        let place = TestDatabase::mongodb();
        for given in CLOCKS {
            for judged in CLOCKS {
                let giver = MongoDb::with_clock(place.url(), given).expect("opens");
                let judge = MongoDb::with_clock(place.url(), judged).expect("opens");
                let mut song = testing::processing(testing::description("Title", "Author"));
                song.attempt = Some(attempt(given() + LEASE));
                giver.insert(&song).await.expect("inserts");
                let is_expired = async |lead| {
                    let expired = judge.expired(judged() + lead, 100).await.expect("lists");
                    expired.iter().any(|expired| expired.id == song.id)
                };
                let begins = async |lead| {
                    let other = attempt(judged() + LEASE);
                    judge.begin(song.id, &other, judged() + lead).await.expect("answers")
                };
                assert!(!is_expired(SignedDuration::ZERO).await);
                assert!(!begins(SignedDuration::ZERO).await);
                assert!(is_expired(LEASE + TOLERANCE).await);
                assert!(begins(LEASE + TOLERANCE).await);

                let claim = |now: Timestamp| Claim {
                    key: song.id.to_string(),
                    fingerprint: String::new(),
                    song: SongId::new(),
                    lease_until: Some(now + LEASE),
                    expires_at: now + LEASE * 1_000,
                };
                let taken = giver.claim(&claim(given()), given()).await.expect("answers");
                assert!(matches!(taken, Claimed::Ours(None)), "{taken:?}");
                let taken = judge.claim(&claim(judged()), judged()).await.expect("answers");
                assert!(matches!(taken, Claimed::Theirs(_)), "{taken:?}");
                let later = judged() + LEASE + TOLERANCE;
                let taken = judge.claim(&claim(later), later).await.expect("answers");
                assert!(matches!(taken, Claimed::Ours(Some(_))), "{taken:?}");
            }
        }
    }
}
