//! A song, its revisions, and what is known of the file it came from.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::{AudioFormat, Description, Name, RevisionId, SongId, Timeline};

/// A moment, kept to the millisecond.
pub type Timestamp = jiff::Timestamp;

/// The present moment, to the millisecond, so that what was stored compares equal to what was made.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Where a song stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its first revision is being made.
    Processing,
    /// It has a revision and can be played.
    Ready,
    /// No revision could be made of it.
    Failed,
}

/// One attempt to make a revision. It may write chunks under its id for as long as its lease runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The id that the revision will have.
    pub id: RevisionId,
    /// Until when whoever makes it is known to be alive. The sweep may end it afterwards.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub lease_until: Timestamp,
    /// How much of the source has been encoded, 0 to 1.
    pub progress: f64,
}

/// What a variant is encoded with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// AAC-LC.
    Aac,
    /// FLAC, which throws nothing away.
    Flac,
}

impl Codec {
    /// Its name in `CODECS` (RFC 6381 §3.3; for FLAC, its registration with the MP4RA).
    #[must_use]
    pub fn codecs(self) -> &'static str {
        match self {
            Self::Aac => "mp4a.40.2",
            Self::Flac => "fLaC",
        }
    }
}

/// One bitrate of a revision (`EXT-X-STREAM-INF`, RFC 8216 §4.3.4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variant {
    /// Its name, the path segment that its playlist and segments are under.
    pub name: String,
    /// The bit rate of its largest segment, in bit/s.
    pub bandwidth: u64,
    /// The bit rate of all its segments together, in bit/s.
    pub average_bandwidth: u64,
    /// What it is encoded with.
    pub codec: Codec,
    /// Channels.
    pub channels: u16,
    /// How many decoded samples precede the presentation: the encoder's priming, and the media
    /// time of the edit list's one entry (ISO/IEC 14496-12 §8.6.6).
    pub media_time: u32,
    /// When its segments begin and end.
    pub timeline: Timeline,
    /// Whether it decodes to the very samples that the source does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bit_exact: bool,
}

/// How loud a song is (EBU R 128).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loudness {
    /// Of all of it, gated, in LUFS (ITU-R BS.1770).
    pub integrated: f64,
    /// The highest level between and on the samples, in dBTP; nothing where all is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_peak: Option<f64>,
}

impl Loudness {
    /// What `ReplayGain` 2.0 calls the track gain, in dB: what brings it to −18 LUFS.
    #[must_use]
    pub fn replay_gain(&self) -> f64 {
        -18.0 - self.integrated
    }
}

/// One finished ingest of a song: what is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Its id, the one of the attempt that made it.
    pub id: RevisionId,
    /// Its variants, the one to begin with first, lossless ones last.
    pub variants: Vec<Variant>,
    /// How loud it is; nothing where all is silent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<Loudness>,
    /// Whether the song gave up its original when it got this revision. Parts of it may still be in
    /// the store: they are removed next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub original_discarded: bool,
}

impl Revision {
    /// The variants that every player can play.
    pub fn lossy(&self) -> impl Iterator<Item = &Variant> {
        self.variants.iter().filter(|variant| variant.codec == Codec::Aac)
    }

    /// The variants that throw nothing away: asked for when the song was ingested, or not there.
    pub fn lossless(&self) -> impl Iterator<Item = &Variant> {
        self.variants.iter().filter(|variant| variant.codec == Codec::Flac)
    }

    /// How long it plays, in seconds, from decoded samples.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.variants.first().map_or(0.0, |variant| variant.timeline.seconds())
    }
}

/// A revision, or an attempt that came to nothing, whose chunks are still to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// Whose chunks.
    pub id: RevisionId,
    /// From when they may go. Whoever is listening to a superseded revision can finish the song.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub removable_at: Timestamp,
    /// What a superseded revision was played by; none of an attempt that came to nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

impl Retired {
    /// A revision that was superseded.
    #[must_use]
    pub fn superseded(revision: Revision, removable_at: Timestamp) -> Self {
        Self { id: revision.id, removable_at, variants: revision.variants }
    }

    /// An attempt that came to nothing.
    #[must_use]
    pub fn fruitless(id: RevisionId, removable_at: Timestamp) -> Self {
        Self { id, removable_at, variants: Vec::new() }
    }
}

/// The file that a song is made from: what is known of it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// What the sender called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What is in it, once it has been looked at.
    #[serde(flatten)]
    pub media: Option<Media>,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in lower-case hexadecimal, once it has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What is in a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Media {
    /// The container, by its usual short name: `mp3`, `adts`, `mp4`, `flac`, `wav`, `aiff`, `ogg`.
    pub container: String,
    /// The codec, by its usual short name: `mp3`, `aac`, `alac`, `flac`, `vorbis`, `opus`, `pcm`.
    pub codec: String,
    /// What it decodes to, and what it takes.
    #[serde(flatten)]
    pub format: AudioFormat,
    /// Bits per sample, where the codec has such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
}

/// What a song is called for want of anything better, until the file's tags have been read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandIn {
    /// In place of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// In place of the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Name>,
}

/// A song: what it is called, where it came from, and what of it can be played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Song {
    /// Its id.
    pub id: SongId,
    /// What people call it.
    #[serde(flatten)]
    pub description: Description,
    /// Where it stands.
    pub status: Status,
    /// Why the last attempt came to nothing, in words for whoever sent the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The attempt under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// What is played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Whose chunks are still to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    /// The file.
    pub source: Source,
    /// Which of its names are to give way to the file's tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stand_in: Option<StandIn>,
    /// Grows by one with every change of the record.
    pub version: u64,
    /// When it was inserted.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created_at: Timestamp,
    /// When the record last changed.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub updated_at: Timestamp,
}

impl Song {
    /// A song whose first revision is about to be made, by an attempt with a lease of `lease`.
    #[must_use]
    pub fn new(description: Description, source: Source, lease: SignedDuration) -> Self {
        let now = now();
        Self {
            id: SongId::new(),
            description,
            status: Status::Processing,
            error: None,
            attempt: Some(Attempt {
                id: RevisionId::new(),
                lease_until: now + lease,
                progress: 0.0,
            }),
            revision: None,
            retired: Vec::new(),
            source,
            stand_in: None,
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether the song still has its original, as far as its record says: an upload may have
    /// broken off.
    #[must_use]
    pub fn keeps_original(&self) -> bool {
        !self.revision.as_ref().is_some_and(|revision| revision.original_discarded)
    }

    /// What of a revision can be played at `now`: the variants of the song's own, or of one that was
    /// superseded and whose chunks are still all there. None of any other.
    #[must_use]
    pub fn variants_of(&self, revision: RevisionId, now: Timestamp) -> &[Variant] {
        let own = self.revision.iter().map(|own| (own.id, &own.variants));
        let kept = self.retired.iter().filter(|retired| retired.removable_at > now);
        let mut known = own.chain(kept.map(|retired| (retired.id, &retired.variants)));
        known.find(|(id, _)| *id == revision).map_or(&[], |(_, variants)| variants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{description, ready, revision};

    #[test]
    fn a_revision_can_be_played_while_all_of_its_chunks_are_there() {
        let now = now();
        let minute = SignedDuration::from_mins(1);
        let mut song = ready(description("Jóga", "Björk"), 48_000);
        let own = song.revision.clone().expect("is ready");
        let old = revision(RevisionId::new(), 96_000);
        let [kept, going] = [now + minute, now].map(|until| {
            let revision = Revision { id: RevisionId::new(), ..old.clone() };
            Retired::superseded(revision, until)
        });
        let fruitless = Retired::fruitless(RevisionId::new(), now + minute);
        song.retired = vec![kept.clone(), going.clone(), fruitless.clone()];
        assert_eq!(song.variants_of(own.id, now), own.variants);
        assert_eq!(song.variants_of(kept.id, now), old.variants);
        for id in [going.id, fruitless.id, RevisionId::new()] {
            assert_eq!(song.variants_of(id, now), []);
        }
    }
}
