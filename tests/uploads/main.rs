//! Clients that are not ours send a song part by part, and are interrupted: tus-js-client and tuspy.
//!
//! `make uploads` does it with a song of 150 MB.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use black_box::{
    binary::root,
    http_client::{Answer, Request},
    server::Server,
};
use ingest::testing::piece;
use music::SongId;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::testing::TestDatabase;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

/// How large the song is, in bytes.
fn size() -> u64 {
    let given = env::var("SEGUE_TEST_UPLOAD_BYTES").ok().filter(|it| !it.is_empty());
    given.map_or(32_000_000, |it| it.parse().expect("is a number"))
}

/// A gateway that can be killed and comes back where it was.
struct House {
    gateway: Option<Server>,
    variables: Vec<(String, String)>,
    database: TestDatabase,
    work_dir: TempDir,
}

impl House {
    async fn new(database: TestDatabase) -> Self {
        let work_dir = tempfile::tempdir().expect("makes a directory");
        let ffmpeg = root().join("target/ffmpeg/bin/ffmpeg").display().to_string();
        let mut variables: Vec<_> = [
            ("DATABASE_URL", database.url()),
            ("FFMPEG", &ffmpeg),
            ("WORK_DIR", work_dir.path().to_str().expect("is text")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let gateway = start(&variables).await;
        variables.push(("PORT".into(), gateway.address().port().to_string()));
        Self { gateway: Some(gateway), variables, database, work_dir }
    }

    fn gateway(&self) -> &Server {
        self.gateway.as_ref().expect("is running")
    }

    fn url(&self) -> String {
        format!("http://{}", self.gateway().address())
    }

    async fn kill_and_restart(&mut self) {
        self.gateway.take().expect("is running").kill().await;
        self.gateway = Some(start(&self.variables).await);
    }
}

async fn start(variables: &[(String, String)]) -> Server {
    let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
    Server::start("gateway", &variables).await
}

/// A real piece, over and over, under a noise that no codec can shrink: FLAC of at least so many
/// bytes.
fn song(directory: &Path, bytes: u64) -> PathBuf {
    let path = directory.join("song.flac");
    // Two channels of 96 kHz in which 20 bits are noise.
    let seconds = (bytes / 480_000 + 1).to_string();
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-stream_loop", "-1", "-i"])
        .arg(piece("knolls"))
        .args(["-f", "lavfi", "-i", "anoisesrc=r=96000:a=0.25:seed=1"])
        .args(["-f", "lavfi", "-i", "anoisesrc=r=96000:a=0.25:seed=2"])
        .args(["-filter_complex", "[1][2]amerge[n];[0]aresample=96000[m];[m][n]amix=normalize=0"])
        .args(["-t", &seconds, "-c:a", "flac", "-sample_fmt", "s32", "-compression_level", "0"])
        .args(["-metadata", "title=Noisy Knolls", "-metadata", "artist=Wesnoth"])
        .arg(&path)
        .status();
    assert!(made.expect("the distribution's ffmpeg is there: run `make prepare`").success());
    let length = path.metadata().expect("was made").len();
    assert!(length >= bytes, "{length} bytes are too few");
    path
}

/// A client under way, which says how far it is: a number of bytes, a line each.
struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(program: &[PathBuf], url: &str, song: &Path, memory: &Path) -> Self {
        let mut command = tokio::process::Command::new(&program[0]);
        command.args(&program[1..]).arg(format!("{url}/uploads")).arg(song).arg(memory);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the client is there: run `make prepare`");
        let lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
        Self { child, lines }
    }

    /// Waits until so many bytes are said to have arrived.
    async fn reaches(&mut self, bytes: u64) {
        loop {
            let line = self.lines.next_line().await.expect("reads");
            let line = line.unwrap_or_else(|| panic!("it ended before {bytes} bytes"));
            if line.parse::<u64>().is_ok_and(|arrived| arrived >= bytes) {
                return;
            }
        }
    }

    /// Kills it in the midst of what it sends.
    async fn kill(mut self) {
        self.child.kill().await.expect("kills");
    }

    /// Waits for its end, and tells where the upload was.
    async fn finish(mut self) -> String {
        let mut last = String::new();
        while let Some(line) = self.lines.next_line().await.expect("reads") {
            last = line;
        }
        assert!(self.child.wait().await.expect("ends").success(), "{last}");
        last
    }
}

async fn is_interrupted_and_comes_in_whole(program: &[PathBuf], database: TestDatabase) {
    let mut house = House::new(database).await;
    let files = tempfile::tempdir().expect("makes a directory");
    let song = song(files.path(), size());
    let length = song.metadata().expect("was made").len();
    let memory = files.path().join("memory.json");
    let mut client = Client::start(program, &house.url(), &song, &memory);
    for interruption in 1..=5 {
        client.reaches(length * interruption / 7).await;
        if interruption == 3 {
            // Cuts the connection too. The client, which lives on, tries again.
            house.kill_and_restart().await;
        } else {
            client.kill().await;
            client = Client::start(program, &house.url(), &song, &memory);
        }
    }
    let location = client.finish().await;
    let id: SongId =
        location.rsplit('/').next().expect("has an id").parse().expect("is the song's id");

    let ready = until_ready(&house, id).await;
    assert_eq!((&ready["name"], &ready["author"]), (&"Noisy Knolls".into(), &"Wesnoth".into()));
    let bytes = fs::read(&song).expect("was made");
    let sha256 = hexadecimal(&bytes);
    assert_eq!(ready["source"]["sha256"], sha256);
    let original = get(&house, &format!("/songs/{id}/original")).await;
    assert!(original.body == bytes, "the original is not what was sent");
    let songs = get(&house, &format!("/songs?sha256={sha256}")).await.json();
    assert_eq!(songs.as_array().map(Vec::len), Some(1), "one file, one song");
    plays(&house, &ready).await;

    let store = store::open(house.database.url()).await.expect("opens");
    assert_eq!(store.list_uploads(None, 10).await.expect("lists"), []);
    assert!(house.work_dir.path().exists());
}

/// The SHA-256 of `bytes`, as the song has it.
fn hexadecimal(bytes: &[u8]) -> String {
    ingest::hexadecimal(&Sha256::digest(bytes))
}

async fn get(house: &House, target: &str) -> Answer {
    let answer = house.gateway().send(&Request::get(target)).await;
    assert_eq!(answer.status, 200, "{target}");
    answer
}

/// The song, followed by its entity tag until it is ready.
async fn until_ready(house: &House, id: SongId) -> Value {
    let (mut etag, mut song) = (String::new(), Value::Null);
    for _ in 0..12_000 {
        let request = Request::get(format!("/songs/{id}")).header("If-None-Match", etag.clone());
        let answer = house.gateway().send(&request).await;
        if answer.status == 200 {
            (etag, song) = (answer.header("etag").to_owned(), answer.json());
            if song["status"] == "ready" {
                return song;
            }
            assert_eq!(song["status"], "processing", "{song}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is not ready: {song}");
}

async fn plays(house: &House, song: &Value) {
    let url = song["stream_url"].as_str().expect("has one").to_owned();
    let mut url = url;
    // The multivariant playlist, a media playlist, its last segment.
    for _ in 0..2 {
        let playlist = get(house, &url).await;
        let next = playlist.text().lines().rfind(|line| !line.starts_with('#'));
        let next = next.expect("names something").to_owned();
        url = format!("{}/{next}", url.rsplit_once('/').expect("has a folder").0);
    }
    assert_eq!(&get(house, &url).await.body[4..8], b"moof");
}

fn tus_js_client() -> Vec<PathBuf> {
    let folder = root().join("tests/uploads");
    let client = root().join("tests/node_modules/tus-js-client");
    assert!(client.exists(), "no tus-js-client: run `make prepare`");
    vec!["node".into(), folder.join("upload.mjs")]
}

fn tuspy() -> Vec<PathBuf> {
    vec![root().join("target/venv/bin/python"), root().join("tests/uploads/upload.py")]
}

#[tokio::test(flavor = "multi_thread")]
async fn tus_js_client_is_interrupted_five_times_and_its_song_comes_in_whole() {
    is_interrupted_and_comes_in_whole(&tus_js_client(), TestDatabase::mongodb()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tuspy_is_interrupted_five_times_and_its_song_comes_in_whole() {
    is_interrupted_and_comes_in_whole(&tuspy(), TestDatabase::sqlite()).await;
}
