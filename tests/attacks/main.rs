//! Clients that mean harm or do not care: the server goes on serving the others.

mod aborts;
