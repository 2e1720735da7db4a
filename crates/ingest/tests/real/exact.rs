//! Sound that was refused for a false reason, or heard for longer or other than it is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ingest::testing::{Files, ffmpeg, full_ffmpeg};
use music::{Codec, Song, Variant};

use crate::house::House;

/// What every claim here is held by: an ingest with the layer's ffmpeg, and one with the
/// distribution's.
pub(crate) async fn houses() -> [House; 2] {
    let with = async |program: PathBuf| House::with(|config| config.ffmpeg = program).await;
    [with(ffmpeg()).await, with(full_ffmpeg()).await]
}

/// A file of `tests/cases`, which has them explained.
pub(crate) fn case(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases").join(name);
    assert!(path.is_file(), "no {}", path.display());
    path
}

pub(crate) fn samples(song: &Song) -> Vec<u64> {
    let variants = &song.revision.as_ref().unwrap().variants;
    variants.iter().map(|variant| variant.timeline.samples()).collect()
}

pub(crate) fn lossless(song: &Song) -> Option<&Variant> {
    song.revision.as_ref().unwrap().variants.iter().find(|it| it.codec == Codec::Flac)
}

/// `oggdec` has 88 samples of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vorbis_stream_shorter_than_its_blocks_is_as_long_as_its_last_page_says() {
    for house in houses().await {
        let song = house.ingest(&case("vorbis_short.ogg")).await.unwrap();
        assert!(samples(&song).iter().all(|it| *it == 88), "{:?}", samples(&song));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chained_vorbis_is_as_long_as_its_links() {
    let files = Files::new();
    let link = |name: &str, end: &str| {
        let trim = format!("atrim=end_sample={end}");
        let sound =
            ["-f", "lavfi", "-i", "anoisesrc=r=44100:d=3", "-af", &trim, "-c:a", "libvorbis"];
        fs::read(files.make(name, &sound)).unwrap()
    };
    let chain = [link("one.ogg", "30001"), link("two.ogg", "50007")].concat();
    let path = files.write("chain.ogg", chain);
    for house in houses().await {
        let song = house.ingest(&path).await.unwrap();
        // A link may begin within the last block of the one before it.
        let (heard, expected) = (samples(&song)[0], 80_008_u64);
        assert!(expected.abs_diff(heard) <= 2048, "{heard}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_flac_becomes_a_song_with_flac_that_is_not_called_exact() {
    let files = Files::new();
    let sound = ["-f", "lavfi", "-i", "anoisesrc=r=44100:d=8:c=pink", "-c:a", "flac"];
    let mut bytes = fs::read(files.make("whole.flac", &sound)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 2000].fill(0x55);
    let path = files.write("damaged.flac", bytes);
    for house in houses().await {
        let plain = house.ingest_asked(&path, Some(false)).await.unwrap();
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        assert_eq!(samples(&song)[0], samples(&plain)[0]);
        let lossless = lossless(&song).expect("was asked for");
        assert!(!lossless.bit_exact);
        assert_eq!(lossless.timeline.samples(), samples(&song)[0]);
    }
}

/// Frames whose rate changes decode to samples that had to be resampled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flac_whose_frames_change_rate_is_not_called_exact() {
    let files = Files::new();
    let make = |name: &str, rate: &str| {
        let sound = ["-f", "lavfi", "-i", "anoisesrc=d=3:c=pink", "-ar", rate, "-c:a", "flac"];
        fs::read(files.make(name, &sound)).unwrap()
    };
    let (one, two) = (make("one.flac", "44100"), make("two.flac", "48000"));
    let frames = two.windows(2).position(|it| it == [0xff, 0xf8]).unwrap();
    let path = files.write("changes.flac", [&one[..], &two[frames..]].concat());
    for house in houses().await {
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        assert!(!lossless(&song).expect("was asked for").bit_exact);
        assert!(song.revision.unwrap().loudness.is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_in_wider_samples_than_its_bits_is_heard_to_the_bit() {
    let files = Files::new();
    let sound = ["-f", "lavfi", "-i", "anoisesrc=r=44100:d=2:a=0.5", "-c:a", "pcm_s24le"];
    let narrow = files.make("narrow.wav", &sound);
    let bytes = fs::read(&narrow).unwrap();
    let data = bytes.windows(4).position(|it| it == b"data").unwrap() + 8;
    let wide: Vec<u8> =
        bytes[data..].as_chunks::<3>().0.iter().flat_map(|it| [0, it[0], it[1], it[2]]).collect();
    let size = u32::try_from(wide.len()).unwrap().to_le_bytes();
    let head = b"RIFF\xff\xff\xff\x7fWAVEfmt \x28\0\0\0\xfe\xff\x01\0\x44\xac\0\0\x10\xb1\x02\0\x04\0\x20\0\
        \x16\0\x18\0\x04\0\0\0\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71data";
    let path = files.write("wide.wav", [&head[..], &size, &wide].concat());
    for house in houses().await {
        let song = house.ingest_asked(&path, Some(true)).await.unwrap();
        assert_eq!(song.source.media.as_ref().unwrap().bits, Some(24));
        let flac = lossless(&song).expect("was asked for");
        assert!(flac.bit_exact);
        let heard = crate::house::downloaded(&house, &song, flac).await;
        let heard = ingest::testing::decode_whole(&heard.path);
        assert!(heard == ingest::testing::decode_whole(&narrow), "other samples");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floats_that_are_no_numbers_are_silent_and_the_rest_is_heard() {
    let files = Files::new();
    let sound = ["-f", "lavfi", "-i", "sine=r=44100:d=2", "-c:a"];
    for (name, codec) in
        [("f32.wav", "pcm_f32le"), ("f64.wav", "pcm_f64le"), ("f32.aiff", "pcm_f32be")]
    {
        let mut bytes = fs::read(files.make(name, &[&sound[..], &[codec]].concat())).unwrap();
        let width = if codec.contains("64") { 8 } else { 4 };
        let place = bytes.len() - width * 20_000;
        let infinite: &[u8] = match (name, width) {
            ("f32.aiff", _) => &f32::INFINITY.to_be_bytes(),
            (_, 4) => &f32::NAN.to_le_bytes(),
            _ => &1e10_f64.to_le_bytes(),
        };
        bytes[place..place + 1000 * width].copy_from_slice(&infinite.repeat(1000));
        let path = files.write(&format!("no-{name}"), bytes);
        for house in houses().await {
            let song = house.ingest(&path).await.unwrap();
            assert_eq!(samples(&song)[0], 88_200, "{name}");
            let loudness = song.revision.unwrap().loudness.unwrap();
            assert!(loudness.true_peak.unwrap() < 0.0, "{name}: {loudness:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aac_that_is_encoded_anew_ends_where_its_edit_list_says() {
    let files = Files::new();
    for (name, rate, channels, bitrate) in [
        ("24k.m4a", 24_000_u32, "2", "64k"),
        ("8k.m4a", 8_000, "1", "32k"),
        ("22k.m4a", 22_050, "2", "64k"),
        ("surround.m4a", 48_000, "6", "256k"),
        ("high.m4a", 48_000, "2", "400k"),
    ] {
        let expected = 3 * rate + 777;
        let source = format!("anoisesrc=r={rate}:color=pink:d=4,atrim=end_sample={expected}");
        let encode = ["-ac", channels, "-c:a", "aac", "-b:a", bitrate];
        // What the container says may be in milliseconds: rounded up, and one given back.
        for (timescale, more) in [(rate, 0), (1000, 2 * rate.div_ceil(1000))] {
            let timescale = timescale.to_string();
            let arguments =
                [&["-f", "lavfi", "-i", &source, "-movie_timescale", &timescale][..], &encode]
                    .concat();
            let path = files.make(name, &arguments);
            for house in houses().await {
                let song = house.ingest(&path).await.unwrap();
                let scale = u64::from(music::output_rate(rate) / rate);
                let heard = samples(&song)[0];
                let most = u64::from(expected + more) * scale;
                let least = u64::from(expected) * scale;
                assert!((least..=most).contains(&heard), "{name}: {heard} for {least}");
            }
        }
    }
}

/// An `APEv2` tag with a picture, in which decoders find frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_behind_the_last_frame_is_not_heard() {
    for house in houses().await {
        let song = house.ingest(&case("mp3_ape_png.mp3")).await.unwrap();
        assert!(samples(&song).iter().all(|it| *it == 132_300), "{:?}", samples(&song));
        assert_eq!(house.at_work(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changes_its_rate_has_a_loudness() {
    for house in houses().await {
        let song = house.ingest(&case("mp3_mixed_rate.mp3")).await.unwrap();
        let loudness = song.revision.unwrap().loudness.expect("is told");
        // That of its parts: -18.2 and -18.4 LUFS.
        assert!((loudness.integrated + 18.3).abs() < 0.15, "{loudness:?}");
    }
}

/// Names of the first boxes, in any order that writers have them.
#[tokio::test]
async fn mp4_is_taken_whichever_box_it_begins_with() {
    let (house, files) = (House::new().await, Files::new());
    let sound = ["-f", "lavfi", "-i", "sine=d=2", "-c:a", "aac"];
    let whole = fs::read(files.make("whole.m4a", &sound)).unwrap();
    // Offsets in the file count from its beginning: `ftyp` becomes another box of the same size.
    for kind in [b"free", b"skip", b"wide"] {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(kind);
        let song = house.ingest(&files.write("other.m4a", &bytes)).await.unwrap();
        assert_eq!(song.source.media.as_ref().unwrap().container, "mp4");
        assert!((song.revision.unwrap().seconds() - 2.0).abs() < 0.01);
    }
}
