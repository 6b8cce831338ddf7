//! The configuration file: composed from each module's own section.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use self::check::Purpose;
use crate::{
    api, credentials, decide, forward,
    identify::{self, WorkloadConfig},
    issuer, mask, record, redirect, route, serve, telemetry, terminate,
};

mod check;
mod locate;
pub mod policies;
#[cfg(test)]
mod tests;

/// Bytes a configuration file may have.
const MAX_BYTES: u64 = 1024 * 1024;

/// `/etc/chaperone/chaperone.toml`. Every field has a documented default except `workload`.
#[derive(Debug, Clone, Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The capture in the kernel and the listeners.
    pub redirect: redirect::Config,
    /// Bounds on sessions, and the placeholders' master key.
    pub identify: identify::Config,
    /// Bounds on the first bytes of a connection.
    pub route: route::Config,
    /// The local CA.
    pub terminate: terminate::Config,
    /// Bounds on one connection and one call.
    pub serve: serve::Config,
    /// The policies.
    pub policy: decide::Config,
    /// What is hidden in answers.
    pub mask: mask::Config,
    /// The session database.
    pub record: record::Config,
    /// The gateway's own AWS credentials.
    pub credentials: credentials::Config,
    /// How AWS is reached.
    pub forward: forward::Config,
    /// The daemon's unix socket.
    pub api: api::Config,
    /// Logging.
    pub log: telemetry::Config,
    /// The kinds of agents.
    pub workload: Vec<WorkloadConfig>,
    /// The issuers whose tokens are believed.
    pub issuer: Vec<issuer::Config>,
    /// SHA-256 of the file's text, in hex; empty for a text that is of no file.
    #[serde(skip)]
    pub digest: String,
}

/// Why the configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {detail}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words, and the next step where there is one.
        detail: String,
    },
    /// A value is wrong.
    #[error("{path}:{line}:{column}: {detail}")]
    Invalid {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// What is wrong and what would be right.
        detail: String,
    },
}

impl Config {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_for(path, Purpose::Gateway)
    }

    /// The same for commands that only read the session database: a console has no workloads.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn load_to_read(path: &Path) -> Result<Self, ConfigError> {
        Self::load_for(path, Purpose::Reading)
    }

    fn load_for(path: &Path, purpose: Purpose) -> Result<Self, ConfigError> {
        let unreadable =
            |detail: String| ConfigError::Unreadable { path: path.display().to_string(), detail };
        let (text, mode) = read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => unreadable(format!("{error}; `chaperone init` writes a first one")),
            _ => unreadable(error.to_string()),
        })?;
        let mut config = Self::parse_for(&text, path, purpose)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        config.digest = hex::encode(digest);
        let secret = config.record.url.as_ref().is_some_and(record::DatabaseUrl::has_password);
        if secret && mode & 0o077 != 0 {
            let key = locate::KeyPath::of("record", "url");
            let at = decide::Position::of(&text, locate::Document::parse(&text).offset(&key));
            return Err(ConfigError::Invalid {
                path: path.display().to_string(),
                line: at.line,
                column: at.column,
                detail: format!(
                    "the URL holds a password, and this file is open to others (mode {:04o}): chmod 600 it, or put \
                     the password into the file that PGPASSFILE names",
                    mode & 0o7777
                ),
            });
        }
        Ok(config)
    }

    /// Reads and checks the text of the file at `path`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]: the first thing wrong, in the order of the file.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Self::parse_for(text, path, Purpose::Gateway)
    }

    fn parse_for(text: &str, path: &Path, purpose: Purpose) -> Result<Self, ConfigError> {
        let invalid = |at: decide::Position, detail: String| ConfigError::Invalid {
            path: path.display().to_string(),
            line: at.line,
            column: at.column,
            detail,
        };
        let config: Self = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            invalid(decide::Position::of(text, offset), locate::explain(error.message()))
        })?;
        let document = locate::Document::parse(text);
        let first = check::check(&config, purpose)
            .into_iter()
            .map(|problem| (document.offset(&problem.key), problem.detail))
            .min_by_key(|(offset, _)| *offset);
        match first {
            Some((offset, detail)) => Err(invalid(decide::Position::of(text, offset), detail)),
            None => Ok(config),
        }
    }

    /// The whole configuration with every default, as TOML.
    ///
    /// # Errors
    /// A path that is not UTF-8, which no configuration file can hold.
    pub fn effective_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// The text and the mode of the file.
fn read(path: &Path) -> io::Result<(String, u32)> {
    let mut text = String::new();
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("the file has more than {MAX_BYTES} bytes")));
    }
    Ok((text, mode))
}
