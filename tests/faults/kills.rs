//! The process is killed at a random moment, started again, and swept.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use black_box::{
    http_client::{Answer, Broken, Request, try_send},
    server::Server,
    songs::wav,
};
use ingest::Swept;
use music::{Song, Status};
use serde_json::json;
use store::testing::TestDatabase;
use tokio::time::sleep;

use crate::{
    listener::{Fate, Fates, listen, set_fate},
    place::{Place, until},
    random::Random,
    seed,
    sender::{Sender, Sending},
    snapshot::{Chunks, Snapshot},
    variable,
};

/// How many songs may pile up.
const SONGS: usize = 5;

/// Bytes of one second of the songs that are sent.
const SECOND: usize = 48_000 * 4;

/// What the gateway is doing when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// Answers once the song is ready.
    Add,
    /// Answers before.
    AddLater,
    AddJson,
    /// Two songs at once.
    AddTwo,
    /// Makes a new revision of a song that is played meanwhile.
    Again,
    /// Deletes a song that is being made.
    AddAndDelete,
    /// Deletes a song that is being made anew.
    AgainAndDelete,
    /// Receives a song by parts.
    Upload,
    /// Receives a song by parts, and each from two clients at once.
    UploadTwice,
    /// Receives a song by parts and is told to forget it.
    UploadAndGiveUp,
}

const DEEDS: [Deed; 10] = [
    Deed::Upload,
    Deed::Add,
    Deed::AddLater,
    Deed::UploadTwice,
    Deed::AddJson,
    Deed::AddTwo,
    Deed::Again,
    Deed::AddAndDelete,
    Deed::UploadAndGiveUp,
    Deed::AgainAndDelete,
];

/// Uploads expire before the sweep that each round ends with, and not before their sender is back.
const VARIABLES: [(&str, &str); 1] = [("UPLOAD_EXPIRY_SECONDS", "7200")];

struct Run {
    place: Place,
    random: Random,
    fates: Fates,
    /// What becomes of a file, by its SHA-256, where nothing happens meanwhile.
    made: HashMap<String, Chunks>,
    files: Vec<Vec<u8>>,
    /// How long it takes to make a song of the longest.
    span: Duration,
    played: usize,
    swept: Swept,
    interrupted: usize,
    /// How many uploads went on after a kill.
    resumed: usize,
}

async fn kill_again_and_again(database: TestDatabase, salt: u64) {
    let kills = variable("FAULTS_KILLS", 10);
    let mut run = Run {
        place: Place::new(database).await,
        random: Random::new(seed() ^ salt),
        fates: Fates::default(),
        made: HashMap::new(),
        // In one to five parts, of two to four segments.
        files: [7, 15, 21].map(|seconds| wav(seconds * SECOND)).into(),
        span: Duration::ZERO,
        played: 0,
        swept: Swept { complete: true, ..Swept::default() },
        interrupted: 0,
        resumed: 0,
    };
    let mut gateway = run.place.gateway(&VARIABLES).await;
    run.see_what_should_be_made(&gateway).await;
    for (kill, deed) in (0..kills).zip(DEEDS.into_iter().cycle()) {
        let moment = run.span.mul_f64(run.random.share() * 1.2);
        println!("kill {kill}: {deed:?} after {moment:?}");
        gateway = run.round(gateway, deed, moment).await;
    }
    let Run { swept, played, interrupted, resumed, span, .. } = run;
    println!(
        "{kills} kills in what takes {span:?}: {interrupted} left something to the sweep, \
         {played} songs were heard meanwhile, {resumed} uploads went on afterwards; {swept:?}"
    );
    assert!(played > 0 && interrupted > 0, "nothing happened");
    assert!(resumed > 0 || kills < 50, "no upload was interrupted");
}

impl Run {
    /// Makes every song once in peace.
    async fn see_what_should_be_made(&mut self, gateway: &Server) {
        for file in &self.files {
            let begin = Instant::now();
            let answer = gateway.send(&add(file)).await;
            self.span = self.span.max(begin.elapsed());
            assert_eq!(answer.status, 201, "{}", answer.text());
            set_fate(&self.fates, &id_of(&answer), Fate::Ready);
        }
        let snapshot = self.place.snapshot().await;
        snapshot.assert_settled();
        for song in &snapshot.songs {
            let chunks = snapshot.played(song).expect("is ready");
            self.made.insert(hash_of(song), chunks);
        }
        assert_eq!(self.made.len(), self.files.len());
    }

    async fn round(&mut self, gateway: Server, deed: Deed, moment: Duration) -> Server {
        let address = gateway.address();
        let listening = tokio::spawn(listen(address, Arc::clone(&self.fates)));
        let pause = self.span.mul_f64(self.random.share() / 4.0);
        let sender = Sender::new(address, Arc::clone(&self.fates), pause);
        let doing = self.start(&sender, address, deed);
        sleep(moment).await;
        gateway.kill().await;
        self.played += listening.await.expect("heard only whole songs");
        for task in doing {
            // Whether there was an answer is in the fates.
            let _: Result<(), Broken> = task.await.expect("got no wrong answer");
        }
        self.place.until_no_ffmpeg().await;
        let before = self.place.snapshot().await;
        before.assert_what_is_seen_is_whole();

        let gateway = self.place.gateway(&VARIABLES).await;
        self.finish_uploads(&gateway, &sender, &before).await;
        let swept = self.place.sweep().await;
        assert_eq!(swept.missing, 0, "a ready song lacks chunks");
        let anything = swept.attempts + swept.orphans + swept.revisions + swept.uploads > 0;
        self.interrupted += usize::from(anything);
        self.swept.attempts += swept.attempts;
        self.swept.orphans += swept.orphans;
        self.swept.revisions += swept.revisions;
        self.swept.directories += swept.directories;
        self.swept.uploads += swept.uploads;
        // Each looks at a directory by locking it: two sweeps at once may both leave it to the other.
        let only_the_living = async || {
            self.place.sweep().await;
            self.place.directories().len() == 1
        };
        until(only_the_living, "working directories of the dead stay").await;
        let snapshot = self.place.snapshot().await;
        snapshot.assert_settled();
        self.assert_bytes_are_right(&snapshot);
        self.assert_promises_are_kept(&snapshot);
        self.go_on(&gateway, &snapshot).await;
        gateway
    }

    /// Sends what a deed takes.
    fn start(
        &mut self,
        sender: &Sender,
        address: SocketAddr,
        deed: Deed,
    ) -> Vec<tokio::task::JoinHandle<Result<(), Broken>>> {
        let file = self.random.pick(&self.files).clone();
        let other = self.random.pick(&self.files).clone();
        let pause = self.span.mul_f64(self.random.share() / 2.0);
        let present = self.ready();
        let song = (!present.is_empty()).then(|| self.random.pick(&present).clone());
        let fates = Arc::clone(&self.fates);
        let sender = sender.clone();
        let part = file.len().div_ceil(1 + self.random.below(5));
        let with_part = self.random.below(2) == 0;
        let later = |file: &[u8]| add(file).header("Prefer", "respond-async");
        let post = |request: Request| {
            let fates = Arc::clone(&self.fates);
            tokio::spawn(async move { send_song(address, &request, &fates).await.map(|_| ()) })
        };
        match (deed, song) {
            (Deed::AddLater, _) => vec![post(later(&file))],
            (Deed::AddJson, _) => vec![post(add_json(&file))],
            (Deed::AddTwo, _) => vec![post(add(&file)), post(later(&other))],
            (Deed::Again, Some(id)) => vec![tokio::spawn(again(address, id))],
            (Deed::AgainAndDelete, Some(id)) => vec![tokio::spawn(async move {
                again(address, id.clone()).await?;
                sleep(pause).await;
                delete(address, &id, &fates).await
            })],
            (Deed::AddAndDelete, _) => {
                let request = later(&file);
                vec![tokio::spawn(async move {
                    let id = send_song(address, &request, &fates).await?;
                    sleep(pause).await;
                    delete(address, &id, &fates).await
                })]
            }
            (Deed::Upload, _) => vec![tokio::spawn(async move {
                let id = sender.begin(&file, part, with_part).await?;
                sender.send(&id, &file, part, usize::MAX).await
            })],
            (Deed::UploadTwice, _) => vec![tokio::spawn(async move {
                let id = sender.begin(&file, part, with_part).await?;
                let [one, other] =
                    [part, part.div_ceil(2)].map(|part| sender.send(&id, &file, part, usize::MAX));
                tokio::try_join!(one, other).map(|_| ())
            })],
            (Deed::UploadAndGiveUp, _) => vec![tokio::spawn(async move {
                let id = sender.begin(&file, part, with_part).await?;
                sender.send(&id, &file, part, 2).await?;
                sender.give_up(&id).await
            })],
            (Deed::Add | Deed::Again | Deed::AgainAndDelete, _) => vec![post(add(&file))],
        }
    }

    /// Half of the senders come back and go on. All uploads of which every part is in become songs,
    /// whether anybody comes back or not.
    async fn finish_uploads(&mut self, gateway: &Server, sender: &Sender, before: &Snapshot) {
        let sendings = sender.known();
        for Sending { id, file, acknowledged } in &sendings {
            let in_parts = before.uploads.iter().any(|upload| upload.id == *id);
            assert!(in_parts || before.song(id).is_some(), "upload {id} is lost");
            let original = before.original_of(id).expect("has no holes");
            assert!(original.len() >= *acknowledged, "of upload {id} is less in than was said");
            assert!(file.starts_with(&original), "upload {id} has other bytes");
        }
        for upload in &before.uploads {
            let mut is_complete = before.is_complete(upload);
            if let Some(sending) = sendings.iter().find(|it| it.id == upload.id)
                && self.random.below(2) == 0
            {
                let sender = sender.come_back(gateway.address());
                let Sending { id, file, .. } = sending;
                sender.send(id, file, file.len(), usize::MAX).await.expect("the gateway stays");
                self.resumed += 1;
                is_complete = true;
            }
            if !is_complete {
                continue;
            }
            let record = format!("/songs/{}", upload.id);
            let ready = async || {
                let answer = gateway.send(&Request::get(&record)).await;
                answer.status == 200 && answer.json()["status"] == "ready"
            };
            until(ready, "an upload whose parts are all in becomes no song").await;
            set_fate(&self.fates, &upload.id, Fate::Ready);
        }
    }

    fn ready(&self) -> Vec<String> {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.iter().filter(|(_, fate)| **fate == Fate::Ready).map(|(id, _)| id.clone()).collect()
    }

    /// Whatever a revision was made by, it has the bytes that it should have.
    fn assert_bytes_are_right(&self, snapshot: &Snapshot) {
        for song in &snapshot.songs {
            if let Some(chunks) = snapshot.played(song) {
                assert!(chunks == self.made[&hash_of(song)], "wrong bytes in {song:#?}");
            }
        }
    }

    fn assert_promises_are_kept(&self, snapshot: &Snapshot) {
        let fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, fate) in fates.iter() {
            let song = snapshot.song(id);
            let status = song.map(|song| song.status);
            match fate {
                Fate::Ready => assert_eq!(status, Some(Status::Ready), "{id} was ready"),
                Fate::There => {
                    let whole = song.is_some_and(|song| snapshot.original_is_whole(song));
                    assert!(whole, "{id} was there");
                }
                Fate::Leaving => {}
                Fate::Gone => assert_eq!(status, None, "{id} was deleted"),
            }
        }
    }

    /// Tries again what failed, makes room, and begins the next round knowing what there is.
    async fn go_on(&mut self, gateway: &Server, snapshot: &Snapshot) {
        let mut left = snapshot.songs.len();
        for song in &snapshot.songs {
            let record = format!("/songs/{}", song.id);
            let failed = song.status == Status::Failed;
            if failed && snapshot.original_is_whole(song) && self.random.below(2) == 0 {
                let answer = gateway.send(&Request::new("POST", format!("{record}/ingest"))).await;
                assert_eq!(answer.status, 202, "{}", answer.text());
                let ready =
                    async || gateway.send(&Request::get(&record)).await.json()["status"] == "ready";
                until(ready, "what was interrupted cannot be made from its original").await;
            } else if left > SONGS || failed {
                let answer = gateway.send(&Request::new("DELETE", &record)).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                left -= 1;
            }
        }
        let snapshot = self.place.snapshot().await;
        snapshot.assert_settled();
        self.assert_bytes_are_right(&snapshot);
        let mut fates = self.fates.lock().unwrap_or_else(PoisonError::into_inner);
        *fates = snapshot.songs.iter().map(|song| (song.id.to_string(), Fate::Ready)).collect();
    }
}

fn add(file: &[u8]) -> Request {
    Request::new("POST", "/songs?name=n&author=a").body("audio/wav", file.to_vec())
}

fn add_json(file: &[u8]) -> Request {
    let json = json!({ "name": "n", "author": "a", "song_base64": BASE64_STANDARD.encode(file) });
    Request::new("POST", "/songs").body("application/json", json.to_string())
}

fn id_of(answer: &Answer) -> String {
    answer.json()["id"].as_str().expect("has an id").to_owned()
}

async fn send_song(
    address: SocketAddr,
    request: &Request,
    fates: &Fates,
) -> Result<String, Broken> {
    let answer = try_send(address, request).await?;
    let fate = match answer.status {
        201 => Fate::Ready,
        202 => Fate::There,
        _ => panic!("{}", answer.text()),
    };
    let id = id_of(&answer);
    set_fate(fates, &id, fate);
    Ok(id)
}

async fn again(address: SocketAddr, id: String) -> Result<(), Broken> {
    let answer = try_send(address, &Request::new("POST", format!("/songs/{id}/ingest"))).await?;
    assert_eq!(answer.status, 202, "{}", answer.text());
    Ok(())
}

async fn delete(address: SocketAddr, id: &str, fates: &Fates) -> Result<(), Broken> {
    set_fate(fates, id, Fate::Leaving);
    let answer = try_send(address, &Request::new("DELETE", format!("/songs/{id}"))).await?;
    assert_eq!(answer.status, 200, "{}", answer.text());
    set_fate(fates, id, Fate::Gone);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_whole_songs_and_nothing_else_on_sqlite() {
    kill_again_and_again(TestDatabase::sqlite(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_leaves_whole_songs_and_nothing_else_on_mongodb() {
    kill_again_and_again(TestDatabase::mongodb(), 2).await;
}

/// The hash of the file that a song was made from.
fn hash_of(song: &Song) -> String {
    song.source.sha256.clone().expect("is known once it was looked at")
}
