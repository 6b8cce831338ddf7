//! Where the daemon's records go: a file, or a server of the test's own.

use std::path::Path;

use anyhow::{Context as _, Result};
use gateway_user::record::{self, StoreKind};
use serde_json::Value;

// PostgreSQL for tests is one thing, whoever tests.
#[path = "../../../gateway-user/src/record/tests/server.rs"]
#[allow(
    dead_code,
    clippy::panic,
    clippy::unwrap_used,
    reason = "written for unit tests, which use all of it"
)]
mod server;

use server::Server;

/// A database for one daemon.
#[derive(Debug)]
pub struct Store(Kind);

#[derive(Debug)]
enum Kind {
    /// A file beside the daemon's others.
    Sqlite,
    /// A server, and the database on it.
    Postgres(Server, String),
}

impl Store {
    /// A file beside the daemon's others.
    #[must_use]
    pub fn sqlite() -> Self {
        Self(Kind::Sqlite)
    }

    /// A new server with an empty database. It ends with this process at the latest.
    #[must_use]
    pub fn postgres() -> Self {
        let server = Server::start("", &std::env::temp_dir());
        let database = server.create_database();
        Self(Kind::Postgres(server, database))
    }

    /// The configuration of a record whose files are in `dir`.
    #[must_use]
    pub fn record(&self, dir: &Path) -> record::Config {
        let files = record::Config { database: file(dir), ..record::Config::default() };
        match &self.0 {
            Kind::Sqlite => files,
            Kind::Postgres(server, database) => {
                let url = server.url("postgres", database).parse().ok();
                record::Config { store: StoreKind::Postgres, url, ..files }
            }
        }
    }

    /// What a server does by itself some time after many rows were added: it notes which pages everybody sees, and counts.
    pub fn settle(&self) {
        if let Kind::Postgres(server, database) = &self.0 {
            server.sql(database, "VACUUM (ANALYZE)");
        }
    }

    /// What stands below `[record]` in the configuration of a daemon whose files are in `dir`.
    pub(super) fn lines(&self, dir: &Path) -> String {
        match &self.0 {
            Kind::Sqlite => format!("database = \"{}\"", file(dir).display()),
            Kind::Postgres(server, database) => {
                let (url, dir) = (server.url("postgres", database), dir.display());
                format!("store = \"postgres\"\nurl = \"{url}\"\n\n[record.log]\nkey = \"{dir}/log.key\"")
            }
        }
    }

    /// The rows of `sql` as JSON objects: plain SQL, as security would ask.
    pub(super) async fn rows(&self, dir: &Path, sql: &str) -> Result<Vec<Value>> {
        match &self.0 {
            Kind::Sqlite => crate::database::rows(&file(dir), sql).await,
            Kind::Postgres(server, database) => {
                let lines = server.sql(database, &format!("SELECT to_jsonb(asked) FROM ({sql}) AS asked"));
                lines.lines().map(|line| serde_json::from_str(line).context("psql")).collect()
            }
        }
    }

    /// `sql` after what guards `table` was taken away.
    pub(super) fn without_triggers(&self, table: &str, sql: &str) -> String {
        match &self.0 {
            Kind::Sqlite => format!("DROP TRIGGER {table}_keep; {sql}"),
            Kind::Postgres(..) => format!("ALTER TABLE {table} DISABLE TRIGGER ALL; {sql}"),
        }
    }

    /// Runs `sql` as whoever owns the database could.
    ///
    /// # Errors
    /// When the database refuses.
    pub(super) fn change(&self, dir: &Path, sql: &str) -> Result<()> {
        match &self.0 {
            Kind::Sqlite => crate::database::change(&file(dir), sql),
            Kind::Postgres(server, database) => {
                server.try_sql(database, sql).map(drop).map_err(anyhow::Error::msg)
            }
        }
    }
}

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("chaperone.db")
}
