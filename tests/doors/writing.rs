//! Songs in.

use base64::{Engine, prelude::BASE64_STANDARD};
use black_box::{
    doors::{API_KEY, Door, Doors},
    http_client::{Answer, Request},
    songs,
};
use serde_json::{Value, json};

/// What one request may carry of a song, on Lambda.
const LIMIT: usize = 4 * 1024 * 1024;

const SECOND: usize = 48_000 * 4;

fn post(target: &str) -> Request {
    Request::new("POST", target).header("X-Api-Key", API_KEY)
}

fn in_json(audio: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(audio);
    json!({ "name": "Tone", "author": "Test", "song_base64": base64 }).to_string()
}

async fn assert_playable(door: &Door, added: &Answer) {
    assert_eq!(added.status, 201, "{door:?}: {}", added.text());
    let song = added.json();
    assert_eq!((&song["name"], &song["status"]), (&json!("Tone"), &json!("ready")), "{door:?}");
    assert_eq!(
        added.header("location"),
        format!("/songs/{}", song["id"].as_str().expect("has one"))
    );
    let url = song["stream_url"].as_str().expect("has one");
    let playlist = door.send(&Request::get(url)).await;
    let variant =
        playlist.text().lines().find(|line| !line.starts_with('#')).expect("has a variant");
    let variant = format!("{}/{variant}", url.rsplit_once('/').expect("has a folder").0);
    let segments = door.send(&Request::get(&variant)).await;
    let segment =
        segments.text().lines().find(|line| !line.starts_with('#')).expect("has a segment");
    let segment = format!("{}/{segment}", variant.rsplit_once('/').expect("has a folder").0);
    let segment = door.send(&Request::get(&segment)).await;
    assert_eq!(segment.status, 200, "{door:?}");
    assert_eq!(&segment.body[4..8], b"moof", "{door:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_comes_in_as_the_file_itself() {
    let doors = Doors::open(&[]).await;
    for door in doors.each() {
        let request =
            post("/songs?name=Tone&author=Test").body("audio/wav", songs::wav(8 * SECOND));
        assert_playable(door, &door.send(&request).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_comes_in_as_json_with_or_without_its_type() {
    let doors = Doors::open(&[]).await;
    let json = in_json(&songs::wav(2 * SECOND));
    for door in doors.each() {
        let typed = post("/songs").body("application/json", json.clone());
        assert_playable(door, &door.send(&typed).await).await;
        // Without one, a gateway takes it for binary and encodes it once more.
        let mut untyped = post("/songs");
        untyped.body = json.clone().into();
        assert_playable(door, &door.send(&untyped).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_of_as_much_as_a_request_may_carry_comes_in() {
    let doors = Doors::open(&[]).await;
    let audio = songs::wav(LIMIT);
    for door in doors.each() {
        let request = post("/songs?name=Tone&author=Test").body("audio/wav", audio.clone());
        assert_playable(door, &door.send(&request).await).await;
        let request = post("/songs").body("application/json", in_json(&audio));
        assert_playable(door, &door.send(&request).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_of_more_is_refused_for_as_long_as_the_platform_carries_it() {
    let doors = Doors::open(&[]).await;
    let query = "/songs?name=Tone&author=Test";
    // 4.7 MB take 6.27 of the 6.29 MB that an event may have.
    for length in [LIMIT + 1, 4_700_000] {
        let answer = doors.ask(post(query).body("audio/wav", songs::wav(length))).await;
        assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"), "{length}");
        assert!(answer.json()["detail"].as_str().expect("says why").contains("4194304"));
    }
    let answer =
        doors.ask(post("/songs").body("application/json", in_json(&songs::wav(LIMIT + 1)))).await;
    assert_eq!((answer.status, answer.problem().as_str()), (413, "too-large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_song_is_refused_for_its_reason() {
    let doors = Doors::open(&[]).await;
    let json = |body: Value| post("/songs").body("application/json", body.to_string());
    let no_audio = BASE64_STANDARD.encode("no audio at all, but long enough to look at");
    for (request, status) in [
        (post("/songs"), 400),
        (post("/songs").body("application/json", "{"), 400),
        (json(json!({ "name": "Tone", "author": "Test" })), 400),
        (json(json!({ "name": "Tone", "author": "Test", "song_base64": "*" })), 400),
        (json(json!({ "name": "Tone", "author": "Test", "song_base64": no_audio })), 422),
        (post("/songs?name=Tone&author=Test").body("audio/mpeg", vec![0xff; 1_000]), 422),
    ] {
        let answer = doors.ask(request.clone()).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let _ = answer.problem();
    }
    let list = doors.ask(Request::get("/songs")).await;
    assert_eq!(list.json(), json!([]));
}
