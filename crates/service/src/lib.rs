//! What both functions share: how they are configured, run, guarded, and how they answer.
//!
//! A function is the [`Routes`] that it answers, each with the [`Access`] that it needs, and a
//! [`Jobs`] of what it does besides answering. [`app`] puts around the routes what every answer
//! needs, and [`run`] serves the result on whatever platform the process finds itself on.

mod app;
mod auth;
pub mod background;
mod budget;
pub mod conditional;
mod config;
mod cors;
mod http;
mod jobs;
mod lambda;
mod lambda_answer;
mod lambda_invoke;
mod local_queue;
mod logging;
mod problem;
pub mod routes;
mod run;
mod secret;
#[cfg(feature = "testing")]
pub mod testing;

pub use app::app;
pub use config::{ConfigError, HttpConfig, Lookup, ReadAccess, parse_switch};
pub use http::{bind, serve};
pub use jobs::{BoxError, Dispatch, DispatchError, Jobs, NoJobs, dispatch};
pub use logging::init as init_logging;
pub use problem::{Problem, Result};
pub use routes::{Access, Routes};
pub use run::{block_on, run};
pub use secret::Secret;
