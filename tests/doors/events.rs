//! Events as they come: two in one process, others than requests, and such as nobody should send.

use black_box::{doors::Doors, emulator::FUNCTION_ARN, events, http_client::Request, songs};
use bytes::Bytes;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_one_invocation_after_the_other() {
    let doors = Doors::open(&[]).await;
    let one = songs::put(doors.store.as_ref(), "One", 1_000).await;
    let two = songs::put(doors.store.as_ref(), "Two", 2_000).await;
    for _ in 0..3 {
        for song in [&one, &two] {
            let answer = doors.ask(Request::get(song.under_variant("0.m4s"))).await;
            assert!(answer.body == song.segment);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_event_fails_and_the_next_one_is_answered() {
    let doors = Doors::open(&[]).await;
    let song = songs::put(doors.store.as_ref(), "Song", 10).await;
    let good = Request::get(song.playlist());
    let mut broken = vec![
        "null".to_owned(),
        "{}".into(),
        "[]".into(),
        "\"text\"".into(),
        "{\"version\": \"2.0\"}".into(),
        "{\"httpMethod\": 7}".into(),
        "{\"segue_job\": \"nonsense\"}".into(),
        "{\"segue_job\": null, \"detail-type\": 7}".into(),
        "[".repeat(100_000),
        "not even JSON".into(),
    ];
    for (pointer, value) in [
        ("/headers", json!("none")),
        ("/headers/host", json!("not a host")),
        ("/headers/x-forwarded-proto", json!("::")),
        ("/rawQueryString", json!("a<b> c\n")),
        ("/requestContext/http/method", json!("N O T")),
        ("/requestContext", json!(null)),
    ] {
        let mut event = events::http_api(&good, "$default");
        *event.pointer_mut(pointer).expect("is there") = value;
        broken.push(event.to_string());
    }
    let mut event = events::http_api(&good, "$default");
    event["body"] = json!(7);
    broken.push(event.to_string());
    event["body"] = json!("%%% not base64 %%%");
    event["isBase64Encoded"] = json!(true);
    broken.push(event.to_string());

    for door in doors.each() {
        for function in [door.crud(), door.streaming()].into_iter().flatten() {
            for event in &broken {
                // Some are good enough for an answer, such as 400. What counts is what follows.
                let _ = function.invoke_raw(FUNCTION_ARN, Bytes::from(event.clone())).await;
                assert!(function.process().is_running(), "{door:?} ended on {event:.200}");
            }
        }
        assert_eq!(door.send(&good).await.status, 200, "{door:?}");
        assert_eq!(door.send(&Request::get("/songs")).await.status, 200, "{door:?}");
    }
}

/// An error of the function's counts for the alarms that roll a deployment back.
#[tokio::test(flavor = "multi_thread")]
async fn no_stranger_can_make_a_function_fail_by_what_a_request_says() {
    let doors = Doors::open(&[]).await;
    for (pointer, value, status) in [
        ("/rawQueryString", json!("a<b> c\n"), 200),
        ("/headers/host", json!("not a host"), 400),
        ("/headers/x-forwarded-proto", json!("::"), 400),
    ] {
        let mut event = events::http_api(&Request::get("/songs"), "$default");
        *event.pointer_mut(pointer).expect("is there") = value;
        for crud in doors.each().filter_map(|door| door.crud()) {
            let answer = crud.invoke(&event).await.expect("is answered");
            assert_eq!(events::answer(&answer).status, status, "{pointer}: {answer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_for_a_function_that_has_none_fails() {
    let doors = Doors::open(&[]).await;
    let streaming = doors.each().find_map(|door| door.streaming()).expect("is a function");
    let event = events::job(&json!({ "song": "x" }));
    let error = streaming.invoke(&event).await.expect_err("it has no jobs").error;
    assert!(error["errorMessage"].as_str().expect("says why").contains("no jobs"), "{error}");
}
