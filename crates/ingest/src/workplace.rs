//! The directory that a process works in, and what dead ones left beside it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use crate::ffmpeg::INPUT;

const PREFIX: &str = "segue-";

/// Locked for as long as the process lives: unlike its id, nobody else can come to have it.
const LOCK: &str = "lock";

/// How often making a directory is tried: another process may take it for left behind before it is
/// locked.
const TRIES: usize = 10;

/// A directory for one file, which go when this does. For that no file descriptor is needed: it goes
/// also where the process has none left, as where the file could not be opened for that reason.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    file: &'static str,
}

impl Directory {
    fn make(root: &Path, prefix: &str, file: &'static str) -> io::Result<Self> {
        let made = tempfile::Builder::new().prefix(prefix).tempdir_in(root)?;
        Ok(Self { path: made.keep(), file })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is or may be made.
    pub(crate) fn file(&self) -> PathBuf {
        self.path.join(self.file)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed says so below.
        let _ = fs::remove_file(self.file());
        let removed = fs::remove_dir(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
        if let Err(error) = removed
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %self.path.display(), "a directory stays behind");
        }
    }
}

/// A directory of this process's own. Goes when this does.
#[derive(Debug)]
pub(crate) struct Workplace {
    root: PathBuf,
    directory: Directory,
    _lock: File,
}

impl Workplace {
    /// Makes a directory in `root`, and removes those of processes that are no more.
    pub(crate) fn new(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        sweep(root)?;
        for _ in 0..TRIES {
            let directory = Directory::make(root, PREFIX, LOCK)?;
            let path = directory.file();
            let lock = match File::create_new(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            lock.lock()?;
            // Whoever removes it holds the lock meanwhile: what is there now stays.
            if path.exists() {
                return Ok(Self { root: root.to_owned(), directory, _lock: lock });
            }
        }
        Err(io::Error::other("other processes keep removing it"))
    }

    /// A new directory for one job.
    pub(crate) fn job(&self) -> io::Result<Directory> {
        Directory::make(self.directory.path(), "job-", INPUT)
    }

    /// Removes the directories of processes that are no more. Returns how many.
    pub(crate) fn sweep(&self) -> io::Result<usize> {
        sweep(&self.root)
    }
}

fn sweep(root: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        match remove_if_abandoned(&entry.path()) {
            Ok(done) => removed += usize::from(done),
            Err(error) => {
                tracing::warn!(%error, path = %entry.path().display(), "cannot be removed");
            }
        }
    }
    Ok(removed)
}

/// Removes a directory whose lock nobody holds. What has no lock and is not empty is not ours,
/// whatever its name.
fn remove_if_abandoned(directory: &Path) -> io::Result<bool> {
    let lock = match File::open(directory.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(fs::remove_dir(directory).is_ok());
        }
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => fs::remove_dir_all(directory).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_left_is_removed() {
        let root = tempfile::tempdir().expect("makes a directory");
        // What a killed process leaves: a directory whose lock nobody holds.
        let dead = |name: &str| {
            let dead = root.path().join(name);
            fs::create_dir(&dead).expect("is made");
            fs::write(dead.join(LOCK), "").expect("is written");
            fs::create_dir(dead.join("job-1")).expect("is made");
            dead
        };
        let before = dead("segue-before");
        let one = Workplace::new(root.path()).expect("is made");
        assert!(!before.exists(), "who begins tidies up");
        let other = Workplace::new(root.path()).expect("is made");
        let job = other.job().expect("is made");

        let dead = dead("segue-dead");
        fs::create_dir(root.path().join("segue-without-a-lock")).expect("is made");
        fs::write(root.path().join("somebody-elses"), "").expect("is written");
        let foreign = root.path().join("segue-of-somebody-else");
        fs::create_dir(&foreign).expect("is made");
        fs::write(foreign.join("data"), "").expect("is written");

        assert_eq!(one.sweep().expect("sweeps"), 2);
        assert!(!dead.exists());
        assert!(job.path().exists(), "another process is at work there");
        assert!(foreign.join("data").exists() && root.path().join("somebody-elses").exists());
        assert_eq!(other.sweep().expect("sweeps"), 0);
    }

    #[test]
    fn processes_that_begin_at_once_leave_each_other_their_places() {
        let root = tempfile::tempdir().expect("makes a directory");
        let begin = || Workplace::new(root.path()).expect("is made");
        std::thread::scope(|scope| {
            let beginners: Vec<_> = (0..16).map(|_| scope.spawn(begin)).collect();
            let places: Vec<_> =
                beginners.into_iter().map(|it| it.join().expect("does not panic")).collect();
            for place in &places {
                assert!(place.job().is_ok(), "its directory is gone");
            }
        });
    }
}
