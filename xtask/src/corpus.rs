//! `cargo xtask corpus`: requests for every operation of every service through parse and classify.

use anyhow::Result;

use crate::{
    setup,
    sh::{self, Sh},
};

/// What to make.
#[derive(clap::Args)]
pub struct Args {
    /// Only about every so many requests
    #[arg(long, default_value_t = 1)]
    sample: u32,
    /// Only these services, by botocore's names, separated by commas
    #[arg(long, default_value = "")]
    services: String,
}

/// Builds, makes the requests, and prints the table by service and what is left.
///
/// # Errors
/// When a request was read as another operation, or too few were identified.
pub fn run(args: &Args) -> Result<()> {
    setup::run()?;
    sh::heading("corpus");
    Sh::new("cargo", &["build", "--workspace", "--bins", "--locked"]).run()?;
    let mut corpus = Sh::new(&sh::root().join("target/debug/corpus").to_string_lossy(), &[])
        .arg(format!("--sample={}", args.sample));
    if !args.services.is_empty() {
        corpus = corpus.arg(format!("--services={}", args.services));
    }
    corpus.run()
}
