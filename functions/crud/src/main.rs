//! The `crud` function: songs, and the jobs that make them playable.

use std::sync::Arc;

use crud::{Config, Crud};
use service::{BoxError, Lookup};

fn main() -> Result<(), BoxError> {
    service::init_logging();
    service::block_on(serve())
}

async fn serve() -> Result<(), BoxError> {
    let config = Config::from_lookup(&Lookup::environment())?;
    let http = config.http.clone();
    let key = http.resolve_key().await?;
    let store = store::open(&config.database_url.resolve().await?).await?;
    let (crud, worker) = Crud::new(Arc::clone(&store), config)?;
    if std::env::args().nth(1).as_deref() == Some("sweep") {
        return worker.sweep_all().await;
    }
    crud.check_ffmpeg();
    service::run(service::app(crud::router(crud), &http, key.as_deref()), worker, store, &http)
        .await
}
