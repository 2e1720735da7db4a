//! Runs ffmpeg: in a directory of its own, with an empty environment, bounded in time, memory and
//! what it can write, and gone when nobody waits for it any more.

mod arguments;

use std::{
    ffi::OsString,
    io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use rustix::process::{Resource, Rlimit};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    process::{Child, ChildStderr, Command},
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    task::JoinHandle,
};

use crate::{BoxError, Error, Result};
pub(crate) use arguments::{
    COPY, FED, FIRST_PIPE, FLAC_FRAME, INPUT, LINK, Lossless, Pcm, Target, decode, encode, examine,
    probe,
};

/// How much of what ffmpeg complains of is kept for the log, in bytes.
const COMPLAINT: usize = 4096;

/// What one ffmpeg may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// By the wall clock.
    pub(crate) time: Duration,
    /// Of processors.
    pub(crate) cpu: Duration,
    /// In bytes.
    pub(crate) memory: u64,
}

/// The right to run one ffmpeg, within limits.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) limits: Limits,
    /// Given back when the process is gone.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// An ffmpeg program.
#[derive(Debug, Clone)]
pub(crate) struct Ffmpeg {
    program: PathBuf,
}

/// What came of a run that did what it was asked.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) value: T,
    /// Whether ffmpeg complained of the file.
    pub(crate) complained: bool,
}

/// How a run that did not do what it was asked ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It ran out of time, memory, or patience with itself.
    Limit(String),
    /// It gave up. With the end of its complaints.
    Exit(String),
    /// It could not be run, or not be listened to.
    Broken(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl Ffmpeg {
    /// Takes `program` by its path, or from `PATH` if it is a bare name.
    pub(crate) fn new(program: &Path) -> Self {
        Self { program: located(program) }
    }

    /// Whether the program is there and runs.
    ///
    /// # Errors
    /// [`Error::Ffmpeg`].
    pub(crate) async fn check(&self) -> Result<()> {
        /// A program that takes longer to load encodes nothing either.
        const LIMIT: Duration = Duration::from_secs(10);
        let mut command = Command::new(&self.program);
        command
            .arg("-version")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let complaint = match tokio::time::timeout(LIMIT, command.status()).await {
            Ok(Ok(status)) if status.success() => return Ok(()),
            Ok(Ok(status)) => format!("its -version ends with {status}"),
            Ok(Err(error)) => return Err(self.not_started(error)),
            Err(elapsed) => format!("its -version does not end: {elapsed}"),
        };
        Err(Error::Ffmpeg(format!("{}: {complaint}", self.program.display()), None))
    }

    fn not_started(&self, error: io::Error) -> Error {
        let program = self.program.display();
        Error::Ffmpeg(format!("{program} cannot be started"), Some(error.into()))
    }

    /// Runs ffmpeg in `directory` with a standard input, while `work` reads what it writes to so many
    /// pipes.
    ///
    /// Gives what `work` gave, once ffmpeg has ended well. If `work` fails, ffmpeg is killed.
    pub(crate) async fn run<T>(
        &self,
        admission: Admission,
        directory: &Path,
        arguments: Vec<OsString>,
        stdin: Stdio,
        pipes: usize,
        work: impl AsyncFnOnce(Vec<pipe::Receiver>) -> Result<T>,
    ) -> Result<Done<T>, Failure> {
        let time = admission.limits.time;
        let (mut process, pipes) = self.start(admission, directory, arguments, stdin, pipes)?;
        let run = async {
            let value = work(pipes).await?;
            let complained = process.end().await?;
            Ok(Done { value, complained })
        };
        tokio::time::timeout(time, run)
            .await
            .unwrap_or_else(|_| Err(Failure::Limit("the wall clock".into())))
    }

    fn start(
        &self,
        admission: Admission,
        directory: &Path,
        arguments: Vec<OsString>,
        stdin: Stdio,
        pipes: usize,
    ) -> Result<(Process, Vec<pipe::Receiver>)> {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut receivers = Vec::with_capacity(pipes);
        let mut mappings = Vec::with_capacity(pipes);
        for index in 0..pipes {
            // Both ends close on exec; the mapping opens the one again that is ffmpeg's, in the
            // child only. So no other child that is started meanwhile keeps a pipe open.
            let (reader, writer) = io::pipe().map_err(|error| Error::Io("make a pipe", error))?;
            let receiver = pipe::Receiver::from_owned_fd(reader.into());
            receivers.push(receiver.map_err(|error| Error::Io("make a pipe", error))?);
            let child_fd = i32::try_from(FIRST_PIPE + index).unwrap_or(i32::MAX);
            mappings.push(FdMapping { parent_fd: writer.into(), child_fd });
        }
        command
            .fd_mappings(mappings)
            .map_err(|error| Error::Io("make a pipe", io::Error::other(error)))?;
        let mut child = command.spawn().map_err(|error| self.not_started(error))?;
        // Ours of the writing ends go with the command, or no pipe would ever end.
        drop(command);
        limit(&child, admission.limits);
        let complaint = child.stderr.take().map(|stderr| tokio::spawn(listen(stderr)));
        let running = Some((child, admission.permit));
        Ok((Process { running, complaint }, receivers))
    }
}

/// Bounds what a child may cost. It does not write files, so it may not.
#[cfg(target_os = "linux")]
fn limit(child: &Child, limits: Limits) {
    let Some(pid) = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()))
    else {
        return;
    };
    for (resource, limit) in [
        // All memory that a process may write to and shares with no other. Not the address space:
        // the allocator reserves far more of it, for each thread, than is ever used.
        (Resource::Data, limits.memory),
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Cpu, limits.cpu.as_secs().max(1)),
        (Resource::Nofile, 64),
    ] {
        let limit = Rlimit { current: Some(limit), maximum: Some(limit) };
        if let Err(error) = rustix::process::prlimit(Some(pid), resource, limit) {
            // It may have ended already; anything else is worth knowing.
            tracing::debug!(%error, ?resource, "ffmpeg is not limited");
        }
    }
}

/// Where there is no such thing, the wall clock and what is read of its output remain.
#[cfg(not(target_os = "linux"))]
fn limit(_: &Child, _: Limits) {}

struct Process {
    /// The process, and the right to run it.
    running: Option<(Child, OwnedSemaphorePermit)>,
    complaint: Option<JoinHandle<String>>,
}

impl Process {
    /// Waits for it to end by itself. Tells whether it complained.
    async fn end(&mut self) -> Result<bool, Failure> {
        let Some((child, _)) = &mut self.running else { return Ok(false) };
        let status = child.wait().await.map_err(|error| Error::Io("wait for ffmpeg", error))?;
        let complaint = match self.complaint.take() {
            Some(listening) => listening.await.unwrap_or_default(),
            None => String::new(),
        };
        judge(status, &complaint)?;
        Ok(!complaint.is_empty())
    }
}

impl Drop for Process {
    /// Kills it, and lets the next one start when it is gone: a process that is killed may take a
    /// while to give back its memory.
    fn drop(&mut self) {
        let Some((mut child, permit)) = self.running.take() else { return };
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = child.kill().await {
                tracing::warn!(%error, "ffmpeg cannot be killed");
            }
            drop(permit);
        });
    }
}

fn judge(status: ExitStatus, complaint: &str) -> Result<(), Failure> {
    // From signal(7): SIGKILL is the kernel's for want of memory, SIGXCPU for too much time.
    const COSTLY: [i32; 2] = [9, 24];
    if status.success() {
        if !complaint.is_empty() {
            tracing::debug!(complaint, "ffmpeg complained");
        }
        return Ok(());
    }
    let costly = status.signal().is_some_and(|signal| COSTLY.contains(&signal))
        || complaint.contains("Cannot allocate memory");
    let complaint = format!("{status}: {complaint}");
    Err(if costly { Failure::Limit(complaint) } else { Failure::Exit(complaint) })
}

/// Reads all that ffmpeg complains of, so that it never waits for us to, and keeps the end.
async fn listen(mut stderr: ChildStderr) -> String {
    let mut kept = Vec::with_capacity(2 * COMPLAINT);
    loop {
        match stderr.read_buf(&mut kept).await {
            Ok(1..) if kept.len() > COMPLAINT => drop(kept.drain(..kept.len() - COMPLAINT)),
            Ok(1..) => {}
            Ok(0) | Err(_) => return String::from_utf8_lossy(&kept).trim().to_owned(),
        }
    }
}

/// The program's path, told now: the child has another directory and no `PATH`.
fn located(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| program.to_owned())
}

/// A failure that is not the file's fault.
pub(crate) fn unusable(what: &str, source: impl Into<BoxError>) -> Error {
    Error::Ffmpeg(what.to_owned(), Some(source.into()))
}
