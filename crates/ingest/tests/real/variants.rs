//! What is made of a source besides the ladder: FLAC, its own AAC, and its loudness.

use std::{fs, path::Path};

use crate::{
    formats::assert_heard,
    house::{House, downloaded},
};
use ingest::testing::{Files, adts, decode_whole};
use music::{Codec, Song, Variant};

/// Noise that no codec makes small, 14 s of it: three segments.
const LOUD: &str = "anoisesrc=r=96000:color=white:seed=7:a=0.9:d=14.01[l];\
    anoisesrc=r=96000:color=white:seed=9:a=0.9:d=14.01[r];[l][r]amerge";

/// As long, but easy on codecs, and like itself at no other lag.
const SOFT: &str = "anoisesrc=r=48000:color=pink:seed=3:a=0.6:d=14.3[l];\
    anoisesrc=r=48000:color=pink:seed=5:a=0.6:d=14.3[r];[l][r]amerge,lowpass=f=3500";

fn variant<'a>(song: &'a Song, name: &str) -> Option<&'a Variant> {
    song.revision.as_ref().unwrap().variants.iter().find(|variant| variant.name == name)
}

fn names(song: &Song) -> Vec<&str> {
    song.revision.as_ref().unwrap().variants.iter().map(|it| it.name.as_str()).collect()
}

/// A file of a sound that survives the lowest rung.
fn clip(files: &Files, name: &str, encode: &[&str]) -> std::path::PathBuf {
    files.make(name, &[&["-f", "lavfi", "-i", SOFT][..], encode].concat())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flac_decodes_to_the_very_samples_of_its_source() {
    let (house, files) = (House::new().await, Files::new());
    let noise = |name: &str, encode: &[&str]| {
        files.make(name, &[&["-f", "lavfi", "-i", LOUD][..], encode].concat())
    };
    for path in [
        clip(&files, "cd.flac", &["-ar", "44100", "-sample_fmt", "s16"]),
        clip(&files, "mono.wav", &["-ar", "48000", "-c:a", "pcm_s16le", "-ac", "1"]),
        noise("high.flac", &["-c:a", "flac", "-sample_fmt", "s32"]),
        noise("high.wav", &["-ar", "88200", "-c:a", "pcm_s24le"]),
        noise("alac.m4a", &["-ar", "48000", "-c:a", "alac", "-sample_fmt", "s32p"]),
    ] {
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        let lossless = variant(&song, "lossless").expect("was asked for");
        assert_eq!((lossless.codec, lossless.bit_exact), (Codec::Flac, true), "{}", path.display());
        assert_eq!(names(&song).last(), Some(&"lossless"));
        let heard = decode_whole(&downloaded(&house, &song, lossless).await.path);
        assert!(heard == decode_whole(&path), "{} is not the same", path.display());
        // Each segment of it ends with those of the others.
        let aac = &song.revision.as_ref().unwrap().variants[0];
        let times = |variant: &Variant| {
            let rate = u64::from(variant.timeline.timescale);
            let segments = variant.timeline.segments().map(move |it| it * 96_000 * 44_100 / rate);
            segments.take(2).collect::<Vec<_>>()
        };
        assert_eq!(times(lossless), times(aac));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flac_that_was_made_to_fit_is_not_called_exact() {
    let (house, files) = (House::new().await, Files::new());
    for (path, rate) in [
        (clip(&files, "high.wav", &["-ar", "192000", "-c:a", "pcm_s24le"]), 96_000),
        (clip(&files, "low.wav", &["-ar", "22050", "-c:a", "pcm_s16le"]), 44_100),
        (clip(&files, "float.wav", &["-ar", "48000", "-c:a", "pcm_f32le"]), 48_000),
        (clip(&files, "surround.flac", &["-ar", "48000", "-ac", "6"]), 48_000),
    ] {
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        let lossless = variant(&song, "lossless").expect("was asked for");
        assert!(!lossless.bit_exact, "{}", path.display());
        assert_eq!(lossless.timeline.timescale, rate);
        assert_heard(&house, &song, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flac_is_made_only_where_it_is_asked_for_and_of_what_is_lossless() {
    let files = Files::new();
    let flac = clip(&files, "cd.flac", &[]);
    let mp3 = clip(&files, "lossy.mp3", &[]);
    let (off, on) = (House::new().await, House::with(|config| config.lossless = true).await);
    for (house, path, asked, made) in [
        (&off, &flac, None, false),
        (&off, &flac, Some(true), true),
        (&on, &flac, None, true),
        (&on, &flac, Some(false), false),
        (&on, &mp3, Some(true), false),
    ] {
        let song = house.ingest_asked(path, asked).await.unwrap();
        assert_eq!(variant(&song, "lossless").is_some(), made, "{asked:?} {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_short_for_a_segment_is_so_in_every_variant() {
    let (house, files) = (House::new().await, Files::new());
    for (rate, samples, segments) in [
        ("44100", 65 * 4096 + 1, 1),
        ("48000", 70 * 4096 + 8191, 1),
        ("48000", 70 * 4096 + 8192, 2),
        ("88200", 130 * 4096 + 16_382, 1),
        ("88200", 130 * 4096 + 16_383, 2),
    ] {
        let filter = format!("atrim=end_sample={samples}");
        let noise = format!("anoisesrc=r={rate}:color=pink:seed=3:a=0.5");
        let input = ["-f", "lavfi", "-i", &noise, "-af", &filter];
        let path = files.make("tail.wav", &[&input[..], &["-c:a", "pcm_s24le"]].concat());
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        let variants = &song.revision.as_ref().unwrap().variants;
        assert!(variants.iter().any(|variant| variant.codec == Codec::Flac));
        for variant in variants {
            let timeline = &variant.timeline;
            assert_eq!(timeline.len(), segments, "{rate} Hz, {}: {timeline:?}", variant.name);
        }
    }
}

/// The frames that were carried are the first of the source's, but for those that hold no sound.
async fn assert_carried(house: &House, song: &Song, path: &Path) {
    let carried = variant(song, "source").expect("is carried");
    let (ours, theirs) = (adts(&downloaded(house, song, carried).await.path), adts(path));
    assert!(theirs.starts_with(&ours), "{}: other frames", path.display());
    assert!(theirs.len() - ours.len() < 2000, "{}: too few frames", path.display());
    let timelines: Vec<_> =
        song.revision.as_ref().unwrap().variants.iter().map(|it| &it.timeline).collect();
    assert!(timelines.iter().all(|it| *it == timelines[0]), "{timelines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aac_is_carried_as_it_is_and_rungs_near_it_are_not_made() {
    let (house, files) = (House::new().await, Files::new());
    let encode = ["-c:a", "aac", "-b:a"];
    for (name, bitrate, rate, channels, expected) in [
        ("high.m4a", "256k", "44100", "2", &["128k", "64k", "source"][..]),
        ("middle.m4a", "128k", "48000", "2", &["source", "64k"]),
        ("stream.aac", "160k", "44100", "2", &["source", "64k", "128k"]),
        ("low.aac", "64k", "48000", "1", &["source"]),
    ] {
        let arguments = [&encode[..], &[bitrate, "-ar", rate, "-ac", channels]].concat();
        let path = clip(&files, name, &arguments);
        let song = house.ingest(&path).await.unwrap();
        assert_eq!(names(&song), expected, "{name}");
        assert_carried(&house, &song, &path).await;
        assert_heard(&house, &song, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn priming_that_is_no_whole_frame_moves_the_boundaries_of_all_variants_alike() {
    let (house, files) = (House::new().await, Files::new());
    let path = clip(&files, "clip.m4a", &["-c:a", "aac", "-b:a", "256k", "-ar", "48000"]);
    // As Apple's encoder has it, which begins with 2112 samples.
    let mut bytes = fs::read(&path).unwrap();
    let edit = bytes.windows(4).position(|it| it == b"elst").unwrap() + 16;
    assert_eq!(bytes[edit..edit + 4], 1024_u32.to_be_bytes());
    bytes[edit..edit + 4].copy_from_slice(&2112_u32.to_be_bytes());
    fs::write(&path, bytes).unwrap();

    let song = house.ingest(&path).await.unwrap();
    let primings: Vec<_> =
        song.revision.as_ref().unwrap().variants.iter().map(|it| it.media_time).collect();
    assert_eq!(primings, [1088, 1088, 2112]);
    assert_carried(&house, &song, &path).await;
    assert_heard(&house, &song, &path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aac_that_decoders_make_more_of_or_hls_cannot_carry_is_encoded() {
    let (house, files) = (House::new().await, Files::new());
    for path in [
        clip(&files, "low.m4a", &["-c:a", "aac", "-b:a", "96k", "-ar", "32000"]),
        clip(&files, "surround.m4a", &["-c:a", "aac", "-b:a", "256k", "-ac", "6"]),
        clip(
            &files,
            "huge.m4a",
            &["-c:a", "aac", "-b:a", "500k", "-ar", "48000", "-aac_coder", "fast"],
        ),
    ] {
        let song = house.ingest(&path).await.unwrap();
        assert!(variant(&song, "source").is_none(), "{}: {:?}", path.display(), song.source);
        assert_heard(&house, &song, &path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_aac_is_encoded_because_its_frames_are_more_than_what_decodes() {
    let (house, files) = (House::new().await, Files::new());
    let path = clip(&files, "damaged.aac", &["-c:a", "aac", "-b:a", "160k", "-ar", "44100"]);
    let mut bytes = fs::read(&path).unwrap();
    // What a frame holds, not its header: the stream goes on behind it.
    let (mut at, mut frame) = (0, 0);
    while at + 7 < bytes.len() {
        let length = usize::from(bytes[at + 3] & 3) << 11
            | usize::from(bytes[at + 4]) << 3
            | usize::from(bytes[at + 5] >> 5);
        if (200..300).contains(&frame) {
            bytes[at + 7..at + length].fill(0xff);
        }
        (at, frame) = (at + length, frame + 1);
    }
    fs::write(&path, bytes).unwrap();
    let song = house.ingest(&path).await.unwrap();
    assert!(variant(&song, "source").is_none(), "{:?}", names(&song));
    assert_heard(&house, &song, &path).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_m4a_is_as_long_as_what_it_was_made_of() {
    let (house, files) = (House::new().await, Files::new());
    let wav = files.make(
        "exact.wav",
        &[
            "-f",
            "lavfi",
            "-i",
            "sine=r=44100",
            "-af",
            "atrim=end_sample=300001",
            "-c:a",
            "pcm_s16le",
        ],
    );
    // In milliseconds, what the container says may fall short of the sound, and must not cut it.
    for (timescale, most) in [("44100", 300_001), ("1000", 300_001 + 44)] {
        let encode = ["-c:a", "aac", "-b:a", "192k", "-movie_timescale", timescale];
        let m4a = files.make("exact.m4a", &[&["-i", wav.to_str().unwrap()], &encode[..]].concat());
        let song = house.ingest(&m4a).await.unwrap();
        for variant in &song.revision.unwrap().variants {
            let samples = variant.timeline.samples();
            assert!((300_001..=most).contains(&samples), "{}: {samples}", variant.name);
        }
    }
}

/// EBU Tech 3341, test cases 1 and 2: a tone of 1 kHz is as loud as its level says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loudness_and_peak_are_those_of_the_sound() {
    let (house, files) = (House::new().await, Files::new());
    for level in [-23.0, -33.0] {
        let amplitude = 10_f64.powf(level / 20.0);
        let tone = format!("{amplitude}*sin(2*PI*1000*t)");
        let source = format!("aevalsrc={tone}|{tone}:s=48000:d=20");
        let path = files.make("tone.wav", &["-f", "lavfi", "-i", &source, "-c:a", "pcm_s24le"]);
        let loudness = house.ingest(&path).await.unwrap().revision.unwrap().loudness.unwrap();
        assert!((loudness.integrated - level).abs() <= 0.1, "{loudness:?}");
        assert!((loudness.true_peak.unwrap() - level).abs() < 0.3, "{loudness:?}");
        assert!((loudness.replay_gain() - (-18.0 - level)).abs() <= 0.1, "{loudness:?}");
    }
    let silence = ["-f", "lavfi", "-i", "anullsrc=r=48000:d=2", "-c:a", "pcm_s16le"];
    let silent = house.ingest(&files.make("silence.wav", &silence)).await.unwrap();
    assert_eq!(silent.revision.unwrap().loudness, None);
}
