//! `Idempotency-Key`: a request that is sent again adds no second song.

mod support;

use axum::http::{Method, StatusCode};
use jiff::SignedDuration;
use music::SongId;
use service::testing::Answer;
use store::{Claim, Claimed};
use support::{Stage, forgetful::Forgetful, wav};

async fn post(stage: &Stage, key: &str, query: &str, audio: Vec<u8>) -> Answer {
    let call = stage.call(Method::POST, &format!("/songs?{query}"));
    call.header("content-type", "audio/wav").header("idempotency-key", key).send(audio).await
}

async fn songs(stage: &Stage) -> usize {
    stage.get("/songs").empty().await.json().as_array().expect("is an array").len()
}

#[tokio::test]
async fn the_same_request_again_has_the_same_song_for_its_answer() {
    let stage = Stage::new().await;
    let first = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
    let again = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.json(), again.json());
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(songs(&stage).await, 1);
    let other = post(&stage, "another-key", "name=n&author=a", wav(0.2)).await;
    assert_ne!(first.json()["id"], other.json()["id"]);

    for (query, audio) in [("name=n&author=b", wav(0.2)), ("name=n&author=a", wav(0.3))] {
        let reused = post(&stage, "key", query, audio).await;
        assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(reused.problem(), "idempotency-key-reused");
    }
    assert_eq!(songs(&stage).await, 2);
    stage.call(Method::DELETE, first.header("location")).empty().await;
    let gone = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
    assert_eq!(gone.problem(), "not-found", "what was removed does not come back");
}

#[tokio::test]
async fn of_requests_that_come_at_once_one_makes_the_song() {
    let stage = Stage::new().await;
    let all = (0..6).map(|_| post(&stage, "key", "name=n&author=a", wav(2.0)));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().any(|answer| answer.status == StatusCode::CREATED), "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != StatusCode::CREATED) {
        assert_eq!((answer.status, answer.problem().as_str()), (StatusCode::CONFLICT, "in-flight"));
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(songs(&stage).await, 1);
}

#[tokio::test]
async fn a_request_that_failed_may_be_tried_again_with_its_key() {
    let stage = Stage::new().await;
    let refused = post(&stage, "key", "name=n&author=a", b"no audio".repeat(100)).await;
    assert_eq!(refused.problem(), "not-playable");
    for _ in 0..100 {
        // The key is let go behind the answer's back.
        let answer = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
        if answer.status == StatusCode::CREATED {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the key stays taken");
}

#[tokio::test]
async fn a_key_that_a_crash_left_is_taken_over_with_what_it_made() {
    let stage = Stage::new().await;
    let orphan = music::testing::processing(music::testing::description("n", "a"));
    stage.store.insert(&orphan).await.expect("inserts");
    let now = music::now();
    let claim = Claim {
        key: "key".into(),
        fingerprint: "whatever it was".into(),
        song: orphan.id,
        lease_until: Some(now - SignedDuration::from_secs(1)),
        expires_at: now + SignedDuration::from_hours(24),
    };
    assert_eq!(stage.store.claim(&claim, now).await.expect("claims"), Claimed::Ours(None));
    let answer = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    assert_eq!(stage.store.get(orphan.id).await.expect("reads"), None, "nobody was told of it");
    assert_eq!(songs(&stage).await, 1);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused() {
    let stage = Stage::new().await;
    for key in ["", " ", "a b", "k\u{fc}", &"x".repeat(256)] {
        let answer = post(&stage, key, "name=n&author=a", wav(0.2)).await;
        assert_eq!(answer.problem(), "bad-request", "{key:?}");
    }
    let longest = post(&stage, &"x".repeat(255), "name=n&author=a", wav(0.2)).await;
    assert_eq!(longest.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_hash_that_cannot_be_is_refused_and_one_that_nobody_has_finds_nothing() {
    let stage = Stage::new().await;
    let sha256 = "0".repeat(64);
    assert_eq!(stage.get(&format!("/songs?sha256={sha256}")).empty().await.text(), "[]");
    for query in [
        "sha256=".to_owned(),
        "sha256=xyz".to_owned(),
        format!("sha256={}g", &sha256[1..]),
        format!("sha256={sha256}0"),
        format!("sha256={sha256}&q=x"),
        format!("sha256={sha256}&cursor=0.{}", SongId::new()),
    ] {
        let answer = stage.get(&format!("/songs?{query}")).empty().await;
        assert_eq!(answer.problem(), "bad-request", "{query}");
    }
}

/// The database settles the key, and its answer is lost; letting the key go fails as well.
#[tokio::test]
async fn a_key_whose_settling_was_not_heard_of_still_has_its_song() {
    for (lost, first) in [(1, 201), (100, 503)] {
        let stage = Stage::over(&[], |store| Forgetful::new(store, lost)).await;
        let answer = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
        assert_eq!(answer.status.as_u16(), first, "{}", answer.text());
        let again = post(&stage, "key", "name=n&author=a", wav(0.2)).await;
        assert_eq!(again.status, StatusCode::CREATED, "{lost}: {}", again.text());
        assert_eq!(songs(&stage).await, 1);
    }
}
