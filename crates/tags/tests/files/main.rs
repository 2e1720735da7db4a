//! Files of every format, whole and damaged, built byte by byte.

mod build;
mod damage;
mod id3;
mod iff;
mod limits;
mod mp4;
mod mpeg;
mod vorbis;
