//! Work that an answer does not wait for, and that must be done all the same.

use std::{sync::LazyLock, time::Duration};

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::task::TaskTracker;

static WORK: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Does `work`, whatever becomes of whoever started it.
///
/// A process may be frozen once it has answered, and ended without being thawed; before that, and
/// before it ends of its own accord, it is given some time to finish this.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    WORK.spawn(work)
}

/// Waits until all work is done, but no longer than `limit`.
pub(crate) async fn finish(limit: Duration) {
    WORK.close();
    if timeout(limit, WORK.wait()).await.is_err() {
        tracing::warn!("work is left over that no answer waits for");
    }
    WORK.reopen();
}
