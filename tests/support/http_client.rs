//! One request over HTTP, and its answer.

use std::{collections::BTreeMap, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// A request, whichever door it is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: &'static str,
    /// The path and the query, encoded as a client sends them.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: Bytes::new() }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Gives it a body.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("Content-Type", content_type)
    }

    /// The value of a header.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path and the query, apart.
    #[must_use]
    pub fn path_and_query(&self) -> (&str, &str) {
        self.target.split_once('?').unwrap_or((&self.target, ""))
    }
}

/// An answer, whichever door it came through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers by their names in lower case; what came more than once, with commas between.
    pub headers: BTreeMap<String, String>,
    /// The whole body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The kind of the problem that it tells, such as `not-found`.
    ///
    /// # Panics
    /// If it tells none.
    #[must_use]
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        let kind =
            problem["type"].as_str().and_then(|kind| kind.strip_prefix("urn:segue:problem:"));
        kind.unwrap_or_else(|| panic!("is of no kind: {problem}")).to_owned()
    }

    pub(crate) fn add_header(&mut self, name: &str, value: &str) {
        self.headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|present| {
                present.push_str(", ");
                present.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
}

/// How an exchange ended before its answer did.
pub type Broken = Box<dyn std::error::Error + Send + Sync>;

/// Sends a request on a connection of its own.
///
/// # Panics
/// If the server does not answer.
pub async fn send(address: SocketAddr, request: &Request) -> Answer {
    try_send(address, request).await.expect("the server answers")
}

/// Sends a request on a connection of its own to a server that may end meanwhile.
///
/// # Errors
/// If it is not there, or breaks off.
///
/// # Panics
/// If the request is none, or the answer's headers are no text.
pub async fn try_send(address: SocketAddr, request: &Request) -> Result<Answer, Broken> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut message = hyper::Request::builder()
        .method(request.method)
        .uri(&request.target)
        .header("Host", address.to_string());
    for (name, value) in &request.headers {
        message = message.header(name, value);
    }
    let message = message.body(Full::new(request.body.clone())).expect("is a request");
    let response = sender.send_request(message).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut answer = Answer { status: head.status.as_u16(), headers: BTreeMap::new(), body };
    for (name, value) in &head.headers {
        answer.add_header(name.as_str(), value.to_str().expect("is text"));
    }
    Ok(answer)
}
