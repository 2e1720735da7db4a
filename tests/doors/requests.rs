//! What comes in.

use black_box::{
    doors::{API_KEY, Doors},
    events,
    http_client::Request,
    songs,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_understood_however_it_is_spelled() {
    let doors = Doors::open(&[]).await;
    for name in ["Jóga / Björk & friends", "Jóga again", "Something else"] {
        songs::put(doors.store.as_ref(), name, 10).await;
    }
    for query in ["q=j%C3%B3ga", "q=J%C3%B3ga+%26", "q=joga", "q=j%C3%B3ga&limit=2"] {
        let answer = doors.ask(Request::get(format!("/songs?{query}"))).await;
        assert_eq!(answer.status, 200, "{query}");
        assert_eq!(answer.json().as_array().map(Vec::len), Some(2), "{query}");
    }
    let first = doors.ask(Request::get("/songs?q=j%C3%B3ga&limit=1")).await;
    let next = first.header("link").trim_start_matches('<').trim_end_matches(">; rel=\"next\"");
    let second = doors.ask(Request::get(next)).await;
    assert_ne!(first.json()[0]["id"], second.json()[0]["id"]);
    assert_eq!(second.json()[0]["name"], "Jóga / Björk & friends");
    assert_eq!(second.header("link"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_no_uri_can_hold_decoded_is_not_found_like_any_other() {
    let doors = Doors::open(&[]).await;
    for target in [
        "/songs/a%20b",
        "/songs/%22%3C%3E",
        "/songs/x%3Fq=1",
        "/songs/x%23",
        "/songs/%25",
        "/%C3%BC",
    ] {
        let answer = doors.ask(Request::get(target)).await;
        assert_eq!(answer.status, 404, "{target}");
        assert_eq!(answer.problem(), "not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_needs_the_key_in_either_header() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    let patch = || {
        Request::new("PATCH", song.record())
            .body("application/json", "{\"name\": \"Another\"}")
            .header("If-Match", "\"another\"")
    };
    for request in [
        patch(),
        patch().header("X-Api-Key", "wrong"),
        patch().header("Authorization", "Bearer wrong"),
        patch().header("Authorization", format!("Basic {API_KEY}")),
        patch().header("Authorization", "Bearer wrong").header("X-Api-Key", API_KEY),
        Request::new("POST", "/songs"),
        Request::new("DELETE", song.record()),
        Request::new("POST", "/uploads"),
        Request::new("HEAD", "/uploads/x"),
    ] {
        let answer = doors.ask(request.clone()).await;
        assert_eq!(answer.status, 401, "{request:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"segue\"");
        if request.method != "HEAD" {
            assert_eq!(answer.problem(), "unauthorized");
        }
    }
    for request in [
        patch().header("X-Api-Key", API_KEY),
        patch().header("x-api-key", API_KEY),
        patch().header("Authorization", format!("Bearer {API_KEY}")),
        patch().header("authorization", format!("bearer {API_KEY}")),
    ] {
        // The key was right: it is the version that is another.
        assert_eq!(doors.ask(request).await.status, 412);
    }
    for door in doors.each() {
        assert!(!door.log().contains(API_KEY), "{door:?} logs the key");
        assert!(!door.log().contains("wrong"), "{door:?} logs what was given for the key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_songs_needs_the_key_where_that_is_asked_for() {
    let doors = Doors::open(&[("READ_ACCESS", "key")]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    for target in ["/songs".to_owned(), song.record(), format!("{}/original", song.record())] {
        assert_eq!(doors.ask(Request::get(&target)).await.status, 401, "{target}");
    }
    let answer = doors.ask(Request::get("/songs").header("X-Api-Key", API_KEY)).await;
    assert_eq!(answer.status, 200);
    // A stream's URL is a capability.
    assert_eq!(doors.ask(Request::get(song.playlist())).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_path_is_taken_off_what_comes_in_and_put_before_what_goes_out() {
    let doors = Doors::open(&[("BASE_PATH", "/prod")]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    songs::put(doors.store.as_ref(), "Song", 10).await;
    let list = doors.ask(Request::get("/prod/songs?limit=1")).await;
    assert!(list.header("link").starts_with("</prod/songs?limit=1&cursor="));
    let stream_url = list.json()[0]["stream_url"].as_str().expect("has one").to_owned();
    assert!(stream_url.starts_with("/prod/stream/"), "{stream_url}");
    assert_eq!(doors.ask(Request::get(stream_url)).await.status, 200);
    let segment = doors.ask(Request::get(format!("/prod{}", song.under_variant("0.m4s")))).await;
    assert!(segment.body == song.segment);
    // It names the path, which a REST API gives without its stage.
    for door in doors.each() {
        assert_eq!(door.send(&Request::get("/prod/nowhere")).await.status, 404, "{door:?}");
    }
    // Neither does the prefix open a way past the key.
    for target in ["/prod/songs", "/songs"] {
        assert_eq!(doors.ask(Request::new("POST", target)).await.status, 401, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_api_needs_no_base_path_to_be_understood() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    let rest = doors.each().find(|door| format!("{door:?}") == "RestApi").expect("is a door");
    let streaming = rest.streaming().expect("is a function");
    // Its own URL begins with the stage; that of a custom domain with a mapping, or with neither.
    for base_path in ["/prod", ""] {
        let event = events::rest_api(&Request::get(song.playlist()), base_path);
        let answer = events::answer(&streaming.invoke(&event).await.expect("answers"));
        assert_eq!(answer.status, 200, "{base_path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_and_binary_bodies_are_read_alike() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    let patch = json!({ "name": "Ænima \"quoted\" 🎵", "track": 3 }).to_string();
    for content_type in
        ["application/json", "application/merge-patch+json", "Application/JSON; charset=utf-8"]
    {
        for door in doors.each() {
            let request = Request::new("PATCH", song.record())
                .body(content_type, patch.clone())
                .header("X-Api-Key", API_KEY);
            let answer = door.send(&request).await;
            assert_eq!(answer.status, 200, "{door:?} {content_type}: {}", answer.text());
            assert_eq!(answer.json()["name"], "Ænima \"quoted\" 🎵");
        }
    }
}
