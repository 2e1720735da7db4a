//! Songs that end shortly after a boundary between segments, in a real Chromium.

use std::iter::zip;

use crate::gateway::{Gateway, node};

/// Where the first segment of a song at 44.1 kHz nominally ends, in samples.
const BOUNDARY: usize = 65 * 4096;

/// How many samples follow the boundary: what players could not end, and around 8,192, from which
/// on there is a second segment.
const TAILS: &[usize] = &[0, 1, 23, 441, 1023, 1024, 1102, 4096, 8191, 8192, 8193, 9999];

const PLAYERS: &[(&str, &str)] = &[
    ("hls", "outputlist.m3u8"),
    ("shaka", "outputlist.m3u8"),
    ("videojs", "outputlist.m3u8"),
    ("dash", "manifest.mpd"),
];

/// How far the end of a song may be from its duration, in seconds.
const TOLERANCE: f64 = 0.060;

#[tokio::test(flavor = "multi_thread")]
async fn every_player_ends_a_song_however_little_follows_a_boundary() {
    let gateway = Gateway::start().await;
    let mut songs = Vec::new();
    for tail in TAILS {
        songs.push(gateway.add_noise(BOUNDARY + tail).await);
    }
    let mut played = Vec::new();
    let mut arguments = Vec::new();
    for (tail, song) in zip(TAILS, &songs) {
        for (player, playlist) in PLAYERS {
            played.push((player, tail, song));
            arguments.extend([(*player).to_owned(), gateway.url(&song.path(playlist))]);
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let seen = tokio::task::block_in_place(|| node("tails.mjs", &arguments));
    let seen = seen.as_array().expect("is a list");
    assert_eq!(seen.len(), played.len());
    let mut wrong = Vec::new();
    for ((player, tail, song), seen) in zip(played, seen) {
        let near = |name: &str| {
            seen[name].as_f64().is_some_and(|it| (it - song.seconds()).abs() < TOLERANCE)
        };
        // A player that recovers from a stall on a busy machine tells it among its errors.
        if seen["ended"] != true || !near("duration") || !near("position") {
            wrong.push(format!("{player} with {tail} samples: {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
