//! The driver's client and the collections that commands use.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Collection, Database,
    bson::{Document, RawDocumentBuf},
    event::EventHandler,
    options::{
        Acknowledgment, ClientOptions, CollectionOptions, ConnectionString, ReadConcern,
        ReadPreference, SelectionCriteria, ServerMonitoringMode, WriteConcern,
    },
};
use tokio::sync::OnceCell;

use crate::mongodb::{
    clock::{Clock, LocalClock},
    members::{Member, Members},
};

/// Below the limit of a read, so that an error names the servers that were not found.
const SELECTION_LIMIT: Duration = Duration::from_secs(4);

/// How long the driver may take to connect to a server.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// How often the driver checks each server unless the URL says otherwise (`heartbeatFrequencyMS`):
/// often enough that it notices a frozen primary within seconds.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(2);

/// Connections per server and process unless the URL says otherwise (`maxPoolSize`): small
/// clusters allow few, and every concurrent instance of a function has a pool of its own.
const POOL: u32 = 8;

/// How long a connection may be idle before another takes its place, unless the URL says otherwise
/// (`maxIdleTimeMS`).
const IDLE_LIMIT: Duration = Duration::from_mins(1);

/// The database unless the URL names one.
const DATABASE: &str = "segue";

/// The collections, as [`Gate`](super::Gate) hands them to commands.
pub(in crate::mongodb) struct Collections {
    pub(in crate::mongodb) database: Database,
    pub(in crate::mongodb) songs: Collection<RawDocumentBuf>,
    pub(in crate::mongodb) uploads: Collection<Document>,
    pub(in crate::mongodb) claims: Collection<Document>,
    pub(in crate::mongodb) chunks: Collection<RawDocumentBuf>,
    secondary_chunks: Collection<RawDocumentBuf>,
    pub(in crate::mongodb) clock: Clock,
}

impl Collections {
    /// The chunks as a member has them.
    pub(in crate::mongodb) fn chunks_of(&self, member: Member) -> &Collection<RawDocumentBuf> {
        match member {
            Member::Primary => &self.chunks,
            Member::Secondary => &self.secondary_chunks,
        }
    }
}

/// The driver's client, made when it is first used.
pub(super) struct Connection {
    address: ConnectionString,
    collections: OnceCell<Arc<Collections>>,
    members: Arc<Members>,
    clock: LocalClock,
}

impl Connection {
    /// Nothing goes over the network, not even a name's resolution.
    pub(super) fn new(address: ConnectionString, members: Arc<Members>, clock: LocalClock) -> Self {
        Self { address, collections: OnceCell::new(), members, clock }
    }

    /// How many connections to a server the driver makes at most.
    pub(super) fn pool(&self) -> u32 {
        self.address.max_pool_size.unwrap_or(POOL)
    }

    pub(super) async fn collections(&self) -> mongodb::error::Result<Arc<Collections>> {
        self.collections.get_or_try_init(|| self.connect()).await.cloned()
    }

    async fn connect(&self) -> mongodb::error::Result<Arc<Collections>> {
        let mut options = ClientOptions::parse(self.address.clone()).await?;
        options.app_name.get_or_insert_with(|| "segue".to_owned());
        options.max_pool_size.get_or_insert(POOL);
        // A connection that was idle while the process was frozen may be dead without a notice.
        options.max_idle_time.get_or_insert(IDLE_LIMIT);
        options.connect_timeout.get_or_insert(CONNECT_LIMIT);
        options.server_selection_timeout.get_or_insert(SELECTION_LIMIT);
        options.heartbeat_freq.get_or_insert(HEARTBEAT);
        // Streaming would hold a second connection per server open, to hear of changes sooner than a
        // function that is frozen between requests could act on them.
        options.server_monitoring_mode.get_or_insert(ServerMonitoringMode::Poll);
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let members = Arc::clone(&self.members);
        options.sdam_event_handler =
            Some(EventHandler::callback(move |event| members.note(&event)));
        let name = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let database = Client::with_options(options)?.database(&name);
        // What a majority has cannot be rolled back, unlike the latest that a secondary has.
        let of_secondaries = CollectionOptions::builder()
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::secondary(None)))
            .read_concern(ReadConcern::majority())
            .build();
        Ok(Arc::new(Collections {
            songs: database.collection("musics"),
            uploads: database.collection("uploads"),
            claims: database.collection("claims"),
            chunks: database.collection("chunks"),
            secondary_chunks: database.collection_with_options("chunks", of_secondaries),
            database,
            clock: Clock::new(self.clock),
        }))
    }
}
