//! Readers that are not ours, and what is declared against what is measured.

use std::{fs, process::Command};

use black_box::binary::root;
use media_doctor::{Report, check_dash_mpd, check_hls_playlist};

use crate::{
    download::{Download, Downloaded},
    gateway::Gateway,
};

/// The multivariant playlists of a song.
const PLAYLISTS: &[&str] = &["outputlist.m3u8", "lossless.m3u8"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_holds_up_to_readers_that_are_not_ours() {
    let (gateway, song) = Gateway::with_piece().await;
    for name in PLAYLISTS {
        let download = Download::of(&gateway, &song, name).await;
        python_reads_strictly(&download);
        media_doctor_finds_nothing(&download);
        for variant in &download.variants {
            boxes_add_up(variant, song.seconds());
            rates_are_as_declared(variant);
        }
        overhead_is_small(&download);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn media_doctor_finds_nothing_in_the_dash_manifest() {
    let (gateway, song) = Gateway::with_piece().await;
    let manifest = gateway.get(&song.path("manifest.mpd")).await;
    let mut report = Report::default();
    check_dash_mpd(manifest.text(), &mut report);
    assert!(report.findings().is_empty(), "{:?} in {}", report.findings(), manifest.text());
    assert!(manifest.text().contains("<Representation"));
}

fn python_reads_strictly(download: &Download) {
    let output = Command::new(root().join("target/venv/bin/python"))
        .arg(root().join("tests/players/playlists.py"))
        .args(&download.playlists)
        .output()
        .expect("there is a Python in target/venv: run `make prepare`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read: Vec<usize> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.parse().expect("is a number"))
        .collect();
    let segments = download.variants.iter().map(|variant| variant.playlist.segments.len());
    let expected: Vec<usize> = std::iter::once(download.variants.len()).chain(segments).collect();
    assert_eq!(read, expected);
}

fn media_doctor_finds_nothing(download: &Download) {
    for playlist in &download.playlists {
        let text = fs::read_to_string(playlist).expect("was written");
        let mut report = Report::default();
        check_hls_playlist(&text, &mut report);
        assert!(report.findings().is_empty(), "{:?} in {text}", report.findings());
    }
}

/// GPAC's parser reads every box, and the samples are those of the song.
fn boxes_add_up(variant: &Downloaded, seconds: f64) {
    let boxes = &variant.boxes;
    let complaints = boxes["complaints"].as_array().expect("is a list").iter();
    // Its reader of STREAMINFO goes on where the flag says that there is no more, and finds nothing.
    let complaints: Vec<_> = complaints
        .filter(|complaint| {
            !complaint.as_str().is_some_and(|it| it.contains("'dfLa' read 38 more bytes"))
        })
        .collect();
    assert!(complaints.is_empty(), "{boxes}");
    assert_eq!(boxes["tracks"], 1);
    let codecs = variant.stream.codecs.as_deref();
    assert_eq!(boxes["codec"].as_str(), codecs);
    let expected: Vec<&str> = ["ftyp", "moov"]
        .into_iter()
        .chain(variant.playlist.segments.iter().flat_map(|_| ["moof", "mdat"]))
        .collect();
    assert_eq!(boxes["boxes"], serde_json::json!(expected));

    let (starts, durations) = (variant.each("start"), variant.each("duration"));
    assert_eq!(starts, variant.each("first"));
    let mut end = 0;
    for (start, duration) in starts.iter().zip(&durations) {
        assert_eq!(*start, end, "a segment begins where the one before it ended");
        end += duration;
    }
    let samples = end - variant.media_time();
    assert_eq!(samples, variant.samples(), "EXTINF and the boxes say the same");
    #[expect(clippy::cast_precision_loss, reason = "a song's samples")]
    let told = samples as f64 / variant.number("timescale") as f64;
    assert!((told - seconds).abs() < 1e-6, "{told} s of {seconds}");
}

/// Within 10 % of what was downloaded: the average of it, and the largest segment but for a short
/// last one (RFC 8216 §4.3.4.2 on which count).
fn rates_are_as_declared(variant: &Downloaded) {
    let timescale = variant.number("timescale");
    let (bytes, durations) = (variant.each("bytes"), variant.each("duration"));
    let rate = |bytes: u64, duration: u64| bytes * 8 * timescale / duration;
    let average = rate(bytes.iter().sum(), durations.iter().sum());
    let target = variant.playlist.target_duration * timescale;
    let peak = bytes
        .iter()
        .zip(&durations)
        .filter(|(_, duration)| **duration * 2 >= target)
        .map(|(bytes, duration)| rate(*bytes, *duration))
        .max()
        .expect("has segments");
    let close = |declared: u64, measured: u64| declared.abs_diff(measured) * 10 <= measured;
    let declared = variant.stream.average_bandwidth.expect("is declared");
    assert!(close(declared, average), "average: declared {declared}, measured {average}");
    let declared = variant.stream.bandwidth;
    assert!(close(declared, peak), "peak: declared {declared}, measured {peak}");
}

/// At most 1.5 % more than the raw frames at 128 kb/s.
fn overhead_is_small(download: &Download) {
    let near = |variant: &&Downloaded| {
        variant.stream.average_bandwidth.is_some_and(|rate| rate.abs_diff(128_000) < 10_000)
    };
    let variant = download.variants.iter().find(near).expect("there is a variant of 128 kb/s");
    let (bytes, payload): (u64, u64) =
        (variant.each("bytes").iter().sum(), variant.each("payload").iter().sum());
    let overhead = bytes - payload;
    println!("container overhead at 128 kb/s: {overhead} bytes on {payload}");
    assert!(overhead * 1000 <= payload * 15, "{overhead} bytes on {payload}");
}
