//! HTTP/1.1 by hand: what no proper client sends.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Everything before the body, in lower case.
    pub(crate) head: String,
}

impl Reply {
    /// The value of a header; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let line = |line: &'_ str| line.split_once(": ").map(|(name, _)| name.len());
        let mut lines = self.head.lines();
        let found = lines.find(|it| line(it).is_some_and(|length| &it[..length] == name));
        found.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    }
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        stream.set_nodelay(true).expect("is a socket");
        Self { stream, read: Vec::new() }
    }

    /// Sends bytes. `false` if the server has closed the connection.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Reads one answer with its body, as that of a request with `method`. `None` if the connection
    /// was closed instead.
    pub(crate) async fn reply(&mut self, method: &str) -> Option<Reply> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end;
            }
            self.more().await?;
        };
        let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
        self.read.drain(..end + 4);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let reply = Reply { status: status.expect("has a status"), head };
        let has_body = method != "HEAD" && !matches!(reply.status, 100..200 | 204 | 304);
        let length: usize = reply.header("content-length").parse().unwrap_or(0);
        while has_body && self.read.len() < length {
            self.more().await?;
        }
        if has_body {
            self.read.drain(..length);
        }
        Some(reply)
    }

    /// Whether the server closes the connection, having sent no answer of success.
    pub(crate) async fn is_closed(&mut self) -> bool {
        while self.more().await.is_some() {}
        !self.read.starts_with(b"HTTP/1.1 2")
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = vec![0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut buffer));
        let count =
            read.await.expect("the server says something").ok().filter(|count| *count > 0)?;
        self.read.extend_from_slice(&buffer[..count]);
        Some(())
    }
}
