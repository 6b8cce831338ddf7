//! `chaperone database migrate`: the schema of PostgreSQL, made or brought up to date by its owner.

use std::{io::Write as _, process::ExitCode};

use anyhow::{Context as _, bail};

use crate::{
    config::{Config, ConfigError},
    record::{self, DatabaseUrl, StoreKind},
};

/// The session database.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the tables in PostgreSQL, or bring them to this version, as the role that owns them.
    ///
    /// A daemon whose role may only write never does that by itself. SQLite's file is brought up to date
    /// by the daemon.
    Migrate {
        /// Connect so instead of by record.url: postgres://owner@host/database. Put a password into the
        /// file that PGPASSFILE names.
        #[arg(long)]
        url: Option<String>,
        /// A role that may then add records and read them, for the daemons; may be given more than once.
        #[arg(long, value_name = "ROLE")]
        writer: Vec<String>,
        /// A role that may then read records; may be given more than once.
        #[arg(long, value_name = "ROLE")]
        reader: Vec<String>,
        /// A role that may also remove old records (record.retention), of every host; may be given more than once. Better none
        /// that daemons have
        #[arg(long, value_name = "ROLE")]
        remover: Vec<String>,
    },
}

/// Runs `chaperone database …`.
///
/// # Errors
/// What the database says.
pub async fn run(
    command: Command,
    load: impl FnOnce() -> Result<Config, ConfigError>,
) -> anyhow::Result<ExitCode> {
    let Command::Migrate { url, writer, reader, remover } = command;
    let roles = record::Roles { writers: writer, readers: reader, removers: remover };
    let config = match url {
        Some(url) => {
            let url = Some(owners_url(&url)?);
            record::Config { store: StoreKind::Postgres, url, ..record::Config::default() }
        }
        None => load()?.record,
    };
    if config.store == StoreKind::Sqlite {
        bail!("record.store is \"sqlite\": the daemon brings that file up to date when it starts");
    }
    for role in shared(&roles) {
        eprintln!(
            "chaperone: warning: {role} adds records and may remove them: who has the daemons' role can remove those of every \
             host. A role that only `chaperone retention run` uses keeps that right from the daemons"
        );
    }
    let version = record::migrate(&config, &roles).await?;
    writeln!(std::io::stdout(), "the schema has version {version}")?;
    Ok(ExitCode::SUCCESS)
}

/// Roles that may both add records and remove them.
fn shared(roles: &record::Roles) -> impl Iterator<Item = &String> {
    roles.removers.iter().filter(|role| roles.writers.contains(role))
}

/// Read here and not by the reader of the command line, which would repeat what it cannot read.
fn owners_url(text: &str) -> anyhow::Result<DatabaseUrl> {
    let url: DatabaseUrl = text.parse().context("--url")?;
    if url.has_password() {
        bail!(
            "--url: every user may see a command's arguments; put the password into the file that PGPASSFILE names"
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_and_removes_is_warned_of() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let roles = record::Roles {
            writers: names(&["w", "b"]),
            readers: names(&["r"]),
            removers: names(&["b", "x"]),
        };
        assert_eq!(shared(&roles).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_password_is_not_taken_from_the_command_line_nor_shown() {
        for url in ["postgres://w:hunter2@localhost/r", "postgres://w:hunter2@db.example.com/r"] {
            let error = format!("{:#}", owners_url(url).unwrap_err());
            assert!(error.starts_with("--url: ") && !error.contains("hunter"), "{error}");
        }
        assert!(owners_url("postgres://w@localhost/r").is_ok());
    }
}
