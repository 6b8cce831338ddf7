//! `cargo xtask soak`: what the tests do a few times, done for long.

use anyhow::Result;

use crate::{
    build_ebpf,
    sh::{self, Sh},
};

/// What to do for long.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Kill again and again (SIGKILL), on both stores, a process that only records, and the daemon with an agent's calls
    /// going through it; after each time nothing that was acknowledged, and nothing that AWS received, may be missing,
    /// and the log must verify
    Kill {
        /// How often, on each store
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        iterations: u32,
    },
}

/// Runs it.
///
/// # Errors
/// When something was lost or does not verify.
pub fn run(command: &Command) -> Result<()> {
    let Command::Kill { iterations } = command;
    build_ebpf::run()?;
    sh::heading("build");
    // The daemon that is killed is a program of its own, which running tests does not build.
    Sh::new("cargo", &["build", "--workspace", "--all-targets", "--locked"]).run()?;
    sh::heading("kill -9");
    let selected = "test(record::tests::crash) | binary(e2e_killed)";
    let arguments =
        ["nextest", "run", "--workspace", "--locked", "--profile", "soak", "--no-capture", "-E", selected];
    let rounds = iterations.to_string();
    let rounds =
        ["CHAPERONE_TEST_CRASH_ROUNDS", "CHAPERONE_TEST_KILL_ROUNDS"].map(|name| (name, rounds.clone()));
    rounds.into_iter().fold(Sh::new("cargo", &arguments), |run, (name, value)| run.env(name, value)).run()
}
