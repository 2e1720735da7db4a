//! Whether a source's own AAC can be carried as it is, and where its sound begins and ends.

use bytes::BytesMut;
use hls::{AacConfig, AdtsReader};
use music::AudioFormat;
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use crate::{Engine, Error, Result, Spool, engine::Work, ffmpeg, probe::listen, sound::Sound};

/// Above this, a source would be more than a mobile listener wants from a variant, in bit/s.
const HIGHEST_BITRATE: u64 = 320_000;

/// No encoder puts more samples before the sound.
const LONGEST_PRIMING: i64 = 8192;

/// AAC that is carried as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) config: AacConfig,
    /// Decoded samples before the sound.
    pub(crate) media_time: u32,
    /// How many samples the sound has at most, by its container.
    pub(crate) samples: u64,
}

/// Looks at the AAC of a file; nothing if it must be encoded anew.
///
/// Carried is AAC-LC of 1024 samples a frame without anything that a decoder could make more of,
/// mono or stereo, at a rate that AAC is made at anyway.
pub(crate) async fn examine(
    engine: &Engine,
    spool: &Spool,
    input: Sound,
    work: Work,
    codec: &str,
    format: AudioFormat,
) -> Result<Option<Carried>> {
    let rate = format.sample_rate;
    let wanted = codec == "aac"
        && music::output_rate(rate) == rate
        && (1..=2).contains(&format.channels)
        && format.bitrate <= HIGHEST_BITRATE;
    if !wanted {
        return Ok(None);
    }
    let arguments = ffmpeg::examine(input);
    let examined = engine.run(work, spool.directory(), arguments, 3, async |pipes| {
        let [packets, frames, decoded] = <[_; 3]>::try_from(pipes)
            .map_err(|_| Error::Ffmpeg("it was given three pipes".into(), None))?;
        tokio::try_join!(listen(packets), read(frames), listen(decoded))
    });
    let (packets, frames, decoded) = match examined.await {
        Ok(examined) => examined.value,
        // Whether it can be decoded at all will be told when it is.
        Err(Error::Rejected(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let (Some((config, count)), Some(samples)) = (frames, packets.samples(rate)) else {
        return Ok(None);
    };
    // A decoder that knows of spectral band replication would double the rate, one that knows of
    // parametric stereo the channels.
    let plain = config.rate() == rate && config.channels() == format.channels;
    let frame = i64::from(AacConfig::FRAME_DURATION);
    // The last frame may be cut short by its container, never one before it.
    let all_but_last =
        i64::try_from(count).unwrap_or(i64::MAX).saturating_sub(1).saturating_mul(frame);
    let media = samples.end.saturating_sub(samples.start);
    let steady = count == packets.packets && media > all_but_last;
    // Where a decoder passes over damaged frames, rungs would not line up with what is carried.
    let presented = all_but_last.saturating_add(frame).saturating_add(samples.start);
    let decoded = decoded.bytes / (2 * u64::from(format.channels));
    let whole = i64::try_from(decoded).is_ok_and(|decoded| decoded > presented - frame);
    if !plain
        || !steady
        || !whole
        || !(-LONGEST_PRIMING..=0).contains(&samples.start)
        || samples.end <= 0
    {
        return Ok(None);
    }
    Ok(Some(Carried {
        config,
        media_time: u32::try_from(-samples.start).unwrap_or(0),
        samples: end(samples.end.unsigned_abs(), rate),
    }))
}

/// Where the sound ends at the latest, if its container says that it does after `samples` samples.
///
/// Many write that in milliseconds, rounded down: what may have been lost is given back, for a
/// millisecond of padding is better than one of sound that is missing.
pub(crate) fn end(samples: u64, rate: u32) -> u64 {
    let rate = u64::from(rate);
    let milliseconds = (samples * 1000 + rate / 2) / rate;
    let is_rounded =
        [rate * milliseconds / 1000, (rate * milliseconds).div_ceil(1000)].contains(&samples);
    if is_rounded { samples + rate.div_ceil(1000) } else { samples }
}

/// The configuration and number of an ADTS stream's frames; nothing if it is not one of AAC-LC.
async fn read(mut pipe: pipe::Receiver) -> Result<Option<(AacConfig, u64)>> {
    let (mut reader, mut buffer) = (AdtsReader::new(), BytesMut::with_capacity(64 * 1024));
    let (mut count, mut readable) = (0, true);
    loop {
        buffer.reserve(32 * 1024);
        let length = pipe.read_buf(&mut buffer).await;
        if length.map_err(|error| Error::Io("read from ffmpeg", error))? == 0 {
            let whole = readable && reader.finish(&buffer).is_ok();
            return Ok(reader.config().filter(|_| whole).map(|config| (config, count)));
        }
        while readable {
            match reader.next_frame(&mut buffer) {
                Ok(Some(_)) => count += 1,
                Ok(None) => break,
                Err(_) => readable = false,
            }
        }
        // What cannot be read is let by: ffmpeg waits until somebody takes it.
        if !readable {
            buffer.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_in_milliseconds_is_taken_for_rounded() {
        // 300,001 samples at 44.1 kHz are 6,802.7 ms.
        assert_eq!(end(299_968, 44_100), 300_013);
        assert_eq!(end(300_001, 44_100), 300_001);
        // 3,035 ms are 66,921.75 samples.
        assert_eq!(end(66_922, 22_050), 66_945);
        assert_eq!(end(480_000, 48_000), 480_048);
    }
}
