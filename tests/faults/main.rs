//! Kills, a database that is away, and hostile files: what is promised of a song holds all the same.
//!
//! `FAULTS_SEED` repeats a run: the same deeds, killed at the same share of the time that they take,
//! and the same files. `FAULTS_KILLS` and `FAULTS_FILES` say how many; `make faults` asks for many.

mod database;
mod hostile;
mod kills;
mod listener;
mod place;
mod random;
mod sender;
mod silence;
mod snapshot;

use std::env;

/// What a variable says, or a default where it is not set.
fn variable(name: &str, default: u64) -> u64 {
    let given = env::var(name).ok().filter(|value| !value.is_empty());
    given.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The seed of this run, said aloud so that a failure can be had again.
fn seed() -> u64 {
    let seed = variable("FAULTS_SEED", 20_260_101);
    println!("FAULTS_SEED={seed}");
    seed
}
