//! Logging.

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// The target of checkpoints that are written to the log.
pub(crate) const CHECKPOINTS: &str = "chaperone::checkpoint";

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

/// The filter of the configuration. Checkpoints pass in any case: whether they are logged is `record.log.journald`'s matter.
///
/// # Errors
/// [`BadFilter`].
pub(crate) fn filter(text: &str) -> Result<EnvFilter, BadFilter> {
    let bad =
        |error: &dyn std::error::Error| BadFilter { filter: text.to_owned(), detail: error.to_string() };
    let checkpoints = format!("{CHECKPOINTS}=info").parse().map_err(|error| bad(&error))?;
    Ok(EnvFilter::try_new(text).map_err(|error| bad(&error))?.add_directive(checkpoints))
}

/// Starts logging to standard error, once per process; a second call does nothing.
///
/// # Errors
/// [`BadFilter`].
pub fn init(config: &Config) -> Result<(), BadFilter> {
    let filter = filter(&config.filter)?;
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
