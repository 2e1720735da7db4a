//! How many ffmpegs run at a time, and what one may cost before anything is known of its file.

use std::{fs, path::Path, time::Duration};

use futures_util::future::join_all;
use ingest::{
    Error, Rejection,
    testing::{Files, full_ffmpeg},
};

use crate::house::House;

/// What a probe may ask for, and what of a program is not its data, in KiB.
const PROBE_MEMORY: u64 = (256 + 64) << 10;

/// The largest resident memory that a process had so far, in KiB.
fn peak(process: &Path) -> u64 {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|it| it.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// The most ffmpegs that were seen at a time while something was done, and the most memory of one.
async fn most<T>(house: &House, work: impl Future<Output = T>) -> (T, usize, u64) {
    let (mut most, mut memory) = (0, 0);
    let mut work = std::pin::pin!(work);
    loop {
        let pause = tokio::time::sleep(Duration::from_millis(2));
        let value = tokio::select! {
            value = &mut work => Some(value),
            () = pause => None,
        };
        if let Some(value) = value {
            return (value, most, memory);
        }
        let processes = house.ffmpegs();
        most = most.max(processes.len());
        memory = processes.iter().map(|it| peak(it)).fold(memory, u64::max);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_many_files_are_probed_at_a_time_and_those_that_leave_make_room() {
    let (house, files) = (House::new().await, Files::new());
    let path = files.make("clip.mp3", &["-f", "lavfi", "-i", "sine=d=60", "-c:a", "libmp3lame"]);
    let probes = (0..24).map(|number| {
        let (house, path) = (&house, &path);
        async move {
            let probe = house.probe(path);
            if number % 3 == 0 {
                // A client that leaves.
                return tokio::time::timeout(Duration::from_millis(20 * number), probe)
                    .await
                    .is_ok();
            }
            probe.await.unwrap();
            true
        }
    });
    let (_, seen, _) = most(&house, join_all(probes)).await;
    assert!((1..=2).contains(&seen), "{seen} at a time");
}

/// A table of samples that a few bytes describe.
fn a_table_that_is_large_in_memory(files: &Files) -> Vec<u8> {
    let sound = ["-f", "lavfi", "-i", "sine=d=0.1", "-c:a", "aac"];
    let mut bytes = fs::read(files.make("clip.m4a", &sound)).unwrap();
    let table = bytes.windows(4).position(|it| it == b"stsz").unwrap() + 8;
    bytes[table..table + 4].copy_from_slice(&1_u32.to_be_bytes());
    bytes[table + 4..table + 8].copy_from_slice(&40_000_000_u32.to_be_bytes());
    bytes
}

/// So many comments that to keep them apart takes ffmpeg a minute.
fn very_many_comments(files: &Files) -> Vec<u8> {
    let sound = ["-f", "lavfi", "-i", "sine=d=1", "-c:a", "flac"];
    let bytes = fs::read(files.make("clip.flac", &sound)).unwrap();
    let mut comments = 0_u32.to_le_bytes().to_vec();
    comments.extend(90_000_u32.to_le_bytes());
    for number in 0..90_000 {
        comments.extend(8_u32.to_le_bytes());
        comments.extend(format!("{number:06}=x").bytes());
    }
    let size = u32::try_from(comments.len()).unwrap().to_be_bytes();
    // STREAMINFO takes 42 bytes with what is before it.
    [&bytes[..42], &[4], &size[1..], &comments, &bytes[42..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_cost_are_stopped_and_others_are_probed_meanwhile() {
    let files = Files::new();
    let hostile = [
        files.write("table.m4a", a_table_that_is_large_in_memory(&files)),
        files.write("comments.flac", very_many_comments(&files)),
    ];
    let song = files.make("song.wav", &["-f", "lavfi", "-i", "sine=d=5"]);
    let house = House::with(|config| config.ffmpeg = full_ffmpeg()).await;
    let probes = join_all(hostile.iter().map(|path| house.probe(path)));
    let songs = house.probe(&song);
    let ((hostile, song), seen, memory) = most(&house, async { tokio::join!(probes, songs) }).await;
    assert!(song.is_ok(), "{song:?}");
    for outcome in hostile {
        let stopped =
            matches!(outcome, Err(Error::Rejected(Rejection::TooCostly | Rejection::Undecodable)));
        assert!(stopped, "{outcome:?}");
    }
    assert!(seen <= 2, "{seen} at a time");
    assert!(memory <= PROBE_MEMORY, "{memory} KiB");
    assert!(house.at_work().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_of_silence_in_a_few_bytes_are_refused_and_half_an_hour_is_not() {
    let (house, files) = (House::new().await, Files::new());
    let silence = |minutes: u32| {
        let source = format!("anullsrc=r=8000:cl=mono:d={}", minutes * 60);
        let encode = ["-c:a", "flac", "-frame_size", "32768"];
        files.make("silence.flac", &[&["-f", "lavfi", "-i", &source][..], &encode].concat())
    };
    assert!(house.probe(&silence(29)).await.is_ok());
    let refused = house.probe(&silence(60)).await;
    assert!(matches!(refused, Err(Error::Rejected(Rejection::TooSparse))), "{refused:?}");
}
