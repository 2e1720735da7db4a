//! How the function is configured.

use service::{ConfigError, HttpConfig, Lookup, Secret};

/// The configuration of `streaming`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the songs are: `mongodb://…` or `mongodb+srv://…`. `DATABASE_URL`, or an ARN in
    /// `DATABASE_SECRET_ARN`
    pub database_url: Secret,
    /// How it is served.
    pub http: HttpConfig,
}

impl Config {
    /// Reads the configuration.
    pub fn from_lookup(lookup: &Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            database_url: Secret::from_lookup(lookup, "DATABASE_URL", "DATABASE_SECRET_ARN")
                .ok_or(ConfigError::Missing("DATABASE_URL"))?,
            http: HttpConfig::from_lookup(lookup)?,
        })
    }
}
