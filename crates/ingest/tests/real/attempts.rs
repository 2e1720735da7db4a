//! Attempts that succeed, fail, are given up, repeated, interrupted and swept.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use ingest::{Error, Ingest, Outcome, testing::Files};
use music::{RevisionId, Song, SongId, Status};
use store::{ChunkGroup, ChunkKey};

use crate::house::{House, channel, presented};

/// A sound that takes so many seconds to hear, and some to encode.
fn long(files: &Files, seconds: u32) -> PathBuf {
    let sound = format!("sine=d={seconds}:r=44100");
    files.make("long.flac", &["-f", "lavfi", "-i", &sound, "-ac", "2", "-compression_level", "0"])
}

fn short(files: &Files, name: &str, frequency: u32) -> PathBuf {
    files.make(name, &["-f", "lavfi", "-i", &format!("sine=f={frequency}:d=7:r=44100"), "-ac", "2"])
}

async fn groups(house: &House) -> Vec<(SongId, ChunkGroup)> {
    house.store.groups(None, 100).await.unwrap()
}

async fn get(house: &House, song: &Song) -> Song {
    house.store.get(song.id).await.unwrap().unwrap()
}

/// Waits until something holds, but not for ever.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about");
}

/// Begins to ingest a file, and waits until ffmpeg runs and segments are in the store.
async fn begin(
    house: &House,
    path: &Path,
) -> (Song, tokio::task::JoinHandle<Result<Outcome, Error>>) {
    let (song, spool) = house.add(path).await.unwrap();
    let (ingest, id, attempt) = (house.ingest.clone(), song.id, song.attempt.as_ref().unwrap().id);
    let run = tokio::spawn(async move { ingest.run(id, attempt, Some(spool), None).await });
    let segments = (id, ChunkGroup::Revision(attempt));
    until(async || groups(house).await.contains(&segments)).await;
    assert_eq!(house.ffmpegs().len(), 1);
    (song, run)
}

fn minutes(minutes: i64) -> music::Timestamp {
    music::now() + jiff::SignedDuration::from_mins(minutes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn songs_ingested_at_once_never_mix_and_later_ones_hold_nothing_of_earlier_ones() {
    let (house, files) = (House::new().await, Files::new());
    let frequencies = [440, 1000, 2093, 3500];
    let paths = frequencies.map(|frequency| short(&files, &format!("{frequency}.wav"), frequency));
    let [one, two, three, four] = &paths;
    let (one, two, three) = tokio::join!(house.ingest(one), house.ingest(two), house.ingest(three));
    let songs = [one.unwrap(), two.unwrap(), three.unwrap(), house.ingest(four).await.unwrap()];
    for (song, frequency) in songs.iter().zip(frequencies) {
        for variant in 0..song.revision.as_ref().unwrap().variants.len() {
            let heard = channel(&presented(&house, song, variant).await, 2);
            // A sine crosses zero twice a period.
            let crossings = heard.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
            let expected = 2 * 7 * frequency as usize;
            assert!(crossings.abs_diff(expected) < expected / 50, "{crossings} at {frequency} Hz");
        }
    }
    let mut expected: Vec<_> = songs
        .iter()
        .flat_map(|song| {
            let revision = ChunkGroup::Revision(song.revision.as_ref().unwrap().id);
            [(song.id, revision), (song.id, ChunkGroup::Original)]
        })
        .collect();
    let mut found = groups(&house).await;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ffmpeg_has_its_own_pipes_and_limits_and_nothing_else() {
    let (house, other, files) = (House::new().await, House::new().await, Files::new());
    let path = long(&files, 240);
    let ((song, run), (_, other_run)) = tokio::join!(begin(&house, &path), begin(&other, &path));
    let (process, other_process) = (&house.ffmpegs()[0], &other.ffmpegs()[0]);
    let pipes = |process: &Path| -> BTreeSet<PathBuf> {
        let fds = fs::read_dir(process.join("fd")).unwrap();
        fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
            .filter(|link| link.to_string_lossy().starts_with("pipe:"))
            .collect()
    };
    // Whatever the tests were started with is not ours.
    let parent = std::os::unix::process::parent_id();
    let inherited = pipes(Path::new(&format!("/proc/{parent}")));
    let mine = &pipes(process) - &inherited;
    let others = &pipes(other_process) - &inherited;
    // Three rungs, the packets, the count, the loudness, and its complaints.
    assert_eq!((mine.len(), others.len()), (7, 7), "{mine:?} {others:?}");
    assert!(mine.is_disjoint(&others), "{mine:?} {others:?}");
    assert_eq!(fs::read(process.join("environ")).unwrap(), b"");
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    for (name, limit) in
        [("Max file size", "0"), ("Max core file size", "0"), ("Max data size", "536870912")]
    {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line[name.len()..].split_whitespace().next(), Some(limit), "{line}");
    }

    // Whoever does not wait for it any more has no ffmpeg and no files left.
    run.abort();
    other_run.abort();
    until(async || house.ffmpegs().is_empty() && house.at_work().is_empty()).await;

    // The song still is being ingested, for all that anyone can tell, until its lease has run out.
    let swept = house.ingest.sweep(music::now()).await.unwrap();
    assert_eq!((swept.attempts, swept.orphans, swept.complete), (0, 0, true));
    let swept = house.ingest.sweep(minutes(20)).await.unwrap();
    assert_eq!((swept.attempts, swept.revisions, swept.complete), (1, 1, true));
    let song = get(&house, &song).await;
    assert_eq!((song.status, song.attempt, song.retired), (Status::Failed, None, vec![]));
    assert!(song.error.unwrap().contains("interrupted"));
    assert_eq!(groups(&house).await, [(song.id, ChunkGroup::Original)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_while_it_runs() {
    let files = Files::new();
    let house = House::with(|config| config.lease = Duration::from_millis(300)).await;
    let (song, run) = begin(&house, &long(&files, 240)).await;
    let mut told = Vec::new();
    while !run.is_finished() {
        let song = get(&house, &song).await;
        told.extend(song.attempt.map(|attempt| attempt.progress));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(matches!(run.await, Ok(Ok(Outcome::Ready(_)))));
    assert!(
        told.is_sorted() && told.iter().all(|progress| (0.0..1.0).contains(progress)),
        "{told:?}"
    );
    told.dedup();
    assert!(told.len() > 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_a_song_ends_its_ingest_and_leaves_nothing() {
    let files = Files::new();
    let house = House::with(|config| config.lease = Duration::from_millis(300)).await;
    let (song, run) = begin(&house, &long(&files, 1800)).await;
    let deleted = Instant::now();
    assert!(house.ingest.discard(song.id).await.unwrap());
    assert_eq!(run.await.unwrap().unwrap(), Outcome::Ended);
    assert!(deleted.elapsed() < Duration::from_secs(5), "it was encoded to the end");
    assert_eq!(groups(&house).await, []);
    until(async || house.ffmpegs().is_empty() && house.at_work().is_empty()).await;
    assert!(!house.ingest.discard(song.id).await.unwrap());
}

#[tokio::test]
async fn an_attempt_that_is_run_again_is_not_made_again() {
    let (house, files) = (House::new().await, Files::new());
    let (song, spool) = house.add(&short(&files, "a.wav", 440)).await.unwrap();
    let attempt = song.attempt.as_ref().unwrap().id;
    let first = house.ingest.run(song.id, attempt, Some(spool), None).await.unwrap();
    let Outcome::Ready(ready) = &first else { panic!("the attempt ended") };
    assert_eq!(ready.revision.as_ref().unwrap().id, attempt);
    assert_eq!(house.ingest.run(song.id, attempt, None, None).await.unwrap(), first);
    assert_eq!(
        house.ingest.run(song.id, RevisionId::new(), None, None).await.unwrap(),
        Outcome::Ended
    );
    assert_eq!(house.ingest.run(SongId::new(), attempt, None, None).await.unwrap(), Outcome::Ended);
    assert_eq!(groups(&house).await.len(), 2);
}

#[tokio::test]
async fn another_revision_is_made_from_the_original_and_the_old_one_goes_after_a_while() {
    let (house, files) = (House::new().await, Files::new());
    let first = house.ingest(&short(&files, "a.wav", 440)).await.unwrap();
    let again = house.ingest.again(first.id).await.unwrap();
    assert_eq!(again.status, Status::Ready, "it plays meanwhile");
    assert!(matches!(house.ingest.again(first.id).await, Err(Error::UnderWay(_))));

    let attempt = again.attempt.as_ref().unwrap().id;
    let Outcome::Ready(second) = house.ingest.run(first.id, attempt, None, None).await.unwrap()
    else {
        panic!("the attempt ended")
    };
    let (old, new) = (first.revision.unwrap(), second.revision.unwrap());
    assert_eq!((old.loudness, old.variants), (new.loudness, new.variants));

    assert_eq!(house.ingest.sweep(minutes(59)).await.unwrap().revisions, 0);
    assert_eq!(house.ingest.sweep(minutes(61)).await.unwrap().revisions, 1);
    let mut expected =
        [ChunkGroup::Revision(new.id), ChunkGroup::Original].map(|group| (first.id, group));
    expected.sort();
    let mut found = groups(&house).await;
    found.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn without_an_original_there_is_no_other_revision() {
    let files = Files::new();
    let house = House::with(|config| config.keep_original = false).await;
    let song = house.ingest(&short(&files, "a.wav", 440)).await.unwrap();
    let revision = ChunkGroup::Revision(song.revision.as_ref().unwrap().id);
    assert_eq!(groups(&house).await, [(song.id, revision)]);
    assert!(matches!(house.ingest.again(song.id).await, Err(Error::NoOriginal(_))));
    assert!(matches!(house.ingest.again(SongId::new()).await, Err(Error::NoSuchSong(_))));
}

/// The record gives the original up with the commit: from then on a crash at any step of its removal
/// leaves a ready song, and parts for the sweep.
#[tokio::test]
async fn an_original_is_given_up_whatever_interrupts_its_removal() {
    let files = Files::new();
    let house = House::with(|config| config.keep_original = false).await;
    let path = files.make("a.wav", &["-f", "lavfi", "-i", "sine=d=20:r=44100", "-ac", "2"]);
    let (song, spool) = house.add(&path).await.unwrap();
    let mut parts = Vec::new();
    while let Some((offset, bytes)) =
        house.store.read_original(song.id, parts.len() as u64 * (1 << 20)).await.unwrap()
    {
        parts.push((ChunkKey::original(song.id, offset), bytes));
    }
    assert_eq!(parts.len(), 4);
    let attempt = song.attempt.as_ref().unwrap().id;
    let Outcome::Ready(ready) =
        house.ingest.run(song.id, attempt, Some(spool), None).await.unwrap()
    else {
        panic!("the attempt ended")
    };
    let revision = [(song.id, ChunkGroup::Revision(attempt))];
    assert_eq!(groups(&house).await, revision);

    for left in [&parts[..], &parts[1..], &parts[..3], &parts[..1], &parts[3..]] {
        for delivered_again in [false, true] {
            for (key, bytes) in left {
                house.store.put(key, bytes.clone()).await.unwrap();
            }
            let again = house.ingest.again(song.id).await;
            assert!(matches!(again, Err(Error::NoOriginal(_))), "{again:?}");
            if delivered_again {
                let run = house.ingest.run(song.id, attempt, None, None).await.unwrap();
                assert_eq!(run, Outcome::Ready(ready.clone()));
            } else {
                assert_eq!(house.ingest.sweep(minutes(20)).await.unwrap().orphans, 1);
            }
            assert_eq!(groups(&house).await, revision);
            assert_eq!(get(&house, &song).await, *ready);
        }
    }
}

/// `KEEP_ORIGINAL=false` concerns later songs only: a song that has its original keeps it.
#[tokio::test]
async fn an_original_that_was_kept_stays_when_those_to_come_are_not() {
    let (house, files) = (House::new().await, Files::new());
    let song = house.ingest(&short(&files, "a.wav", 440)).await.unwrap();
    let mut config = house.config.clone();
    config.keep_original = false;
    let ingest = Ingest::new(house.store.clone(), config).unwrap();
    assert_eq!(ingest.sweep(minutes(20)).await.unwrap().orphans, 0);
    assert!(ingest.again(song.id).await.is_ok());
}

#[tokio::test]
async fn an_original_that_has_changed_in_the_store_fails_its_attempt_with_a_reason() {
    let (house, files) = (House::new().await, Files::new());
    let song = house.ingest(&short(&files, "a.wav", 440)).await.unwrap();
    let path = house.database.url().strip_prefix("sqlite:").unwrap();
    let file = rusqlite::Connection::open(path).unwrap();
    let changed = "UPDATE chunks SET bytes = zeroblob(length(bytes)) WHERE key = ?1";
    // The last part, then the first as well.
    for offset in [1 << 20, 0] {
        let key = ChunkKey::original(song.id, offset).to_string();
        assert_eq!(file.execute(changed, [key]).unwrap(), 1);
        let again = house.ingest.again(song.id).await.unwrap();
        let run = house.ingest.run(song.id, again.attempt.unwrap().id, None, None).await;
        assert!(matches!(run, Err(Error::DamagedOriginal(_))), "{run:?}");
        let after = get(&house, &song).await;
        assert_eq!((after.status, &after.revision), (Status::Ready, &song.revision));
        assert!(after.error.unwrap().contains("damaged"));
    }
}

#[tokio::test]
async fn missing_chunks_of_ready_songs_are_found_from_sweep_to_sweep() {
    let house = House::new().await;
    let mut songs = Vec::new();
    for _ in 0..250 {
        // An initialization section and two segments.
        let song = music::testing::ready(music::testing::description("n", "a"), 480_000);
        house.store.insert(&song).await.unwrap();
        songs.push(song);
    }
    let put = async |song: &Song, name: &str| {
        let id = song.revision.as_ref().unwrap().id;
        let key = match name.parse() {
            Ok(number) => ChunkKey::segment(song.id, id, "128k", number),
            Err(_) => ChunkKey::init(song.id, id, "128k"),
        };
        house.store.put(&key, vec![1].into()).await.unwrap();
    };
    // Of the newest, all are there; of the next, one is missing and another too many.
    for name in ["init", "0", "1"] {
        put(&songs[249], name).await;
    }
    for name in ["init", "1", "2"] {
        put(&songs[248], name).await;
    }
    let sweep = async || house.ingest.sweep(music::now()).await.unwrap();
    let swept = [sweep().await, sweep().await, sweep().await];
    let found = swept.map(|swept| (swept.missing, swept.checked, swept.complete));
    assert_eq!(
        found,
        [(1 + 198 * 3, false, true), (50 * 3, true, true), (1 + 198 * 3, false, true)]
    );
    assert_eq!(house.store.get(songs[0].id).await.unwrap().unwrap(), songs[0], "it stays");
}

#[tokio::test]
async fn an_original_that_is_not_what_was_sent_is_not_ingested() {
    let (house, files) = (House::new().await, Files::new());
    let (song, _) = house.add(&short(&files, "a.wav", 440)).await.unwrap();
    let key = ChunkKey::original(song.id, 0);
    let mut bytes = house.store.read(&key).await.unwrap().unwrap().to_vec();
    bytes[1000] ^= 1;
    house.store.put(&key, bytes.into()).await.unwrap();
    let run = house.ingest.run(song.id, song.attempt.as_ref().unwrap().id, None, None).await;
    assert!(matches!(run, Err(Error::DamagedOriginal(_))), "{run:?}");
    let song = get(&house, &song).await;
    assert_eq!(song.status, Status::Failed);
    assert!(song.error.unwrap().contains("damaged"));
}

/// A song of whose file only the first bytes are in the store.
async fn with_half_an_original() -> (House, Song) {
    let (house, files) = (House::new().await, Files::new());
    let (mut song, _) = house.add(&short(&files, "a.wav", 440)).await.unwrap();
    house.ingest.discard(song.id).await.unwrap();
    song.source.bytes *= 2;
    house.store.insert(&song).await.unwrap();
    house.store.put(&ChunkKey::original(song.id, 0), vec![0; 1000].into()).await.unwrap();
    (house, song)
}

/// An interruption while the file was still arriving in the store.
#[tokio::test]
async fn of_a_file_that_never_arrived_completely_nothing_stays() {
    let (house, song) = with_half_an_original().await;
    assert_eq!(house.ingest.sweep(minutes(20)).await.unwrap().attempts, 1);
    assert_eq!(groups(&house).await, []);
    assert_eq!(get(&house, &song).await.status, Status::Failed);
    assert!(matches!(house.ingest.again(song.id).await, Err(Error::NoOriginal(_))));
}

/// A crash of the sweep that ended the attempt, before it removed what there was of the file.
#[tokio::test]
async fn half_an_original_of_a_song_that_failed_already_is_swept() {
    let (house, song) = with_half_an_original().await;
    let attempt = song.attempt.as_ref().unwrap().id;
    assert!(house.store.fail(song.id, attempt, "interrupted").await.unwrap());
    house.ingest.sweep(music::now()).await.unwrap();
    assert_eq!(groups(&house).await, []);
}

#[tokio::test]
async fn chunks_that_no_song_knows_of_are_swept_and_no_others() {
    let (house, files) = (House::new().await, Files::new());
    let song = house.ingest(&short(&files, "a.wav", 440)).await.unwrap();
    let (waiting, _) = house.add(&short(&files, "b.wav", 880)).await.unwrap();
    let attempt = waiting.attempt.as_ref().unwrap().id;
    let known = ChunkKey::segment(waiting.id, attempt, "64k", 0);
    house.store.put(&known, vec![1].into()).await.unwrap();
    let before = groups(&house).await;
    assert_eq!(before.len(), 4);

    for number in 0..150 {
        let nobodys = ChunkKey::segment(SongId::new(), RevisionId::new(), "64k", number);
        house.store.put(&nobodys, vec![1].into()).await.unwrap();
    }
    let unnamed = ChunkKey::segment(song.id, RevisionId::new(), "64k", 0);
    house.store.put(&unnamed, vec![1].into()).await.unwrap();
    let swept = house.ingest.sweep(music::now()).await.unwrap();
    assert_eq!((swept.orphans, swept.attempts, swept.complete), (151, 0, true));
    assert_eq!(groups(&house).await, before);
    assert_eq!(house.ingest.sweep(music::now()).await.unwrap().orphans, 0);
}

#[tokio::test]
async fn a_working_directory_that_cannot_be_used_is_told_at_once() {
    let house = House::new().await;
    let mut config = house.config.clone();
    config.work_dir = "/proc/nothing".into();
    assert!(matches!(Ingest::new(house.store.clone(), config), Err(Error::Io(..))));
}
