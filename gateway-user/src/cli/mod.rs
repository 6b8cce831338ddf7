//! The command line.
//!
//! Exit codes: 0 done · 1 the answer is no (unhealthy, not found, policy errors, an altered record) · 2 (`verify`) nothing
//! can be said · 64 wrong usage · 69 the daemon is not running · 78 the configuration is wrong. `chaperone run` exits as its
//! command does.

pub mod ca;
pub mod calls;
pub mod config;
pub mod database;
pub mod detach;
pub mod events;
pub mod export;
pub mod init;
pub mod log;
pub mod policy;
mod progress;
pub mod retention;
pub mod run;
pub mod sessions;
pub mod status;
pub mod table;
pub mod verify;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// Lets AI coding agents use AWS without ever holding AWS credentials.
#[derive(Debug, Parser)]
#[command(name = "chaperone", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    /// The configuration file.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/chaperone/chaperone.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented default configuration and starter policies.
    Init(init::Args),
    /// Run the gateway (systemd starts it; it stays in the foreground).
    Daemon,
    /// Run a command as an agent: inside a session's cgroup, with the CA variables set.
    Run(run::Args),
    /// Say whether the gateway is healthy.
    Status(status::Args),
    /// The runs of workloads.
    #[command(subcommand)]
    Sessions(sessions::Command),
    /// The AWS API calls and what became of them.
    #[command(subcommand)]
    Calls(calls::Command),
    /// What happened beside the calls: refused connections, reloads, starts of the daemon.
    #[command(subcommand)]
    Events(events::Command),
    /// Calls for other systems: OCSF, CloudTrail's shape, JSON lines, CSV; each call once.
    Export(Box<export::Args>),
    /// The policies.
    Policy(Box<policy::Args>),
    /// The local certificate authority.
    #[command(subcommand)]
    Ca(ca::Command),
    /// The configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// The session database.
    #[command(subcommand)]
    Database(database::Command),
    Verify(verify::Args),
    /// The log that makes changes of the record visible.
    #[command(subcommand)]
    Log(log::Command),
    /// How long what is recorded is kept.
    #[command(subcommand)]
    Retention(retention::Command),
    /// Remove the redirect from the kernel: agents reach AWS directly again. For uninstalling.
    Detach(detach::Args),
    /// Print shell completions.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Wrong usage (BSD sysexits `EX_USAGE`).
const USAGE: u8 = 64;
/// The configuration is wrong (`EX_CONFIG`).
const CONFIG: u8 = 78;

/// Parses the arguments, runs the command, says what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            // `--help` and `--version` come this way too, and are no mistake.
            let _ = message.print();
            return if message.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("chaperone: {error:#}");
            let config = error.chain().any(|cause| cause.is::<ConfigError>());
            ExitCode::from(if config { CONFIG } else { 1 })
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let load = || Config::load(&cli.config);
    let load_to_read = || Config::load_to_read(&cli.config);
    match cli.command {
        Command::Init(args) => init::run(args),
        Command::Daemon => crate::app::main(&load()?, &cli.config),
        Command::Run(args) => run::run(args, &client_config(&cli.config)?),
        Command::Status(args) => status::run(&args, &client_config(&cli.config)?),
        Command::Sessions(command) => wait(sessions::run(command, &load_to_read()?)),
        Command::Calls(command) => wait(calls::run(command, &load_to_read()?)),
        Command::Events(command) => wait(events::run(command, &load_to_read()?)),
        Command::Export(args) => wait(export::run(*args, &load_to_read()?)),
        Command::Policy(args) => policy::run(*args, load),
        Command::Ca(command) => ca::run(command, &load()?),
        Command::Config(command) => config::run(&command, &load()?),
        Command::Database(command) => wait(database::run(command, load_to_read)),
        Command::Verify(args) => wait(verify::run(args, &load_to_read()?)),
        Command::Log(command) => wait(log::run(command, &load_to_read()?)),
        Command::Retention(command) => wait(retention::run(command, &load_to_read()?)),
        Command::Detach(args) => detach::run(&args, &load()?),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "chaperone", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// For users who may not read the configuration, or where the daemon runs with another one: all they
/// need of it is where the socket is.
fn client_config(path: &Path) -> Result<Config, ConfigError> {
    match Config::load(path) {
        Err(ConfigError::Unreadable { .. }) => Ok(Config::default()),
        loaded => loaded,
    }
}

/// Runs one asynchronous command to its end on this thread.
fn wait(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

#[cfg(test)]
mod questions;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
