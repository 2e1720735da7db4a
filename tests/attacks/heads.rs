//! What heads of requests and of answers must have.

use black_box::{
    http_client::{Answer, Request},
    songs::wav,
};

use crate::{
    target::Target,
    wire::{Reply, Wire},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_lets_a_browser_guess_its_type() {
    let target = Target::new(&[]).await;
    for path in [
        "/",
        "/player.js",
        "/style.css",
        "/songs",
        "/nowhere",
        "/_/health",
        &target.song.playlist(),
        &target.song.under_variant("0.m4s"),
        &target.original(),
    ] {
        let answer = target.gateway.send(&Request::get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
    let refused = target.gateway.send(&Request::new("PUT", "/songs")).await;
    assert_eq!((refused.status, refused.header("x-content-type-options")), (405, "nosniff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_original_is_saved_and_never_run() {
    let target = Target::new(&[]).await;
    let assert_inert = |answer: &Answer, name: &str| {
        assert_eq!(answer.status, 200);
        let disposition = answer.header("content-disposition");
        assert!(disposition.starts_with("attachment; "), "{disposition}");
        assert!(disposition.ends_with(&format!("filename*=UTF-8''{name}")), "{disposition}");
        let policy = answer.header("content-security-policy");
        assert_eq!(policy, "sandbox; default-src 'none'");
    };
    let answer = target.gateway.send(&Request::get(target.original())).await;
    assert_inert(&answer, "song.flac");
    let post = Request::new("POST", "/songs?name=n&author=a&filename=..%2Fx%22y.wav")
        .body("audio/wav", wav(48_000));
    let added = target.gateway.send(&post).await;
    assert_eq!(added.status, 201, "{}", added.text());
    let original = format!("{}/original", added.header("location"));
    let answer = target.gateway.send(&Request::get(original)).await;
    let came_with_name = added.json()["source"]["filename"].is_string();
    let id = added.json()["id"].as_str().expect("has one").to_owned();
    assert_inert(&answer, if came_with_name { "x%22y.wav" } else { &id });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_runs_nothing_that_is_written_into_it() {
    let target = Target::new(&[]).await;
    let page = target.gateway.send(&Request::get("/")).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("<style") && !page.text().contains("style="));
}

async fn reply(target: &Target, head: &str) -> Reply {
    let mut wire = Wire::connect(target.gateway.address()).await;
    wire.send(head.replace('\n', "\r\n") + "\r\n").await;
    wire.reply("GET").await.unwrap_or_else(|| panic!("no answer to {head}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_names_one_host() {
    let target = Target::new(&[]).await;
    for head in [
        "GET /songs HTTP/1.1\n",
        "GET /songs HTTP/1.1\nHost: localhost\nHost: localhost\n",
        "GET /songs HTTP/1.1\nHost: localhost\nHost: evil.example\n",
        "GET /songs HTTP/1.1\nHost: a b\n",
        "GET /songs HTTP/1.1\nHost: evil.example@localhost\n",
    ] {
        assert_eq!(reply(&target, head).await.status, 400, "{head}");
    }
    // HTTP/1.0 has none.
    assert_eq!(reply(&target, "GET /songs HTTP/1.0\n").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_announced_as_too_large_is_refused_before_it_is_sent() {
    let limits = [("REQUEST_LIMIT_BYTES", "1000000")];
    let target = Target::new(&limits).await;
    for (content_type, length) in [("audio/wav", "1000001"), ("application/json", "99000000000")] {
        let head = format!(
            "POST /songs HTTP/1.1\nHost: localhost\nContent-Type: {content_type}\n\
             Content-Length: {length}\nExpect: 100-continue\n"
        );
        let reply = reply(&target, &head).await;
        assert_eq!(reply.status, 413, "{}", reply.head);
    }
    // What may be taken is asked for.
    let head = "POST /songs HTTP/1.1\nHost: localhost\nContent-Type: audio/wav\n\
                Content-Length: 1000\nExpect: 100-continue\n";
    assert_eq!(reply(&target, head).await.status, 100);
}
