//! Clients that leave before they are answered, as a player does that seeks.
//!
//! MongoDB's driver keeps a command that was dropped while it waited for a connection; SQLite was
//! never affected.

use std::{
    env,
    net::SocketAddr,
    time::{Duration, Instant},
};

use black_box::{
    http_client::{Request, try_send},
    songs::wav,
};
use rustix::process::{Pid, Signal, kill_process};
use store::testing::{Mongod, TestDatabase};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::{JoinSet, spawn_blocking},
    time::sleep,
};

use crate::target::Target;

/// How many requests follow the ones that were aborted, and how many of them at a time.
const FOLLOWING: usize = 200;
const AT_A_TIME: usize = 20;

/// How much longer the following ones may take altogether than four times what they take when no
/// request was aborted: a margin for a busy machine. Before, each was refused after 4.5 s, for up to
/// half a minute.
const MARGIN: Duration = Duration::from_secs(3);

const DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(2), Duration::from_millis(10)];

/// A gateway that takes any number of uploads: each that a client begins and leaves stays open for an
/// hour.
async fn gateway(url: &str) -> Target {
    Target::at(url, &[("MAX_OPEN_UPLOADS", "100000")]).await
}

impl Target {
    fn segment(&self) -> Request {
        Request::get(self.song.under_variant("0.m4s"))
    }

    /// That a mixture of requests is answered soon, compared with `calm`.
    async fn assert_serves_soon(&self, calm: Duration, after: &str) {
        let took = self.serve(after).await;
        assert!(took < calm * 4 + MARGIN, "{took:?} after {after}, and {calm:?} without");
    }

    /// That a mixture of requests is answered. Returns how long that took.
    async fn serve(&self, after: &str) -> Duration {
        let begin = Instant::now();
        let list = Request::get("/songs");
        let requests = [
            (self.segment(), 200),
            (Request::get(self.song.playlist()), 200),
            (Request::get(self.song.record()), 200),
            (list, 200),
            (begin_upload(), 201),
        ];
        let mut sending = JoinSet::new();
        for (request, status) in requests.iter().cycle().take(FOLLOWING) {
            if sending.len() == AT_A_TIME {
                sending.join_next().await.expect("is sending").expect("does not panic");
            }
            let (address, request, status) = (self.gateway.address(), request.clone(), *status);
            let after = after.to_owned();
            sending.spawn(async move {
                let answer = try_send(address, &request).await.expect("answers");
                let target = request.target;
                assert_eq!(answer.status, status, "{target} after {after}: {answer:?}");
            });
        }
        sending.join_all().await;
        begin.elapsed()
    }
}

fn begin_upload() -> Request {
    Request::new("POST", "/uploads")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "1000000")
}

/// Sends a request and closes its connection after `delay`.
async fn abort(address: SocketAddr, request: &Request, delay: Duration) {
    let mut message =
        format!("{} {} HTTP/1.1\r\nHost: {address}\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        message.push_str(&format!("{name}: {value}\r\n"));
    }
    message.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
    let mut stream = TcpStream::connect(address).await.expect("is accepted");
    let sent = async {
        stream.write_all(message.as_bytes()).await?;
        stream.write_all(&request.body).await
    };
    // The server may refuse what comes after the head.
    let _ = sent.await;
    sleep(delay).await;
}

async fn abort_many(address: SocketAddr, request: &Request, count: usize, delay: Duration) {
    let mut aborting = JoinSet::new();
    for _ in 0..count {
        let request = request.clone();
        aborting.spawn(async move { abort(address, &request, delay).await });
    }
    aborting.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_do_not_keep_others_waiting() {
    let database = TestDatabase::mongodb();
    let target = gateway(database.url()).await;
    let part = begin_upload().body("application/offset+octet-stream", vec![7; 50_000]);
    let calm = target.serve("nothing").await;
    let requests =
        [("segments", target.segment()), ("lists", Request::get("/songs?q=s")), ("uploads", part)];
    for (name, request) in requests {
        for delay in DELAYS {
            for count in [8, 256] {
                abort_many(target.gateway.address(), &request, count, delay).await;
                target
                    .assert_serves_soon(calm, &format!("{count} {name} aborted after {delay:?}"))
                    .await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_leave_while_their_songs_are_made_do_not_keep_others_waiting() {
    let database = TestDatabase::mongodb();
    let target = gateway(database.url()).await;
    let song = Request::new("POST", "/songs?name=n&author=a").body("audio/wav", wav(2_000_000));
    let calm = target.serve("nothing").await;
    for delay in [Duration::from_millis(10), Duration::from_millis(300)] {
        abort_many(target.gateway.address(), &song, 8, delay).await;
        target.assert_serves_soon(calm, &format!("songs aborted after {delay:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_while_the_database_is_frozen_do_not_keep_others_waiting() {
    let mongod = spawn_blocking(Mongod::start).await.expect("starts");
    let target = gateway(&mongod.url().replacen("/?", "/segue?", 1)).await;
    let id = Pid::from_raw(mongod.process_id().cast_signed()).expect("is an id");
    let calm = target.serve("nothing").await;
    for delay in DELAYS {
        kill_process(id, Signal::STOP).expect("is running");
        abort_many(target.gateway.address(), &target.segment(), 256, delay).await;
        sleep(Duration::from_secs(1)).await;
        abort_many(target.gateway.address(), &target.segment(), 64, delay).await;
        kill_process(id, Signal::CONT).expect("is running");
        target
            .assert_serves_soon(calm, &format!("a freeze and segments aborted after {delay:?}"))
            .await;
    }
}

/// How long the load lasts, in seconds: `ATTACKS_SECONDS`.
fn seconds() -> u64 {
    let given = env::var("ATTACKS_SECONDS").ok().filter(|value| !value.is_empty());
    given.map_or(6, |value| value.parse().expect("ATTACKS_SECONDS is a number"))
}

/// How many clients make requests at a time. Each makes two at once.
const CLIENTS: u64 = 64;

/// Has each client request a segment twice at the same moment, again and again. Where `leaving`, it
/// leaves one of the two after 0 to 20 ms, without waiting for that; else it awaits both. Returns how
/// many such pairs were made in a second.
async fn pairs(target: &Target, time: Duration, leaving: bool) -> f64 {
    let begin = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (address, request) = (target.gateway.address(), target.segment());
        clients.spawn(async move {
            let answered = async || {
                let answer = try_send(address, &request).await.expect("answers");
                assert_eq!(answer.status, 200, "{}", answer.text());
            };
            let mut aborting = JoinSet::new();
            // The delays come in an order that differs from client to client.
            let (mut pairs, mut delay) = (0_u32, client);
            while begin.elapsed() < time {
                if leaving {
                    delay = (delay * 7 + 5) % 21;
                    let (request, delay) = (request.clone(), Duration::from_millis(delay));
                    aborting.spawn(async move { abort(address, &request, delay).await });
                    answered().await;
                } else {
                    tokio::join!(answered(), answered());
                }
                pairs += 1;
            }
            aborting.join_all().await;
            pairs
        });
    }
    let pairs: u32 = clients.join_all().await.into_iter().sum();
    f64::from(pairs) / begin.elapsed().as_secs_f64()
}

/// A request that is aborted costs the server at most what one that is answered does. So where half
/// of all requests are aborted, the other half is answered as often as half of all are without:
/// pairs are made as often. A fifth is for what the machine does meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_half_of_their_requests_take_nothing_from_the_other_half() {
    const ROUNDS: u32 = 3;
    let database = TestDatabase::mongodb();
    let target = gateway(database.url()).await;
    let time = Duration::from_secs(seconds()) / (2 * ROUNDS);
    pairs(&target, time, false).await;
    let (mut plain, mut aborted) = (0.0, 0.0);
    // In turns, so that what else the machine does meets both.
    for _ in 0..ROUNDS {
        plain += pairs(&target, time, false).await / f64::from(ROUNDS);
        aborted += pairs(&target, time, true).await / f64::from(ROUNDS);
    }
    println!("pairs a second: {plain:.0} of answered requests, {aborted:.0} with one aborted");
    assert!(aborted > 0.8 * plain, "{aborted:.0} pairs a second of {plain:.0}");
}
