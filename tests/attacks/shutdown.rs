//! SIGTERM in the middle of things.

use std::time::Duration;

use black_box::{http_client::Request, server::Server, songs::wav};
use rustix::process::{Pid, Signal, kill_process};
use store::testing::TestDatabase;
use tokio::time::timeout;

use crate::{
    target::{Target, until},
    wire::Wire,
};

/// Ten minutes of sound: every machine is busy with it for a while.
const LONG: usize = 600 * 48_000 * 4;

/// Within which time a process ends that waits for nothing, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

fn terminate(gateway: &Server) {
    let id = i32::try_from(gateway.process().id()).ok().and_then(Pid::from_raw);
    kill_process(id.expect("is a process"), Signal::TERM).expect("runs");
}

async fn sends_long_song(target: &Target, bytes: usize) -> tokio::task::JoinHandle<Option<u16>> {
    let address = target.gateway.address();
    let post = tokio::spawn(async move {
        let audio = wav(bytes);
        let mut wire = Wire::connect(address).await;
        let head = format!(
            "POST /songs?name=n&author=a HTTP/1.1\r\nHost: localhost\r\n\
             Content-Type: audio/wav\r\nContent-Length: {}\r\n\r\n",
            audio.len()
        );
        wire.send(head).await;
        wire.send(audio).await;
        let reply = wire.reply("POST").await?;
        if reply.status == 503 {
            assert_ne!(reply.header("retry-after"), "", "{}", reply.head);
        }
        Some(reply.status)
    });
    let under_way = async || {
        let list = target.gateway.send(&Request::get("/songs?status=processing")).await;
        list.json().as_array().is_some_and(|songs| !songs.is_empty())
    };
    until(under_way, "the song is not being made").await;
    post
}

async fn a_song_under_way_is_refused_and_leaves_nothing(database: TestDatabase) {
    let target = Target::over(database, &[("SHUTDOWN_SECONDS", "1")]).await;
    let post = sends_long_song(&target, LONG).await;
    terminate(&target.gateway);
    assert_eq!(post.await.expect("ends"), Some(503), "the client is answered");
    let ended = timeout(SOON, target.gateway.process().ended()).await.expect("ends soon");
    assert!(ended.success(), "{ended}");
    let groups = target.store.groups(None, 100).await.expect("lists");
    assert!(groups.iter().all(|(id, _)| *id == target.song.id), "{groups:?} are left");
    assert!(!groups.is_empty(), "the song that was there before is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_under_way_is_refused_and_leaves_nothing_over_sqlite() {
    a_song_under_way_is_refused_and_leaves_nothing(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_under_way_is_refused_and_leaves_nothing_over_mongodb() {
    a_song_under_way_is_refused_and_leaves_nothing(TestDatabase::mongodb()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_finishes_within_its_time_and_idle_connections_delay_nothing() {
    // More than the test waits for the end: what is idle would be waited for.
    let target =
        Target::new(&[("SHUTDOWN_SECONDS", "600"), ("CLIENT_TIMEOUT_SECONDS", "600")]).await;
    let mut idle = Wire::connect(target.gateway.address()).await;
    idle.send("GET /_/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(idle.reply("GET").await.expect("is answered").status, 204);
    let _silent = Wire::connect(target.gateway.address()).await;
    let post = sends_long_song(&target, LONG / 10).await;
    terminate(&target.gateway);
    assert_eq!(post.await.expect("ends"), Some(201), "the song is made");
    let ended = timeout(SOON, target.gateway.process().ended()).await.expect("ends soon");
    assert!(ended.success(), "{ended}");
    assert!(idle.is_closed().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_does_not_delay_the_end() {
    let variables = [("SHUTDOWN_SECONDS", "120"), ("CLIENT_TIMEOUT_SECONDS", "120")];
    let target = Target::new(&variables).await;
    let mut wire = Wire::connect(target.gateway.address()).await;
    wire.send("GET /songs HTTP/1.1\r\nHost: loc").await;
    // Connections are accepted in their order: the head has been seen once this is answered.
    target.assert_serves().await;
    terminate(&target.gateway);
    let ended = timeout(SOON, target.gateway.process().ended()).await.expect("ends soon");
    assert!(ended.success(), "{ended}");
}
