//! The routes under `/songs`, with a real ffmpeg and a real store.

mod support;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use support::{Stage, wav};

async fn wait_for(stage: &Stage, id: &str, status: &str) -> Value {
    for _ in 0..2400 {
        let song = stage.get(&format!("/songs/{id}")).empty().await.json();
        if song["status"] == status {
            return song;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{id} does not become {status}");
}

#[tokio::test]
async fn a_song_sent_as_json_is_created_whatever_its_content_type() {
    let stage = Stage::new().await;
    let audio = BASE64_STANDARD.encode(wav(0.2));
    let body = json!({ "name": "Jóga", "author": "Björk", "album": "Homogenic", "track": 2, "song_base64": audio });
    for content_type in ["application/json", "application/octet-stream", "text/plain", ""] {
        let call = stage.call(Method::POST, "/songs").header("content-type", content_type);
        let answer = call.send(format!("  {body}")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}: {}", answer.text());
        let song = answer.json();
        let id = song["id"].as_str().expect("has an id");
        assert_eq!(answer.header("location"), format!("/songs/{id}"));
        assert_eq!(song["stream_url"], format!("/stream/{id}/outputlist.m3u8"));
        assert_eq!(
            (&song["name"], &song["track"], &song["status"]),
            (&json!("Jóga"), &json!(2), &json!("ready"))
        );
        assert_eq!(song, stage.get(&format!("/songs/{id}")).empty().await.json());
    }
}

#[tokio::test]
async fn flac_is_made_where_a_request_asks_for_it_and_named_in_the_song() {
    let stage = Stage::new().await;
    for (asked, made) in [("", false), ("&lossless=on", true), ("&lossless=false", false)] {
        let answer = stage.post(&format!("name=n&author=a{asked}"), wav(0.2)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        assert_eq!(answer.json()["lossless_url"].is_string(), made, "{asked}");
    }
    let answer = stage.post("name=n&author=a", wav(0.2)).await.json();
    let id = answer["id"].as_str().expect("has an id");
    let again = |asked: &str| stage.call(Method::POST, &format!("/songs/{id}/ingest{asked}"));
    assert_eq!(again("?lossless=perhaps").empty().await.status, StatusCode::BAD_REQUEST);
    assert_eq!(again("?lossless=true").empty().await.status, StatusCode::ACCEPTED);
    for _ in 0..600 {
        let song = stage.get(&format!("/songs/{id}")).empty().await.json();
        if let Some(flac) = song["lossless_url"].as_str() {
            assert_eq!(flac, format!("/stream/{id}/lossless.m3u8"));
            let variants = song["variants"].as_array().expect("is a list");
            let last = variants.last().expect("is there");
            assert_eq!((&last["codecs"], &last["bit_exact"]), (&json!("fLaC"), &json!(true)));
            assert_eq!((&last["media_time"], &last["samples"]), (&json!(0), &json!(9_600)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no FLAC was made of {id}");
}

#[tokio::test]
async fn a_song_sent_as_the_file_itself_is_the_same_file_when_it_is_asked_for() {
    let stage = Stage::new().await;
    let audio = wav(0.5);
    let answer =
        stage.post("name=Tone&author=Nobody&filename=..%2F..%2Ftone.wav", audio.clone()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let song = answer.json();
    let duration = song["duration"].as_f64().expect("has a duration");
    assert!((duration - 0.5).abs() < 1e-9, "{duration}");
    let source = &song["source"];
    assert_eq!(source["filename"], "tone.wav");
    assert_eq!(
        (&source["container"], &source["codec"], &source["bits"]),
        (&json!("wav"), &json!("pcm"), &json!(16))
    );
    assert_eq!((&source["sample_rate"], &source["channels"]), (&json!(48_000), &json!(1)));
    assert_eq!(source["bytes"], audio.len());

    let path = format!("/songs/{}/original", song["id"].as_str().expect("has an id"));
    let whole = stage.get(&path).empty().await;
    assert_eq!((whole.status, &whole.body[..]), (StatusCode::OK, &audio[..]));
    assert_eq!(whole.header("content-type"), "audio/wav");
    let part = stage.get(&path).header("range", "bytes=100-199").empty().await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &audio[100..200]));
}

#[tokio::test]
async fn an_original_too_large_for_one_answer_comes_in_parts() {
    let stage = Stage::with(&[("RESPONSE_LIMIT_BYTES", "1000")]).await;
    let song = stage.add("name=n&author=a").await;
    let path = format!("/songs/{}/original", song["id"].as_str().expect("has an id"));
    assert_eq!(stage.get(&path).empty().await.problem(), "range-required");
    let part = stage.get(&path).header("range", "bytes=10-").empty().await;
    assert_eq!((part.status, part.body.len()), (StatusCode::PARTIAL_CONTENT, 1000));
    assert!(part.header("content-range").starts_with("bytes 10-1009/"));
}

#[tokio::test]
async fn what_is_no_song_is_refused_and_leaves_nothing_behind() {
    let stage = Stage::with(&[("MAX_UPLOAD_BYTES", "100000")]).await;
    let text = || b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n".to_vec();
    let json = |audio: &str| {
        format!(r#"{{"name": "n", "author": "a", "song_base64": "{audio}"}}"#).into_bytes()
    };
    for (body, status, kind) in [
        (Vec::new(), 400, "bad-request"),
        (b"{\"name\": ".to_vec(), 400, "bad-request"),
        (b"{}".to_vec(), 400, "bad-request"),
        (json("%%%"), 400, "bad-request"),
        (json(""), 422, "not-playable"),
        (json(&BASE64_STANDARD.encode(text())), 422, "not-playable"),
        (text(), 422, "not-playable"),
        (vec![0; 4096], 422, "not-playable"),
        (wav(0.0), 422, "not-playable"),
        (wav(2.0), 413, "too-large"),
    ] {
        let answer = stage.post("name=n&author=a", body.clone()).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(
            (answer.status.as_u16(), answer.problem().as_str()),
            (status, kind),
            "{shown:?}: {}",
            answer.text()
        );
    }
    for query in [
        "name=n",
        "author=a",
        "name=%00&author=a",
        "name=n&author=a&track=x",
        "name=n&author=a&id=1",
    ] {
        let answer = stage.post(query, wav(0.2)).await;
        assert_eq!(answer.problem(), "bad-request", "{query}");
    }
    let long = "x".repeat(501);
    assert_eq!(
        stage.post(&format!("author=a&name={long}"), wav(0.2)).await.problem(),
        "bad-request"
    );
    stage.assert_empty().await;
}

#[tokio::test]
async fn a_song_is_made_later_for_who_prefers_not_to_wait() {
    let stage = Stage::new().await;
    let call = stage
        .call(Method::POST, "/songs?name=n&author=a")
        .header("prefer", "respond-async, wait=10");
    let answer = call.send(wav(1.0)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let song = answer.json();
    assert_eq!(song["status"], "processing");
    let id = song["id"].as_str().expect("has an id");
    assert_eq!(answer.header("location"), format!("/songs/{id}"));
    let ready = wait_for(&stage, id, "ready").await;
    assert_eq!(ready["progress"], Value::Null);
}

#[tokio::test]
async fn a_song_that_takes_longer_than_the_gateway_waits_is_made_later() {
    let stage = Stage::with(&[("REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let answer = stage.post("name=n&author=a", wav(120.0)).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let id = answer.json()["id"].as_str().expect("has an id").to_owned();
    let song = wait_for(&stage, &id, "ready").await;
    assert_eq!(song["duration"], 120.0);
}

#[tokio::test]
async fn a_new_ingest_makes_a_new_revision_of_the_same_song() {
    let stage = Stage::new().await;
    let song = stage.add("name=n&author=a").await;
    let id = song["id"].as_str().expect("has an id");
    let answer = stage.call(Method::POST, &format!("/songs/{id}/ingest")).empty().await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    assert_eq!(answer.json()["status"], "ready", "the present revision plays on");
    for _ in 0..600 {
        let now = stage.get(&format!("/songs/{id}")).empty().await.json();
        if now["revision"] != song["revision"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no new revision");
}

#[tokio::test]
async fn without_its_original_a_song_cannot_be_made_again() {
    let stage = Stage::with(&[("KEEP_ORIGINAL", "false")]).await;
    let song = stage.add("name=n&author=a").await;
    let id = song["id"].as_str().expect("has an id");
    let again = stage.call(Method::POST, &format!("/songs/{id}/ingest")).empty().await;
    assert_eq!((again.status, again.problem().as_str()), (StatusCode::CONFLICT, "no-original"));
    assert_eq!(stage.get(&format!("/songs/{id}/original")).empty().await.problem(), "no-original");
}

#[tokio::test]
async fn a_description_changes_by_merge_patch_and_only_from_the_state_it_was_meant_for() {
    let stage = Stage::new().await;
    let song = stage.add("name=n&author=a&album=One&year=1999").await;
    let path = format!("/songs/{}", song["id"].as_str().expect("has an id"));
    let before = stage.get(&path).empty().await;
    let patch = |body: &str| {
        stage
            .call(Method::PATCH, &path)
            .header("if-match", before.header("etag"))
            .send(body.to_owned())
    };

    let changed = patch(r#"{"album": null, "name": "Jóga"}"#).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!((&changed.json()["name"], &changed.json()["album"]), (&json!("Jóga"), &Value::Null));
    assert_eq!(changed.json()["year"], 1999, "what the patch does not name stays");
    assert_ne!(changed.header("etag"), before.header("etag"));
    assert_eq!(stage.get("/songs?q=joga").empty().await.json()[0]["id"], song["id"]);

    let stale = patch(r#"{"name": "late"}"#).await;
    assert_eq!(
        (stale.status, stale.problem().as_str()),
        (StatusCode::PRECONDITION_FAILED, "precondition-failed")
    );

    let removal = stage.call(Method::DELETE, &path).header("if-match", before.header("etag"));
    assert_eq!(removal.empty().await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(stage.get(&path).empty().await.status, StatusCode::OK, "it is still there");

    for body in
        ["", "[]", "{\"id\": \"x\"}", "{\"name\": null}", "{\"name\": \" \"}", "{\"track\": -1}"]
    {
        let answer = stage.call(Method::PATCH, &path).send(body).await;
        assert_eq!(answer.problem(), "bad-request", "{body}");
    }
}

#[tokio::test]
async fn what_the_router_itself_refuses_is_a_problem_too() {
    let stage = Stage::new().await;
    for path in ["/songs/%FF", "/songs/%FF/original"] {
        let answer = stage.get(path).empty().await;
        assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (400, "bad-request"));
    }
    let song = stage.add("name=n&author=a").await;
    let path = format!("/songs/{}", song["id"].as_str().expect("has an id"));
    let answer = stage.call(Method::PATCH, &path).send(vec![b' '; 3 << 20]).await;
    assert_eq!((answer.status.as_u16(), answer.problem().as_str()), (413, "too-large"));
}

#[tokio::test]
async fn a_song_that_the_client_has_is_not_sent_again() {
    let stage = Stage::new().await;
    let song = stage.add("name=n&author=a").await;
    let path = format!("/songs/{}", song["id"].as_str().expect("has an id"));
    let etag = stage.get(&path).empty().await.header("etag").to_owned();
    let again = stage.get(&path).header("if-none-match", &etag).empty().await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("cache-control"), "no-cache");
}

#[tokio::test]
async fn a_deleted_song_is_gone_with_all_its_chunks() {
    let stage = Stage::new().await;
    let song = stage.add("name=n&author=a").await;
    let path = format!("/songs/{}", song["id"].as_str().expect("has an id"));
    let deleted = stage.call(Method::DELETE, &path).empty().await;
    assert_eq!(deleted.json(), json!({ "deleted": 1 }));
    for (method, rest) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/original"),
        (Method::POST, "/ingest"),
    ] {
        let answer = stage.call(method, &format!("{path}{rest}")).empty().await;
        assert_eq!(answer.problem(), "not-found");
    }
    assert_eq!(stage.call(Method::PATCH, &path).send("{}").await.problem(), "not-found");
    stage.assert_empty().await;
}

#[tokio::test]
async fn an_id_that_cannot_be_is_one_that_is_not_there() {
    let stage = Stage::new().await;
    for id in [
        "x",
        "..",
        "%2e%2e",
        "%00",
        "01890a5d-ac96-774b-bcce-b302099a8057%20",
        "67e55044-10b1-426f-9247-bb680e5fe0c8",
    ] {
        for rest in ["", "/original"] {
            let answer = stage.get(&format!("/songs/{id}{rest}")).empty().await;
            assert_eq!(answer.problem(), "not-found", "{id}{rest}");
        }
    }
}

#[tokio::test]
async fn pages_follow_one_another_newest_first_and_miss_nothing() {
    let stage = Stage::new().await;
    let mut added = Vec::new();
    for number in 0..5 {
        added.push(stage.add(&format!("name=Song%20{number}&author=a")).await["id"].clone());
    }
    added.reverse();
    let mut listed = Vec::new();
    let mut path = "/songs?limit=2".to_owned();
    for _ in 0..3 {
        let page = stage.get(&path).empty().await;
        let songs = page.json();
        listed.extend(songs.as_array().expect("is an array").iter().map(|song| song["id"].clone()));
        let link = page.header("link");
        if link.is_empty() {
            break;
        }
        path = link
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix(">; rel=\"next\""))
            .expect("is a link")
            .to_owned();
    }
    assert_eq!(listed, added);
}

#[tokio::test]
async fn songs_are_found_by_the_beginnings_of_words_and_albums_come_in_order() {
    let stage = Stage::new().await;
    for query in [
        "name=Two&author=X&album=Same%20%26%20Other&track=2",
        "name=One&author=X&album=Same%20%26%20Other&track=1",
        "name=B%C3%B6hm&author=Zoe",
    ] {
        stage.add(query).await;
    }
    let names = |answer: service::testing::Answer| {
        let songs = answer.json();
        let names = songs
            .as_array()
            .expect("is an array")
            .iter()
            .map(|song| song["name"].as_str().expect("is text").to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(stage.get("/songs?q=BOH%20zo").empty().await), ["Böhm"]);
    assert_eq!(names(stage.get("/songs?q=boh%20x").empty().await), Vec::<String>::new());
    assert_eq!(names(stage.get("/songs?q=%21%21").empty().await), Vec::<String>::new());
    assert_eq!(names(stage.get("/songs?q=").empty().await).len(), 3);
    assert_eq!(names(stage.get("/songs?album=Same%20%26%20Other").empty().await), ["One", "Two"]);
    let first = stage.get("/songs?album=Same%20%26%20Other&limit=1").empty().await;
    let link = first.header("link").to_owned();
    let next = link
        .strip_prefix('<')
        .and_then(|rest| rest.split('>').next())
        .expect("is a link")
        .to_owned();
    assert_eq!(names(stage.get(&next).empty().await), ["Two"]);
}

#[tokio::test]
async fn a_list_query_that_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    for query in
        ["limit=0", "limit=-1", "limit=x", "cursor=x", "cursor=1.x", "status=playing", "album=%00"]
    {
        let answer = stage.get(&format!("/songs?{query}")).empty().await;
        assert_eq!(answer.problem(), "bad-request", "{query}");
    }
}

#[tokio::test]
async fn writing_needs_the_key_and_reading_does_where_it_is_so_configured() {
    for (access, status) in [("public", StatusCode::OK), ("key", StatusCode::UNAUTHORIZED)] {
        let stage = Stage::with(&[("API_KEY", "opensesame"), ("READ_ACCESS", access)]).await;
        assert_eq!(stage.get("/songs").empty().await.status, status);
        let song = format!("/songs/{}", music::SongId::new());
        for (method, path) in [(Method::POST, "/songs"), (Method::DELETE, &song)] {
            let refused = stage.call(method, path).header("x-api-key", "opensesam").empty().await;
            assert_eq!(
                (refused.status, refused.problem().as_str()),
                (StatusCode::UNAUTHORIZED, "unauthorized")
            );
            assert!(refused.header("www-authenticate").starts_with("Bearer"));
        }
        for (name, value) in [("authorization", "Bearer opensesame"), ("x-api-key", "opensesame")] {
            let call = stage.call(Method::POST, "/songs?name=n&author=a").header(name, value);
            assert_eq!(call.send(wav(0.2)).await.status, StatusCode::CREATED);
            assert_eq!(
                stage.get("/songs").header(name, value).empty().await.status,
                StatusCode::OK
            );
        }
        assert!(stage.call(Method::OPTIONS, "/songs").empty().await.status.is_success());
    }
}

#[tokio::test]
async fn a_base_path_is_before_every_url_that_goes_out() {
    let stage = Stage::with(&[("BASE_PATH", "prod/")]).await;
    let answer = stage.call(Method::POST, "/prod/songs?name=n&author=a").send(wav(0.2)).await;
    let song = answer.json();
    let id = song["id"].as_str().expect("has an id");
    assert_eq!(answer.header("location"), format!("/prod/songs/{id}"));
    assert_eq!(song["stream_url"], format!("/prod/stream/{id}/outputlist.m3u8"));
    stage.add("name=m&author=a").await;
    let page = stage.get("/prod/songs?limit=1").empty().await;
    assert!(page.header("link").starts_with("</prod/songs?"), "{}", page.header("link"));
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_possible() {
    let stage = Stage::new().await;
    let answer = stage.call(Method::PUT, "/songs").empty().await;
    assert_eq!(answer.problem(), "method-not-allowed");
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn a_client_that_leaves_leaves_nothing_behind() {
    let stage = Stage::new().await;
    {
        let post = stage.post("name=n&author=a", wav(300.0));
        let left = tokio::time::timeout(Duration::from_millis(700), post).await;
        assert!(left.is_err(), "the song was made before its client left");
    }
    for _ in 0..100 {
        let processing = stage.get("/songs?status=processing").empty().await.json();
        if processing == json!([]) && stage.store.groups(None, 1).await.expect("lists").is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.assert_empty().await;
}
