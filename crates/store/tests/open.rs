//! Which URLs open a store.

use store::{Error, open, testing::TestDatabase};

async fn refusal(url: &str) -> String {
    match open(url).await {
        Err(Error::Url(reason)) => reason,
        Err(error) => panic!("{url}: {error:?}"),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused() {
    for url in [
        "",
        "segue.db",
        "postgres://user:hunter2@localhost/segue",
        "mongodb",
        "sqlite",
        "sqlite:",
        "sqlite::memory:",
    ] {
        let reason = refusal(url).await;
        assert!(!reason.is_empty() && !reason.contains("hunter2"), "{url}: {reason}");
    }
}

#[tokio::test]
async fn no_error_repeats_a_password() {
    for url in [
        "mongodb://segue:hunter2@",
        "mongodb+srv://segue:hunter2@localhost:1/?x",
        "mongodb://:hunter2@localhost",
    ] {
        assert!(!refusal(url).await.contains("hunter2"), "{url}");
    }
    let unreachable = "mongodb://segue:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=50";
    let error = open(unreachable).await.expect("opens").ping().await.expect_err("is not there");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[tokio::test]
async fn a_path_may_stand_after_slashes_as_in_a_url() {
    let database = TestDatabase::sqlite();
    let path = database.url().strip_prefix("sqlite:").expect("is a file");
    open(&format!("sqlite://{path}")).await.expect("opens");
    assert!(std::fs::exists(path).expect("looks"));
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_named() {
    let Err(error) = open("sqlite:/nowhere/segue.db").await else { panic!("was opened") };
    assert!(format!("{error:?}").contains("/nowhere/segue.db"), "{error:?}");
}
