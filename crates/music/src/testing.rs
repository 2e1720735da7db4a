//! Songs for tests and measurements, those of every crate: whatever a test does not name itself.

use jiff::SignedDuration;

use crate::{
    AudioFormat, Codec, Credit, Description, Media, Name, Revision, RevisionId, Song, Source,
    Status, Timeline, Variant,
};

/// A text.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn name(text: &str) -> Name {
    Name::parse(text).expect("is a name")
}

/// A description with nothing but what every song has.
///
/// # Panics
/// If one of the texts is none.
#[must_use]
pub fn description(title: &str, author: &str) -> Description {
    Description {
        name: name(title),
        credit: Credit::of(name(author)),
        album: None,
        album_artist: None,
        track: None,
        disc: None,
        year: None,
        genre: None,
    }
}

/// The file that a song was made from: FLAC, 48 kHz, stereo, of `bytes` bytes.
#[must_use]
pub fn source(bytes: u64) -> Source {
    Source {
        filename: Some("song.flac".into()),
        media: Some(Media {
            container: "flac".into(),
            codec: "flac".into(),
            format: AudioFormat {
                sample_rate: 48_000,
                channels: 2,
                bitrate: 900_000,
                lossless: true,
            },
            bits: Some(16),
        }),
        bytes,
        sha256: Some("5f".repeat(32)),
    }
}

/// A revision of one variant, `128k`, and of `samples` samples at 48 kHz.
#[must_use]
pub fn revision(id: RevisionId, samples: u64) -> Revision {
    let variant = Variant {
        name: "128k".into(),
        bandwidth: 140_000,
        average_bandwidth: 130_000,
        codec: Codec::Aac,
        channels: 2,
        media_time: 1024,
        timeline: Timeline::new(48_000, samples),
        bit_exact: false,
    };
    Revision { id, variants: vec![variant], loudness: None, original_discarded: false }
}

/// A song whose first attempt is under way, with a lease of a minute.
#[must_use]
pub fn processing(description: Description) -> Song {
    Song::new(description, source(3_000_000), SignedDuration::from_mins(1))
}

/// A song that can be played: `samples` samples at 48 kHz.
///
/// # Panics
/// Never: a new song has an attempt.
#[must_use]
pub fn ready(description: Description, samples: u64) -> Song {
    let mut song = processing(description);
    let attempt = song.attempt.take().expect("is under way");
    song.status = Status::Ready;
    song.revision = Some(revision(attempt.id, samples));
    song
}
