//! How slow a client may be.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// How many bytes a second a client must send or take, on average over the time that this process
/// waits for it. A phone on the worst network that carries sound does twenty times that.
const LEAST_RATE: u64 = 1024;

/// The bytes that a client moved, and the time that was spent waiting for it.
///
/// Only waiting counts: a client that is asked for nothing is not slow.
pub(super) struct Pace {
    /// How long to wait before the rate is looked at, and at most without a byte.
    patience: Duration,
    /// What was waited in this period before the present wait.
    waited: Duration,
    /// What the client moved in this period.
    bytes: u64,
    /// The present wait: when it began, and when to look at the rate.
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, waited: Duration::ZERO, bytes: 0, wait: None }
    }

    /// The client moved so many bytes.
    pub(super) fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.wait.take() {
            self.waited += since.elapsed();
        }
        self.bytes += bytes as u64;
    }

    /// The client is waited for. Ready once it is too slow.
    pub(super) fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let left = self.patience.saturating_sub(self.waited);
            let (since, look) = self.wait.get_or_insert_with(|| {
                let now = Instant::now();
                (now, Box::pin(sleep_until(now + left)))
            });
            if look.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let silent = since.elapsed() >= self.patience;
            if silent || self.bytes < LEAST_RATE * self.patience.as_secs().max(1) {
                return Poll::Ready(());
            }
            // A new period begins, in the middle of a wait that may have begun a moment ago.
            let next = *since + self.patience;
            (self.bytes, self.waited) = (0, Duration::ZERO);
            look.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// How long a client is waited for that moves `bytes` every `every`, if it is given up within an
    /// hour.
    async fn given_up_after(bytes: usize, every: Duration) -> Option<Duration> {
        let mut pace = Pace::new(PATIENCE);
        let started = Instant::now();
        while started.elapsed() < Duration::from_hours(1) {
            tokio::select! {
                () = poll_fn(|context| pace.poll_too_slow(context)) => {
                    return Some(started.elapsed());
                }
                () = tokio::time::sleep(every) => pace.moved(bytes),
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_moves_a_byte_now_and_then_is_given_up() {
        let after = given_up_after(1, Duration::from_secs(1)).await.expect("is too slow");
        assert!(after >= PATIENCE && after < 2 * PATIENCE, "{after:?}");
        let after = given_up_after(1, Duration::from_hours(1)).await.expect("is silent");
        assert!(after >= PATIENCE && after < 2 * PATIENCE, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_client_is_served_for_as_long_as_it_takes() {
        assert_eq!(given_up_after(2_000, Duration::from_secs(1)).await, None);
        // Bursts, with pauses in between that are shorter than the patience.
        assert_eq!(given_up_after(64_000, Duration::from_secs(8)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_asked_for_nothing_is_not_slow() {
        let mut pace = Pace::new(PATIENCE);
        pace.moved(1);
        tokio::time::sleep(Duration::from_hours(1)).await;
        let too_slow = poll_fn(|context| pace.poll_too_slow(context));
        let nearly = PATIENCE.saturating_sub(Duration::from_millis(10));
        assert!(tokio::time::timeout(nearly, too_slow).await.is_err());
    }
}
