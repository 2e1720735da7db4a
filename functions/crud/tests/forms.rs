//! The forms that a song is sent in, and what it is called when nothing says.

mod support;

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::stream;
use serde_json::{Value, json};
use service::testing::Answer;
use support::{Stage, wav};

const FORM: &str = "multipart/form-data; boundary=----x";

/// A form of parts: what stands in the disposition behind `form-data`, and the content.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, content) in parts {
        let head = format!("------x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"------x--\r\n");
    body
}

async fn post(stage: &Stage, content_type: &str, body: impl Into<Body>) -> Answer {
    stage.call(Method::POST, "/songs").header("content-type", content_type).send(body).await
}

async fn original(stage: &Stage, song: &Value) -> Bytes {
    let path = format!("/songs/{}/original", song["id"].as_str().expect("has an id"));
    stage.get(&path).empty().await.body
}

#[tokio::test]
async fn a_file_in_a_form_is_stored_without_the_form_whatever_the_content_type_says() {
    let stage = Stage::new().await;
    let file = wav(0.2);
    let body = form(&[
        ("name=\"album\"", b"Homogenic"),
        ("name=\"relativePath\"", b"null"),
        ("name=\"file\"; filename=\"01 Jóga.wav\"", &file),
        ("name=\"artists\"", "Björk".as_bytes()),
        ("name=\"artists\"", b"Tricky"),
    ]);
    // What curl sends by -F, and what is sent by those who override its header.
    for content_type in [FORM, "audio/wav", "application/octet-stream"] {
        // In pieces that end anywhere, as a network has them.
        let pieces: Vec<_> = body.chunks(97).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let answer = post(&stage, content_type, Body::from_stream(pieces)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}: {}", answer.text());
        let song = answer.json();
        assert!(original(&stage, &song).await == file, "{content_type}");
        assert_eq!((&song["name"], &song["album"]), (&json!("Jóga"), &json!("Homogenic")));
        assert_eq!(song["artists"], json!(["Björk", "Tricky"]));
        assert_eq!(song["source"]["filename"], "01 Jóga.wav");
    }
}

#[tokio::test]
async fn a_form_that_is_no_song_is_refused_and_leaves_nothing() {
    let stage = Stage::with(&[("MAX_UPLOAD_BYTES", "200000")]).await;
    let file = wav(0.2);
    let song: (&str, &[u8]) = ("name=\"file\"; filename=\"a.wav\"", &file);
    let endless = vec![b'x'; 300_000];
    let whole = form(&[song]);
    for (body, kind) in [
        (form(&[("name=\"album\"", b"Homogenic")]), "bad-request"),
        (form(&[song, song]), "bad-request"),
        (form(&[song, ("name=\"track\"", b"two")]), "bad-request"),
        (form(&[song, ("name=\"album\"", b"\xff")]), "bad-request"),
        (whole[..whole.len() - 20].to_vec(), "bad-request"),
        (file.clone(), "bad-request"),
        (form(&[("name=\"file\"; filename=\"a\"", b"no audio")]), "not-playable"),
        (form(&[("name=\"file\"; filename=\"a\"", b"")]), "not-playable"),
        (form(&[("name=\"file\"; filename=\"a\"", &endless)]), "too-large"),
        (form(&[("name=\"album\"", &endless), song]), "too-large"),
        (form(&[(&format!("name=\"{}\"", "x".repeat(300_000)), b"")]), "too-large"),
    ] {
        let pieces: Vec<_> = body.chunks(10_000).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let answer = post(&stage, FORM, Body::from_stream(pieces)).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        assert_eq!(answer.problem(), kind, "{shown}: {}", answer.text());
    }
    let unbounded = post(&stage, "multipart/form-data", whole).await;
    assert_eq!(unbounded.problem(), "bad-request");
    stage.assert_empty().await;
}

#[tokio::test]
async fn a_compressed_song_is_refused_by_the_name_of_its_coding() {
    let stage = Stage::new().await;
    for (coding, status) in [("gzip", 415), ("identity, br", 415), ("Identity", 201), ("", 201)] {
        let call = stage.call(Method::POST, "/songs").header("content-encoding", coding);
        let answer = call.send(wav(0.2)).await;
        assert_eq!(answer.status.as_u16(), status, "{coding}");
        assert_eq!(answer.header("accept-encoding"), if status == 415 { "identity" } else { "" });
    }
}

#[tokio::test]
async fn an_untagged_file_is_called_by_its_name_on_every_way_in() {
    let stage = Stage::new().await;
    let file = wav(0.2);
    let json = |about: Value| {
        let mut about = about;
        about["song_base64"] = BASE64_STANDARD.encode(&file).into();
        format!("\u{feff}{about}").into_bytes()
    };
    let name = "name=\"f\"; filename=\"03. Jóga.wav\"";
    let bodies = [
        ("Jóga", "/songs?filename=03.%20J%C3%B3ga.wav", "", file.clone()),
        ("Jóga", "/songs?filename=03.%20J%C3%B3ga.wav&name=03.%20J%C3%B3ga", "", file.clone()),
        ("Jóga", "/songs", "attachment; filename*=UTF-8''03.%20J%C3%B3ga.wav", file.clone()),
        ("Jóga", "/songs", "", json(json!({ "filename": "03. Jóga.wav", "author": "\u{200b}" }))),
        ("Jóga", "/songs", "", form(&[(name, &file)])),
        ("Untitled", "/songs", "", file.clone()),
        ("Untitled", "/songs", "", json(json!({ "name": null, "author": null }))),
        ("Untitled", "/songs", "", form(&[("name=\"f\"; filename=\"\"", &file)])),
    ];
    for (expected, path, disposition, body) in bodies {
        let call = stage.call(Method::POST, path).header("content-disposition", disposition);
        let answer = call.send(body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{path}: {}", answer.text());
        let song = answer.json();
        let told = (&song["name"], &song["artist"], &song["artists"]);
        let unknown = json!("Unknown artist");
        assert_eq!(told, (&json!(expected), &unknown, &json!([unknown])), "{path} {disposition}");
    }
}

#[tokio::test]
async fn the_file_of_json_may_be_a_data_url() {
    let stage = Stage::new().await;
    let file = wav(0.2);
    let url = format!("data:audio/wav;base64,{}", BASE64_STANDARD.encode(&file));
    let body = json!({ "name": "n", "author": "a", "song_base64": url }).to_string();
    let answer = post(&stage, "application/json", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert!(original(&stage, &answer.json()).await == file);
}

#[tokio::test]
async fn json_that_breaks_off_is_refused_and_leaves_nothing() {
    let stage = Stage::new().await;
    let text = json!({ "song_base64": BASE64_STANDARD.encode(wav(1.0)) }).to_string();
    let pieces =
        [Ok(Bytes::copy_from_slice(&text.as_bytes()[..50_000])), Err(std::io::Error::other("cut"))];
    let answer = post(&stage, "application/json", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(answer.problem(), "bad-request");
    assert!(answer.text().contains("broke off"), "{}", answer.text());
    stage.assert_empty().await;
}
