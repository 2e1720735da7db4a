//! A program of ours as a plain HTTP server.

use std::net::SocketAddr;

use serde_json::Value;

use crate::{
    binary::binary,
    http_client::{self, Answer, Request},
    process::Process,
};

/// A running server. It ends with this value.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    /// Starts one of our programs on a free port, with these variables.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let given = variables.iter().copied();
        let all =
            [("PORT", "0"), ("PATH", "/usr/local/bin:/usr/bin:/bin")].into_iter().chain(given);
        let all: Vec<_> = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let process = Process::start(&binary(name), &[], &all);
        let address = process
            .until_logged(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["address"].as_str()?.parse().ok().filter(|_| line["message"] == "listening")
            })
            .await;
        Self { process, address }
    }

    /// Sends it a request.
    pub async fn send(&self, request: &Request) -> Answer {
        http_client::send(self.address, request).await
    }

    /// Kills it (SIGKILL), and returns once it is gone.
    pub async fn kill(self) {
        self.process.kill().await;
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process that it is.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}
