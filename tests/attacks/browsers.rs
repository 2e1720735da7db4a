//! Web pages of other origins, and a gateway on the listener's own machine that has no key.

use std::process::Command;

use black_box::{binary::root, http_client::Request, songs::wav};
use serde_json::{Value, json};

use crate::{
    target::{KEY, Target},
    wire::Wire,
};

/// What a page of another origin gets of a gateway, in a real Chromium.
fn visited(target: &Target, arguments: &[&str]) -> Value {
    let output = Command::new("node")
        .arg(root().join("tests/attacks/foreign.mjs"))
        .arg(target.gateway.address().port().to_string())
        .args(arguments)
        .output()
        .expect("Node.js is there: run `make prepare`");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("prints JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_plays_and_does_nothing_else() {
    let target = Target::new(&[]).await;
    let (record, original) = (target.song.record(), target.original());
    let segment = target.song.under_variant("0.m4s");
    let seen = tokio::task::block_in_place(|| visited(&target, &[&record, &original, &segment]));
    let expected = json!({
        "list": "blocked",
        "original": "blocked",
        "patch": "blocked",
        "delete": "blocked",
        "upload": "blocked",
        "segment": 200,
        // The page that a form leads to.
        "form": 403,
        // A name of the page's own that resolves to this machine.
        "rebound": 421,
        // The gateway's own page, where the person listens.
        "own": 200,
        "own_delete": 404,
    });
    assert_eq!(seen, expected);
    let songs = target.gateway.send(&Request::get("/songs")).await.json();
    assert_eq!(songs.as_array().map(Vec::len), Some(1), "nothing was added or removed: {songs}");
    assert_eq!(songs[0]["name"], "song");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_a_write_comes_from_here_or_from_no_browser() {
    let target = Target::new(&[]).await;
    let address = target.gateway.address().to_string();
    let post = |headers: &[(&str, &str)]| {
        let request =
            Request::new("POST", "/songs?name=n&author=a").body("text/plain", wav(48_000));
        headers.iter().fold(request, |request, (name, value)| request.header(name, *value))
    };
    for headers in [
        // Chromium to loopback, by fetch, by a form, and from a sandboxed frame.
        &[("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")][..],
        &[("Origin", "http://localhost:1"), ("Sec-Fetch-Site", "same-site")],
        &[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")],
        // To an address of the local network, without TLS, it leaves out Sec-Fetch-Site.
        &[("Origin", "http://evil.example")],
        &[("Origin", "null")],
    ] {
        let answer = target.gateway.send(&post(headers)).await;
        assert_eq!(
            (answer.status, answer.problem().as_str()),
            (403, "cross-origin"),
            "{headers:?}"
        );
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let own = format!("http://{address}");
    for headers in [
        &[][..],
        &[("Origin", own.as_str()), ("Sec-Fetch-Site", "same-origin")],
        &[("Origin", own.as_str())],
    ] {
        let answer = target.gateway.send(&post(headers)).await;
        assert_eq!(answer.status, 201, "{headers:?}: {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_pages_elsewhere_read_streams_and_not_the_library() {
    let target = Target::new(&[]).await;
    let origin = ("Origin", "https://player.example");
    for (path, allowed) in [
        (target.song.playlist(), "*"),
        (target.song.under_variant("0.m4s"), "*"),
        ("/songs".to_owned(), ""),
        (target.song.record(), ""),
        (target.original(), ""),
        ("/nowhere".to_owned(), ""),
    ] {
        let answer = target.gateway.send(&Request::get(&path).header(origin.0, origin.1)).await;
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{path}");
        for method in ["GET", "DELETE"] {
            let preflight = Request::new("OPTIONS", &path)
                .header(origin.0, origin.1)
                .header("Access-Control-Request-Method", method);
            let answer = target.gateway.send(&preflight).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{path}");
        }
    }
    // Upload clients that are no page ask what this server can do.
    let options = target.gateway.send(&Request::new("OPTIONS", "/uploads")).await;
    assert_eq!((options.status, options.header("tus-version")), (204, "1.0.0"));
    // With a key, any page that has it may use it.
    let target = Target::new(&[("API_KEY", KEY)]).await;
    let answer = target.gateway.send(&Request::get("/songs").header(origin.0, origin.1)).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_only_names_are_answered_that_no_page_can_take() {
    let ask = async |target: &Target, host: &str| {
        let mut wire = Wire::connect(target.gateway.address()).await;
        wire.send(format!("GET /songs HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        wire.reply("GET").await.expect("is answered").status
    };
    let target = Target::new(&[("ALLOWED_HOSTS", "music.example")]).await;
    for (host, status) in [
        ("localhost:8080", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("music.example:8080", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        assert_eq!(ask(&target, host).await, status, "{host}");
    }
    let target = Target::new(&[("API_KEY", KEY)]).await;
    assert_eq!(ask(&target, "music.example").await, 200, "with a key, any");
}
