//! Why a song could not be made: the file's fault, the caller's, or ours.

use std::{io::ErrorKind, time::Duration};

use music::SongId;

/// Any error, for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of what [`Ingest`](crate::Ingest) does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is the file's fault. The message is fit for whoever sent it.
    #[error(transparent)]
    Rejected(#[from] Rejection),

    /// The file did not arrive: whoever sent it stopped, or sent what their framing does not allow.
    #[error("the file did not arrive completely")]
    Incomplete(#[source] BoxError),

    /// There is no such song, or not any more.
    #[error("song {0} does not exist")]
    NoSuchSong(SongId),

    /// An attempt to ingest the song is under way already.
    #[error("song {0} is being ingested already")]
    UnderWay(SongId),

    /// The file that the song was made from is not kept, or never arrived completely.
    #[error("the original of song {0} is not kept")]
    NoOriginal(SongId),

    /// The file that the song was made from is not in the store as it was sent.
    #[error("the original of song {0} is damaged")]
    DamagedOriginal(SongId),

    /// The store failed us.
    #[error(transparent)]
    Store(#[from] store::Error),

    /// The file system failed us.
    #[error("cannot {0}")]
    Io(&'static str, #[source] std::io::Error),

    /// The file system has no room left for what we work on, or its quota is used up.
    #[error("cannot {0}: no room left")]
    NoSpace(&'static str, #[source] std::io::Error),

    /// ffmpeg is missing, or does not do what every ffmpeg we know does.
    #[error("ffmpeg does not work: {0}")]
    Ffmpeg(String, #[source] Option<BoxError>),
}

impl Error {
    /// The error of a file system that could not do `what`.
    pub(crate) fn io(what: &'static str, error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::NoSpace(what, error),
            _ => Self::Io(what, error),
        }
    }
}

/// Why a file was refused, in words for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// There is nothing in it.
    #[error("the file is empty")]
    Empty,

    /// It does not begin as any container does that we take.
    #[error(
        "the file is not audio in a container that is accepted: MP3, AAC (ADTS), MP4/M4A, FLAC, WAV, AIFF or Ogg"
    )]
    NotAudio,

    /// The container is one of ours, but no sound comes out of it.
    #[error(
        "the file cannot be decoded: it holds no audio, is damaged, or uses a codec that is not accepted"
    )]
    Undecodable,

    /// It has more bytes than one file may have.
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// How many it may have.
        limit: u64,
    },

    /// It plays longer than one song may.
    #[error("the file plays longer than the limit of {} s", limit.as_secs())]
    TooLong {
        /// How long it may play.
        limit: Duration,
    },

    /// What it is made into has more bytes than that may have.
    #[error("what the file is made into is larger than the limit of {limit} bytes")]
    TooBig {
        /// How many it may have.
        limit: u64,
    },

    /// It plays for longer than so few bytes may.
    #[error(
        "the file holds too little for how long it plays: half an hour is accepted of anything, more only at 2 kbit/s or above"
    )]
    TooSparse,

    /// It takes more time or memory to decode than any sound of its length should.
    #[error("the file takes too much time or memory to decode")]
    TooCostly,
}
