//! MongoDB, by its official driver.
//!
//! Where a URL asks for less than the traits promise, the traits win: writes are acknowledged by a
//! majority's journals, reads go to the primary. Reads take the server's default read concern
//! (`local`), so one may see a change a moment before it is durable; nothing is decided on what was
//! read, since every change states its condition and is itself acknowledged by a majority.

mod chunks;
mod claims;
mod document;
mod lists;
mod songs;
mod uploads;

use std::{future::Future, time::Duration};

use mongodb::{
    Client, Collection, Database, IndexModel,
    bson::{Document, RawDocumentBuf, doc},
    error::{ErrorKind, WriteFailure},
    options::{
        Acknowledgment, ClientOptions, ClusteredIndex, ConnectionString, IndexOptions,
        ReadPreference, SelectionCriteria, ServerMonitoringMode, WriteConcern,
    },
};
use tokio::sync::OnceCell;

use crate::{Error, Result, checksum::Verifier};

/// How long a read may take, so that a request is answered within 5 s whatever the server does.
/// The driver has no socket timeout: nothing else ends a read from a server that has stopped.
const READ_LIMIT: Duration = Duration::from_millis(4_500);

/// How long a change may take: with the collections to be made before the first one, still below
/// the 29 s that a gateway waits.
const WRITE_LIMIT: Duration = Duration::from_secs(12);

/// Below [`READ_LIMIT`], so that an error names the servers that were not found.
const SELECTION_LIMIT: Duration = Duration::from_secs(4);

const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// Connections per server and process unless the URL says otherwise (`maxPoolSize`): small
/// clusters allow few, and every concurrent instance of a function has a pool of its own.
const POOL: u32 = 8;

/// How long a connection may be idle before another takes its place, unless the URL says otherwise
/// (`maxIdleTimeMS`).
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// The database unless the URL names one.
const DATABASE: &str = "segue";

/// What a server says of a document whose key another has.
const DUPLICATE_KEY: i32 = 11_000;

/// A database of a MongoDB server or cluster.
pub(crate) struct MongoDb {
    address: ConnectionString,
    collections: OnceCell<Collections>,
    prepared: OnceCell<()>,
    verifier: Verifier,
}

struct Collections {
    database: Database,
    songs: Collection<RawDocumentBuf>,
    chunks: Collection<RawDocumentBuf>,
    uploads: Collection<Document>,
    claims: Collection<Document>,
}

impl MongoDb {
    /// Reads the URL. Nothing goes over the network before the first use, not even a name's
    /// resolution.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let address =
            ConnectionString::parse(url).map_err(|error| Error::Url(reason(url, &error)))?;
        Ok(Self {
            address,
            collections: OnceCell::new(),
            prepared: OnceCell::new(),
            verifier: Verifier::default(),
        })
    }

    async fn collections(&self) -> mongodb::error::Result<&Collections> {
        self.collections.get_or_try_init(|| connect(self.address.clone())).await
    }

    /// Makes sure that the collections are as they should be. Whoever writes waits for it, once;
    /// readers never do.
    async fn prepare(&self) -> Result<()> {
        self.prepared.get_or_try_init(|| self.make_collections()).await.copied()
    }

    async fn make_collections(&self) -> Result<()> {
        within(WRITE_LIMIT, async {
            let collections = self.collections().await?;
            tolerate("a clustered collection", make_chunks(&collections.database).await)?;
            tolerate("an index", collections.songs.create_indexes(indexes()).await.map(|_| ()))
        })
        .await
    }
}

async fn connect(address: ConnectionString) -> mongodb::error::Result<Collections> {
    let mut options = ClientOptions::parse(address).await?;
    options.app_name.get_or_insert_with(|| "segue".to_owned());
    options.max_pool_size.get_or_insert(POOL);
    // What was idle while the process was frozen may be dead, and nobody would have heard.
    options.max_idle_time.get_or_insert(IDLE_LIMIT);
    options.connect_timeout.get_or_insert(CONNECT_LIMIT);
    options.server_selection_timeout.get_or_insert(SELECTION_LIMIT);
    // Streaming would hold a second connection per server open, to hear of changes sooner than a
    // function that is frozen between requests could act on them.
    options.server_monitoring_mode.get_or_insert(ServerMonitoringMode::Poll);
    options.write_concern =
        Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
    let database = Client::with_options(options)?.database(&name);
    Ok(Collections {
        songs: database.collection("musics"),
        chunks: database.collection("chunks"),
        uploads: database.collection("uploads"),
        claims: database.collection("claims"),
        database,
    })
}

async fn make_chunks(database: &Database) -> mongodb::error::Result<()> {
    const NAMESPACE_EXISTS: i32 = 48;
    let made =
        database.create_collection("chunks").clustered_index(ClusteredIndex::default()).await;
    match made {
        Err(error) if code(&error) == Some(NAMESPACE_EXISTS) => Ok(()),
        made => made,
    }
}

fn indexes() -> Vec<IndexModel> {
    let index = |keys: Document| IndexModel::builder().keys(keys).build();
    let sparse = |keys: Document| {
        IndexModel::builder()
            .keys(keys)
            .options(IndexOptions::builder().sparse(true).build())
            .build()
    };
    vec![
        index(lists::by_status()),
        index(lists::by_album()),
        index(lists::by_prefix()),
        index(doc! { "source.sha256": 1 }),
        // What the sweep looks for is in few songs at a time.
        sparse(doc! { "attempt.lease_until": 1 }),
        sparse(doc! { "retired.removable_at": 1 }),
    ]
}

/// Servers that speak MongoDB's protocol refuse this or that. Without it Segue is slower, not wrong.
fn tolerate(what: &str, made: mongodb::error::Result<()>) -> mongodb::error::Result<()> {
    match made {
        Err(error) if !is_transient(&error) => {
            tracing::warn!(%error, "the database does not make {what}, going on without");
            Ok(())
        }
        made => made,
    }
}

/// Runs an operation, for so long.
///
/// Giving one up closes the connection it was on; whether it took effect is then not known.
async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = mongodb::error::Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, operation).await {
        Ok(done) => done.map_err(failure),
        Err(elapsed) => Err(Error::unavailable(elapsed)),
    }
}

fn failure(error: mongodb::error::Error) -> Error {
    if is_transient(&error) { Error::unavailable(error) } else { Error::backend(error) }
}

/// Whether trying again later may help: the server is not there, or not the primary, or too slow.
fn is_transient(error: &mongodb::error::Error) -> bool {
    /// Not primary, recovering, shutting down; host or network gone; time limits, write concern's
    /// included; conflicts that outlasted the driver's own retries.
    const TRANSIENT: [i32; 18] =
        [6, 7, 24, 46, 50, 64, 89, 91, 112, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435];
    match error.kind.as_ref() {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Io(_)
        | ErrorKind::ConnectionPoolCleared { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::Shutdown => true,
        _ => {
            error.contains_label("RetryableWriteError")
                || error.contains_label("RetryableError")
                || code(error).is_some_and(|code| TRANSIENT.contains(&code))
        }
    }
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

/// Why a URL is no good. The driver's words may repeat parts of it, so they are left out where the
/// URL can hold a password.
fn reason(url: &str, error: &mongodb::error::Error) -> String {
    if url.contains('@') || url.to_ascii_lowercase().contains("auth") {
        return "it is not a MongoDB connection string".to_owned();
    }
    match error.kind.as_ref() {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_repeating_its_password() {
        for url in [
            "mongodb://segue:hunter2@",
            "mongodb://segue:hun/ter2@localhost",
            "mongodb://segue:hunter2%@localhost/",
            "mongodb://segue:hunter2@localhost:port/",
            "mongodb://localhost/?authMechanismProperties=hunter2",
        ] {
            let Err(Error::Url(reason)) = MongoDb::new(url) else { panic!("{url} was accepted") };
            assert!(!reason.contains("hun"), "{reason}");
        }
    }

    #[test]
    fn a_url_without_secrets_is_refused_with_its_reason() {
        let Err(Error::Url(reason)) = MongoDb::new("mongodb://localhost:port/") else {
            panic!("accepted")
        };
        assert!(reason.contains("port"), "{reason}");
    }
}
