//! Real files and a real ffmpeg for tests, those of every crate. What is missing fails a test with
//! a sentence that says how to get it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use music::{Song, Variant};
use store::{ChunkKey, Store};

/// The ffmpeg that is tested: that of `FFMPEG`, else the layer's, which `make test` builds, else
/// the one on `PATH`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn ffmpeg() -> PathBuf {
    if let Some(named) = env::var_os("FFMPEG") {
        return named.into();
    }
    let layer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ffmpeg/bin/ffmpeg");
    if layer.is_file() { layer } else { on_path("ffmpeg") }
}

/// An ffmpeg with every encoder, to make test files with and to judge by: the one on `PATH`.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn full_ffmpeg() -> PathBuf {
    on_path("ffmpeg")
}

fn on_path(program: &str) -> PathBuf {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths)
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("no {program} on PATH: install Debian's package ffmpeg"))
}

/// A real piece of music, by its name in Debian's `wesnoth-1.16-music`, such as `knolls`.
///
/// # Panics
/// If it is not installed.
#[must_use]
pub fn piece(name: &str) -> PathBuf {
    let path = format!("/usr/share/games/wesnoth/1.16/data/core/music/{name}.ogg");
    assert!(Path::new(&path).is_file(), "no {path}: install Debian's package wesnoth-1.16-music");
    path.into()
}

/// Files made by [`full_ffmpeg`], in a directory that goes when this does.
#[derive(Debug)]
pub struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    /// No files yet.
    ///
    /// # Panics
    /// If no directory can be made.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("makes a directory") }
    }

    /// Where a file of that name is or would be.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a file by ffmpeg, told what to read and how to write it.
    ///
    /// # Panics
    /// If ffmpeg does not.
    #[must_use]
    pub fn make(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let path = self.path(name);
        run(full_ffmpeg(), |command| {
            command.args(["-y", "-bitexact"]).args(arguments).arg(&path);
        });
        path
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("is written");
        path
    }
}

/// All that a file decodes to, as interleaved 16 bit samples of so many channels at that rate, by
/// [`full_ffmpeg`]; in MP4, of every frame, whatever an edit list says.
///
/// # Panics
/// If it does not decode.
#[must_use]
pub fn decode(path: &Path, rate: u32, channels: u16) -> Vec<i16> {
    let (rate, channels) = (rate.to_string(), channels.to_string());
    let bytes = read(path, &["-f", "s16le", "-ar", &rate, "-ac", &channels]);
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

/// The same as 32 bit samples, at the file's own rate and of its own channels.
///
/// # Panics
/// If it does not decode.
#[must_use]
pub fn decode_whole(path: &Path) -> Vec<i32> {
    let bytes = read(path, &["-f", "s32le"]);
    bytes.as_chunks().0.iter().copied().map(i32::from_le_bytes).collect()
}

/// The AAC frames of a file, all of them, as ADTS.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn adts(path: &Path) -> Vec<u8> {
    read(path, &["-c", "copy", "-f", "adts"])
}

/// The first audio stream of a file, of every frame, whatever an edit list says.
fn read(path: &Path, arguments: &[&str]) -> Vec<u8> {
    let edited = path.extension().is_some_and(|it| it == "mp4");
    run(full_ffmpeg(), |command| {
        if edited {
            command.args(["-ignore_editlist", "1"]);
        }
        command.arg("-i").arg(path).args(["-map", "0:a:0"]).args(arguments).arg("-");
    })
}

fn run(program: PathBuf, arguments: impl FnOnce(&mut Command)) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error"]).stdin(Stdio::null());
    arguments(&mut command);
    let output = command.output().expect("runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    output.stdout
}

/// What a player of one variant downloads, in order: the initialization section and each segment.
///
/// # Panics
/// If the song is not ready, or lacks a chunk.
pub async fn download(store: &dyn Store, song: &Song, variant: &Variant) -> Vec<Vec<u8>> {
    let revision = song.revision.as_ref().expect("is ready");
    let segments = 0..u32::try_from(variant.timeline.len()).expect("is small");
    let keys =
        segments.map(|number| ChunkKey::segment(song.id, revision.id, &variant.name, number));
    let mut files = Vec::new();
    for key in std::iter::once(ChunkKey::init(song.id, revision.id, &variant.name)).chain(keys) {
        let bytes = store.read(&key).await.expect("answers");
        files.push(bytes.unwrap_or_else(|| panic!("no chunk {key}")).into());
    }
    files
}

/// By how many samples `heard` must be moved to sound most like `original`, at most `reach` either
/// way; and how alike they are then, at best 1. Both are of one channel and begin at the same time.
///
/// # Panics
/// If there is too little to compare.
#[must_use]
pub fn best_lag(original: &[i16], heard: &[i16], reach: usize) -> (isize, f64) {
    let window = original.len().min(heard.len()).saturating_sub(2 * reach);
    let floats = |samples: &[i16]| samples.iter().map(|it| f64::from(*it)).collect::<Vec<_>>();
    let (original, heard) = (floats(original), floats(heard));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let original = &original[reach..reach + window];
    (0..=2 * reach)
        .map(|start| {
            let heard = &heard[start..start + window];
            let likeness =
                dot(original, heard) / (dot(original, original) * dot(heard, heard)).sqrt();
            (start.cast_signed() - reach.cast_signed(), likeness)
        })
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .expect("there is at least one")
}
