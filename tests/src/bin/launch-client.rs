//! `chaperone run` on a socket of the test's choice: `launch-client SOCKET [--workload NAME] -- COMMAND…`.
//!
//! A program of its own, because the launcher must be the only thread of its process.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use gateway_user::{cli::run, config::Config};

#[derive(Parser)]
struct Cli {
    socket: PathBuf,
    #[command(flatten)]
    run: run::Args,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let mut config = Config::default();
    config.api.socket = cli.socket;
    run::run(cli.run, &config)
}
