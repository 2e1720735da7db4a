//! Clients that stop in the middle of what they send, and never say so.

use black_box::{http_client::Request, songs::wav};
use store::testing::TestDatabase;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::place::{Place, until};

/// What one client may send at a time is all that there is room for.
const ONE_PLACE: [(&str, &str); 3] =
    [("INGEST_CONCURRENCY", "1"), ("INGEST_QUEUE", "0"), ("CLIENT_TIMEOUT_SECONDS", "1")];

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_does_not_keep_their_place() {
    let place = Place::new(TestDatabase::sqlite()).await;
    let gateway = place.gateway(&ONE_PLACE).await;
    let upload = Request::new("POST", "/uploads")
        .header("Tus-Resumable", "1.0.0")
        .header("Upload-Length", "1000");
    let upload = gateway.send(&upload).await.header("location").to_owned();
    let heads = [
        "POST /songs HTTP/1.1\r\nContent-Type: audio/wav\r\n".to_owned(),
        "POST /songs HTTP/1.1\r\nContent-Type: application/json\r\n".to_owned(),
        // With a checksum, nothing is kept of a part that breaks off: its offset can be tried again.
        format!(
            "PATCH {upload} HTTP/1.1\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n\
             Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n\
             Content-Type: application/offset+octet-stream\r\n"
        ),
    ];
    for head in heads {
        println!("{head}");
        let request = format!("{head}Host: localhost\r\nContent-Length: 1000\r\n\r\n{{");
        let song = Request::new("POST", "/songs?name=n&author=a").body("audio/wav", wav(48_000));
        let mut silent = Vec::new();
        // Until one of them came in before the song did.
        let refused = async || {
            let mut client = TcpStream::connect(gateway.address()).await.expect("connects");
            client.write_all(request.as_bytes()).await.expect("sends");
            silent.push(client);
            gateway.send(&song).await.status == 503
        };
        until(refused, "there is room for two").await;
        let added = async || gateway.send(&song).await.status == 201;
        until(added, "who said nothing any more still has their place").await;
    }
}
