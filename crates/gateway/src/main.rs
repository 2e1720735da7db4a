//! `make run`: both functions and a page to listen with, in one process.

mod web;

use std::{net::SocketAddr, sync::Arc};

use crud::Crud;
use service::{BoxError, Lookup};

/// Where songs are kept unless `DATABASE_URL` says otherwise.
const DATABASE_URL: &str = "sqlite:./segue.db";

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    service::init_logging();
    let environment = Lookup::environment();
    let lookup = Lookup::new(|name| {
        environment.text(name).or_else(|| (name == "DATABASE_URL").then(|| DATABASE_URL.to_owned()))
    });
    let config = crud::Config::from_lookup(&lookup)?;
    let http = config.http.clone();
    let key = http.resolve_key().await?;
    let store = store::open(&config.database_url.resolve().await?).await?;

    let (crud, worker) = Crud::new(Arc::clone(&store), config)?;
    crud.check_ffmpeg();
    let routes =
        crud::router(crud).merge(streaming::router(Arc::clone(&store))).merge(web::routes());
    let app = service::app(routes, &http, key.as_deref());

    let listener = service::bind(&http).await?;
    greet(listener.local_addr()?, http.base_path(), key.is_some());
    service::serve(listener, app, worker, store, &http).await
}

/// What a newcomer needs next, on standard output: the log is on the other one.
fn greet(address: SocketAddr, base_path: &str, needs_key: bool) {
    let url = format!("http://{address}{base_path}");
    let key = if needs_key { " -H \"Authorization: Bearer $API_KEY\"" } else { "" };
    println!("Segue is at {url}/");
    println!(
        "Add a song:  curl{key} -H 'Content-Type: audio/*' --data-binary @song.mp3 '{url}/songs'"
    );
}
