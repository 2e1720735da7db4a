//! Songs that are made asynchronously: the function invokes itself, perhaps more than once.

use std::{path::Path, time::Duration};

use black_box::{
    binary::root,
    emulator::Function,
    events,
    http_client::{Answer, Request},
    recorder::Recorder,
    songs,
};
use jiff::SignedDuration;
use music::{Song, SongId, Status};
use serde_json::{Value, json};
use store::{ChunkKey, Store, Upload, testing::TestDatabase};
use tempfile::TempDir;

const ALIAS: &str =
    "arn:aws:lambda:eu-central-1:123456789012:function:segue-CrudFunction-3vX9:live";

const KEY: &str = "correct-horse-battery-staple";

struct Stage {
    database: TestDatabase,
    lambda: Recorder,
    work_dir: TempDir,
}

impl Stage {
    /// An account whose Lambda answers an invocation with `status`.
    async fn new(status: u16) -> Self {
        Self {
            database: TestDatabase::mongodb(),
            lambda: Recorder::start(status).await,
            work_dir: tempfile::tempdir().expect("makes a directory"),
        }
    }

    async fn crud(&self) -> Function {
        let ffmpeg = root().join("target/ffmpeg/bin/ffmpeg");
        assert!(ffmpeg.is_file(), "there is no {}: run `make prepare`", ffmpeg.display());
        self.crud_with(&ffmpeg).await
    }

    async fn crud_with(&self, ffmpeg: &Path) -> Function {
        let path = |path: &Path| path.display().to_string();
        Function::start(
            "crud",
            &[
                ("DATABASE_URL", self.database.url()),
                ("API_KEY", KEY),
                ("AWS_ENDPOINT_URL_LAMBDA", self.lambda.url()),
                ("FFMPEG", &path(ffmpeg)),
                ("WORK_DIR", &path(self.work_dir.path())),
            ],
        )
        .await
    }

    async fn store(&self) -> std::sync::Arc<dyn Store> {
        store::open(self.database.url()).await.expect("opens")
    }
}

async fn ask(function: &Function, request: &Request) -> Answer {
    let event = events::http_api(request, "$default");
    events::answer(&function.invoke_as(ALIAS, &event).await.expect("answers"))
}

fn asynchronously(seconds: usize) -> Request {
    Request::new("POST", "/songs?name=Tone&author=Test")
        .header("X-Api-Key", KEY)
        .header("Prefer", "respond-async, wait=10")
        .body("audio/wav", songs::wav(songs::WAV_HEADER + seconds * 48_000 * 4))
}

/// Adds a song asynchronously. Returns it, and the event that Lambda was given.
async fn add(stage: &Stage, crud: &Function, seconds: usize) -> (Value, Value) {
    let answer = ask(crud, &asynchronously(seconds)).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let song = answer.json();
    assert_eq!(song["status"], "processing");
    let calls = stage.lambda.calls();
    let call = calls.last().expect("Lambda was called");
    let event = serde_json::from_slice(&call.body).expect("is JSON");
    (song, event)
}

async fn only_song(store: &dyn Store, status: Status) -> Song {
    let query = store::Query { status, words: Vec::new(), album: None, after: None, limit: 10 };
    let mut songs = store.list(&query).await.expect("lists").songs;
    assert_eq!(songs.len(), 1, "{songs:?}");
    songs.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_goes_to_the_alias_that_the_request_came_by() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (song, event) = add(&stage, &crud, 1).await;

    let calls = stage.lambda.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].method, "POST");
    assert_eq!(calls[0].path, format!("/2015-03-31/functions/{ALIAS}/invocations"));
    assert_eq!(calls[0].headers["x-amz-invocation-type"], "Event");
    assert!(
        calls[0].headers["authorization"]
            .to_str()
            .expect("is text")
            .contains("/eu-central-1/lambda/")
    );
    assert_eq!(event["segue_job"]["song"], song["id"]);
    assert_eq!(event.as_object().map(serde_json::Map::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_of_a_job_makes_the_song_playable() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (song, event) = add(&stage, &crud, 9).await;
    // In an environment of its own, as Lambda may well do.
    let another = stage.crud().await;
    assert_eq!(another.invoke_as(ALIAS, &event).await.expect("is done"), Value::Null);

    let record = format!("/songs/{}", song["id"].as_str().expect("has one"));
    let ready = ask(&crud, &Request::get(record)).await.json();
    assert_eq!((&ready["status"], &ready["duration"]), (&json!("ready"), &json!(9.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_delivered_twice_makes_one_song() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (_, event) = add(&stage, &crud, 9).await;
    crud.invoke_as(ALIAS, &event).await.expect("is done");
    let store = stage.store().await;
    let first = only_song(store.as_ref(), Status::Ready).await;
    crud.invoke_as(ALIAS, &event).await.expect("is done already");
    assert_eq!(only_song(store.as_ref(), Status::Ready).await.revision, first.revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_delivered_to_two_at_once_makes_one_song() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (_, event) = add(&stage, &crud, 20).await;
    let (one, two) = (stage.crud().await, stage.crud().await);
    let (one, two) = tokio::join!(one.invoke_as(ALIAS, &event), two.invoke_as(ALIAS, &event));
    one.and(two).expect("both are done");
    let store = stage.store().await;
    let song = only_song(store.as_ref(), Status::Ready).await;
    let groups = store.groups(None, 10).await.expect("lists");
    assert_eq!(groups.len(), 2, "a revision and the original of {}: {groups:?}", song.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_process_is_killed_is_done_by_the_next() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (song, event) = add(&stage, &crud, 20).await;
    let store = stage.store().await;
    let killed = stage.crud().await;
    let working = killed.invoke_as(ALIAS, &event);
    let until_first_chunk = async {
        // The original is one group; a second begins with the first segment.
        while store.groups(None, 10).await.expect("lists").len() < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = working => {}
        () = until_first_chunk => {}
    }
    drop(killed);

    let next = stage.crud().await;
    next.invoke_as(ALIAS, &event).await.expect("is done");
    let ready = only_song(store.as_ref(), Status::Ready).await;
    assert_eq!(ready.id.to_string(), song["id"].as_str().expect("has one"));
    assert_eq!(store.groups(None, 10).await.expect("lists").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_whose_job_lambda_does_not_take_is_not_kept() {
    let stage = Stage::new(403).await;
    let crud = stage.crud().await;
    let answer = ask(&crud, &asynchronously(1)).await;
    assert_eq!((answer.status, answer.problem().as_str()), (503, "unavailable"));
    let store = stage.store().await;
    // At once: the process may be frozen as soon as it has answered.
    assert!(store.groups(None, 10).await.expect("lists").is_empty());
    for status in ["processing", "ready", "failed"] {
        let list = ask(&crud, &Request::get(format!("/songs?status={status}"))).await;
        assert_eq!(list.json(), json!([]), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_done_now_is_left_to_lambda_to_try_again() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (_, event) = add(&stage, &crud, 1).await;
    let error = crud.invoke_as(ALIAS, &events::job(&json!({ "song": "no id" }))).await;
    assert!(error.is_err(), "nobody would hear of a job that cannot be read");
    // The same process does the next one.
    crud.invoke_as(ALIAS, &event).await.expect("is done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_failed_for_no_fault_of_the_file_is_done_when_it_is_delivered_again() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let (_, event) = add(&stage, &crud, 1).await;
    let store = stage.store().await;
    let broken = stage.crud_with(Path::new("/bin/false")).await;
    for _ in 0..2 {
        assert!(broken.invoke_as(ALIAS, &event).await.is_err(), "Lambda is to try again");
        only_song(store.as_ref(), Status::Failed).await;
    }
    crud.invoke_as(ALIAS, &event).await.expect("is done");
    only_song(store.as_ref(), Status::Ready).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_event_tidies_up() {
    let stage = Stage::new(202).await;
    let store = stage.store().await;
    let mut abandoned = songs::ready("Abandoned", 0);
    abandoned.status = Status::Processing;
    abandoned.revision = None;
    abandoned.attempt = Some(music::Attempt {
        id: music::RevisionId::new(),
        lease_until: music::now() - SignedDuration::from_mins(5),
        progress: 0.5,
    });
    store.insert(&abandoned).await.expect("takes a song");
    let crud = stage.crud().await;
    assert_eq!(crud.invoke_as(ALIAS, &events::schedule()).await.expect("is done"), Value::Null);
    assert_eq!(only_song(store.as_ref(), Status::Failed).await.id, abandoned.id);
}

/// Sends `file` by parts, all of it. Returns the path of its song.
async fn upload(crud: &Function, function: &str, file: &[u8]) -> String {
    let tus = |method, path: &str| {
        Request::new(method, path).header("X-Api-Key", KEY).header("Tus-Resumable", "1.0.0")
    };
    let ask = async |request: &Request| {
        let event = events::http_api(request, "$default");
        events::answer(&crud.invoke_as(function, &event).await.expect("answers"))
    };
    let begun = ask(&tus("POST", "/uploads").header("Upload-Length", file.len().to_string())).await;
    let path = begun.header("location").to_owned();
    let part = tus("PATCH", &path)
        .header("Upload-Offset", "0")
        .body("application/offset+octet-stream", file.to_vec());
    let answer = ask(&part).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    format!("/songs/{}", answer.header("segue-song"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_part_of_an_upload_hands_its_song_over() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let record = upload(&crud, ALIAS, &songs::wav(songs::WAV_HEADER + 9 * 48_000 * 4)).await;
    let calls = stage.lambda.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].path, format!("/2015-03-31/functions/{ALIAS}/invocations"));
    let event = serde_json::from_slice(&calls[0].body).expect("is JSON");
    crud.invoke_as(ALIAS, &event).await.expect("is done");
    assert_eq!(ask(&crud, &Request::get(record)).await.json()["status"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_event_hands_over_what_was_left_complete() {
    let stage = Stage::new(202).await;
    let store = stage.store().await;
    let file = songs::wav(songs::WAV_HEADER + 48_000 * 4);
    let left = Upload {
        id: SongId::new(),
        length: file.len() as u64,
        offset: 0,
        metadata: String::new(),
        expires_at: music::now() + SignedDuration::from_hours(1),
    };
    store.insert_upload(&left).await.expect("takes an upload");
    store.put(&ChunkKey::original(left.id, 0), file.into()).await.expect("takes a part");

    let crud = stage.crud().await;
    crud.invoke_as(ALIAS, &events::schedule()).await.expect("is done");
    let calls = stage.lambda.calls();
    assert_eq!(calls.len(), 1);
    let event = serde_json::from_slice(&calls[0].body).expect("is JSON");
    crud.invoke_as(ALIAS, &event).await.expect("is done");
    assert_eq!(only_song(store.as_ref(), Status::Ready).await.id, left.id);
}

/// As `cargo lambda watch` does.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_at_once_by_who_is_called_by_no_arn() {
    let stage = Stage::new(202).await;
    let crud = stage.crud().await;
    let file = songs::wav(songs::WAV_HEADER + 48_000 * 4);
    let record = upload(&crud, "function-arn", &file).await;
    for _ in 0..1_000 {
        if ask(&crud, &Request::get(&record)).await.json()["status"] == "ready" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&crud, &Request::get(&record)).await.json()["status"], "ready");
    assert_eq!(stage.lambda.calls().len(), 0);
}
