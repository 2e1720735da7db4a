//! Chained Ogg whose links differ.

use std::{fs, path::Path, time::Duration};

use ingest::testing::{Files, best_lag, decode};

use crate::{
    exact::{case, houses, lossless, samples},
    house::{House, channel, presented},
};

/// A link of so many samples: a tone that rises, the same in all channels.
fn link(files: &Files, encoder: &str, rate: u32, channels: u16, samples: u32) -> Vec<u8> {
    let both = if channels == 1 { "" } else { "|" };
    let sweep = format!("0.3*sin(2*PI*t*({}+150*t))", 300 + samples % 101);
    let (left, right) = (&sweep, if channels == 1 { "" } else { &sweep });
    let sound = format!("aevalsrc={left}{both}{right}:s={rate}:d=9,atrim=end_sample={samples}");
    let extension = if encoder == "libopus" { "opus" } else { "ogg" };
    let name = format!("link-{samples}.{extension}");
    fs::read(files.make(&name, &["-f", "lavfi", "-i", &sound, "-c:a", encoder])).unwrap()
}

/// What a file of one link decodes to, mixed down to one channel, at the rate of its chain.
fn decoded(path: &Path, rate: u32) -> Vec<i16> {
    decode(path, rate, 1)
}

/// Every link, at the place where it is heard, is the sound that it is by itself, as loud.
fn assert_links(heard: &[i16], links: &[Vec<i16>], what: &str) {
    let mut at = 0;
    for (number, link) in links.iter().enumerate() {
        let here = &heard[at..at + link.len()];
        let (lag, likeness) = best_lag(link, here, 20);
        assert!(lag == 0 && likeness > 0.97, "{what}, link {number}: {lag}, {likeness}");
        let power = |it: &[i16]| it.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
        let louder = (power(here) / power(link)).sqrt();
        assert!((louder - 1.0).abs() < 0.1, "{what}, link {number} is {louder} as loud");
        at += link.len();
    }
    assert_eq!(at, heard.len(), "{what}");
}

/// `opusdec` has 144,000 and 96,000 samples of it, and a peak of 0.425. One decoder for both links
/// has a peak of 1.08, 14 ms behind the beginning of the second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_that_changes_its_channels_does_not_click() {
    let (bytes, files) = (fs::read(case("opus_chain.opus")).unwrap(), Files::new());
    let (one, two) = bytes.split_at(33_543);
    let links = [("one.opus", one), ("two.opus", two)]
        .map(|(name, bytes)| decoded(&files.write(name, bytes), 48_000));
    assert_eq!([links[0].len(), links[1].len()], [144_000, 96_000]);
    for house in houses().await {
        let song = house.ingest(&case("opus_chain.opus")).await.unwrap();
        assert!(samples(&song).iter().all(|it| *it == 240_000), "{:?}", samples(&song));
        let best = song.revision.as_ref().unwrap().variants.len() - 1;
        let heard = presented(&house, &song, best).await;
        let peak = heard.iter().map(|it| it.unsigned_abs()).max().unwrap();
        assert!(peak < 16_384, "{peak}");
        let mixed: Vec<_> = heard.as_chunks::<2>().0.iter().map(|[l, r]| l.midpoint(*r)).collect();
        // AAC makes other noise of noise.
        for (link, heard) in links.iter().zip([&mixed[..144_000], &mixed[144_000..]]) {
            let (lag, likeness) = best_lag(link, heard, 20);
            assert!(lag == 0 && likeness > 0.8, "{lag}, {likeness}");
        }
        // The true peak that is told of the decoded sound, in dBTP: 0.5 is -6.02.
        let told = song.revision.as_ref().unwrap().loudness.unwrap().true_peak.unwrap();
        assert!(told < -6.1, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_of_other_channels_and_rates_sound_as_they_do_alone() {
    let files = Files::new();
    for (encoder, formats) in [
        ("libopus", &[(48_000, 1, 50_007), (48_000, 2, 70_001), (48_000, 1, 60_003)][..]),
        ("libopus", &[(48_000, 2, 50_007), (48_000, 2, 70_001)]),
        ("libvorbis", &[(44_100, 2, 50_007), (44_100, 1, 70_001), (44_100, 2, 60_003)]),
        ("libvorbis", &[(44_100, 2, 50_007), (22_050, 2, 90_000), (48_000, 1, 150_003)]),
        ("flac", &[(44_100, 2, 50_007), (44_100, 1, 70_001), (48_000, 2, 48_007)]),
    ] {
        let first = formats[0].0;
        let (mut chain, mut links) = (Vec::new(), Vec::new());
        for (rate, channels, length) in formats {
            let bytes = link(&files, encoder, *rate, *channels, *length);
            links.push(decoded(&files.write("alone.ogg", &bytes), first));
            let scaled = u64::from(*length) * u64::from(first);
            let here = links.last().unwrap().len() as u64;
            assert!(here.abs_diff(scaled.div_ceil((*rate).into())) <= 1, "{encoder}: {here}");
            chain.extend(bytes);
        }
        let path = files.write("chain.ogg", &chain);
        for house in houses().await {
            let song = house.ingest_asked(&path, Some(true)).await.unwrap();
            let expected: usize = links.iter().map(Vec::len).sum();
            assert!(samples(&song).iter().all(|it| *it == expected as u64), "{:?}", samples(&song));
            let flac = lossless(&song);
            assert_eq!(flac.is_some(), encoder == "flac");
            assert!(flac.is_none_or(|it| !it.bit_exact), "samples were converted");
            let variants = &song.revision.as_ref().unwrap().variants;
            let best = variants.iter().rposition(|it| it.codec == music::Codec::Aac).unwrap();
            let channels = variants[best].channels;
            let heard = channel(&presented(&house, &song, best).await, channels);
            assert_links(&heard, &links, &format!("{encoder} {formats:?}"));
        }
    }
}

/// With one place for encodings, two encodings and the decoders of their links still end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_takes_one_place_and_links_that_hold_no_sound_are_left_out() {
    let (house, files) = (House::with(|config| config.encodes_at_once = 1).await, Files::new());
    let (one, two) =
        (link(&files, "libopus", 48_000, 2, 30_001), link(&files, "libopus", 48_000, 1, 20_002));
    // The headers of a stream.
    let second = one.windows(4).enumerate().filter(|(_, it)| *it == b"OggS").nth(2).unwrap().0;
    let empty = &one[..second];
    let chain = [&one, empty, &two, empty].concat();
    let path = files.write("chain.opus", &chain);
    let songs = tokio::join!(house.ingest(&path), house.ingest(&path));
    for song in [songs.0.unwrap(), songs.1.unwrap()] {
        assert_eq!(samples(&song)[0], 50_003);
    }
    assert_eq!(house.at_work(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_ten_thousand_links_is_worked_on_by_one_ffmpeg() {
    let (house, files) = (House::new().await, Files::new());
    let chain = link(&files, "libopus", 48_000, 2, 960).repeat(10_000);
    let path = files.write("chain.opus", &chain);
    let work = async {
        let ingested = house.ingest(&path).await;
        assert!(ingested.is_ok() || matches!(ingested, Err(ingest::Error::Rejected(_))));
    };
    let mut work = std::pin::pin!(work);
    while tokio::time::timeout(Duration::from_millis(2), &mut work).await.is_err() {
        assert!(house.ffmpegs().len() <= 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ingest_that_is_dropped_in_the_middle_of_a_chain_leaves_nothing_behind() {
    let (house, files) = (House::new().await, Files::new());
    let links =
        [link(&files, "libopus", 48_000, 2, 400_000), link(&files, "libopus", 48_000, 1, 96_000)];
    let path = files.write("chain.opus", links.concat().repeat(20));
    let (song, spool) = house.add(&path).await.unwrap();
    let attempt = song.attempt.as_ref().unwrap().id;
    let run = house.ingest.run(song.id, attempt, Some(spool), None);
    let mut run = Box::pin(run);
    // Until an encoding and a decoding are at work.
    while house.ffmpegs().len() < 2 {
        let ended = tokio::time::timeout(Duration::from_millis(1), &mut run).await;
        assert!(ended.is_err(), "it ended before two ffmpegs were seen");
    }
    drop(run);
    for _ in 0..500 {
        if house.ffmpegs().is_empty() && house.at_work().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("left behind: {:?}, {:?}", house.ffmpegs(), house.at_work());
}
