//! What an operator can set.

use std::{path::PathBuf, time::Duration};

/// Where ingest works, what it keeps, and how much it lets a file cost.
#[derive(Debug, Clone)]
pub struct IngestConfig {
    /// The ffmpeg program; looked for in `PATH` if it has no slash.
    pub ffmpeg: PathBuf,
    /// Where files are put while they are worked on. Made if it is missing.
    pub work_dir: PathBuf,
    /// How many processors there are to encode on, in parts of one; those of the machine if nobody
    /// says.
    pub processors: Option<f64>,
    /// How many ffmpegs may decode and encode whole songs at a time, at least 1. Two more may look at
    /// files meanwhile.
    pub encodes_at_once: usize,
    /// Whether the file that a song was made from is kept once the song is ready.
    pub keep_original: bool,
    /// Whether FLAC is made of lossless sources, where nobody says.
    pub lossless: bool,
    /// How many bytes a file may have.
    pub max_upload_bytes: u64,
    /// How long a song may play.
    pub max_duration: Duration,
    /// How long one ffmpeg may run.
    pub max_ffmpeg_time: Duration,
    /// How much memory one ffmpeg may ask for, in bytes.
    pub max_ffmpeg_memory: u64,
    /// How many bytes all variants of a song may have together.
    pub max_output_bytes: u64,
    /// How long an attempt is believed to be alive after its last sign of life.
    pub lease: Duration,
    /// How long an attempt may wait between [`add`](crate::Ingest::add) or
    /// [`again`](crate::Ingest::again) and [`run`](crate::Ingest::run).
    pub longest_wait: Duration,
    /// How long a database that does not answer is asked again before an attempt gives up.
    pub patience: Duration,
    /// How long the segments of a superseded revision stay for those who are listening to it.
    pub grace: Duration,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            ffmpeg: PathBuf::from("ffmpeg"),
            work_dir: std::env::temp_dir(),
            processors: None,
            encodes_at_once: 2,
            keep_original: true,
            lossless: false,
            max_upload_bytes: 1 << 30,
            max_duration: Duration::from_hours(4),
            max_ffmpeg_time: Duration::from_mins(14),
            max_ffmpeg_memory: 512 << 20,
            max_output_bytes: 4 << 30,
            lease: Duration::from_mins(1),
            longest_wait: Duration::from_mins(15),
            patience: Duration::from_secs(30),
            grace: Duration::from_hours(1),
        }
    }
}
