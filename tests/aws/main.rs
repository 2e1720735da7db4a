//! What the functions ask of AWS, and what AWS asks of them.

mod identity;
mod jobs;
mod moto;
mod secrets;
