//! What the black-box tests share: the built programs, run as their platforms run them, on free
//! ports, with databases of their own, gone when the test is.

pub mod binary;
pub mod doors;
pub mod emulator;
pub mod events;
pub mod http_client;
pub mod process;
pub mod recorder;
pub mod server;
pub mod songs;
