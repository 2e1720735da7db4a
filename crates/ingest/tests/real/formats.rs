//! Every format that songs come in, from a file to what a player hears.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::house::{House, channel, presented};
use ingest::testing::{Files, best_lag, decode, full_ffmpeg, piece};
use music::{Change, Name, Patch, Song, Status, output_rate};

/// A sound that is like itself at no other lag, other in each channel, and that ends off every grid.
const NOISE: &str = "anoisesrc=r=48000:color=pink:seed=3:a=0.6:d=4.0217[l];\
    anoisesrc=r=48000:color=pink:seed=5:a=0.6:d=4.0217[r];[l][r]amerge,lowpass=f=3500";

/// A name, what ffmpeg is told to make it with, and what the song's source says then: container,
/// codec, rate, channels, bits, whether it is lossless.
type Format = (
    &'static str,
    &'static [&'static str],
    (&'static str, &'static str, u32, u16, Option<u8>, bool),
);

#[rustfmt::skip]
const FORMATS: &[Format] = &[
    ("cbr.mp3", &["-c:a", "libmp3lame", "-b:a", "192k"], ("mp3", "mp3", 44_100, 2, None, false)),
    ("vbr.mp3", &["-c:a", "libmp3lame", "-q:a", "4", "-ar", "22050", "-ac", "1"], ("mp3", "mp3", 22_050, 1, None, false)),
    ("8k.mp3", &["-c:a", "libmp3lame", "-b:a", "32k", "-ar", "8000"], ("mp3", "mp3", 8_000, 2, None, false)),
    ("lc.aac", &["-c:a", "aac", "-b:a", "160k", "-f", "adts"], ("adts", "aac", 44_100, 2, None, false)),
    ("lc.m4a", &["-c:a", "aac", "-b:a", "96k", "-ar", "48000"], ("mp4", "aac", 48_000, 2, None, false)),
    ("surround.m4a", &["-c:a", "aac", "-b:a", "256k", "-ac", "6", "-ar", "48000"], ("mp4", "aac", 48_000, 6, None, false)),
    ("alac.m4a", &["-c:a", "alac", "-sample_fmt", "s16p"], ("mp4", "alac", 44_100, 2, Some(16), true)),
    ("alac24.m4a", &["-c:a", "alac", "-sample_fmt", "s32p", "-ar", "96000"], ("mp4", "alac", 96_000, 2, Some(24), true)),
    ("cd.flac", &["-c:a", "flac", "-sample_fmt", "s16"], ("flac", "flac", 44_100, 2, Some(16), true)),
    ("high.flac", &["-c:a", "flac", "-sample_fmt", "s32", "-ar", "192000"], ("flac", "flac", 192_000, 2, Some(24), true)),
    ("u8.wav", &["-c:a", "pcm_u8", "-ar", "11025", "-ac", "1"], ("wav", "pcm", 11_025, 1, Some(8), true)),
    ("s16.wav", &["-c:a", "pcm_s16le", "-ar", "32000"], ("wav", "pcm", 32_000, 2, Some(16), true)),
    ("s24.wav", &["-c:a", "pcm_s24le", "-ar", "88200", "-ac", "6"], ("wav", "pcm", 88_200, 6, Some(24), true)),
    ("f32.wav", &["-c:a", "pcm_f32le", "-ar", "48000"], ("wav", "pcm", 48_000, 2, Some(32), true)),
    ("rf64.wav", &["-c:a", "pcm_s16le", "-rf64", "always"], ("wav", "pcm", 44_100, 2, Some(16), true)),
    ("mulaw.wav", &["-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"], ("wav", "pcm", 8_000, 1, Some(8), false)),
    ("s16.w64", &["-c:a", "pcm_s16le"], ("wav", "pcm", 44_100, 2, Some(16), true)),
    ("s16.aiff", &["-c:a", "pcm_s16be"], ("aiff", "pcm", 44_100, 2, Some(16), true)),
    ("f64.aifc", &["-c:a", "pcm_f64be", "-f", "aiff"], ("aiff", "pcm", 44_100, 2, Some(64), true)),
    ("vorbis.ogg", &["-c:a", "libvorbis", "-q:a", "3"], ("ogg", "vorbis", 44_100, 2, None, false)),
    ("opus.opus", &["-c:a", "libopus", "-b:a", "96k", "-ar", "48000"], ("ogg", "opus", 48_000, 2, None, false)),
    ("surround.opus", &["-c:a", "libopus", "-b:a", "256k", "-ac", "6", "-ar", "48000"], ("ogg", "opus", 48_000, 6, None, false)),
    ("flac.oga", &["-c:a", "flac", "-sample_fmt", "s16"], ("ogg", "flac", 44_100, 2, Some(16), true)),
];

fn make(files: &Files, name: &str, encode: &[&str]) -> PathBuf {
    let rate = if encode.contains(&"-ar") { &[][..] } else { &["-ar", "44100"] };
    files.make(name, &[&["-f", "lavfi", "-i", NOISE], rate, encode].concat())
}

/// Holds what a player hears against what the file decodes to.
pub(crate) async fn assert_heard(house: &House, song: &Song, path: &Path) {
    let (format, revision) =
        (song.source.media.as_ref().unwrap().format, song.revision.as_ref().unwrap());
    let rate = output_rate(format.sample_rate);
    let timeline = &revision.variants[0].timeline;
    assert_eq!(timeline.timescale, rate);
    let source = decode(path, format.sample_rate, format.channels);
    let samples = source.len() as u64 / u64::from(format.channels);
    let expected = samples * u64::from(rate) / u64::from(format.sample_rate);
    let off = timeline.samples().abs_diff(expected);
    // The container of AAC may say that the last frame is not all sound; decoders do not care.
    let carried = revision.variants.iter().any(|variant| variant.name == "source");
    let edited = song.source.media.as_ref().unwrap().container == "mp4";
    let ratio = u64::from(rate.div_ceil(format.sample_rate));
    let tolerance =
        if carried || edited { 1023 * ratio } else { u64::from(rate != format.sample_rate) };
    assert!(off <= tolerance, "{off} samples off {expected}");

    let channels = format.channels.min(2);
    let source = channel(&decode(path, rate, channels), channels);
    // The default and the last: the others are made by the same hand.
    for index in BTreeSet::from([0, revision.lossy().count() - 1]) {
        let variant = &revision.variants[index];
        assert_eq!(variant.channels, channels);
        assert!(variant.name == "source" || (1024..2048).contains(&variant.media_time));
        let heard = channel(&presented(house, song, index).await, channels);
        let end = source.len().min(heard.len());
        assert!(end.abs_diff(heard.len()) < 2);
        for (place, range) in [("head", 0..6000), ("tail", end - 6000..end)] {
            let (lag, likeness) = best_lag(&source[range.clone()], &heard[range], 32);
            assert_eq!(lag, 0, "{} at the {place}: {likeness}", variant.name);
            assert!(likeness > 0.85, "{} at the {place}: {likeness}", variant.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_is_heard_as_it_decodes_to_the_sample() {
    let (house, files) = (House::new().await, Files::new());
    for (name, encode, (container, codec, sample_rate, channels, bits, lossless)) in FORMATS {
        println!("{name}");
        let path = make(&files, name, encode);
        let song = house.ingest(&path).await.unwrap();
        assert_eq!(song.status, Status::Ready);
        let (source, media) = (&song.source, song.source.media.as_ref().unwrap());
        assert_eq!(
            (media.container.as_str(), media.codec.as_str()),
            (*container, *codec),
            "{name}"
        );
        assert_eq!(
            (media.format.sample_rate, media.format.channels),
            (*sample_rate, *channels),
            "{name}"
        );
        assert_eq!((media.bits, media.format.lossless), (*bits, *lossless), "{name}");
        assert_eq!(source.bytes, path.metadata().unwrap().len());
        assert_heard(&house, &song, &path).await;
    }
    assert_eq!(house.at_work(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_piece_is_heard_as_it_decodes_and_its_rates_are_true() {
    let (house, path) = (House::new().await, piece("defeat"));
    let song = house.ingest(&path).await.unwrap();
    assert_heard(&house, &song, &path).await;

    let revision = song.revision.unwrap();
    assert_eq!(revision.variants[0].timeline.len(), 2);
    assert_eq!(revision.variants[0].name, "128k", "players begin with the default");
    for variant in &revision.variants {
        let nominal = variant.name.trim_end_matches('k').parse::<u64>().unwrap() * 1000;
        assert!(variant.average_bandwidth <= variant.bandwidth);
        // The encoder aims at a mean, and boxes add little.
        assert!(variant.average_bandwidth.abs_diff(nominal) * 10 < nominal, "{variant:?}");
    }
}

#[tokio::test]
async fn tags_describe_the_song_and_its_cover_is_not_sound() {
    let (house, files) = (House::new().await, Files::new());
    let cover =
        files.make("cover.png", &["-f", "lavfi", "-i", "testsrc=size=1200x1200", "-frames:v", "1"]);
    let source = piece("victory");
    let tagged = |name: &str, codec: &[&str]| {
        let mut arguments =
            vec!["-i", source.to_str().unwrap(), "-i", cover.to_str().unwrap(), "-t", "1"];
        arguments.extend([
            "-map",
            "0:a",
            "-map",
            "1:v",
            "-c:v",
            "copy",
            "-disposition:v",
            "attached_pic",
        ]);
        arguments.extend([
            "-map_metadata",
            "-1",
            "-metadata",
            "title=Jóga",
            "-metadata",
            "artist=Björk",
        ]);
        arguments.extend([
            "-metadata",
            "album=Homogenic",
            "-metadata",
            "album_artist=Björk & others",
        ]);
        arguments.extend([
            "-metadata",
            "track=2/10",
            "-metadata",
            "disc=1",
            "-metadata",
            "date=1997-09-22",
        ]);
        arguments.extend(["-metadata", "genre=Art pop"]);
        arguments.extend(codec);
        files.make(name, &arguments)
    };
    for path in [
        tagged("tagged.mp3", &["-c:a", "libmp3lame"]),
        tagged("tagged.flac", &["-c:a", "flac"]),
        tagged("tagged.m4a", &["-c:a", "aac"]),
    ] {
        let song = house.ingest(&path).await.unwrap();
        let description = serde_json::to_value(&song.description).unwrap();
        let expected = serde_json::json!({
            "name": "Jóga", "author": "Björk", "album": "Homogenic", "album_artist": "Björk & others",
            "track": 2, "disc": 1, "year": 1997, "genre": "Art pop",
        });
        assert_eq!(description, expected, "{}", path.display());
        // The picture weighs more than a second of sound does.
        assert!(
            song.source.media.as_ref().unwrap().format.bitrate < 1_500_000,
            "{:?}",
            song.source.media.as_ref().unwrap().format
        );
        assert_heard(&house, &song, &path).await;
    }
}

/// How ffmpeg writes tags into each format.
const TAGGED: &[(&str, &[&str])] = &[
    ("2.3.mp3", &["-c:a", "libmp3lame", "-id3v2_version", "3"]),
    ("2.4.mp3", &["-c:a", "libmp3lame", "-id3v2_version", "4"]),
    ("aac.m4a", &["-c:a", "aac"]),
    ("fast.m4a", &["-c:a", "alac", "-movflags", "+faststart"]),
    ("keys.m4a", &["-c:a", "aac", "-movflags", "use_metadata_tags"]),
    ("aac.mov", &["-c:a", "aac"]),
    ("tagged.flac", &["-c:a", "flac"]),
    ("flac.oga", &["-c:a", "flac"]),
    ("vorbis.ogg", &["-c:a", "libvorbis"]),
    ("opus.opus", &["-c:a", "libopus", "-ar", "48000"]),
    ("info.wav", &["-c:a", "pcm_s16le"]),
    ("rf64.wav", &["-c:a", "pcm_s16le", "-rf64", "always"]),
    ("id3.aiff", &["-c:a", "pcm_s16be", "-write_id3v2", "1"]),
];

#[tokio::test]
async fn tags_of_every_format_are_read_as_they_were_written() {
    let (house, files) = (House::new().await, Files::new());
    let name = |text: &str| Change::from(Name::lossy(text));
    for (file, encode) in TAGGED {
        let metadata =
            ["title=Jóga", "artist=Björk", "album=Homogenic", "track=2", "date=1997", "genre=Pop"];
        let mut arguments = vec!["-f", "lavfi", "-i", "sine=duration=0.5:sample_rate=44100"];
        arguments.extend(metadata.iter().flat_map(|pair| ["-metadata", pair]));
        arguments.extend(*encode);
        let path = files.make(file, &arguments);
        let tags = house.probe(&path).await.unwrap().tags;
        let expected = Patch {
            name: name("Jóga"),
            author: name("Björk"),
            album: name("Homogenic"),
            // ffmpeg writes no track into QuickTime.
            track: if *file == "aac.mov" { Change::Keep } else { Change::Set(2) },
            year: Change::Set(1997),
            genre: name("Pop"),
            ..Patch::default()
        };
        assert_eq!(tags, expected, "{file}");
    }
}

#[tokio::test]
async fn a_probe_tells_what_the_sound_takes_and_how_long_it_is() {
    let (house, files) = (House::new().await, Files::new());
    let cover = files
        .make("cover.png", &["-f", "lavfi", "-i", "mandelbrot=size=800x800", "-frames:v", "1"]);
    let source = piece("knolls");
    let inputs = ["-i", source.to_str().unwrap(), "-i", cover.to_str().unwrap()];
    let streams =
        ["-map", "0:a", "-map", "1:v", "-c:v", "copy", "-c:a", "libmp3lame", "-b:a", "192k"];
    let mut estimates = Vec::new();
    for seconds in [5, 20] {
        let duration = ["-t", &seconds.to_string()];
        let path = files.make("covered.mp3", &[&inputs[..], &streams, &duration].concat());
        let probe = house.probe(&path).await.unwrap();
        assert!(probe.format.bitrate.abs_diff(192_000) < 4_000, "{:?}", probe.format);
        assert!(probe.duration.abs_diff(Duration::from_secs(seconds)) < Duration::from_millis(100));
        estimates.push(house.ingest.estimate(&probe, None));
    }
    assert!(
        estimates[0] * 3 < estimates[1] && estimates[1] < Duration::from_secs(10),
        "{estimates:?}"
    );
}

#[tokio::test]
async fn a_tag_in_front_of_a_flac_is_skipped() {
    let (house, files) = (House::new().await, Files::new());
    let flac = make(&files, "plain.flac", &["-c:a", "flac"]);
    let tag = b"ID3\x04\0\0\0\0\x08\x00".iter().copied().chain(std::iter::repeat_n(0, 1024));
    let tagged = tag.chain(std::fs::read(&flac).unwrap()).collect::<Vec<_>>();
    let path = files.write("tagged.flac", tagged);
    let song = house.ingest(&path).await.unwrap();
    assert_eq!(song.source.media.as_ref().unwrap().container, "flac");
    assert_heard(&house, &song, &path).await;
}

/// The layer's ffmpeg and a distribution's agree on every sample count.
#[tokio::test]
async fn another_ffmpeg_makes_the_same_timeline() {
    let files = Files::new();
    let path = make(&files, "clip.mp3", &["-c:a", "libmp3lame", "-b:a", "128k"]);
    let (one, other) =
        (House::new().await, House::with(|config| config.ffmpeg = full_ffmpeg()).await);
    let (one, other) = tokio::join!(one.ingest(&path), other.ingest(&path));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.source, other.source);
    let timeline = |song: Song| song.revision.unwrap().variants[0].timeline.clone();
    assert_eq!(timeline(one), timeline(other));
}
