//! A program that runs for as long as a test does.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

/// A running program. Killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    id: u32,
    log: Log,
    /// How it ended, once it has.
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Dropping it kills the program.
    _keep: watch::Sender<()>,
}

/// What a program has written to standard error so far.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Process {
    /// Starts `program` with these variables and no others.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(program: &Path, arguments: &[&str], variables: &[(String, String)]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(variables.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let id = child.id().expect("is running");
        let log = Log::default();
        let stderr = child.stderr.take().expect("is piped");
        let copy = log.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                copy.push(&line);
            }
        });
        let (keep, kept) = watch::channel(());
        let (end, ended) = watch::channel(None);
        tokio::spawn(watch_over(child, kept, end));
        Self { id, log, ended, _keep: keep }
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it has written to standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it (SIGKILL), and returns once it is gone.
    pub async fn kill(self) {
        let Self { mut ended, _keep: keep, .. } = self;
        drop(keep);
        // Closed by whoever watches over it, once that has waited for it.
        while ended.changed().await.is_ok() {}
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// How it ends, however long that takes.
    ///
    /// # Panics
    /// If nobody knows.
    pub async fn ended(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = *ended.wait_for(Option::is_some).await.expect("is watched over");
        status.expect("has ended")
    }

    /// Waits for a text in the log of a program that has ended: its last lines may still be on
    /// their way.
    ///
    /// # Panics
    /// If it never comes.
    pub async fn until_ended_with(&self, text: &str) {
        for _ in 0..500 {
            if self.log().contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it ended without {text:?}:\n{}", self.log());
    }

    /// What `found` makes of the first line of the log that it makes something of.
    ///
    /// # Panics
    /// If the program ends before, or takes more than a minute.
    pub async fn until_logged<T>(&self, found: impl Fn(&str) -> Option<T>) -> T {
        for _ in 0..6_000 {
            if let Some(result) = self.log().lines().find_map(&found) {
                return result;
            }
            assert!(self.is_running(), "it ended:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it did not come to that:\n{}", self.log());
    }
}

impl Log {
    fn push(&self, line: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(line);
        log.push('\n');
    }
}

async fn watch_over(
    mut child: Child,
    mut kept: watch::Receiver<()>,
    end: watch::Sender<Option<ExitStatus>>,
) {
    let status = tokio::select! {
        status = child.wait() => status.ok(),
        _ = kept.changed() => {
            // It may have ended by itself a moment ago.
            let _ = child.kill().await;
            None
        }
    };
    end.send_replace(status);
}
