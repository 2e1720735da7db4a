//! Asks a database that does not answer again, for a while.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Repeats an operation that is harmless to repeat until the store answers, or has not answered for
/// as long as `patience`.
pub(crate) async fn patiently<T, F>(
    patience: Duration,
    mut operation: impl FnMut() -> F,
) -> store::Result<T>
where
    F: Future<Output = store::Result<T>>,
{
    let end = Instant::now() + patience;
    let mut wait = FIRST_WAIT;
    loop {
        match operation().await {
            Err(store::Error::Unavailable(source)) if Instant::now() < end => {
                tracing::warn!(error = %source, "the database does not answer; asking again");
                sleep(wait.min(end - Instant::now())).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable<T>() -> store::Result<T> {
        Err(store::Error::Unavailable("away".into()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_comes_back_is_not_an_error() {
        let mut asked = 0;
        let answer = patiently(Duration::from_secs(30), || {
            asked += 1;
            let answer = if asked < 5 { unavailable() } else { Ok(7) };
            async { answer }
        });
        assert!(matches!(answer.await, Ok(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_and_other_errors_are_not_repeated() {
        let begin = Instant::now();
        let patience = Duration::from_secs(30);
        let answer: store::Result<()> = patiently(patience, || async { unavailable() }).await;
        assert!(answer.is_err());
        assert!(begin.elapsed().abs_diff(patience) < FIRST_WAIT, "{:?}", begin.elapsed());

        let mut asked = 0;
        let answer: store::Result<()> = patiently(patience, || {
            asked += 1;
            async { Err(store::Error::TooLarge(1)) }
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(asked, 1);
    }
}
