//! What goes in, what comes out, and what players make of it that are not ours.

mod browsers;
mod checks;
mod download;
mod files;
mod formats;
mod gateway;
mod join;
mod page;
mod programs;
mod shaka;
mod tails;
