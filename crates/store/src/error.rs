//! What can go wrong between us and a backend.

/// The result of a store's method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend does not answer, or not in time, or has more requests than it can take. Trying
    /// again later may help.
    #[error("the database is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// There is no room for what was to be added. Nothing was; it can be once some is removed.
    #[error("the database has no room left")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),

    /// The database URL cannot be used.
    #[error("the database URL cannot be used: {0}")]
    Url(String),

    /// A chunk is larger than [`CHUNK_LIMIT`](crate::CHUNK_LIMIT).
    #[error("a chunk of {0} bytes is too large")]
    TooLarge(usize),

    /// A chunk's bytes are not those that were written.
    #[error("chunk {chunk} is not as it was written")]
    Corrupt {
        /// Its key.
        chunk: String,
    },

    /// A document was written by a newer Segue than this one.
    #[error("{document} has schema {schema}, which is newer than this program")]
    NewerSchema {
        /// Which one.
        document: String,
        /// The number it carries.
        schema: i64,
    },

    /// The backend answered with an error that trying again will not cure, or with something that
    /// cannot be read.
    #[error("the database failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    pub(crate) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    pub(crate) fn backend(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend(source.into())
    }
}
