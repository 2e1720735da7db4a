//! Songs that are in a store without having been encoded.

use bytes::Bytes;
use music::{Description, RevisionId, Song, SongId, testing};
use store::{ChunkKey, Store};

/// How large an original is that no answer of Lambda's can carry: in two chunks.
pub const ORIGINAL_BYTES: usize = store::CHUNK_LIMIT + 100_000;

/// A song in the store, and the bytes of it.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The song.
    pub id: SongId,
    /// Its revision.
    pub revision: RevisionId,
    /// Its one segment.
    pub segment: Bytes,
    /// The file it was made from.
    pub original: Bytes,
}

impl Stored {
    /// The path of its multivariant playlist.
    #[must_use]
    pub fn playlist(&self) -> String {
        format!("/stream/{}/outputlist.m3u8", self.id)
    }

    /// The path of something under its one variant.
    #[must_use]
    pub fn under_variant(&self, name: &str) -> String {
        format!("/stream/{}/{}/128k/{name}", self.id, self.revision)
    }

    /// The path of its record.
    #[must_use]
    pub fn record(&self) -> String {
        format!("/songs/{}", self.id)
    }
}

/// Puts a ready song into a store: one variant of one segment of `segment_bytes` bytes, and an
/// original.
///
/// # Panics
/// If the store does not take it.
pub async fn put(store: &dyn Store, name: &str, segment_bytes: usize) -> Stored {
    let original = noise(ORIGINAL_BYTES, 3);
    let song = ready(name, original.len());
    let revision = song.revision.as_ref().expect("is ready").id;
    store.insert(&song).await.expect("takes a song");
    let segment = noise(segment_bytes, 7);
    let put = async |key, bytes| store.put(&key, bytes).await.expect("takes a chunk");
    put(ChunkKey::init(song.id, revision, "128k"), Bytes::from_static(b"\0\0\0\x18ftypiso6")).await;
    put(ChunkKey::segment(song.id, revision, "128k", 0), segment.clone()).await;
    for offset in (0..original.len()).step_by(store::CHUNK_LIMIT) {
        let part = original.slice(offset..original.len().min(offset + store::CHUNK_LIMIT));
        put(ChunkKey::original(song.id, offset as u64), part).await;
    }
    Stored { id: song.id, revision, segment, original }
}

/// A song that is ready, with one variant of one segment, and is in no store.
///
/// # Panics
/// If `name` is no name.
#[must_use]
pub fn ready(name: &str, original_bytes: usize) -> Song {
    let album = Some(testing::name(name));
    let description = Description { album, ..testing::description(name, name) };
    let mut song = testing::ready(description, music::segment_duration(48_000));
    song.source = testing::source(original_bytes as u64);
    song
}

/// Bytes of every value, that do not compress.
fn noise(length: usize, seed: u64) -> Bytes {
    let mut state = seed;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[1]
    };
    (0..length).map(|_| byte()).collect()
}

/// What precedes the samples of [`wav`], in bytes.
pub const WAV_HEADER: usize = 44;

/// A WAV file of `bytes` bytes: two channels of 16 bits at 48 kHz, a tone that rises.
///
/// # Panics
/// If it is too small for a header.
#[must_use]
pub fn wav(bytes: usize) -> Vec<u8> {
    const RATE: u32 = 48_000;
    let length = |bytes: usize| u32::try_from(bytes).expect("is below 4 GB").to_le_bytes();
    let mut file = Vec::with_capacity(bytes);
    file.extend(b"RIFF");
    file.extend(length(bytes - 8));
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 4).to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(length(bytes - WAV_HEADER));
    let mut phase = 0_u32;
    for frame in 0..(bytes - WAV_HEADER) / 4 {
        phase = phase.wrapping_add(40_000_000 + u32::try_from(frame).unwrap_or(0) * 8);
        // A triangle: no music, but every encoder has something to do.
        let ramp = i32::try_from(phase >> 17).expect("has 15 bits");
        let sample = i16::try_from((ramp - 16_384).abs() - 8_192).expect("has 14 bits");
        file.extend(sample.to_le_bytes());
        file.extend((-sample).to_le_bytes());
    }
    file.resize(bytes, 0);
    file
}
