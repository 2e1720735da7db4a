//! Clients that mean harm or do not care: the server goes on serving the others.

mod aborts;
mod access;
mod browsers;
mod heads;
mod shutdown;
mod slow;
mod target;
mod wire;
