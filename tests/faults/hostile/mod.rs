//! Strange files, sent to a running gateway: each is refused with a reason or becomes a song, and
//! nothing of it stays but that song.

mod boxes;
mod corpus;
mod kinds;
mod samples;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use black_box::{
    http_client::{Answer, Request},
    server::Server,
};
use corpus::{Corpus, Hostile};
use samples::{CANARY_SECONDS, Samples};
use store::testing::TestDatabase;
use tokio::{net::TcpListener, sync::Mutex, task::JoinSet};

use crate::{place::Place, random::Random, seed, variable};

/// How many are sent at a time.
const AT_ONCE: usize = 4;

/// Nothing takes this long that ends at all.
const FOR_EVER: Duration = Duration::from_mins(3);

/// Small enough to be met.
const LIMITS: [(&str, &str); 5] = [
    ("MAX_UPLOAD_BYTES", "12000000"),
    ("MAX_DURATION_SECONDS", "120"),
    ("MAX_FFMPEG_SECONDS", "20"),
    ("MAX_FFMPEG_BYTES", "268435456"),
    ("MAX_OUTPUT_BYTES", "10000000"),
];

/// What is told of the whole corpus.
#[derive(Debug, Default)]
struct Tally {
    answers: BTreeMap<String, usize>,
    kinds: BTreeMap<&'static str, usize>,
}

async fn survives(ffmpeg: PathBuf) {
    let count = usize::try_from(variable("FAULTS_FILES", 90)).expect("is small");
    let place = Place::new(TestDatabase::sqlite()).await.with_ffmpeg(ffmpeg);
    let gateway = Arc::new(place.gateway(&LIMITS).await);
    let (forbidden, contacts) = nobody_may_call().await;
    let samples = Samples::make(&format!("http://{forbidden}/secret.wav"));
    let good = samples.good().to_vec();
    let corpus = Corpus::new(samples, Random::new(seed()), count);
    let corpus = Arc::new(Mutex::new(corpus));
    let tally = Arc::new(Mutex::new(Tally::default()));

    let mut senders = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (corpus, tally, gateway) = (corpus.clone(), tally.clone(), gateway.clone());
        senders.spawn(async move {
            loop {
                let Some(hostile) = corpus.lock().await.next() else { return };
                let (kind, label) = (hostile.kind, hostile.label());
                let outcome = tokio::time::timeout(FOR_EVER, try_out(&gateway, &hostile)).await;
                let answer = outcome.unwrap_or_else(|_| panic!("{label} takes for ever"));
                println!("{label}: {answer}");
                let mut tally = tally.lock().await;
                *tally.answers.entry(answer).or_default() += 1;
                *tally.kinds.entry(kind).or_default() += 1;
            }
        });
    }
    senders.join_all().await;

    let tally = tally.lock().await;
    println!("{count} files, {} kinds: {:#?}", tally.kinds.len(), tally.answers);
    assert_eq!(tally.kinds.values().sum::<usize>(), count);
    assert_eq!(contacts.load(Ordering::SeqCst), 0, "somebody was called");
    place.until_idle().await;
    let empty = async || {
        let snapshot = place.snapshot().await;
        snapshot.songs.is_empty()
    };
    crate::place::until(empty, "records stay").await;
    place.snapshot().await.assert_empty();
    assert!(gateway.process().is_running());
    let log = gateway.process().log();
    assert!(!log.contains("panicked"), "{log}");

    let post = Request::new("POST", "/songs?name=n&author=a").body("audio/ogg", good);
    let answer = gateway.send(&post).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

/// Sends a file, and says what became of it.
async fn try_out(gateway: &Server, hostile: &Hostile) -> String {
    let mut request = Request::new("POST", format!("/songs?{}", hostile.query))
        .body("application/octet-stream", hostile.bytes.clone());
    if hostile.later {
        request = request.header("Prefer", "respond-async");
    }
    let answer = gateway.send(&request).await;
    let label = hostile.label();
    match answer.status {
        201 | 202 => accepted(gateway, hostile, &answer).await,
        400 | 413 | 422 => {
            let kind = answer.problem();
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.len() > 10 && !detail.contains("/tmp"), "{label}: {detail:?}");
            format!("{} {kind}", answer.status)
        }
        status => {
            let kept = hostile.keep();
            panic!(
                "{label}, kept as {kept}: {status} {}\n{}",
                answer.text(),
                complaints(gateway).await
            )
        }
    }
}

/// What a gateway complained of lately.
async fn complaints(gateway: &Server) -> String {
    // Its last lines may still be on their way.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let log = gateway.process().log();
    let lines = log.lines().rev().filter(|line| !line.contains("\"answered\""));
    lines.take(10).collect::<Vec<_>>().join("\n")
}

/// Holds that it plays or fails with a reason, and removes it.
async fn accepted(gateway: &Server, hostile: &Hostile, answer: &Answer) -> String {
    let label = hostile.label();
    assert!(!hostile.is_no_audio, "{label} was taken: {}", answer.text());
    let record = Request::get(answer.header("location"));
    let mut song = answer.json();
    while song["status"] == "processing" {
        tokio::time::sleep(Duration::from_millis(50)).await;
        song = gateway.send(&record).await.json();
    }
    let result = match song["status"].as_str() {
        Some("ready") => {
            let seconds = song["duration"].as_f64().expect("has a duration");
            assert!(seconds > 0.0, "{label}: {song}");
            assert!((seconds - CANARY_SECONDS).abs() > 0.01, "{label} plays another file: {song}");
            "ready"
        }
        Some("failed") => {
            assert!(song["error"].as_str().is_some_and(|it| it.len() > 10), "{label}: {song}");
            let ours = song["error"].as_str().is_some_and(|it| it.contains("not the file's"));
            if ours {
                let kept = hostile.keep();
                panic!("{label}, kept as {kept}: {song}\n{}", complaints(gateway).await);
            }
            "failed"
        }
        _ => panic!("{label}: {song}"),
    };
    let delete = Request::new("DELETE", answer.header("location"));
    assert_eq!(gateway.send(&delete).await.status, 200);
    format!("{} {result}", answer.status)
}

/// An address that a file may point to, and how often somebody called there.
async fn nobody_may_call() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
    let address = listener.local_addr().expect("has an address");
    let contacts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&contacts);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (address, contacts)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_or_become_songs_with_the_layer_s_ffmpeg() {
    survives(ingest::testing::ffmpeg()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_files_are_refused_or_become_songs_with_a_stock_ffmpeg() {
    survives(ingest::testing::full_ffmpeg()).await;
}
