//! `/uploads`: the tus protocol, to the letter, and what becomes of an upload.

mod support;

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{Method, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::stream;
use serde_json::{Value, json};
use service::testing::{Answer, Call};
use sha1::Digest;
use store::{ChunkKey, Upload};
use support::{Stage, wav};

const MIB: usize = 1024 * 1024;

fn call<'a>(stage: &'a Stage, method: Method, path: &str) -> Call<'a> {
    stage.call(method, path).header("tus-resumable", "1.0.0")
}

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter().map(|(key, value)| format!("{key} {}", BASE64_STANDARD.encode(value)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Begins an upload, and tells its path.
async fn begin(stage: &Stage, length: usize, about: &[(&str, &str)]) -> String {
    let call = call(stage, Method::POST, "/uploads")
        .header("upload-length", &length.to_string())
        .header("upload-metadata", &metadata(about));
    let answer = call.empty().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert_eq!(answer.header("upload-offset"), "0");
    assert!(answer.header("upload-expires").ends_with(" GMT"), "{answer:?}");
    answer.header("location").to_owned()
}

async fn patch(stage: &Stage, path: &str, offset: usize, bytes: impl Into<Body>) -> Answer {
    call(stage, Method::PATCH, path)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", &offset.to_string())
        .send(bytes)
        .await
}

async fn offset(stage: &Stage, path: &str) -> String {
    let answer = call(stage, Method::HEAD, path).empty().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("upload-offset").to_owned()
}

/// The song of an upload, once nothing happens to it any more.
async fn song(stage: &Stage, path: &str) -> Value {
    let song = path.replace("/uploads/", "/songs/");
    for _ in 0..600 {
        let answer = stage.get(&song).empty().await;
        if answer.status == StatusCode::OK && answer.json()["status"] != "processing" {
            return answer.json();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never ended");
}

/// Waits until all that was made of what is removed is gone; not for ever, for the test looks itself.
async fn until_nothing_is_left(stage: &Stage) {
    for _ in 0..200 {
        if stage.store.groups(None, 1).await.expect("lists").is_empty() && stage.is_idle() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn id(path: &str) -> music::SongId {
    path.rsplit('/').next().expect("has an id").parse().expect("is an id")
}

#[tokio::test]
async fn a_song_comes_in_by_parts_and_is_ingested_by_itself() {
    let stage = Stage::new().await;
    let file = wav(20.0);
    let about = [("filename", "Jóga.wav"), ("album", "Homogenic"), ("filetype", "audio/wav")];
    let path = begin(&stage, file.len(), &about).await;
    let head = call(&stage, Method::HEAD, &path).empty().await;
    assert_eq!(head.header("upload-length"), file.len().to_string());
    assert_eq!(head.header("upload-metadata"), metadata(&about[..2]), "what is about the song");
    assert_eq!(head.header("segue-song"), id(&path).to_string());
    assert_eq!(stage.get(&path.replace("uploads", "songs")).empty().await.problem(), "not-found");

    let mut sent = 0;
    for part in file.chunks(300_001) {
        let answer = patch(&stage, &path, sent, part.to_vec()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        sent += part.len();
        assert_eq!(answer.header("upload-offset"), sent.to_string());
        assert_eq!(answer.header("tus-resumable"), "1.0.0");
    }
    // Whoever lost the last answer finds out that there is nothing left to send.
    assert_eq!(offset(&stage, &path).await, file.len().to_string());
    let made = song(&stage, &path).await;
    assert_eq!(made["status"], "ready", "{made}");
    assert_eq!((&made["name"], &made["author"]), (&json!("Jóga"), &json!("Unknown artist")));
    assert_eq!(
        (&made["album"], &made["source"]["container"]),
        (&json!("Homogenic"), &json!("wav"))
    );
    let sha256 = ingest::hexadecimal(&sha2::Sha256::digest(&file));
    assert_eq!(made["source"]["sha256"], sha256);
    let original = stage.get(&format!("/songs/{}/original", id(&path))).empty().await;
    assert!(original.body == file);
    let found = stage.get(&format!("/songs?sha256={}", sha256.to_uppercase())).empty().await.json();
    assert_eq!(found.as_array().map(Vec::len), Some(1));
    assert_eq!(found[0]["id"], made["id"]);
    let answer = call(&stage, Method::DELETE, &path).empty().await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    stage.assert_empty().await;
}

#[tokio::test]
async fn a_song_shows_what_is_known_of_it_before_anybody_looked_at_its_file() {
    let stage = Stage::with(&[("INGEST_QUEUE", "0")]).await;
    let file = wav(0.2);
    let path = begin(&stage, file.len(), &[("filename", "a.wav")]).await;
    let last = patch(&stage, &path, 0, file.clone()).await;
    assert_eq!(last.status, StatusCode::NO_CONTENT, "that no job is taken now is no failure");
    let song = stage.get(&path.replace("uploads", "songs")).empty().await;
    let song = song.json();
    assert_eq!((&song["status"], &song["progress"]), (&json!("processing"), &json!(0.0)));
    assert_eq!(song["source"], json!({ "filename": "a.wav", "bytes": file.len() }));
    let original = stage.get(&format!("/songs/{}/original", id(&path))).empty().await;
    assert!(original.body == file);
}

#[tokio::test]
async fn what_is_no_audio_fails_for_a_reason_and_can_be_tried_again() {
    let stage = Stage::new().await;
    let text = b"no audio at all, but long enough to look at".repeat(10);
    let path = begin(&stage, text.len(), &[]).await;
    patch(&stage, &path, 0, text).await;
    let made = song(&stage, &path).await;
    assert_eq!((&made["status"], &made["name"]), (&json!("failed"), &json!("Untitled")));
    assert!(made["error"].as_str().expect("says why").contains("not audio"), "{made}");
    let again = format!("{}/ingest", path.replace("uploads", "songs"));
    assert_eq!(stage.call(Method::POST, &again).empty().await.status, StatusCode::ACCEPTED);
    assert_eq!(song(&stage, &path).await["status"], "failed");
}

#[tokio::test]
async fn of_parts_that_race_for_one_offset_one_is_kept_whole() {
    let stage = Stage::new().await;
    for round in 0..10 {
        let path = begin(&stage, 400_000, &[]).await;
        let parts: Vec<_> = (0..8_u8).map(|it| vec![it; 100_000 + usize::from(it)]).collect();
        let answers = futures_util::future::join_all(
            parts.iter().map(|part| patch(&stage, &path, 0, part.clone())),
        )
        .await;
        let won: Vec<_> = (0..8).filter(|it| answers[*it].status == 204).collect();
        assert_eq!(won.len(), 1, "{round}: {answers:?}");
        for (_, lost) in answers.iter().enumerate().filter(|(it, _)| *it != won[0]) {
            assert_eq!(lost.problem(), "wrong-offset");
        }
        let winner = &parts[won[0]];
        assert_eq!(offset(&stage, &path).await, winner.len().to_string());
        let (_, kept) =
            stage.store.read_original(id(&path), 0).await.expect("reads").expect("is there");
        assert!(kept == winner[..], "{round}: a loser overwrote the winner");
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_is_kept_as_far_as_it_came() {
    let stage = Stage::new().await;
    let file = wav(1.0);
    let path = begin(&stage, file.len(), &[]).await;
    let broken = |bytes: &[u8]| {
        let frames = [Ok(Bytes::copy_from_slice(bytes)), Err(std::io::Error::other("cut"))];
        Body::from_stream(stream::iter(frames))
    };
    let answer = patch(&stage, &path, 0, broken(&file[..10_000])).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(offset(&stage, &path).await, "10000");
    // With a checksum nobody knows whether what came is what was sent.
    let digest = BASE64_STANDARD.encode(sha1::Sha1::digest(&file[10_000..]));
    let unsure = call(&stage, Method::PATCH, &path)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", "10000")
        .header("upload-checksum", &format!("sha1 {digest}"));
    assert_eq!(unsure.send(broken(&file[10_000..20_000])).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(offset(&stage, &path).await, "10000");
    assert_eq!(patch(&stage, &path, 10_000, file[10_000..].to_vec()).await.status, 204);
    assert_eq!(song(&stage, &path).await["status"], "ready");
    let original = stage.get(&format!("/songs/{}/original", id(&path))).empty().await;
    assert!(original.body == file);
}

#[tokio::test]
async fn a_part_is_kept_only_with_the_checksum_it_was_sent_with() {
    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    let send = |checksum: String| {
        call(&stage, Method::PATCH, &path)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", "0")
            .header("upload-checksum", &checksum)
            .send("part")
    };
    for (checksum, status) in [
        ("sha1 AAAA".to_owned(), 460),
        (format!("sha256 {}", BASE64_STANDARD.encode([0; 32])), 460),
        ("md5 AAAA".to_owned(), 400),
        ("sha1".to_owned(), 400),
        ("sha1 ***".to_owned(), 400),
    ] {
        assert_eq!(send(checksum.clone()).await.status.as_u16(), status, "{checksum}");
        assert_eq!(offset(&stage, &path).await, "0");
    }
    let sha256 = BASE64_STANDARD.encode(sha2::Sha256::digest("part"));
    assert_eq!(send(format!("sha256 {sha256}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(offset(&stage, &path).await, "4");
}

#[tokio::test]
async fn a_part_that_is_too_large_is_refused_with_the_limit_and_nothing_of_it_kept() {
    let stage = Stage::with(&[("MAX_UPLOAD_BYTES", "20000000")]).await;
    let path = begin(&stage, 9 * MIB, &[]).await;
    let answer = patch(&stage, &path, 0, vec![0; 4 * MIB + 1]).await;
    assert_eq!(
        (answer.status, answer.problem().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "part-too-large")
    );
    assert!(answer.text().contains("4194304"));
    let unannounced =
        stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![0; MIB]))));
    let answer = patch(&stage, &path, 0, Body::from_stream(unannounced)).await;
    assert_eq!(answer.problem(), "part-too-large");
    assert_eq!(offset(&stage, &path).await, "0");
    for sent in [0, 4 * MIB] {
        assert_eq!(patch(&stage, &path, sent, vec![0; 4 * MIB]).await.status, 204);
    }
    let answer = patch(&stage, &path, 8 * MIB, vec![0; MIB + 1]).await;
    assert_eq!(answer.problem(), "too-large", "more than the upload lacks");

    let too_long = call(&stage, Method::POST, "/uploads").header("upload-length", "20000001");
    let answer = too_long.empty().await;
    assert_eq!(answer.problem(), "too-large");
    assert!(answer.text().contains("20000000"));
}

#[tokio::test]
async fn a_request_that_is_not_of_the_protocol_is_refused() {
    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    for version in [None, Some("0.2.2")] {
        let call = stage.call(Method::HEAD, &path);
        let call =
            version.map_or(stage.call(Method::HEAD, &path), |it| call.header("tus-resumable", it));
        let answer = call.empty().await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(answer.header("tus-version"), "1.0.0");
    }
    for length in ["", "-1", "1.5", "x", "99999999999999999999", "+5"] {
        let answer =
            call(&stage, Method::POST, "/uploads").header("upload-length", length).empty().await;
        assert_eq!(answer.problem(), "bad-request", "{length:?}");
    }
    assert_eq!(call(&stage, Method::POST, "/uploads").empty().await.problem(), "bad-request");
    let empty = call(&stage, Method::POST, "/uploads").header("upload-length", "0").empty().await;
    assert_eq!(empty.problem(), "not-playable");
    let bad = call(&stage, Method::POST, "/uploads")
        .header("upload-length", "5")
        .header("upload-metadata", "name *");
    assert_eq!(bad.empty().await.problem(), "bad-request");

    assert_eq!(patch(&stage, &path, 1, "x").await.problem(), "wrong-offset");
    let no_type = call(&stage, Method::PATCH, &path).header("upload-offset", "0").send("x").await;
    assert_eq!(no_type.problem(), "unsupported-media-type");
    let no_offset = call(&stage, Method::PATCH, &path)
        .header("content-type", "application/offset+octet-stream")
        .send("x")
        .await;
    assert_eq!(no_offset.problem(), "bad-request");
    for id in ["x", "..", "01890a5d-ac96-774b-bcce-b302099a8057"] {
        let path = format!("/uploads/{id}");
        assert_eq!(call(&stage, Method::HEAD, &path).empty().await.status, StatusCode::NOT_FOUND);
        assert_eq!(patch(&stage, &path, 0, "x").await.problem(), "not-found");
        assert_eq!(call(&stage, Method::DELETE, &path).empty().await.problem(), "not-found");
    }
    assert_eq!(call(&stage, Method::PUT, &path).empty().await.problem(), "method-not-allowed");
    assert_eq!(offset(&stage, &path).await, "0");
}

#[tokio::test]
async fn options_tells_what_the_server_can_do_and_a_preflight_what_a_page_may() {
    let stage = Stage::with(&[("MAX_UPLOAD_BYTES", "12345678"), ("API_KEY", "k")]).await;
    let path = "/uploads/01890a5d-ac96-774b-bcce-b302099a8057";
    for path in ["/uploads", path] {
        let answer = stage.call(Method::OPTIONS, path).empty().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT);
        assert_eq!(answer.header("tus-version"), "1.0.0");
        assert_eq!(answer.header("tus-max-size"), "12345678");
        assert_eq!(answer.header("tus-checksum-algorithm"), "sha1,sha256");
        assert_eq!(
            answer.header("tus-extension"),
            "creation,creation-with-upload,expiration,checksum,termination"
        );
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        let preflight = stage
            .call(Method::OPTIONS, path)
            .header("origin", "https://example.net")
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "tus-resumable,upload-offset")
            .empty()
            .await;
        assert!(preflight.status.is_success());
        assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
        assert!(preflight.header("access-control-allow-headers").contains("upload-offset"));
    }
    let refused = call(&stage, Method::HEAD, path).empty().await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_upload_may_bring_its_first_part_with_it() {
    let stage = Stage::with(&[("BASE_PATH", "/prod")]).await;
    let file = wav(0.5);
    let create = |part: Vec<u8>| {
        call(&stage, Method::POST, "/prod/uploads")
            .header("upload-length", &file.len().to_string())
            .header("content-type", "application/offset+octet-stream")
            .send(part)
    };
    let answer = create(file[..1000].to_vec()).await;
    assert_eq!((answer.status, answer.header("upload-offset")), (StatusCode::CREATED, "1000"));
    let path = answer.header("location").to_owned();
    assert!(path.starts_with("/prod/uploads/"), "{path}");
    assert_eq!(patch(&stage, &path, 1000, file[1000..].to_vec()).await.status, 204);
    assert_eq!(song(&stage, &path).await["status"], "ready");

    let whole = create(file.clone()).await;
    assert_eq!(whole.header("upload-offset"), file.len().to_string());
    assert_eq!(song(&stage, whole.header("location")).await["status"], "ready");

    let too_much = create([&file[..], b"x"].concat()).await;
    assert_eq!(too_much.problem(), "too-large");
}

#[tokio::test]
async fn a_method_that_cannot_be_sent_is_said_in_a_header() {
    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    let post = |method: &str| {
        call(&stage, Method::POST, &path)
            .header("x-http-method-override", method)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", "0")
    };
    assert_eq!(post("PATCH").send("part").await.header("upload-offset"), "4");
    assert_eq!(post("HEAD").empty().await.header("upload-offset"), "4");
    assert_eq!(post("PUT").empty().await.problem(), "method-not-allowed");
    assert_eq!(post("DELETE").empty().await.status, StatusCode::NO_CONTENT);
    stage.assert_empty().await;
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let stage = Stage::with(&[("UPLOAD_EXPIRY_SECONDS", "0")]).await;
    let path = begin(&stage, 100, &[]).await;
    let answer = patch(&stage, &path, 0, "part").await;
    assert_eq!(answer.problem(), "upload-expired");
    assert_eq!(call(&stage, Method::HEAD, &path).empty().await.status, StatusCode::GONE);
    let early = stage.sweep().await;
    assert!(early.is_ok());
    assert_eq!(call(&stage, Method::HEAD, &path).empty().await.status, StatusCode::NOT_FOUND);

    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    assert_eq!(patch(&stage, &path, 0, "part").await.status, 204);
    stage.sweep().await.expect("sweeps");
    assert_eq!(offset(&stage, &path).await, "4", "what is under way is left alone");
    assert_eq!(call(&stage, Method::DELETE, &path).empty().await.status, StatusCode::NO_CONTENT);
    assert_eq!(patch(&stage, &path, 4, "more").await.problem(), "not-found");
    stage.assert_empty().await;
}

/// What a crash leaves between two of the steps from a part to its song.
#[tokio::test]
async fn an_upload_that_a_crash_interrupted_goes_on_where_its_parts_end() {
    let stage = Stage::new().await;
    let file = wav(0.5);
    let put = async |path: &str, offset: usize, part: &[u8]| {
        let key = ChunkKey::original(id(path), offset as u64);
        assert!(stage.store.put_new(&key, part.to_vec().into()).await.expect("puts"));
    };

    // The part was written, the offset was not.
    let path = begin(&stage, file.len(), &[]).await;
    put(&path, 0, &file[..1000]).await;
    assert_eq!(offset(&stage, &path).await, "1000");
    assert_eq!(patch(&stage, &path, 1000, file[1000..].to_vec()).await.status, 204);
    assert_eq!(song(&stage, &path).await["status"], "ready");

    // The last part was written, and its sender never comes back: the sweep finds it.
    let path = begin(&stage, file.len(), &[]).await;
    put(&path, 0, &file).await;
    stage.sweep().await.expect("sweeps");
    assert_eq!(song(&stage, &path).await["status"], "ready");

    // All is in and the record says so, but there is no song: its sender asks.
    let path = begin(&stage, file.len(), &[]).await;
    put(&path, 0, &file).await;
    let length = file.len() as u64;
    let expiry = music::now() + jiff::SignedDuration::from_hours(1);
    assert!(stage.store.advance_upload(id(&path), 0, length, expiry).await.expect("advances"));
    assert_eq!(offset(&stage, &path).await, file.len().to_string());
    assert_eq!(song(&stage, &path).await["status"], "ready");

    // The song was inserted, the upload's record did not go.
    let upload = Upload {
        id: id(&path),
        length,
        offset: length,
        metadata: String::new(),
        expires_at: expiry,
    };
    stage.store.insert_upload(&upload).await.expect("inserts");
    stage.sweep().await.expect("sweeps");
    assert_eq!(stage.store.get_upload(id(&path)).await.expect("reads"), None);
    assert_eq!(stage.get("/songs").empty().await.json().as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_song_removed_while_it_is_made_of_an_upload_stays_removed() {
    let stage = Stage::new().await;
    let file = wav(60.0);
    for path in ["/songs/", "/uploads/"] {
        let upload = begin(&stage, file.len(), &[]).await;
        let mut sent = 0;
        for part in file.chunks(4 * MIB) {
            assert_eq!(patch(&stage, &upload, sent, part.to_vec()).await.status, 204);
            sent += part.len();
        }
        let removed =
            call(&stage, Method::DELETE, &upload.replace("/uploads/", path)).empty().await;
        assert!(removed.status.is_success(), "{path}");
        assert_eq!(call(&stage, Method::HEAD, &upload).empty().await.status, 404);
        until_nothing_is_left(&stage).await;
        stage.sweep().await.expect("sweeps");
        stage.assert_empty().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_removed_while_its_last_part_comes_in_stays_removed() {
    let stage = Stage::new().await;
    let file = wav(0.2);
    let (first, last) = file.split_at(1000);
    for round in 0..60 {
        let upload = begin(&stage, file.len(), &[]).await;
        assert_eq!(patch(&stage, &upload, 0, first.to_vec()).await.status, 204);
        let remove = async {
            tokio::time::sleep(Duration::from_micros(round * 100)).await;
            call(&stage, Method::DELETE, &upload).empty().await
        };
        let (sent, removed) = tokio::join!(patch(&stage, &upload, 1000, last.to_vec()), remove);
        assert!([204, 404].contains(&sent.status.as_u16()), "round {round}: {}", sent.text());
        assert_eq!(removed.status, 204, "round {round}: {}", removed.text());
        until_nothing_is_left(&stage).await;
        stage.sweep().await.expect("sweeps");
        stage.assert_empty().await;
    }
}

#[tokio::test]
async fn uploads_that_find_the_queue_full_follow_once_there_is_room() {
    let stage = Stage::with(&[("INGEST_QUEUE", "1")]).await;
    let file = wav(2.0);
    let mut uploads = Vec::new();
    for _ in 0..4 {
        let upload = begin(&stage, file.len(), &[]).await;
        assert_eq!(patch(&stage, &upload, 0, file.clone()).await.status, 204);
        uploads.push(upload);
    }
    // Nobody sweeps, and nobody asks for the uploads any more.
    for upload in uploads {
        assert_eq!(song(&stage, &upload).await["status"], "ready");
    }
}

#[tokio::test]
async fn what_uploaders_send_beside_a_song_names_it_no_worse_than_its_file() {
    let stage = Stage::new().await;
    let file = wav(0.2);
    // As Uppy does.
    let about = [
        ("relativePath", "null"),
        ("name", "03 - Jóga.wav"),
        ("type", "audio/wav"),
        ("filetype", "audio/wav"),
        ("filename", "03 - Jóga.wav"),
        ("artist", "Björk"),
    ];
    let path = begin(&stage, file.len(), &about).await;
    let kept = call(&stage, Method::HEAD, &path).empty().await;
    let kept = kept.header("upload-metadata").to_owned();
    assert_eq!(kept, metadata(&[about[1], about[4], about[5]]), "only what is about the song");
    let answer = call(&stage, Method::PATCH, &path)
        .header("content-type", "Application/Offset+Octet-Stream; charset=x")
        .header("upload-offset", "0")
        .send(file.clone())
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    let made = song(&stage, &path).await;
    assert_eq!((&made["name"], &made["artist"]), (&json!("Jóga"), &json!("Björk")));
}

#[tokio::test]
async fn a_part_that_is_compressed_is_refused_by_the_name_of_its_coding() {
    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    let answer = call(&stage, Method::PATCH, &path)
        .header("content-type", "application/offset+octet-stream")
        .header("content-encoding", "gzip")
        .header("upload-offset", "0")
        .send("part")
        .await;
    assert_eq!(answer.problem(), "unsupported-media-type");
    assert!(answer.text().contains("gzip"), "{}", answer.text());
    assert_eq!(answer.header("accept-encoding"), "identity");
    assert_eq!(offset(&stage, &path).await, "0");
}

#[tokio::test]
async fn only_so_many_uploads_are_open_and_one_that_ends_makes_room() {
    let stage = Stage::with(&[("MAX_OPEN_UPLOADS", "3")]).await;
    let create =
        || call(&stage, Method::POST, "/uploads/").header("upload-length", "1073741824").empty();
    let answers = futures_util::future::join_all((0..20).map(|_| create())).await;
    let (begun, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(begun.len(), 3);
    for answer in &refused {
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (503, "unavailable"));
        assert!(!answer.header("retry-after").is_empty());
    }
    let path = begun[0].header("location");
    assert_eq!(call(&stage, Method::DELETE, path).empty().await.status, StatusCode::NO_CONTENT);
    assert_eq!(create().await.status, StatusCode::CREATED);
    assert_eq!(create().await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_upload_waits_longer_once_something_of_it_is_in() {
    let stage = Stage::new().await;
    let path = begin(&stage, 100, &[]).await;
    let expiry = async || {
        let upload = stage.store.get_upload(id(&path)).await.expect("reads").expect("is there");
        upload.expires_at.duration_since(music::now()).as_secs()
    };
    assert!((3_000..=3_600).contains(&expiry().await));
    assert_eq!(patch(&stage, &path, 0, "part").await.status, 204);
    assert!((86_000..=86_400).contains(&expiry().await));
}
