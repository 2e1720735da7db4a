//! How the function is configured.

use std::time::Duration;

use ingest::IngestConfig;
use service::{ConfigError, HttpConfig, Lookup, Secret};

/// The configuration of `crud`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the songs are: `mongodb://…` or `mongodb+srv://…`. `DATABASE_URL`, or an ARN in
    /// `DATABASE_SECRET_ARN`
    pub database_url: Secret,
    /// How it is served.
    pub http: HttpConfig,
    /// How songs are made playable.
    pub ingest: IngestConfig,
    /// How many songs are encoded at a time in one process; 2 by default. `INGEST_CONCURRENCY`
    pub ingest_concurrency: usize,
    /// How many songs may wait for that; 64 by default. `INGEST_QUEUE`
    pub queue_length: usize,
    /// How long an upload waits for its next part; a day by default. `UPLOAD_EXPIRY_SECONDS`
    pub upload_expiry: Duration,
    /// How many uploads may be open at a time; 1,000 by default. `MAX_OPEN_UPLOADS`
    pub max_open_uploads: u64,
}

impl Config {
    /// Reads the configuration.
    pub fn from_lookup(lookup: &Lookup<'_>) -> Result<Self, ConfigError> {
        let http = HttpConfig::from_lookup(lookup)?;
        let ingest_concurrency = lookup.parse("INGEST_CONCURRENCY", "a number", 2)?.max(1);
        let ingest = IngestConfig { encodes_at_once: ingest_concurrency, ..ingest_config(lookup)? };
        Ok(Self {
            database_url: Secret::from_lookup(lookup, "DATABASE_URL", "DATABASE_SECRET_ARN")
                .ok_or(ConfigError::Missing("DATABASE_URL"))?,
            ingest,
            http,
            ingest_concurrency,
            queue_length: lookup.parse("INGEST_QUEUE", "a number", 64)?,
            upload_expiry: lookup.seconds("UPLOAD_EXPIRY_SECONDS", Duration::from_hours(24))?,
            max_open_uploads: lookup.parse("MAX_OPEN_UPLOADS", "a number", 1000)?,
        })
    }

    /// How many bytes of audio one request may carry.
    pub(crate) fn request_limit(&self) -> u64 {
        let limit = self.ingest.max_upload_bytes;
        self.http.request_limit.map_or(limit, |request| request.min(limit))
    }

    /// How many bytes one part of an upload may have: what a chunk may, and a request.
    pub(crate) fn part_limit(&self) -> u64 {
        (store::CHUNK_LIMIT as u64).min(self.request_limit())
    }

    /// How long a song may take that is answered with 201, where something waits with a deadline.
    ///
    /// The rest of the request's time is for receiving the song and for handing it over.
    pub(crate) fn synchronous_limit(&self) -> Option<Duration> {
        self.http.request_timeout.map(|timeout| timeout * 4 / 5)
    }
}

fn ingest_config(lookup: &Lookup<'_>) -> Result<IngestConfig, ConfigError> {
    /// Lambda's share of processors grows with memory: that many MB have one.
    const MEGABYTES_A_PROCESSOR: f64 = 1769.0;

    let default = IngestConfig::default();
    let memory = lookup.parse("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "a number", 0_u32)?;
    Ok(IngestConfig {
        ffmpeg: lookup.text("FFMPEG").map_or(default.ffmpeg, Into::into),
        work_dir: lookup.text("WORK_DIR").map_or(default.work_dir, Into::into),
        processors: (memory > 0).then(|| f64::from(memory) / MEGABYTES_A_PROCESSOR),
        keep_original: lookup.switch("KEEP_ORIGINAL", default.keep_original)?,
        lossless: lookup.switch("LOSSLESS", default.lossless)?,
        max_upload_bytes: lookup.parse(
            "MAX_UPLOAD_BYTES",
            "a number of bytes",
            default.max_upload_bytes,
        )?,
        max_duration: lookup.seconds("MAX_DURATION_SECONDS", default.max_duration)?,
        max_ffmpeg_time: lookup.seconds("MAX_FFMPEG_SECONDS", default.max_ffmpeg_time)?,
        max_ffmpeg_memory: lookup.parse(
            "MAX_FFMPEG_BYTES",
            "a number of bytes",
            default.max_ffmpeg_memory,
        )?,
        max_output_bytes: lookup.parse(
            "MAX_OUTPUT_BYTES",
            "a number of bytes",
            default.max_output_bytes,
        )?,
        ..default
    })
}
