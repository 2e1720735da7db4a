//! What a file holds, before it is worked on.

use std::{io, time::Duration};

use music::{AudioFormat, Media, Patch};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{
    Container, Engine, Error, Rejection, Result, Spool, engine::Work, ffmpeg, framecrc::FrameCrc,
    sound::prepare, tags,
};

/// What is known of a file once it has been looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What it is in.
    pub container: Container,
    /// The codec, by its usual short name; see [`music::Media::codec`].
    pub codec: String,
    /// What it decodes to, and what it takes.
    pub format: AudioFormat,
    /// Bits per sample, where the codec has such a thing.
    pub bits: Option<u8>,
    /// How long it plays, by the container's own count. The song's duration comes from decoding.
    pub duration: Duration,
    /// What its tags say of the song.
    pub tags: Patch,
}

impl Probe {
    /// What of it a song's record holds.
    #[must_use]
    pub fn media(&self) -> Media {
        Media {
            container: self.container.name().to_owned(),
            codec: self.codec.clone(),
            format: self.format,
            bits: self.bits,
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Looks at a file. See [`Ingest::probe`](crate::Ingest::probe).
pub(crate) async fn probe(engine: &Engine, spool: &Spool) -> Result<Probe> {
    let sound = prepare(spool).await?;
    let (path, container) = (spool.path(), sound.container);
    let tags = blocking(move || Ok(tags::read(&path, container)));
    let arguments = ffmpeg::probe(sound);
    let work = Work::Probe { bytes: spool.bytes() };
    let packets = engine.run(work, spool.directory(), arguments, 2, async |pipes| {
        let [packets, decoded] = <[_; 2]>::try_from(pipes)
            .map_err(|_| Error::Ffmpeg("it was given two pipes".into(), None))?;
        tokio::try_join!(listen(packets), listen(decoded))
    });
    let (tags, packets) = tokio::join!(tags, packets);
    // What makes the reader of tags stumble is not a reason to refuse what plays.
    let tags = tags.unwrap_or_default();
    let (packets, decoded) = packets?.value;

    let channels = decoded.bytes.checked_div(2 * decoded.duration.unsigned_abs()).unwrap_or(0);
    let channels = u16::try_from(channels).unwrap_or(0);
    if channels == 0 || decoded.sample_rate == 0 {
        return Err(Rejection::Undecodable.into());
    }
    let seconds = packets.seconds();
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if duration > engine.config.max_duration {
        return Err(Rejection::TooLong { limit: engine.config.max_duration }.into());
    }
    if duration > longest_of(spool.bytes()) {
        return Err(Rejection::TooSparse.into());
    }
    let pcm = packets.codec.starts_with("pcm_");
    Ok(Probe {
        container,
        codec: if pcm { "pcm".into() } else { packets.codec.clone() },
        format: AudioFormat {
            sample_rate: decoded.sample_rate,
            channels,
            bitrate: bitrate(packets.bytes, seconds),
            lossless: is_lossless(&packets.codec),
        },
        bits: sound.bits.or_else(|| pcm_bits(&packets.codec)).or(tags.bits),
        duration,
        tags: tags.patch,
    })
}

/// How long a file of so many bytes may play, so that nothing costs hours to encode that took a
/// moment to send: half an hour, and beyond that no less than 2 kbit/s. No codec takes as little but
/// of silence.
fn longest_of(bytes: u64) -> Duration {
    Duration::from_mins(30).saturating_add(Duration::from_secs(bytes / 250))
}

/// Reads a `framecrc` stream to its end.
pub(crate) async fn listen(mut pipe: pipe::Receiver) -> Result<FrameCrc> {
    let (mut read, mut buffer) = (FrameCrc::default(), vec![0; 16 * 1024]);
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) => return Ok(read),
            Ok(length) => read.push(&buffer[..length]),
            Err(error) => return Err(Error::Io("read from ffmpeg", error)),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a rate, rounded; casts saturate"
)]
fn bitrate(bytes: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (bytes as f64 * 8.0 / seconds).round() as u64 } else { 0 }
}

fn is_lossless(codec: &str) -> bool {
    // A-law and µ-law are PCM of what was thrown away.
    matches!(codec, "flac" | "alac")
        || (codec.starts_with("pcm_") && !matches!(codec, "pcm_alaw" | "pcm_mulaw"))
}

/// `pcm_s24le` has 24.
fn pcm_bits(codec: &str) -> Option<u8> {
    let format = codec.strip_prefix("pcm_")?;
    if matches!(format, "alaw" | "mulaw") {
        return Some(8);
    }
    let digits: String = format.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_pcm_codec_tells_its_bits() {
        let bits = ["pcm_u8", "pcm_s24le", "pcm_f64be", "pcm_mulaw", "flac"].map(pcm_bits);
        assert_eq!(bits, [Some(8), Some(24), Some(64), Some(8), None]);
    }

    #[test]
    fn what_threw_nothing_away_is_lossless() {
        assert!(["flac", "alac", "pcm_s16le", "pcm_f32be"].into_iter().all(is_lossless));
        assert!(!["mp3", "aac", "opus", "vorbis", "pcm_alaw"].into_iter().any(is_lossless));
    }
}
