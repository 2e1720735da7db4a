//! What an ingest costs, beside one bare ffmpeg that encodes the same ladder to files: CPU of the
//! longest piece, and our process's memory for ten minutes of sound and for sixty.
//!
//!     cargo run --release -p ingest --example measure
#![expect(clippy::unwrap_used, reason = "a measurement that fails says so")]

use std::{
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use ingest::{
    Ingest, IngestConfig, Outcome,
    testing::{Files, ffmpeg, piece},
};
use music::{Change, Name, Patch};
use store::testing::TestDatabase;

const LONGEST: &str = "knalgan_theme";

/// Each is run so many times, one after the other, and the least counts.
const TIMES: usize = 3;

fn main() {
    match env::args().nth(1) {
        Some(path) => println!("{}", ingested(Path::new(&path)).encode()),
        None => compare(),
    }
}

/// What one ingest took, in a process of its own.
struct Cost {
    cpu: Duration,
    ours: Duration,
    wall: Duration,
    memory: u64,
}

impl Cost {
    fn encode(&self) -> String {
        let milliseconds =
            [self.cpu, self.ours, self.wall].map(|time| time.as_millis().to_string());
        format!("{} {}", milliseconds.join(" "), self.memory)
    }

    fn decode(text: &str) -> Self {
        let numbers: Vec<u64> =
            text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let [cpu, ours, wall, memory] = numbers[..] else { panic!("{text}") };
        let [cpu, ours, wall] = [cpu, ours, wall].map(Duration::from_millis);
        Self { cpu, ours, wall, memory }
    }
}

fn compare() {
    let files = Files::new();
    let path = piece(LONGEST);
    let (mut bare, mut ingest): (Vec<(Duration, Duration)>, Vec<Cost>) = (vec![], vec![]);
    for _ in 0..TIMES {
        bare.push(bare_ffmpeg(&path, &files));
        ingest.push(in_a_process_of_its_own(&path));
    }
    let (bare_cpu, bare_wall) = *bare.iter().min().unwrap();
    let ingest = ingest.into_iter().min_by_key(|cost| cost.cpu).unwrap();
    println!("{LONGEST}, {}", ffmpeg().display());
    println!(
        "  bare ffmpeg   {:>6.2} s CPU  {:>6.2} s",
        bare_cpu.as_secs_f64(),
        bare_wall.as_secs_f64()
    );
    println!(
        "  ingest        {:>6.2} s CPU  {:>6.2} s   of it our process {:.2} s CPU",
        ingest.cpu.as_secs_f64(),
        ingest.wall.as_secs_f64(),
        ingest.ours.as_secs_f64()
    );
    println!(
        "  ratio of CPU  {:>6.3}        (aim: at most 1.15)",
        ingest.cpu.as_secs_f64() / bare_cpu.as_secs_f64()
    );

    let long = |minutes: u64| {
        let seconds = (minutes * 60).to_string();
        let input = ["-stream_loop", "-1", "-i", path.to_str().unwrap(), "-t", &seconds];
        let path =
            files.make(&format!("{minutes}.wav"), &[&input[..], &["-c:a", "pcm_s16le"]].concat());
        in_a_process_of_its_own(&path).memory
    };
    let (ten, sixty) = (long(10), long(60));
    println!("peak memory of our process, WAV in");
    println!("  10 minutes    {ten:>6} KiB");
    println!("  60 minutes    {sixty:>6} KiB");
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    let ratio = sixty as f64 / ten as f64;
    println!("  ratio         {ratio:>6.3}        (aim: flat)");
}

fn in_a_process_of_its_own(path: &Path) -> Cost {
    let output = Command::new(env::current_exe().unwrap()).arg(path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Cost::decode(&String::from_utf8(output.stdout).unwrap())
}

/// Decodes once and encodes the ladder to files. CPU and wall time.
fn bare_ffmpeg(path: &Path, files: &Files) -> (Duration, Duration) {
    let (before, begin) = (cpu().1, Instant::now());
    let mut command = Command::new(ffmpeg());
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-i"]).arg(path);
    for rung in ["64k", "128k", "256k"] {
        command.args(["-map", "0:a:0", "-c:a", "aac", "-b:a", rung, "-f", "mp4"]);
        command.arg(files.path(&format!("{rung}.m4a")));
    }
    assert!(command.stdin(Stdio::null()).status().unwrap().success());
    (cpu().1.saturating_sub(before), begin.elapsed())
}

#[tokio::main]
async fn ingested(path: &Path) -> Cost {
    let begin = Instant::now();
    let database = TestDatabase::sqlite();
    let work_dir = tempfile::tempdir().unwrap();
    let store = store::open(database.url()).await.unwrap();
    let config = IngestConfig {
        ffmpeg: ffmpeg(),
        work_dir: work_dir.path().to_owned(),
        ..IngestConfig::default()
    };
    let ingest = Ingest::new(Arc::clone(&store), config).unwrap();
    let file = tokio::fs::File::open(path).await.unwrap();
    let body = futures_util::stream::unfold(file, async |mut file| {
        let mut bytes = bytes::BytesMut::with_capacity(64 * 1024);
        match tokio::io::AsyncReadExt::read_buf(&mut file, &mut bytes).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(bytes.freeze()), file)),
            Err(error) => Some((Err(error), file)),
        }
    });
    let spool = ingest.receive(body).await.unwrap();
    let probe = ingest.probe(&spool).await.unwrap();
    let name = Change::Set(Name::parse("measured").unwrap());
    let description =
        Patch { name: name.clone(), author: name, ..Patch::default() }.describe().unwrap();
    let song = ingest.add(&spool, &probe, description, None).await.unwrap();
    let outcome = ingest.run(song.id, song.attempt.unwrap().id, Some(spool), None).await.unwrap();
    assert!(matches!(outcome, Outcome::Ready(_)));
    let (ours, children) = cpu();
    Cost { cpu: ours + children, ours, wall: begin.elapsed(), memory: peak_memory() }
}

/// CPU time of this process, and of the children it has waited for (proc(5), `/proc/pid/stat`).
fn cpu() -> (Duration, Duration) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // The second field is a name in parentheses; the third is the first after it.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().unwrap();
    let time = |ticks: u64| Duration::from_millis(ticks * 10);
    (time(ticks(14) + ticks(15)), time(ticks(16) + ticks(17)))
}

/// In KiB.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}
