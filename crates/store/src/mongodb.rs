//! MongoDB, by its official driver.
//!
//! Where a URL asks for less than the traits promise, the traits win: writes are acknowledged by a
//! majority's journals, reads go to the primary. Reads take the server's default read concern
//! (`local`), so one may see a change a moment before it is durable; nothing is decided on what was
//! read, since every change states its condition and is itself acknowledged by a majority.
//!
//! Chunks never change, so they are read from a secondary where the primary does not answer: see
//! [`members`]. That read takes the read concern `majority`, because what a secondary alone has may
//! be rolled back, and the next change of the primary would not show it.

mod chunks;
mod claims;
mod clock;
mod document;
mod gate;
mod lists;
mod members;
mod songs;
mod uploads;

use mongodb::{
    Database, IndexModel,
    bson::{Document, doc},
    error::{ErrorKind, WriteFailure},
    options::{ClusteredIndex, ConnectionString, IndexOptions},
};
use tokio::sync::OnceCell;

use self::{clock::LocalClock, gate::Gate};
use crate::{Error, Result, checksum::Verifier};

/// What a server says of a document whose key another has.
const DUPLICATE_KEY: i32 = 11_000;

/// A database of a MongoDB server or cluster.
pub(crate) struct MongoDb {
    gate: Gate,
    prepared: OnceCell<()>,
    verifier: Verifier,
}

impl MongoDb {
    /// Reads the URL. Nothing goes over the network before the first use, not even a name's
    /// resolution.
    pub(crate) fn new(url: &str) -> Result<Self> {
        Self::with_clock(url, music::now)
    }

    fn with_clock(url: &str, clock: LocalClock) -> Result<Self> {
        let address =
            ConnectionString::parse(url).map_err(|error| Error::Url(reason(url, &error)))?;
        Ok(Self {
            gate: Gate::new(address, clock),
            prepared: OnceCell::new(),
            verifier: Verifier::default(),
        })
    }

    /// Makes sure that the collections are as they should be. Whoever writes waits for it, once;
    /// readers never do.
    async fn prepare(&self) -> Result<()> {
        self.prepared.get_or_try_init(|| self.make_collections()).await.copied()
    }

    async fn make_collections(&self) -> Result<()> {
        self.gate
            .write(|collections| async move {
                tolerate("a clustered collection", make_chunks(&collections.database).await)?;
                tolerate("an index", collections.songs.create_indexes(indexes()).await.map(|_| ()))
            })
            .await
    }
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
