//! Somebody who sends songs by parts, as any client of tus 1.0.0 does, and notes what they are told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use black_box::http_client::{Answer, Broken, Request, try_send};

use crate::listener::{Fate, Fates, set_fate};

/// An upload, as far as its sender knows.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    pub(crate) id: String,
    pub(crate) file: Vec<u8>,
    /// How many bytes are said to be in.
    pub(crate) acknowledged: usize,
}

/// Whoever sends, and what of it has been answered.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    address: SocketAddr,
    fates: Fates,
    /// How long they wait before each part.
    pause: Duration,
    sendings: Arc<Mutex<Vec<Sending>>>,
}

impl Sender {
    /// One that talks to the server at `address`, and knows of nothing yet.
    pub(crate) fn new(address: SocketAddr, fates: Fates, pause: Duration) -> Self {
        Self { address, fates, pause, sendings: Arc::default() }
    }

    /// The same, who remembers everything, talking to the server that is at `address` now.
    pub(crate) fn come_back(&self, address: SocketAddr) -> Self {
        Self { address, pause: Duration::ZERO, ..self.clone() }
    }

    /// What was begun and answered, and not given up.
    pub(crate) fn known(&self) -> Vec<Sending> {
        self.sendings().clone()
    }

    fn sendings(&self) -> MutexGuard<'_, Vec<Sending>> {
        self.sendings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of an upload is said to be in.
    fn acknowledged(&self, id: &str) -> usize {
        self.sendings().iter().find(|it| it.id == id).map_or(0, |it| it.acknowledged)
    }

    /// Begins an upload, with its first part if `with_part`.
    pub(crate) async fn begin(
        &self,
        file: &[u8],
        part: usize,
        with_part: bool,
    ) -> Result<String, Broken> {
        let mut request = tus("POST", "/uploads").header("Upload-Length", file.len().to_string());
        if with_part {
            request = request.body(PART, file[..part.min(file.len())].to_vec());
        }
        let answer = try_send(self.address, &request).await?;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let id = answer.header("segue-song").to_owned();
        let sending = Sending { id: id.clone(), file: file.to_vec(), acknowledged: 0 };
        self.sendings().push(sending);
        self.note(&id, 0, &answer);
        Ok(id)
    }

    /// Sends parts of `part` bytes from where the server says on, `parts` at the most. Others may
    /// send the same meanwhile.
    pub(crate) async fn send(
        &self,
        id: &str,
        file: &[u8],
        part: usize,
        parts: usize,
    ) -> Result<(), Broken> {
        let url = format!("/uploads/{id}");
        let known = self.acknowledged(id);
        let head = try_send(self.address, &tus("HEAD", &url)).await?;
        assert_eq!(head.status, 200, "an upload that was begun is there");
        let mut offset = self.note(id, known, &head);
        for _ in 0..parts {
            if offset == file.len() {
                break;
            }
            tokio::time::sleep(self.pause).await;
            let end = file.len().min(offset + part);
            let request = tus("PATCH", &url)
                .header("Upload-Offset", offset.to_string())
                .body(PART, file[offset..end].to_vec());
            let known = self.acknowledged(id);
            let answer = try_send(self.address, &request).await?;
            // 409: somebody else was faster.
            assert!(matches!(answer.status, 204 | 409), "{}", answer.text());
            let moved = self.note(id, known, &answer);
            assert!(moved > offset, "a part at {offset} leaves the upload at {moved}");
            offset = moved;
        }
        Ok(())
    }

    /// Gives an upload up.
    pub(crate) async fn give_up(&self, id: &str) -> Result<(), Broken> {
        set_fate(&self.fates, id, Fate::Leaving);
        self.sendings().retain(|it| it.id != id);
        let answer = try_send(self.address, &tus("DELETE", &format!("/uploads/{id}"))).await?;
        assert_eq!(answer.status, 204, "{}", answer.text());
        set_fate(&self.fates, id, Fate::Gone);
        Ok(())
    }

    /// Takes down what an answer says is in, to a request that was sent when `known` bytes were
    /// known to be.
    fn note(&self, id: &str, known: usize, answer: &Answer) -> usize {
        let offset = answer.header("upload-offset").parse().expect("is a number");
        assert!(offset >= known, "{known} bytes were in, and now {offset} are");
        let mut sendings = self.sendings();
        if let Some(sending) = sendings.iter_mut().find(|it| it.id == id) {
            assert!(offset <= sending.file.len(), "{offset} bytes of {}", sending.file.len());
            sending.acknowledged = sending.acknowledged.max(offset);
            if offset == sending.file.len() {
                set_fate(&self.fates, id, Fate::There);
            }
        }
        offset
    }
}

const PART: &str = "application/offset+octet-stream";

fn tus(method: &'static str, url: &str) -> Request {
    Request::new(method, url).header("Tus-Resumable", "1.0.0")
}
