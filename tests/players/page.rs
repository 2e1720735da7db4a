//! The page of the gateway, in a real Chromium.

use serde_json::json;

use crate::gateway::{Gateway, node};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lists_a_song_and_plays_it_to_its_end() {
    let (gateway, song) = Gateway::with_piece().await;
    let url = gateway.url("/");
    let seen = tokio::task::block_in_place(|| node("page.mjs", &[&url]));
    assert_eq!(seen["ended"], true, "{seen}");
    assert_eq!(seen["message"], "", "{seen}");
    assert_eq!((&seen["failed"], &seen["complaints"]), (&json!([]), &json!([])), "{seen}");
    let duration = seen["duration"].as_f64().expect("is a number");
    assert!((duration - song.seconds()).abs() < 0.060, "{duration} s of {}", song.seconds());
}
