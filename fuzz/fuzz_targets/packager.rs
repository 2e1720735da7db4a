//! Frames of any size and number become segments that can be read back, or an error.
#![no_main]

use hls::{AacConfig, CodecConfig, PackageError, Packager, Segment};
use libfuzzer_sys::fuzz_target;
use mp4_atom::{Decode as _, Moof};

/// A frame's size is a byte times this, so that a few bytes make a long song of large frames.
const SCALES: [usize; 4] = [1, 3, 37, 1001];

/// How many bytes all frames may have.
const MOST: usize = 1 << 23;

fuzz_target!(|input: (u8, u8, u16, u32, &[u8])| {
    let (rate, scale, media_time, cut, sizes) = input;
    let rate = if rate & 1 == 0 { 44_100 } else { 48_000 };
    let Some(config) = AacConfig::new(rate, 1 + u16::from(scale >> 7)) else { return };
    let (scale, times) = (SCALES[usize::from(scale & 3)], usize::from(scale >> 2 & 15) + 1);
    let frames: Vec<usize> = sizes
        .iter()
        .map(|size| usize::from(*size) * scale)
        .flat_map(|it| vec![it; times])
        .collect();
    // Long songs of large frames only take long.
    if frames.iter().sum::<usize>() > MOST {
        return;
    }
    let presented = (frames.len() as u64 * 1024).saturating_sub(media_time.into());
    let samples = presented.saturating_sub(cut.into());
    let Ok((segments, length)) = package(config, media_time.into(), &frames, samples) else {
        return;
    };
    assert_eq!(segments.len(), length);

    let (mut payload, mut end) = (0, 0);
    for (number, segment) in segments.iter().enumerate() {
        assert_eq!(segment.number as usize, number);
        let mut rest = segment.bytes.as_ref();
        let moof = Moof::decode(&mut rest).expect("a fragment");
        let size = u32::from_be_bytes(rest[..4].try_into().expect("a size"));
        assert_eq!((&rest[4..8], size as usize), (&b"mdat"[..], rest.len()));
        let track = &moof.traf[0];
        assert_eq!(track.tfdt.as_ref().expect("a time").base_media_decode_time, end);
        let samples = &track.trun[0].samples;
        assert!(!samples.is_empty());
        end += samples.iter().map(|it| u64::from(it.duration.unwrap_or(1024))).sum::<u64>();
        let sizes: usize = samples.iter().map(|it| it.size.expect("a size") as usize).sum();
        assert_eq!(sizes + 8, rest.len());
        payload += sizes;
    }
    assert_eq!(end, u64::from(media_time) + samples);
    assert!(payload <= frames.iter().sum());
});

fn package(
    config: AacConfig,
    media_time: u32,
    frames: &[usize],
    samples: u64,
) -> Result<(Vec<Segment>, usize), PackageError> {
    let mut packager = Packager::new(CodecConfig::Aac(config), media_time);
    let mut segments = Vec::new();
    let bytes = vec![0; 255 * 1001];
    for size in frames {
        segments.extend(packager.push(&bytes[..*size])?);
    }
    let package = packager.finish(samples)?;
    segments.extend(package.segments);
    Ok((segments, package.variant.timeline.len()))
}
