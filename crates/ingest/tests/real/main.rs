//! Ingest with a real ffmpeg, real files and a real store.
#![expect(clippy::unwrap_used, reason = "a test says so by failing")]

mod admission;
mod attempts;
mod chain;
mod exact;
mod faults;
mod formats;
mod hostile;
mod house;
mod room;
mod variants;
