//! Files of every format, whole and damaged, built byte by byte.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]
#![expect(clippy::trivially_copy_pass_by_ref, reason = "ids are written as b\"TIT2\"")]

mod build;
mod damage;
mod id3;
mod iff;
mod limits;
mod mp4;
mod mpeg;
mod vorbis;
