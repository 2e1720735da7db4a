//! Where Shaka Player puts the segments after the first one, as `docs/players.md` describes it.

use serde_json::Value;

use crate::gateway::{Gateway, node};

/// Of a segment at 44.1 kHz, and of the encoder's priming, in seconds.
const SEGMENT: f64 = 65.0 * 4096.0 / 44_100.0;
const PRIMING: f64 = 1024.0 / 44_100.0;

/// What Shaka Player adds to a negative timestampOffset, in seconds.
const ADDED: f64 = 0.001;

const UNADJUSTED: &str =
    r#"{"manifest": {"hls": {"ignoreManifestTimestampsInSegmentsMode": true}}}"#;

/// By how many seconds of sound each join between segments is short: how much earlier than its
/// boundary what is buffered ends once a segment is appended.
fn skips(seen: &Value) -> Vec<f64> {
    let appended = seen.as_array().unwrap_or_else(|| panic!("{seen}"));
    assert_eq!(appended.len(), 3, "{seen}");
    let mut boundary = 0.0;
    let mut skips = Vec::new();
    for one in &appended[..2] {
        let buffered = one["buffered"].as_array().expect("is a list");
        assert_eq!((buffered.len(), &one["mode"]), (1, &"segments".into()), "{seen}");
        boundary += SEGMENT;
        skips.push(boundary - buffered[0][1].as_f64().expect("is a number"));
    }
    skips
}

#[tokio::test(flavor = "multi_thread")]
async fn shaka_player_joins_segments_over_dash_and_over_hls_only_if_it_trusts_their_times() {
    let gateway = Gateway::start().await;
    let song = gateway.add_noise(3 * 65 * 4096 - 40_000).await;
    let watch = |playlist: &str, settings: &str| {
        let url = gateway.url(&song.path(playlist));
        tokio::task::block_in_place(|| node("shaka.mjs", &[&url, settings]))
    };
    let is = |skip: f64, expected: f64| (skip - expected).abs() < 0.000_1;
    for (playlist, settings, expected) in [
        ("manifest.mpd", "{}", 0.0),
        ("outputlist.m3u8", UNADJUSTED, 0.0),
        ("outputlist.m3u8", "{}", PRIMING - ADDED),
    ] {
        let seen = watch(playlist, settings);
        println!("{playlist} {settings}: {seen}");
        let skips = skips(&seen);
        assert!(is(skips[0], 0.0) && is(skips[1], expected), "{playlist} {settings}: {skips:?}");
    }
}
