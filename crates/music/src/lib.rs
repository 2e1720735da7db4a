//! What a song is, and the rules that hold wherever it is kept, made or played. No I/O.

mod description;
mod filename;
mod id;
mod ladder;
mod patch;
mod song;
#[cfg(feature = "testing")]
pub mod testing;
mod timeline;
mod words;

pub use description::{ARTIST_LIMIT, Credit, Description, DescriptionError, FIELD_LIMIT, Name};
pub use id::{InvalidId, RevisionId, SongId};
pub use ladder::{AudioFormat, Rung, ladder, ladder_below, lossless_rate, output_rate};
pub use patch::{Change, Patch};
pub use song::{
    Attempt, Codec, Loudness, Media, Retired, Revision, Song, Source, StandIn, Status, Timestamp,
    Variant, now,
};
pub use timeline::{NOMINAL_SECONDS, Run, Timeline, segment_duration, shortest_segment};
pub use words::{WORD_LIMIT, query_words, song_words};
