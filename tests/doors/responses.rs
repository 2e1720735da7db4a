//! What comes out.

use std::io::Read;

use black_box::{
    doors::{API_KEY, Doors},
    http_client::Request,
    songs,
};
use flate2::read::GzDecoder;
use store::CHUNK_LIMIT;

const SEGMENT_BYTES: usize = 199_001;

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_arrives_byte_for_byte() {
    let doors = Doors::open(&[]).await;
    for length in [SEGMENT_BYTES, CHUNK_LIMIT] {
        let song = songs::put(doors.store.as_ref(), "Song", length).await;
        let answer = doors.ask(Request::get(song.under_variant("0.m4s"))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "audio/mp4");
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert!(answer.body == song.segment);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_never_compressed() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", SEGMENT_BYTES).await;
    let request = Request::get(song.under_variant("0.m4s")).header("Accept-Encoding", "gzip, br");
    let answer = doors.ask(request).await;
    assert_eq!(answer.header("content-encoding"), "");
    assert!(answer.body == song.segment);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_segment_is_cut_out_of_it() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", SEGMENT_BYTES).await;
    let ask = async |range: &str| {
        doors.ask(Request::get(song.under_variant("0.m4s")).header("Range", range)).await
    };
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-299", 100..300),
        ("bytes=199000-999999", 199_000..199_001),
        ("bytes=-50", 198_951..199_001),
    ] {
        let answer = ask(range).await;
        assert_eq!(answer.status, 206, "{range}");
        let said = format!("bytes {}-{}/{SEGMENT_BYTES}", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), said);
        assert!(answer.body == song.segment.slice(expected), "{range}");
    }
    let answer = ask("bytes=199001-").await;
    assert_eq!((answer.status, answer.problem().as_str()), (416, "range-not-satisfiable"));
    assert_eq!(answer.header("content-range"), format!("bytes */{SEGMENT_BYTES}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_has_is_not_sent_again() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", SEGMENT_BYTES).await;
    for target in [
        song.playlist(),
        song.under_variant("playlist.m3u8"),
        song.under_variant("0.m4s"),
        song.record(),
    ] {
        let tag = doors.ask(Request::get(&target)).await.header("etag").to_owned();
        assert!(!tag.is_empty(), "{target}");
        let request = Request::get(&target).header("If-None-Match", &tag);
        let answer = doors.ask(request).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{target}");
        assert_eq!(answer.header("etag"), tag);
        // A header that came on two lines.
        let request = Request::get(&target)
            .header("If-None-Match", "\"another\"")
            .header("If-None-Match", &tag);
        assert_eq!(doors.ask(request).await.status, 304, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_the_body() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", SEGMENT_BYTES).await;
    for target in [
        song.playlist(),
        song.under_variant("playlist.m3u8"),
        song.under_variant("init.mp4"),
        song.under_variant("0.m4s"),
        song.record(),
        "/songs".into(),
        "/stream/none/outputlist.m3u8".into(),
    ] {
        let got = doors.ask(Request::get(&target)).await;
        let head = doors.ask(Request::new("HEAD", &target)).await;
        assert_eq!((head.status, &head.headers), (got.status, &got.headers), "{target}");
        assert!(head.body.is_empty(), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn playlists_are_compressed_for_who_accepts_it() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", SEGMENT_BYTES).await;
    for target in [song.playlist(), song.under_variant("playlist.m3u8")] {
        let plain = doors.ask(Request::get(&target)).await;
        assert_eq!(plain.header("content-type"), "application/vnd.apple.mpegurl");
        assert!(plain.text().starts_with("#EXTM3U\n"));
        let request = Request::get(&target).header("Accept-Encoding", "gzip");
        let compressed = doors.ask(request).await;
        assert_eq!(compressed.header("content-encoding"), "gzip");
        assert!(compressed.header("vary").contains("accept-encoding"));
        let mut text = String::new();
        GzDecoder::new(&*compressed.body).read_to_string(&mut text).expect("is gzip");
        assert_eq!(text, plain.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_problem_everywhere() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    for target in [
        "/",
        "/nowhere",
        "/songs/no-id",
        "/songs/0192f0c1-2d3e-7abc-8def-0123456789ab",
        "/stream/no-id/outputlist.m3u8",
        &song.under_variant("1.m4s"),
        &song.under_variant("00.m4s"),
    ] {
        let answer = doors.ask(Request::get(target)).await;
        assert_eq!((answer.status, answer.problem().as_str()), (404, "not-found"), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_possible_says_which_are() {
    let doors = Doors::open(&[]).await;
    for (target, allowed) in [
        ("/songs", "GET,HEAD,POST"),
        ("/songs/x", "GET,HEAD,PATCH,DELETE"),
        ("/stream/x/outputlist.m3u8", "GET,HEAD"),
    ] {
        let request = Request::new("PUT", target).header("X-Api-Key", API_KEY);
        let answer = doors.ask(request).await;
        assert_eq!((answer.status, answer.problem().as_str()), (405, "method-not-allowed"));
        assert_eq!(answer.header("allow"), allowed, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_page_may_read_and_write_but_borrow_nobodys_credentials() {
    let doors = Doors::open(&[]).await;
    for target in ["/songs", "/stream/x/outputlist.m3u8"] {
        let request = Request::new("OPTIONS", target)
            .header("Origin", "https://player.example.org")
            .header("Access-Control-Request-Method", "PATCH")
            .header("Access-Control-Request-Headers", "authorization,tus-resumable");
        let preflight = doors.ask(request).await;
        assert_eq!((preflight.status, preflight.body.len()), (200, 0));
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
        assert_eq!(preflight.header("access-control-allow-credentials"), "");
        assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
        assert!(preflight.header("access-control-allow-headers").contains("authorization"));

        let request = Request::get(target).header("Origin", "https://player.example.org");
        let answer = doors.ask(request).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-expose-headers").contains("location"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_that_no_answer_can_carry_comes_in_parts() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    let target = format!("{}/original", song.record());
    let whole = doors.ask(Request::get(&target)).await;
    assert_eq!((whole.status, whole.problem().as_str()), (400, "range-required"));

    let mut collected = Vec::new();
    while collected.len() < song.original.len() {
        let range = format!("bytes={}-", collected.len());
        let part = doors.ask(Request::get(&target).header("Range", range)).await;
        assert_eq!(part.status, 206);
        collected.extend_from_slice(&part.body);
    }
    assert!(song.original == collected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_songs_fits_whatever_they_are_called() {
    let doors = Doors::open(&[]).await;
    // Each quote takes two bytes in JSON, and four in the JSON that holds that JSON.
    let name = "\"".repeat(music::FIELD_LIMIT);
    for _ in 0..1_000 {
        doors.store.insert(&songs::ready(&name, 0)).await.expect("takes a song");
    }
    let (mut target, mut seen) = ("/songs?limit=1000".to_owned(), 0);
    loop {
        let page = doors.ask(Request::get(&target)).await;
        assert_eq!(page.status, 200);
        seen += page.json().as_array().expect("is a list").len();
        let Some(link) = page.header("link").strip_suffix(">; rel=\"next\"") else { break };
        target = link.trim_start_matches('<').to_owned();
    }
    assert_eq!(seen, 1_000);
}
