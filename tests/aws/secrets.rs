//! Secrets that are given by their ARNs.

use black_box::{
    binary::binary,
    emulator::Function,
    events,
    http_client::{Answer, Request},
    process::Process,
    recorder::Recorder,
    songs,
};
use store::testing::TestDatabase;

use crate::moto::Moto;

const KEY: &str = "generated-by-secrets-manager";

async fn ask(function: &Function, request: &Request) -> Answer {
    let event = events::http_api(request, "$default");
    events::answer(&function.invoke(&event).await.expect("answers"))
}

#[tokio::test(flavor = "multi_thread")]
async fn database_and_key_are_found_by_their_arns() {
    let database = TestDatabase::mongodb();
    let store = store::open(database.url()).await.expect("opens");
    let song = songs::put(store.as_ref(), "Song", 1_000).await;
    let moto = Moto::start().await;
    let database_arn = moto.keep("database", database.url()).await;
    let key_arn = moto.keep("key", KEY).await;
    let url = moto.url();

    let variables = [
        ("AWS_ENDPOINT_URL", url.as_str()),
        ("DATABASE_SECRET_ARN", &database_arn),
        ("API_KEY_SECRET_ARN", &key_arn),
    ];
    let crud = Function::start("crud", &variables).await;
    let patch =
        Request::new("PATCH", song.record()).body("application/json", "{\"name\": \"Another\"}");
    assert_eq!(ask(&crud, &patch).await.status, 401);
    let patched = ask(&crud, &patch.header("X-Api-Key", KEY)).await;
    assert_eq!((patched.status, patched.json()["name"].as_str()), (200, Some("Another")));

    let streaming = Function::start("streaming", &variables[..2]).await;
    let segment = ask(&streaming, &Request::get(song.under_variant("0.m4s"))).await;
    assert!(segment.body == song.segment);
    for function in [&crud, &streaming] {
        assert!(!function.process().log().contains(KEY));
        assert!(!function.process().log().contains(database.url()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_ends_the_function_with_its_name() {
    let moto = Moto::start().await;
    let arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:gone-AbCdEf";
    for name in ["crud", "streaming"] {
        let variables = [
            ("AWS_ENDPOINT_URL", moto.url()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
            ("DATABASE_SECRET_ARN", arn.into()),
        ]
        .map(|(name, value): (&str, String)| (name.to_owned(), value));
        let process = Process::start(&binary(name), &[], &variables);
        assert!(!process.ended().await.success());
        process.until_ended_with(arn).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_start_without_secrets_asks_aws_nothing() {
    let database = TestDatabase::mongodb();
    let recorder = Recorder::start(500).await;
    let variables =
        [("AWS_ENDPOINT_URL", recorder.url()), ("DATABASE_URL", database.url()), ("API_KEY", KEY)];
    for name in ["crud", "streaming"] {
        let function = Function::start(name, &variables).await;
        assert_eq!(ask(&function, &Request::get("/nowhere")).await.status, 404);
    }
    assert!(recorder.calls().is_empty(), "{:?}", recorder.calls());
}
