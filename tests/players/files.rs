//! A clip of a real piece in every form that Segue takes, made by the distribution's ffmpeg.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use bytes::Bytes;
use tempfile::TempDir;

/// What is made: a file's name, and how ffmpeg is told to make it.
const FORMS: &[(&str, &str)] = &[
    ("cbr.mp3", "-c:a libmp3lame -b:a 192k -metadata title=Tagged -id3v2_version 3"),
    ("vbr.mp3", "-c:a libmp3lame -q:a 2"),
    ("adts.aac", "-c:a aac -b:a 160k"),
    ("aac.m4a", "-c:a aac -b:a 160k"),
    ("front.m4a", "-c:a aac -b:a 96k -movflags +faststart"),
    ("alac.m4a", "-c:a alac"),
    ("16.flac", "-c:a flac -sample_fmt s16"),
    ("24.flac", "-c:a flac -sample_fmt s32"),
    ("8.wav", "-c:a pcm_u8"),
    ("16.wav", "-c:a pcm_s16le"),
    ("24.wav", "-c:a pcm_s24le"),
    ("float.wav", "-c:a pcm_f32le"),
    ("16.aiff", "-c:a pcm_s16be"),
    ("24.aiff", "-c:a pcm_s24be"),
    ("vorbis.ogg", "-c:a libvorbis -q:a 5"),
    ("opus.opus", "-c:a libopus -b:a 96k"),
    ("mono.mp3", "-c:a libmp3lame -b:a 64k -ac 1"),
    ("surround.flac", "-c:a flac -ac 6"),
    ("surround.m4a", "-c:a aac -b:a 384k -ac 6"),
    ("8000.wav", "-c:a pcm_s16le -ar 8000 -ac 1"),
    ("22050.mp3", "-c:a libmp3lame -ar 22050 -b:a 64k"),
    ("96000.flac", "-c:a flac -ar 96000 -sample_fmt s32"),
    ("192000.wav", "-c:a pcm_s24le -ar 192000"),
];

/// Long enough for more than one segment.
const SECONDS: &str = "10.3";

/// The files, gone when this is dropped.
pub(crate) struct Files {
    directory: TempDir,
}

/// One file.
pub(crate) struct Source(PathBuf);

impl Source {
    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("is text")
    }

    pub(crate) fn bytes(&self) -> Bytes {
        fs::read(&self.0).expect("was made").into()
    }
}

impl Files {
    pub(crate) fn make() -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let cover = directory.path().join("cover.png");
        ffmpeg(&["-f", "lavfi", "-i", "color=red:s=300x300", "-frames:v", "1", path(&cover)]);
        let piece = piece("knolls");
        for (name, arguments) in FORMS {
            let file = directory.path().join(name);
            let mut all = vec!["-ss", "20", "-t", SECONDS, "-i", path(&piece)];
            let with_cover = *name == "cbr.mp3";
            if with_cover {
                all.extend(["-i", path(&cover), "-map", "0:a", "-map", "1:v", "-c:v", "copy"]);
            } else {
                all.extend(["-map", "0:a"]);
            }
            all.extend(arguments.split(' '));
            all.push(path(&file));
            ffmpeg(&all);
        }
        Self { directory }
    }

    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, Source)> {
        FORMS.iter().map(|(name, _)| (*name, Source(self.directory.path().join(name))))
    }
}

/// How many seconds of sound ffmpeg decodes from a file or a URL.
pub(crate) fn seconds_decoded(source: &str) -> f64 {
    const RATE: u32 = 48_000;
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-i", source, "-map", "0:a:0", "-ac", "1"])
        .args(["-ar", &RATE.to_string(), "-f", "s16le", "-"])
        .output()
        .expect("the distribution's ffmpeg is there: run `make prepare`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{source}: {errors}");
    let samples = u32::try_from(output.stdout.len() / 2).expect("is short");
    f64::from(samples) / f64::from(RATE)
}

pub(crate) fn ffmpeg(arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .expect("the distribution's ffmpeg is there: run `make prepare`");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().expect("is text")
}

/// A real piece of music, of those that `make prepare` installs.
pub(crate) fn piece(name: &str) -> PathBuf {
    let version = fs::read_dir("/usr/share/games/wesnoth").into_iter().flatten().flatten().next();
    let piece = version.map(|entry| entry.path().join(format!("data/core/music/{name}.ogg")));
    piece.filter(|piece| piece.is_file()).expect("there is music: run `make prepare`")
}
