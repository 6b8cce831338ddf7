//! `chaperone log`: the log of what was recorded, as its keeper sees it.

use std::{io::Write as _, process::ExitCode};

use crate::{
    clock::Clock,
    config::Config,
    record::{self, audit},
};

/// The log that makes changes of the record visible.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the key that verifies this host's log: what auditors give to `chaperone verify --key`.
    Key,
    /// Begin a new log although the old one cannot be gone on with: its key is lost, or the database is an older copy
    /// and the right one is gone.
    ///
    /// Only while no daemon runs. The record keeps the reason, with what the old log's last checkpoint said.
    Restart {
        /// Why, in your words; it is recorded.
        #[arg(long, value_name = "TEXT", value_parser = record::retention::reason)]
        reason: String,
    },
}

/// Runs `chaperone log …`.
///
/// # Errors
/// What the database or the key file say.
pub async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Key => writeln!(std::io::stdout(), "{}", audit::verifier(&config.record).await?)?,
        Command::Restart { reason } => {
            record::restart_log(&config.record, &reason, &Clock::system()).await?;
            let key = audit::verifier(&config.record).await?;
            writeln!(std::io::stdout(), "a new log has begun; its verifier key is\n{key}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
