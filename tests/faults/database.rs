//! A mongod that is paused, stopped, or killed while songs are played and made.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use black_box::{
    http_client::{Answer, Request, try_send},
    server::Server,
    songs::wav,
};
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use store::testing::Mongod;
use tokio::{task::JoinSet, time::sleep};

use crate::place::{Place, until};

/// Within which time a read is answered, whatever the database does.
const ANSWERED: Duration = Duration::from_secs(5);

/// What a busy machine may add to that.
const SLACK: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// SIGSTOP: connections stay, and nobody answers.
    Paused,
    /// SIGTERM: it says that it goes.
    Stopped,
    /// SIGKILL.
    Killed,
}

const FAULTS: [Fault; 3] = [Fault::Paused, Fault::Stopped, Fault::Killed];

struct Stage {
    mongod: Mongod,
    place: Place,
    gateway: Server,
}

impl Stage {
    async fn new() -> Self {
        let mongod = blocking(Mongod::start).await;
        let place = Place::at(mongod.url().replacen("/?", "/segue?", 1)).await;
        let gateway = place.gateway(&[]).await;
        Self { mongod, place, gateway }
    }

    async fn add(&self, file: &[u8]) -> String {
        let post = Request::new("POST", "/songs?name=n&author=a").body("audio/wav", file.to_vec());
        let answer = self.gateway.send(&post).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_str().expect("has an id").to_owned()
    }

    /// Lets the fault happen.
    fn begin(&self, fault: Fault) {
        self.signal(match fault {
            Fault::Paused => Signal::STOP,
            Fault::Stopped => Signal::TERM,
            Fault::Killed => Signal::KILL,
        });
    }

    /// Makes it good.
    async fn end(self, fault: Fault) -> Self {
        if fault == Fault::Paused {
            self.signal(Signal::CONT);
            return self;
        }
        let Self { mut mongod, place, gateway } = self;
        let id = mongod.process_id();
        until(async || !is_running(id), "it does not end").await;
        let mongod = blocking(move || {
            mongod.restart();
            mongod
        })
        .await;
        Self { mongod, place, gateway }
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.mongod.process_id().cast_signed()).expect("is an id");
        kill_process(id, signal).expect("is running");
    }
}

/// A process that has ended stays a zombie until the shell that started it looks.
fn is_running(id: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("does not panic")
}

/// Everything that can be read of a song, as it is in peace.
async fn reads(gateway: &Server, id: &str) -> BTreeMap<String, Bytes> {
    let mut paths: Vec<String> = ["/songs", "/songs?q=n"].map(str::to_owned).into();
    paths.push(format!("/songs/{id}"));
    paths.push(format!("/songs/{id}/original"));
    let top = format!("/stream/{id}/outputlist.m3u8");
    let list = gateway.send(&Request::get(&top)).await;
    let variant = list.text().lines().find(|line| line.contains(".m3u8")).expect("has one");
    let folder = variant.rsplit_once('/').expect("is in a folder").0;
    paths.push(top);
    for file in ["playlist.m3u8", "init.mp4", "0.m4s", "1.m4s"] {
        paths.push(format!("/stream/{id}/{folder}/{file}"));
    }
    let mut reads = BTreeMap::new();
    for path in paths {
        let answer = gateway.send(&Request::get(&path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        reads.insert(path, answer.body);
    }
    reads
}

/// Asks for one path until the database was away and has come back. Returns how often it was told
/// that it is away.
async fn keep_reading(
    address: SocketAddr,
    path: String,
    expected: Bytes,
    healed: Arc<Healed>,
) -> usize {
    let mut refused = 0;
    loop {
        let begin = Instant::now();
        let answer = try_send(address, &Request::get(&path)).await;
        let took = begin.elapsed();
        // An answer that had begun when the database went can only be broken off.
        let Ok(answer) = answer else { continue };
        match answer.status {
            200 => {
                assert_eq!(answer.body, expected, "wrong bytes at {path}");
                if healed.is_set() && refused > 0 {
                    return refused;
                }
            }
            _ => {
                assert_unavailable(&answer, &path);
                assert!(took < ANSWERED + SLACK, "{path} was answered after {took:?}");
                refused += 1;
                healed.saw_it();
            }
        }
        sleep(Duration::from_millis(30)).await;
    }
}

fn assert_unavailable(answer: &Answer, path: &str) {
    assert_eq!(answer.status, 503, "{path}: {}", answer.text());
    assert_eq!(answer.problem(), "unavailable");
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
}

/// How many were told that the database is away, and whether it is back.
#[derive(Default)]
struct Healed {
    refusals: std::sync::atomic::AtomicUsize,
    set: std::sync::atomic::AtomicBool,
}

impl Healed {
    fn is_set(&self) -> bool {
        self.set.load(std::sync::atomic::Ordering::SeqCst)
    }

    fn set(&self) {
        self.set.store(true, std::sync::atomic::Ordering::SeqCst);
    }

    fn saw_it(&self) {
        self.refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn seen(&self) -> usize {
        self.refusals.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_are_refused_in_time_while_the_database_is_away_and_then_answered_again() {
    let mut stage = Stage::new().await;
    let id = stage.add(&wav(14 * 48_000 * 4)).await;
    let reads = reads(&stage.gateway, &id).await;
    for fault in FAULTS {
        let healed = Arc::new(Healed::default());
        let mut readers = JoinSet::new();
        for (path, expected) in reads.clone() {
            let address = stage.gateway.address();
            readers.spawn(keep_reading(address, path, expected, Arc::clone(&healed)));
        }
        sleep(Duration::from_millis(300)).await;
        stage.begin(fault);
        // Long enough for each of them to be refused more than once.
        until(async || healed.seen() >= 2 * reads.len(), "nobody is told").await;
        sleep(Duration::from_secs(1)).await;
        stage = stage.end(fault).await;
        healed.set();
        let refused = tokio::time::timeout(Duration::from_mins(2), readers.join_all()).await;
        let refused = refused.expect("all recover");
        println!("{fault:?}: refused {refused:?} times");
    }
    assert!(stage.gateway.process().is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_outlives_a_database_that_is_away_for_a_while() {
    let mut stage = Stage::new().await;
    let file = wav(40 * 48_000 * 4);
    let peaceful = stage.add(&file).await;
    let snapshot = stage.place.snapshot().await;
    let expected = snapshot.played(snapshot.song(&peaceful).expect("is there"));
    for fault in FAULTS {
        let post = Request::new("POST", "/songs?name=n&author=a")
            .body("audio/wav", file.clone())
            .header("Prefer", "respond-async");
        let answer = stage.gateway.send(&post).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let record = answer.header("location").to_owned();
        sleep(Duration::from_millis(400)).await;
        stage.begin(fault);
        sleep(Duration::from_secs(3)).await;
        stage = stage.end(fault).await;
        let ready = async || {
            let answer = stage.gateway.send(&Request::get(&record)).await;
            if answer.status == 503 {
                return false;
            }
            let song = answer.json();
            assert_ne!(song["status"], "failed", "{fault:?}: {song}");
            song["status"] == "ready"
        };
        until(ready, "the song does not become ready").await;
        stage.place.until_idle().await;
        let snapshot = stage.place.snapshot().await;
        snapshot.assert_settled();
        let id = record.rsplit('/').next().expect("is a path");
        assert!(snapshot.played(snapshot.song(id).expect("is there")) == expected, "wrong bytes");
    }
}
