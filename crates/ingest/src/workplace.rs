//! The directory that a process works in, and what dead ones left beside it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

const PREFIX: &str = "segue-";

/// Locked for as long as the process lives: unlike its id, nobody else can come to have it.
const LOCK: &str = "lock";

/// How old a directory without a lock is before it is taken for left behind: it may just be being
/// made.
const SETTLED: Duration = Duration::from_mins(1);

/// A directory of this process's own. Goes when this does.
#[derive(Debug)]
pub(crate) struct Workplace {
    root: PathBuf,
    directory: TempDir,
    _lock: File,
}

impl Workplace {
    /// Makes a directory in `root`. Where this process is the only one that ever works there, all
    /// others are of dead ones, and go.
    pub(crate) fn new(root: &Path, alone: bool) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        if alone {
            sweep(root, is_unlocked)?;
        }
        let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
        let lock = File::create_new(directory.path().join(LOCK))?;
        lock.lock()?;
        Ok(Self { root: root.to_owned(), directory, _lock: lock })
    }

    /// A new directory for one job.
    pub(crate) fn job(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("job-").tempdir_in(&self.directory)
    }

    /// Removes the directories of processes that are no more. Returns how many.
    pub(crate) fn sweep(&self) -> io::Result<usize> {
        let own = self.directory.path();
        sweep(&self.root, |path| path != own && is_unlocked(path) && is_settled(path))
    }
}

/// Removes the directories in `root` that are `abandoned`. Returns how many.
fn sweep(root: &Path, abandoned: impl Fn(&Path) -> bool) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if ours && abandoned(&entry.path()) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::warn!(%error, path = %entry.path().display(), "cannot be removed");
                }
            }
        }
    }
    Ok(removed)
}

/// Whether nobody works there. What has no lock and is not empty is not ours, whatever its name.
fn is_unlocked(directory: &Path) -> bool {
    match File::open(directory.join(LOCK)).map(|lock| lock.try_lock()) {
        Ok(Ok(())) => true,
        Ok(Err(TryLockError::WouldBlock | TryLockError::Error(_))) => false,
        Err(error) => error.kind() == io::ErrorKind::NotFound && is_empty(directory),
    }
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn is_settled(directory: &Path) -> bool {
    let modified = fs::metadata(directory).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| {
        SystemTime::now().duration_since(modified).is_ok_and(|age| age >= SETTLED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(directory: &Path) {
        let long_ago = SystemTime::now() - 2 * SETTLED;
        File::open(directory).and_then(|it| it.set_modified(long_ago)).expect("sets the time");
    }

    #[test]
    fn only_what_dead_processes_left_is_removed() {
        let root = tempfile::tempdir().expect("makes a directory");
        let (one, other) = (Workplace::new(root.path(), false), Workplace::new(root.path(), false));
        let (one, other) = (one.expect("is made"), other.expect("is made"));
        let job = other.job().expect("is made");
        age(other.directory.path());

        // What a killed process leaves: a directory whose lock nobody holds.
        let dead = root.path().join("segue-dead");
        fs::create_dir(&dead).expect("is made");
        fs::write(dead.join(LOCK), "").expect("is written");
        fs::create_dir(dead.join("job-1")).expect("is made");
        assert_eq!(one.sweep().expect("sweeps"), 0, "it may just be being made");
        age(&dead);
        fs::write(root.path().join("somebody-elses"), "").expect("is written");

        assert_eq!(one.sweep().expect("sweeps"), 1);
        assert!(!dead.exists());
        assert!(job.path().exists(), "another process is at work there");
        assert!(root.path().join("somebody-elses").exists());
        assert_eq!(other.sweep().expect("sweeps"), 0);
    }
    #[test]
    fn a_process_that_is_alone_begins_with_an_empty_place() {
        let root = tempfile::tempdir().expect("makes a directory");
        let dead = root.path().join("segue-dead");
        fs::create_dir(&dead).expect("is made");
        fs::write(dead.join(LOCK), "").expect("is written");
        let other = root.path().join("segue-of-somebody-else");
        fs::create_dir(&other).expect("is made");
        fs::write(other.join("data"), "").expect("is written");
        let place = Workplace::new(root.path(), true).expect("is made");
        assert!(!dead.exists());
        assert!(other.join("data").exists());
        assert!(place.directory.path().exists());
    }
}
