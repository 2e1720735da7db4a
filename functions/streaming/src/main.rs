//! The `streaming` function: playlists and segments.

use std::sync::Arc;

use service::{BoxError, Lookup, NoJobs};
use streaming::Config;

fn main() -> Result<(), BoxError> {
    service::init_logging();
    service::block_on(serve())
}

async fn serve() -> Result<(), BoxError> {
    let config = Config::from_lookup(&Lookup::environment())?;
    let key = config.http.resolve_key().await?;
    let store = store::open(&config.database_url.resolve().await?).await?;
    let app = service::app(streaming::router(Arc::clone(&store)), &config.http, key.as_deref());
    service::run(app, Arc::new(NoJobs), store, &config.http).await
}
