//! Real files, to be damaged, and what hostile ones point to.

use std::fs;

use ingest::testing::{Files, piece};

/// How long the file lasts that nobody may read: as long as no other.
pub(super) const CANARY_SECONDS: f64 = 3.25;

/// A second of the real thing in each format.
pub(super) struct Samples {
    clips: Vec<(&'static str, Vec<u8>)>,
    films: Vec<Vec<u8>>,
    strangers: Vec<Vec<u8>>,
    /// The path of a file that can be decoded, and must not be.
    pub(super) canary: String,
    /// A URL that nobody may ask for.
    pub(super) url: String,
    _files: Files,
}

impl Samples {
    pub(super) fn make(url: &str) -> Self {
        let files = Files::new();
        let source = piece("knolls");
        let source = source.to_str().expect("is text");
        let make = |name: &str, arguments: &[&str]| {
            fs::read(files.make(name, arguments)).expect("is there")
        };
        let clip = |name: &'static str, codec: &str| {
            (name, make(&format!("clip.{name}"), &["-t", "1", "-i", source, "-c:a", codec]))
        };
        let clips = vec![
            clip("mp3", "libmp3lame"),
            clip("aac", "aac"),
            clip("m4a", "aac"),
            clip("alac.m4a", "alac"),
            clip("flac", "flac"),
            clip("oga", "flac"),
            clip("wav", "pcm_s24le"),
            clip("w64", "pcm_s16le"),
            clip("aiff", "pcm_s16be"),
            clip("ogg", "libvorbis"),
            clip("opus", "libopus"),
        ];
        let film = ["-f", "lavfi", "-i", "testsrc=d=1", "-f", "lavfi", "-i", "sine=d=1"];
        let silent = &film[..4];
        let films = vec![
            make("film.mp4", &[&film[..], &["-c:v", "mpeg4", "-c:a", "aac"]].concat()),
            make("film.mov", &[&film[..], &["-c:v", "mjpeg", "-c:a", "pcm_s16le"]].concat()),
            make("film.ogv", &[&film[..], &["-c:v", "libtheora", "-c:a", "libvorbis"]].concat()),
            make("silent.mp4", &[silent, &["-c:v", "mpeg4"]].concat()),
        ];
        let sound = &film[4..];
        let strangers = vec![
            make("a.mkv", &[sound, &["-c:a", "flac"]].concat()),
            make("a.webm", &[sound, &["-c:a", "libopus"]].concat()),
            make("a.avi", &[sound, &["-c:a", "pcm_s16le"]].concat()),
            make("a.ts", &[sound, &["-c:a", "mp2"]].concat()),
            make("a.au", &[sound, &["-c:a", "pcm_s16be"]].concat()),
            make("a.caf", &[sound, &["-c:a", "pcm_s16be"]].concat()),
            make("a.png", &["-f", "lavfi", "-i", "testsrc", "-frames:v", "1"]),
        ];
        let canary = files
            .make("canary.wav", &["-f", "lavfi", "-i", &format!("sine=d={CANARY_SECONDS}:r=8000")]);
        let canary = canary.to_str().expect("is text").to_owned();
        Self { clips, films, strangers, canary, url: url.to_owned(), _files: files }
    }

    /// All clips, with what they are called.
    pub(super) fn clips(&self) -> &[(&'static str, Vec<u8>)] {
        &self.clips
    }

    /// One format's clip.
    pub(super) fn clip(&self, name: &str) -> &[u8] {
        let found = self.clips.iter().find(|(clip, _)| *clip == name);
        found.map_or(&[], |(_, bytes)| bytes)
    }

    /// Videos, with sound and without.
    pub(super) fn films(&self) -> &[Vec<u8>] {
        &self.films
    }

    /// In containers that are not taken.
    pub(super) fn strangers(&self) -> &[Vec<u8>] {
        &self.strangers
    }

    /// What has to work at the end as at the beginning.
    pub(super) fn good(&self) -> &[u8] {
        self.clip("ogg")
    }
}
