//! Files that are not what they say, cost more than they look, or hold nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use ingest::{
    Error, Rejection,
    testing::{Files, full_ffmpeg, piece},
};
use music::Status;
use store::{ChunkGroup, Query};

use crate::house::House;

/// Holds that nothing is left of any song, in the store or on disk.
async fn assert_nothing_left(house: &House) {
    assert_eq!(house.store.groups(None, 10).await.unwrap(), []);
    for status in [Status::Processing, Status::Ready, Status::Failed] {
        let query = Query { status, words: vec![], album: None, after: None, limit: 10 };
        assert_eq!(house.store.list(&query).await.unwrap().songs, []);
    }
    assert_eq!(house.at_work(), Vec::<String>::new());
}

async fn rejection(house: &House, path: &Path) -> Rejection {
    match house.ingest(path).await {
        Err(Error::Rejected(rejection)) => rejection,
        other => panic!("{}: {other:?}", path.display()),
    }
}

/// A second of the real thing in each container.
fn clips(files: &Files) -> Vec<PathBuf> {
    let source = piece("knolls");
    let clip = |name: &str, codec: &str| {
        files.make(name, &["-t", "1", "-i", source.to_str().unwrap(), "-c:a", codec])
    };
    vec![
        clip("clip.mp3", "libmp3lame"),
        clip("clip.aac", "aac"),
        clip("clip.m4a", "aac"),
        clip("clip.flac", "flac"),
        clip("clip.wav", "pcm_s24le"),
        clip("clip.aiff", "pcm_s16be"),
        clip("clip.ogg", "libvorbis"),
        clip("clip.opus", "libopus"),
    ]
}

#[tokio::test]
async fn what_is_no_audio_is_refused_and_leaves_nothing() {
    let (house, files) = (House::new().await, Files::new());
    let secret = files.write("secret.wav", fs::read(&clips(&files)[4]).unwrap());
    let secret = secret.display();
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n");
    let concat = format!("ffconcat version 1.0\nfile '{secret}'\n");
    for (name, bytes) in [
        ("text.mp3", "a text that says it is a song\n".repeat(100).into_bytes()),
        ("zeros.wav", vec![0; 1 << 20]),
        ("playlist.mp3", playlist.clone().into_bytes()),
        ("concat.mp3", concat.clone().into_bytes()),
        ("tagged.mp3", [b"ID3\x04\0\0\0\0\0\0", playlist.as_bytes()].concat()),
        ("page.m4a", b"<!doctype html><title>Not found</title>".to_vec()),
        ("http.flac", b"http://127.0.0.1:1/secret".to_vec()),
    ] {
        assert_eq!(
            rejection(&house, &files.write(name, bytes)).await,
            Rejection::NotAudio,
            "{name}"
        );
    }
    assert_eq!(rejection(&house, &files.write("empty.mp3", "")).await, Rejection::Empty);
    // These begin as audio does, and hold a playlist.
    for (name, head) in [
        ("playlist.flac", &b"fLaC\0\0\0\x22"[..]),
        ("playlist.ogg", b"OggS\0\x02\0\0\0\0\0\0\0\0"),
        ("playlist.m4a", b"\0\0\0\x14ftypM4A \0\0\0\0M4A "),
        ("playlist.aiff", b"FORM\0\0\x10\0AIFF"),
        ("playlist.wav", b"RIFF\0\0\x10\0WAVEfmt "),
    ] {
        let path = files.write(name, [head, playlist.as_bytes()].concat());
        let rejection = rejection(&house, &path).await;
        // Read as the length of a header, text is a lot of memory.
        let known = matches!(rejection, Rejection::Undecodable | Rejection::TooCostly);
        assert!(known, "{name}: {rejection:?}");
    }
    assert_nothing_left(&house).await;
}

#[tokio::test]
async fn a_video_is_refused_without_sound_and_taken_for_its_sound() {
    let (house, files) = (House::new().await, Files::new());
    let picture = ["-f", "lavfi", "-i", "testsrc=d=2"];
    let silent = files.make("silent.mp4", &[&picture[..], &["-c:v", "mpeg4"]].concat());
    assert_eq!(rejection(&house, &silent).await, Rejection::Undecodable);
    assert_nothing_left(&house).await;
    let sound = ["-f", "lavfi", "-i", "sine=d=2", "-c:v", "mpeg4", "-c:a", "aac"];
    let film = files.make("film.mp4", &[&picture[..], &sound].concat());
    let song = house.ingest(&film).await.unwrap();
    assert_eq!(song.source.media.as_ref().unwrap().codec, "aac");
    assert!((song.revision.unwrap().seconds() - 2.0).abs() < 0.1);
}

/// Whatever becomes of a damaged file, it is somebody's song or nobody's, and never our error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_files_become_songs_or_are_refused() {
    let (house, files) = (House::new().await, Files::new());
    let mut ready = 0;
    for path in clips(&files) {
        let whole = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut damaged: Vec<_> = [30, 500, whole.len() / 2, whole.len() - 5]
            .map(|length| whole[..length.min(whole.len())].to_vec())
            .into();
        let mut seed = 1_u32;
        let mut flipped = whole.clone();
        for _ in 0..whole.len() / 500 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            flipped[seed as usize % whole.len()] ^= 1 << (seed >> 29);
        }
        damaged.push(flipped);
        for (number, bytes) in damaged.into_iter().enumerate() {
            let path = files.write(&format!("{number}-{name}"), bytes);
            match house.add(&path).await {
                Err(Error::Rejected(_)) => {}
                Err(error) => panic!("{}: {error:?}", path.display()),
                Ok((song, spool)) => {
                    let attempt = song.attempt.as_ref().unwrap().id;
                    match house.ingest.run(song.id, attempt, Some(spool), None).await {
                        Ok(_) => ready += 1,
                        Err(Error::Rejected(rejection)) => {
                            let song = house.store.get(song.id).await.unwrap().unwrap();
                            assert_eq!(
                                (song.status, song.error),
                                (Status::Failed, Some(rejection.to_string()))
                            );
                        }
                        Err(error) => panic!("{}: {error:?}", path.display()),
                    }
                    assert!(house.ingest.discard(song.id).await.unwrap());
                }
            }
        }
    }
    assert!(ready >= 8, "only {ready} of the damaged files play");
    assert_nothing_left(&house).await;
}

#[tokio::test]
async fn limits_are_told_and_kept() {
    let files = Files::new();
    let path = files.make("clip.flac", &["-f", "lavfi", "-i", "sine=d=20", "-c:a", "flac"]);
    let bytes = path.metadata().unwrap().len();

    let house = House::with(|config| config.max_upload_bytes = bytes - 1).await;
    let limit = Rejection::TooLarge { limit: bytes - 1 };
    assert_eq!(rejection(&house, &path).await, limit);
    assert!(limit.to_string().contains(&format!("{} bytes", bytes - 1)));
    assert_nothing_left(&house).await;

    let limit = Duration::from_secs(13);
    let house = House::with(|config| config.max_duration = limit).await;
    assert_eq!(rejection(&house, &path).await, Rejection::TooLong { limit });
    assert_nothing_left(&house).await;

    let most = 100_000;
    let house = House::with(|config| config.max_output_bytes = most).await;
    assert_eq!(rejection(&house, &path).await, Rejection::TooBig { limit: most });
    assert_eq!(house.at_work(), Vec::<String>::new());

    // What the probe could not know is found out while decoding.
    let patient = House::new().await;
    let (song, spool) = patient.add(&path).await.unwrap();
    let mut config = patient.config.clone();
    config.max_duration = limit;
    let strict = ingest::Ingest::new(patient.store.clone(), config).unwrap();
    let run = strict.run(song.id, song.attempt.unwrap().id, Some(spool), None).await;
    assert!(matches!(run, Err(Error::Rejected(Rejection::TooLong { .. }))), "{run:?}");
    let song = patient.store.get(song.id).await.unwrap().unwrap();
    assert_eq!((song.status, song.retired), (Status::Failed, vec![]));
    let left = patient.store.groups(None, 10).await.unwrap();
    assert_eq!(left, [(song.id, ChunkGroup::Original)], "its first segments are gone");
}

/// With an ffmpeg that could decode it.
#[tokio::test]
async fn a_codec_that_is_not_on_the_list_is_refused() {
    let (house, files) = (House::with(|config| config.ffmpeg = full_ffmpeg()).await, Files::new());
    let sound = ["-f", "lavfi", "-i", "sine=d=1", "-c:a"];
    for (name, codec) in [("adpcm.wav", "adpcm_ms"), ("ac3.m4a", "ac3"), ("speex.ogg", "libspeex")]
    {
        let path = files.make(name, &[&sound[..], &[codec]].concat());
        assert_eq!(rejection(&house, &path).await, Rejection::Undecodable, "{name}");
    }
    assert_nothing_left(&house).await;
}

/// A few bytes that claim hours cost and last as long as what is there.
#[tokio::test]
async fn claims_are_not_believed() {
    let (house, files) = (House::new().await, Files::new());
    let source = piece("knolls");
    let clip = |name: &str, codec: &str| {
        fs::read(files.make(name, &["-t", "1", "-i", source.to_str().unwrap(), "-c:a", codec]))
            .unwrap()
    };
    let mut wav = clip("long.wav", "pcm_s16le");
    wav[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let data = wav.windows(4).position(|window| window == b"data").unwrap();
    wav[data + 4..data + 8].copy_from_slice(&(u32::MAX - 100).to_le_bytes());
    let mut flac = clip("long.flac", "flac");
    // STREAMINFO's total samples: the low 36 bits of the eight bytes at 18.
    flac[21] |= 0x0f;
    flac[22..26].fill(0xff);
    for (name, bytes) in [("claims.wav", wav), ("claims.flac", flac)] {
        let song = house.ingest(&files.write(name, bytes)).await.unwrap();
        let seconds = song.revision.unwrap().seconds();
        assert!((seconds - 1.0).abs() < 0.01, "{name}: {seconds} s");
    }
}

/// With an ffmpeg that could decode pictures.
#[tokio::test]
async fn a_cover_that_would_fill_the_memory_is_not_decoded() {
    let (house, files) = (House::with(|config| config.ffmpeg = full_ffmpeg()).await, Files::new());
    let cover = files.make("cover.png", &["-f", "lavfi", "-i", "testsrc", "-frames:v", "1"]);
    let mut bomb = fs::read(cover).unwrap();
    // The width and height in the IHDR: 60,000 either way, 10.8 GB.
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let source = piece("knolls");
    let mp3 = files
        .make("plain.mp3", &["-t", "1", "-i", source.to_str().unwrap(), "-map_metadata", "-1"]);
    let picture = [&b"\0image/png\0\x03\0"[..], &bomb].concat();
    let synchsafe =
        |size: usize| [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7f).unwrap());
    let frame = [&b"APIC"[..], &synchsafe(picture.len()), &[0, 0], &picture].concat();
    let tag = [&b"ID3\x04\0\0"[..], &synchsafe(frame.len()), &frame].concat();
    let path = files.write("bomb.mp3", [tag, fs::read(mp3).unwrap()].concat());
    assert_eq!(house.ingest(&path).await.unwrap().status, Status::Ready);
}

#[tokio::test]
async fn tags_of_control_characters_and_megabytes_are_cut_to_size() {
    let (house, files) = (House::new().await, Files::new());
    let source = piece("knolls");
    let long = format!("title=\u{1b}[31m{}", "long ".repeat(20_000));
    let arguments = ["-t", "1", "-i", source.to_str().unwrap(), "-metadata", &long];
    let path = files.make("tagged.flac", &arguments);
    let song = house.ingest(&path).await.unwrap();
    let name = song.description.name.as_str();
    assert!(name.starts_with("[31mlong long"), "{name:?}");
    assert!(name.chars().count() <= music::FIELD_LIMIT);
    assert_eq!(song.source.filename.as_deref(), Some("tagged.flac"));
}

#[tokio::test]
async fn an_ffmpeg_that_does_not_work_is_not_the_files_fault() {
    let files = Files::new();
    let path = files.make("clip.wav", &["-f", "lavfi", "-i", "sine=d=1"]);
    let hanging = files.write("hanging", "#!/bin/sh\nexec /bin/sleep 60\n");
    fs::set_permissions(&hanging, fs::Permissions::from_mode(0o755)).unwrap();
    for broken in [Path::new("/bin/false"), Path::new("/nonexistent/ffmpeg"), &hanging] {
        let house = House::with(|config| {
            config.ffmpeg = broken.to_owned();
            config.max_ffmpeg_time = Duration::from_secs(1);
        })
        .await;
        let outcome = house.ingest(&path).await;
        assert!(matches!(outcome, Err(Error::Ffmpeg(..))), "{broken:?}: {outcome:?}");
        assert_nothing_left(&house).await;
        // The kernel takes its time when there is much to do.
        for _ in 0..100 {
            if house.ffmpegs().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(house.ffmpegs(), Vec::<PathBuf>::new(), "{broken:?} was not killed");
    }
}

#[tokio::test]
async fn an_ffmpeg_that_takes_too_long_is_stopped() {
    let files = Files::new();
    let path = files.make("clip.wav", &["-f", "lavfi", "-i", "sine=d=300"]);
    let patient = House::new().await;
    let (song, spool) = patient.add(&path).await.unwrap();
    let mut config = patient.config.clone();
    config.max_ffmpeg_time = Duration::from_millis(300);
    let hasty = ingest::Ingest::new(patient.store.clone(), config).unwrap();
    let begin = std::time::Instant::now();
    let run = hasty.run(song.id, song.attempt.unwrap().id, Some(spool), None).await;
    assert!(matches!(run, Err(Error::Rejected(Rejection::TooCostly))), "{run:?}");
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert!(patient.ffmpegs().is_empty());
}
