//! Hostile files without end, the same ones for the same seed.

use super::{kinds, samples::Samples};
use crate::random::Random;

/// One file.
#[derive(Debug)]
pub(super) struct Hostile {
    pub(super) kind: &'static str,
    number: usize,
    pub(super) bytes: Vec<u8>,
    /// What is said of it: encoded, as it is sent.
    pub(super) query: String,
    /// Whether the answer is to come before the song is made.
    pub(super) later: bool,
    /// Whether it must be refused.
    pub(super) is_no_audio: bool,
}

impl Hostile {
    /// What it is called when a test fails.
    pub(super) fn label(&self) -> String {
        format!("file {} ({})", self.number, self.kind)
    }
}

impl Hostile {
    /// Writes it where whoever reads of the failure can look at it.
    pub(super) fn keep(&self) -> String {
        let path = std::env::temp_dir().join(format!("segue-hostile-{}", self.number));
        std::fs::write(&path, &self.bytes).expect("is written");
        path.display().to_string()
    }
}

/// So many files, one of each kind after the other.
pub(super) struct Corpus {
    samples: Samples,
    random: Random,
    count: usize,
    next: usize,
}

impl Corpus {
    pub(super) fn new(samples: Samples, random: Random, count: usize) -> Self {
        Self { samples, random, count, next: 0 }
    }

    pub(super) fn next(&mut self) -> Option<Hostile> {
        let number = self.next;
        if number == self.count {
            return None;
        }
        self.next += 1;
        let kind = &kinds::ALL[number % kinds::ALL.len()];
        let bytes = (kind.make)(&self.samples, &mut self.random);
        // Names are as strange as files.
        let names = [
            "n",
            "..%2F..%2Fetc%2Fpasswd",
            "%E2%80%AE%F0%9F%92%BFgp3.",
            "%0A%1B%5B31mx%7F",
            "a%CC%88%CC%88%CC%88",
            "%2E%2E%5CWindows",
        ];
        let files = [
            "a.mp3",
            "..%2F..%2F..%2Fetc%2Fcron.d%2Fx",
            "C%3A%5Ccon",
            "%00",
            "-i.m3u8",
            "a%0Ab.wav",
            "%7Cid",
            "concat%3A%2Fetc%2Fpasswd",
        ];
        let query = format!(
            "name={}&author=a&filename={}",
            self.random.pick(&names),
            self.random.pick(&files),
        );
        let later = self.random.below(3) == 0;
        let (kind, is_no_audio) = (kind.name, kind.is_no_audio);
        Some(Hostile { kind, number, bytes, query, later, is_no_audio })
    }
}
