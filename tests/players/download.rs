//! Everything that a multivariant playlist leads to, in a folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use m3u8_rs::{MediaPlaylist, VariantStream};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    files,
    gateway::{Gateway, Song, node},
};

pub(crate) struct Download {
    /// Every playlist, the multivariant one first.
    pub(crate) playlists: Vec<PathBuf>,
    pub(crate) variants: Vec<Downloaded>,
    _directory: TempDir,
}

/// One variant.
pub(crate) struct Downloaded {
    pub(crate) stream: VariantStream,
    pub(crate) playlist: MediaPlaylist,
    /// The initialization section, then the segments.
    pub(crate) files: Vec<PathBuf>,
    /// What `boxes.mjs` read of them.
    pub(crate) boxes: Value,
}

impl Download {
    /// Follows `playlist` of a song, as m3u8-rs reads it.
    pub(crate) async fn of(gateway: &Gateway, song: &Song, playlist: &str) -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let path = song.path(playlist);
        let answer = gateway.get(&path).await;
        let file = directory.path().join(playlist);
        fs::write(&file, &answer.body).expect("writes");
        let multivariant =
            m3u8_rs::parse_master_playlist_res(&answer.body).expect("m3u8-rs reads it");
        let mut playlists = vec![file];
        let mut variants = Vec::new();
        for (number, stream) in multivariant.variants.into_iter().enumerate() {
            let folder = directory.path().join(number.to_string());
            fs::create_dir(&folder).expect("makes a directory");
            let (base, text) = (beside(&path, &stream.uri), folder.join("playlist.m3u8"));
            let answer = gateway.get(&base).await;
            fs::write(&text, &answer.body).expect("writes");
            playlists.push(text);
            let playlist =
                m3u8_rs::parse_media_playlist_res(&answer.body).expect("m3u8-rs reads it");
            let map = playlist.segments[0].map.as_ref().expect("has an initialization section");
            let mut files = Vec::new();
            for uri in std::iter::once(&map.uri).chain(playlist.segments.iter().map(|one| &one.uri))
            {
                let file = folder.join(uri);
                fs::write(&file, gateway.get(&beside(&base, uri)).await.body).expect("writes");
                files.push(file);
            }
            let names: Vec<_> = files.iter().map(|file| files::path(file)).collect();
            let boxes = node("boxes.mjs", &names);
            variants.push(Downloaded { stream, playlist, files, boxes });
        }
        Self { playlists, variants, _directory: directory }
    }
}

impl Downloaded {
    /// How many samples the playlist says that the sound has.
    pub(crate) fn samples(&self) -> u64 {
        let timescale = self.number("timescale");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        #[expect(clippy::cast_precision_loss, reason = "a sample rate")]
        let samples = |seconds: f32| (f64::from(seconds) * timescale as f64).round() as u64;
        self.playlist.segments.iter().map(|segment| samples(segment.duration)).sum()
    }

    /// How many samples precede the sound.
    pub(crate) fn media_time(&self) -> u64 {
        let edits = self.boxes["edits"].as_array().expect("is a list");
        assert_eq!(edits.len(), 1, "one edit");
        edits[0].as_u64().expect("is a time")
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.boxes[name].as_u64().expect("is a number")
    }

    /// Each segment's number of this name.
    pub(crate) fn each(&self, name: &str) -> Vec<u64> {
        let segments = self.boxes["segments"].as_array().expect("is a list");
        segments.iter().map(|segment| segment[name].as_u64().expect("is a number")).collect()
    }

    /// The sound as two channels of 16 bits, interleaved, cut at both ends to what we declare.
    pub(crate) fn decoded(&self) -> Vec<i16> {
        let whole = self.files[0].with_file_name("whole.mp4");
        let bytes: Vec<u8> =
            self.files.iter().flat_map(|file| fs::read(file).expect("was written")).collect();
        fs::write(&whole, bytes).expect("writes");
        let all = pcm(&whole, &["-ignore_editlist", "1"]);
        let index = |samples: u64| usize::try_from(samples * 2).expect("is small");
        let start = index(self.media_time());
        all[start..start + index(self.samples())].to_vec()
    }
}

/// What ffmpeg decodes from a file: two channels of 16 bits, interleaved.
pub(crate) fn pcm(file: &Path, options: &[&str]) -> Vec<i16> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror"])
        .args(options)
        .args(["-i", files::path(file), "-ac", "2", "-f", "s16le", "-"])
        .output()
        .expect("the distribution's ffmpeg is there: run `make prepare`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", file.display());
    output.stdout.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// What a relative `uri` in the playlist at `path` leads to.
fn beside(path: &str, uri: &str) -> String {
    let (folder, _) = path.rsplit_once('/').expect("is absolute");
    format!("{folder}/{uri}")
}
