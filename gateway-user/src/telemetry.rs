//! Logging.

/// What is logged and how.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A `tracing` filter such as `info` or `chaperone=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false }
    }
}
