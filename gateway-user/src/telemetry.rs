//! Logging.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// What is logged and how.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A `tracing` filter such as `info` or `gateway_user::serve=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}

/// The filter is not one.
#[derive(Debug, thiserror::Error)]
#[error("log.filter {filter:?}: {detail}")]
pub struct BadFilter {
    filter: String,
    detail: String,
}

/// Starts logging to standard error, once per process; a second call does nothing.
///
/// # Errors
/// [`BadFilter`].
pub fn init(config: &Config) -> Result<(), BadFilter> {
    let filter = EnvFilter::try_new(&config.filter)
        .map_err(|error| BadFilter { filter: config.filter.clone(), detail: error.to_string() })?;
    // Under systemd the journal adds time and unit itself, but a plain file does not.
    let layer = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let _ = if config.json {
        registry.with(layer.json()).try_init()
    } else {
        registry.with(layer.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init()
    };
    Ok(())
}
