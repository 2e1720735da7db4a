//! Logs: text on a terminal, JSON for machines, always on standard error.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging, at the level that `LOG` says (such as `debug` or `warn,crud=debug`), else `info`.
pub fn init() {
    let given = std::env::var("LOG").ok().filter(|levels| !levels.is_empty());
    let filter = given.and_then(|levels| levels.parse().ok());
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(stderr);
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() && stderr().is_terminal() {
        registry.with(layer.with_target(false)).init();
    } else {
        let layer = layer.json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry.with(layer).init();
    }
}
