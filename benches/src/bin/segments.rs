//! Segments a second through the HTTP server, from MongoDB, with 1 and with 300 songs stored, and
//! beside them what the bare driver reads.
//!
//! The three are measured in turns, so that what else the machine does falls on all of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use benches::{rate, scatter, segment_path};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use mongodb::bson::{RawDocumentBuf, doc};
use music::{RevisionId, SongId, testing};
use service::{BoxError, HttpConfig, Lookup, NoJobs};
use store::{ChunkKey, Store, testing::TestDatabase};
use tokio::net::{TcpListener, TcpStream};

const SONGS: usize = 300;
const SEGMENTS: u32 = 16;
/// What 6 s at 256 kb/s take.
const SEGMENT_BYTES: usize = 199_000;
const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;
const TIME: Duration = Duration::from_secs(2);

type Client = SendRequest<Empty<Bytes>>;
type Songs = Arc<Vec<(SongId, RevisionId)>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let database = TestDatabase::mongodb();
    let store = store::open(database.url()).await?;
    let songs = fill(store.as_ref()).await?;
    let first: Songs = Arc::new(songs[..1].to_vec());

    let address = serve(Arc::clone(&store)).await?;
    let driver = mongodb::Client::with_uri_str(database.url()).await?;
    let driver = driver.default_database().ok_or("the URL names no database")?;
    let chunks = driver.collection::<RawDocumentBuf>("chunks");

    let (mut one, mut many, mut bare) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        one += over_http(address, Arc::clone(&first)).await?;
        many += over_http(address, Arc::clone(&songs)).await?;
        let (chunks, songs) = (chunks.clone(), Arc::clone(&songs));
        bare += rate(vec![(); CONNECTIONS], TIME, move |(), number| {
            let (chunks, (song, revision, segment)) = (chunks.clone(), pick(&songs, number));
            async move {
                let key = ChunkKey::segment(song, revision, "128k", segment).to_string();
                chunks.find_one(doc! { "_id": key }).await?.ok_or("a segment is missing")?;
                Ok(())
            }
        })
        .await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let rounds = ROUNDS as f64;
    println!("segments of {SEGMENT_BYTES} bytes, {CONNECTIONS} connections, requests/s:");
    println!("  HTTP, 1 song stored      {:>8.0}", one / rounds);
    println!(
        "  HTTP, {SONGS} songs stored   {:>8.0}   {:.2} of 1 song (aim 0.95)",
        many / rounds,
        many / one
    );
    println!(
        "  bare driver, {SONGS} songs   {:>8.0}   HTTP is {:.2} of it (aim 0.50)",
        bare / rounds,
        many / bare
    );
    Ok(())
}

fn pick(songs: &Songs, number: usize) -> (SongId, RevisionId, u32) {
    let (song, revision) = songs[scatter(number, songs.len())];
    let segment =
        u32::try_from(scatter(number.wrapping_mul(31) + 7, SEGMENTS as usize)).unwrap_or(0);
    (song, revision, segment)
}

async fn fill(store: &dyn Store) -> Result<Songs, BoxError> {
    let bytes: Vec<u8> =
        (0..SEGMENT_BYTES).map(|index| u8::try_from(scatter(index, 256)).unwrap_or(0)).collect();
    let bytes = Bytes::from(bytes);
    let mut songs = Vec::new();
    for number in 0..SONGS {
        let samples = u64::from(SEGMENTS) * music::segment_duration(48_000);
        let description = testing::description(&format!("Song {number}"), "Segue");
        let song = testing::ready(description, samples);
        let revision = song.revision.as_ref().ok_or("not ready")?.id;
        store.insert(&song).await?;
        for segment in 0..SEGMENTS {
            store
                .put(&ChunkKey::segment(song.id, revision, "128k", segment), bytes.clone())
                .await?;
        }
        songs.push((song.id, revision));
    }
    Ok(Arc::new(songs))
}

async fn serve(store: Arc<dyn Store>) -> Result<SocketAddr, BoxError> {
    let config = HttpConfig::from_lookup(&Lookup::new(|_| None))?;
    let app = service::app(streaming::router(Arc::clone(&store)), &config, None);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(
        async move { service::serve(listener, app, Arc::new(NoJobs), store, &config).await },
    );
    Ok(address)
}

async fn over_http(address: SocketAddr, songs: Songs) -> Result<f64, BoxError> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (client, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        clients.push(client);
    }
    rate(clients, TIME, move |client, number| {
        let (song, revision, segment) = pick(&songs, number);
        get(client, segment_path(song, revision, segment))
    })
    .await
}

async fn get(mut client: Client, path: String) -> Result<Client, BoxError> {
    client.ready().await?;
    let request = Request::get(path).header("host", "localhost").body(Empty::new())?;
    let mut response = client.send_request(request).await?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()).into());
    }
    let mut bytes = 0;
    while let Some(frame) = response.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len);
    }
    if bytes == SEGMENT_BYTES { Ok(client) } else { Err("a segment is not whole".into()) }
}
