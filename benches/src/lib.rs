//! What the measurements share: a load of so many requests at a time, and a song to ask for.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use music::{RevisionId, SongId};
use service::BoxError;

/// How often `work` is done a second by `clients` at a time, in `time`.
///
/// `work` is given a number that no other call has, and a client's own state.
pub async fn rate<C, F, W>(clients: Vec<C>, time: Duration, work: W) -> Result<f64, BoxError>
where
    C: Send + 'static,
    F: Future<Output = Result<C, BoxError>> + Send,
    W: Fn(C, usize) -> F + Send + Sync + Clone + 'static,
{
    let done = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for mut client in clients {
        let (done, work) = (Arc::clone(&done), work.clone());
        tasks.push(tokio::spawn(async move {
            while started.elapsed() < time {
                client = work(client, done.fetch_add(1, Ordering::Relaxed)).await?;
            }
            Ok::<_, BoxError>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few million")]
    let done = done.load(Ordering::Relaxed) as f64;
    Ok(done / started.elapsed().as_secs_f64())
}

/// A number from 0 to `below`, that looks random but is the same in every run.
#[must_use]
pub fn scatter(number: usize, below: usize) -> usize {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed >> 32) % below.max(1) as u64).unwrap_or(0)
}

/// The path of a segment of a song.
#[must_use]
pub fn segment_path(song: SongId, revision: RevisionId, number: u32) -> String {
    format!("/stream/{song}/{revision}/128k/{number}.m4s")
}
