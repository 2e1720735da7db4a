//! A song as clients see it.

use music::{Loudness, Media, Name, Song, Source, Status, Timestamp, Variant};
use serde::Serialize;

/// The JSON of a song: what concerns a client, and where it is played.
#[derive(Serialize)]
pub(crate) struct SongJson<'a> {
    id: String,
    name: &'a Name,
    /// The credit.
    artist: &'a Name,
    /// The credit again, by the name that the first clients know it by.
    author: &'a Name,
    /// The individual artists, at least one.
    artists: &'a [Name],
    #[serde(skip_serializing_if = "Option::is_none")]
    album: Option<&'a Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    album_artist: Option<&'a Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disc: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    year: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    genre: Option<&'a Name>,
    /// In seconds, from decoded samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    variants: Vec<VariantJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loudness: Option<LoudnessJson>,
    source: SourceJson<'a>,
    stream_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lossless_url: Option<String>,
    dash_url: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct VariantJson<'a> {
    name: &'a str,
    bandwidth: u64,
    average_bandwidth: u64,
    codecs: &'static str,
    /// In Hz.
    sample_rate: u32,
    channels: u16,
    /// How many decoded samples precede the sound: those that a player cuts off.
    media_time: u32,
    /// How many samples the sound has then. What is decoded beyond them is cut off as well.
    samples: u64,
    bit_exact: bool,
}

#[derive(Serialize)]
struct LoudnessJson {
    /// In LUFS.
    integrated: f64,
    /// In dBTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    true_peak: Option<f64>,
    /// In dB.
    replay_gain: f64,
}

#[derive(Serialize)]
struct SourceJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    #[serde(flatten)]
    media: Option<MediaJson<'a>>,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
}

/// What is known once the file has been looked at.
#[derive(Serialize)]
struct MediaJson<'a> {
    container: &'a str,
    codec: &'a str,
    sample_rate: u32,
    channels: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits: Option<u8>,
    bitrate: u64,
}

impl<'a> SongJson<'a> {
    /// `song`, with URLs under `base_path`.
    pub(crate) fn new(song: &'a Song, base_path: &str) -> Self {
        let revision = song.revision.as_ref();
        let url = |file| format!("{base_path}/stream/{}/{file}", song.id);
        let about = &song.description;
        Self {
            id: song.id.to_string(),
            name: &about.name,
            artist: about.credit.name(),
            author: about.credit.name(),
            artists: about.credit.artists(),
            album: about.album.as_ref(),
            album_artist: about.album_artist.as_ref(),
            track: about.track,
            disc: about.disc,
            year: about.year,
            genre: about.genre.as_ref(),
            duration: revision.map(music::Revision::seconds),
            status: song.status,
            error: song.error.as_deref(),
            progress: song.attempt.as_ref().map(|attempt| attempt.progress),
            revision: revision.map(|revision| revision.id.to_string()),
            variants: revision.map_or_else(Vec::new, |revision| {
                revision.variants.iter().map(VariantJson::from).collect()
            }),
            loudness: revision.and_then(|revision| revision.loudness).map(LoudnessJson::from),
            source: SourceJson::from(&song.source),
            stream_url: url("outputlist.m3u8"),
            lossless_url: revision
                .filter(|revision| revision.lossless().next().is_some())
                .map(|_| url("lossless.m3u8")),
            dash_url: url("manifest.mpd"),
            created_at: song.created_at,
            updated_at: song.updated_at,
        }
    }
}

impl<'a> From<&'a Variant> for VariantJson<'a> {
    fn from(variant: &'a Variant) -> Self {
        Self {
            name: &variant.name,
            bandwidth: variant.bandwidth,
            average_bandwidth: variant.average_bandwidth,
            codecs: variant.codec.codecs(),
            sample_rate: variant.timeline.timescale,
            channels: variant.channels,
            media_time: variant.media_time,
            samples: variant.timeline.samples(),
            bit_exact: variant.bit_exact,
        }
    }
}

impl From<Loudness> for LoudnessJson {
    fn from(loudness: Loudness) -> Self {
        let replay_gain = (loudness.replay_gain() * 100.0).round() / 100.0;
        Self { integrated: loudness.integrated, true_peak: loudness.true_peak, replay_gain }
    }
}

impl<'a> From<&'a Source> for SourceJson<'a> {
    fn from(source: &'a Source) -> Self {
        Self {
            filename: source.filename.as_deref(),
            media: source.media.as_ref().map(MediaJson::from),
            bytes: source.bytes,
            sha256: source.sha256.as_deref(),
        }
    }
}

impl<'a> From<&'a Media> for MediaJson<'a> {
    fn from(media: &'a Media) -> Self {
        Self {
            container: &media.container,
            codec: &media.codec,
            sample_rate: media.format.sample_rate,
            channels: media.format.channels,
            bits: media.bits,
            bitrate: media.format.bitrate,
        }
    }
}
