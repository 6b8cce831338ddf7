//! `chaperone config show`: what is in force, defaults included.

use std::{io::Write as _, process::ExitCode};

use crate::config::Config;

/// The configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check the file and print the effective configuration, defaults included.
    Show,
}

/// Runs `chaperone config …`.
///
/// # Errors
/// Writing the output.
pub fn run(command: &Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Show => write!(std::io::stdout(), "{}", config.effective_toml()?)?,
    }
    Ok(ExitCode::SUCCESS)
}
