//! `cargo xtask soak`: what the tests do a few times, done for long.

use anyhow::Result;

use crate::sh::{self, Sh};

/// What to do for long.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Kill a recording daemon again and again (SIGKILL), on both stores; after each time nothing that was
    /// acknowledged may be missing, and the whole log must verify
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
    sh::heading("kill -9");
    // As the tests are built: nothing is compiled again.
    let selected = "test(record::tests::crash)";
    let arguments =
        ["nextest", "run", "--workspace", "--locked", "--profile", "soak", "--no-capture", "-E", selected];
    Sh::new("cargo", &arguments).env("CHAPERONE_TEST_CRASH_ROUNDS", iterations.to_string()).run()
}
