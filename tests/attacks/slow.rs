//! Clients that are slow, or do not go on at all.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use black_box::{http_client::Request, songs::wav};
use store::testing::TestDatabase;
use tokio::time::sleep;

use crate::{
    target::{KEY, Target, scaled, until},
    wire::Wire,
};

const MIB: u64 = 1024 * 1024;

/// The gateway may hold 8 MiB for originals, and as much for segments and for all else.
const MEMORY: u64 = 24 * MIB;

/// What else the process may take while it is attacked: a debug build, and the arenas of its
/// allocator.
const MARGIN: u64 = 160 * MIB;

async fn unread_answers_take_bounded_memory(database: TestDatabase) {
    let memory = MEMORY.to_string();
    let variables = [
        ("RESPONSE_MEMORY_BYTES", memory.as_str()),
        ("CLIENT_TIMEOUT_SECONDS", "3"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "1000"),
    ];
    let target = Target::over(database, &variables).await;
    target.assert_serves().await;
    let before = target.kib("VmRSS") * 1024;
    let started = Instant::now();
    let mut readers = Vec::new();
    for _ in 0..scaled(120, 500) {
        let mut wire = Wire::connect(target.gateway.address()).await;
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", target.original());
        wire.send(request).await;
        readers.push(wire);
    }
    // For longer than the gateway waits for a reader.
    while started.elapsed() < Duration::from_secs(6) {
        target.assert_serves().await;
        sleep(Duration::from_millis(100)).await;
    }
    let peak = target.kib("VmHWM") * 1024;
    println!(
        "{} readers that do not read: VmRSS {} MiB before, VmHWM {} MiB, {:.1?}",
        readers.len(),
        before / MIB,
        peak / MIB,
        started.elapsed()
    );
    assert!(peak < before + MEMORY + MARGIN, "the peak is {} MiB", peak / MIB);
    // They still hold their connections: the room that they took is free all the same.
    let whole = async || {
        let answer = target.gateway.send(&Request::get(target.original())).await;
        answer.status == 200 && answer.body == target.song.original
    };
    until(whole, "the room for originals does not come back").await;
    drop(readers);
    target.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_take_bounded_memory_over_sqlite() {
    unread_answers_take_bounded_memory(TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_take_bounded_memory_over_mongodb() {
    unread_answers_take_bounded_memory(TestDatabase::mongodb()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_head_does_not_keep_a_connection_open() {
    let count = scaled(40, 800);
    let most = (count / 2).to_string();
    let variables = [
        ("CLIENT_TIMEOUT_SECONDS", "2"),
        ("MAX_CONNECTIONS", most.as_str()),
        ("MAX_CONNECTIONS_PER_ADDRESS", &most),
    ];
    let target = Target::new(&variables).await;
    let mut wires = Vec::new();
    for _ in 0..count {
        let mut wire = Wire::connect(target.gateway.address()).await;
        wire.send("GET /songs HTTP/1.1\r\nHost: loc").await;
        wires.push(wire);
    }
    for wire in &mut wires {
        assert!(wire.is_closed().await, "half a head was answered");
    }
    target.assert_serves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_heads_keep_no_client_of_the_same_address_out() {
    let target = Target::new(&[]).await;
    let address = target.gateway.address();
    let mut kept = Wire::connect(address).await;
    let mut wires = Vec::new();
    // The limit is 512, and the time for a head is 30 s.
    for count in 0..700 {
        let mut wire = Wire::connect(address).await;
        wire.send("GET /songs HTTP/1.1\r\nHost: loc").await;
        wires.push(wire);
        if count % 50 == 0 {
            // A new connection, and one that is kept and used.
            for canary in [&mut Wire::connect(address).await, &mut kept] {
                canary.send("GET /_/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
                let reply = canary.reply("GET").await.expect("is answered");
                assert_eq!(reply.status, 204, "after {count} heads");
            }
        }
    }
    target.assert_serves().await;
    assert!(wires[0].is_closed().await, "it was idle the longest");
    let last = wires.last_mut().expect("there are some");
    last.send("alhost\r\n\r\n").await;
    assert_eq!(last.reply("GET").await.expect("is answered").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_requests_is_closed() {
    let target = Target::new(&[("CLIENT_TIMEOUT_SECONDS", "1")]).await;
    let mut wire = Wire::connect(target.gateway.address()).await;
    assert!(wire.is_closed().await, "it never asked");
    let mut wire = Wire::connect(target.gateway.address()).await;
    wire.send("GET /_/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(wire.reply("GET").await.expect("is answered").status, 204);
    assert!(wire.is_closed().await, "it asks nothing more");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_leaves_connections_for_others() {
    let target = Target::new(&[("MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let mut wires = Vec::new();
    for _ in 0..3 {
        let mut wire = Wire::connect(target.gateway.address()).await;
        wire.send(
            "POST /songs HTTP/1.1\r\nHost: localhost\r\nContent-Type: audio/wav\r\n\
             Expect: 100-continue\r\nContent-Length: 100000\r\n\r\n",
        )
        .await;
        assert_eq!(wire.reply("POST").await.expect("is asked to go on").status, 100);
        wires.push(wire);
    }
    let mut refused = Wire::connect(target.gateway.address()).await;
    let reply = refused.reply("GET").await.expect("is answered");
    assert_eq!((reply.status, reply.header("connection")), (503, "close"));
    drop(wires);
    let serves = async || {
        let mut wire = Wire::connect(target.gateway.address()).await;
        wire.send("GET /_/health HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        wire.reply("GET").await.is_some_and(|reply| reply.status == 204)
    };
    until(serves, "closed connections still count").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_trickle_in_do_not_keep_songs_out() {
    let variables = [
        ("API_KEY", KEY),
        ("INGEST_CONCURRENCY", "1"),
        ("INGEST_QUEUE", "1"),
        ("CLIENT_TIMEOUT_SECONDS", "2"),
    ];
    let target = Target::new(&variables).await;
    let address = target.gateway.address();
    let slow: Vec<_> = (0..2).map(|_| tokio::spawn(trickle(address))).collect();
    sleep(Duration::from_millis(500)).await;
    let post = Request::new("POST", "/songs?name=n&author=a")
        .header("X-Api-Key", KEY)
        .body("audio/wav", wav(48_000));
    let added = async || target.gateway.send(&post).await.status == 201;
    until(added, "clients that trickle keep their places").await;
    for slow in slow {
        slow.await.expect("their connections are closed");
    }
}

/// Sends a song byte by byte, until its connection is closed. It is never silent for as long as the
/// gateway allows.
async fn trickle(address: SocketAddr) {
    let mut wire = Wire::connect(address).await;
    let head = format!(
        "POST /songs HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: {KEY}\r\n\
         Content-Type: audio/wav\r\nContent-Length: 100000\r\n\r\n"
    );
    wire.send(head).await;
    while wire.send("R").await {
        sleep(Duration::from_millis(300)).await;
    }
}
