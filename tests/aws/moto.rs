//! An AWS on this machine: moto's server, as far as it is needed.

use std::{env, net::SocketAddr, path::PathBuf};

use black_box::{
    binary::root,
    http_client::{self, Request},
    process::Process,
};
use serde_json::json;

pub(crate) struct Moto {
    address: SocketAddr,
    _process: Process,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let path = env::var("PATH").unwrap_or_default();
        let arguments = ["--host", "127.0.0.1", "--port", "0"];
        let process = Process::start(&program(), &arguments, &[("PATH".into(), path)]);
        let address = process
            .until_logged(|line| line.split("Running on http://").nth(1)?.trim().parse().ok())
            .await;
        Self { address, _process: process }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Keeps a secret. Returns its ARN.
    pub(crate) async fn keep(&self, name: &str, secret: &str) -> String {
        let request = Request::new("POST", "/")
            .body("application/x-amz-json-1.1", json!({ "Name": name, "SecretString": secret }).to_string())
            .header("X-Amz-Target", "secretsmanager.CreateSecret")
            .header(
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/eu-central-1/secretsmanager/aws4_request",
            );
        let answer = http_client::send(self.address, &request).await;
        let arn = answer.json()["ARN"].as_str().map(str::to_owned);
        arn.unwrap_or_else(|| panic!("moto kept no secret: {}", answer.text()))
    }
}

fn program() -> PathBuf {
    let installed = root().join("target/venv/bin/moto_server");
    assert!(installed.is_file(), "there is no moto_server in target/venv: run `make prepare`");
    installed
}
