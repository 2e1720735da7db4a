//! Whichever way a request comes in, the answer is the same: through an HTTP API, a REST API, a
//! function URL, and over plain HTTP.

mod events;
mod requests;
mod responses;
mod uploads;
mod writing;
