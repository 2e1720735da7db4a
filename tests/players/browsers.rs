//! Players that run in a browser, in a real Chromium, on a page of another origin.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::gateway::{Gateway, node};

/// How far the end of a song may be from its duration, in seconds: a player may leave out the last
/// frame, or play the encoder's priming as well.
const TOLERANCE: f64 = 0.060;

/// Plays the piece with a player of `pages/`: start, switch, seek, end.
async fn plays(player: &str, playlist: &str) {
    let (gateway, song) = Gateway::with_piece().await;
    let url = gateway.url(&song.path(playlist));
    let seen = tokio::task::block_in_place(|| node("browser.mjs", &[player, &url]));
    let none = Value::Array(Vec::new());
    assert_eq!(seen["stopped"], Value::Null, "{player}: {seen}");
    for what in ["errors", "failed", "complaints"] {
        assert_eq!(seen[what], none, "{player}: {seen}");
    }
    let number = |name: &str| seen[name].as_f64().unwrap_or_else(|| panic!("{name} of {seen}"));
    // What is lossless is in a playlist of its own.
    let variants = song.0["variants"].as_array().expect("is a list").iter();
    let declared = variants.filter(|variant| variant["codecs"] != "fLaC").count();
    assert!(declared > 1, "there is something to switch between");
    assert_eq!(seen["variants"].as_array().expect("is a list").len(), declared, "{player}");
    assert_ne!(seen["before"], seen["after"], "{player} did not switch");
    assert!(
        (number("landed") - number("middle")).abs() < 1.0,
        "{player} missed the middle: {seen}"
    );
    assert_eq!(seen["covered"], true, "{player} had nothing to play in the middle");
    assert_eq!(seen["ended"], true, "{player} did not end");
    for end in ["duration", "position"] {
        assert!((number(end) - song.seconds()).abs() < TOLERANCE, "{player}, {end}: {seen}");
    }
    // The variant is the folder that a segment is in.
    let fetched: BTreeSet<&str> = seen["fetched"]
        .as_array()
        .expect("is a list")
        .iter()
        .filter_map(|url| url.as_str()?.strip_suffix(".m4s")?.rsplit('/').nth(1))
        .collect();
    assert_eq!(fetched.len(), 2, "{player} fetched segments of {fetched:?}");
}

macro_rules! play {
    ($($claim:ident: $player:literal, $playlist:literal;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                plays($player, $playlist).await;
            }
        )*
    };
}

play! {
    hls_js_plays_switches_and_seeks: "hls", "outputlist.m3u8";
    shaka_player_plays_switches_and_seeks: "shaka", "outputlist.m3u8";
    video_js_plays_switches_and_seeks: "videojs", "outputlist.m3u8";
    dash_js_plays_switches_and_seeks: "dash", "manifest.mpd";
    shaka_player_plays_dash_switches_and_seeks: "shaka", "manifest.mpd";
}
