//! `chaperone detach`: takes the redirect out of the kernel.

use std::{io::Write as _, process::ExitCode};

use anyhow::bail;

use crate::{config::Config, redirect};

/// Remove the redirect from the kernel.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say yes: without the redirect, agents reach AWS directly and nothing is recorded.
    #[arg(long)]
    yes: bool,
}

/// Runs `chaperone detach`.
///
/// # Errors
/// Without `--yes`; when the pins cannot be removed.
pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    if !args.yes {
        bail!(
            "without the redirect agents reach AWS directly and nothing is recorded; if that is meant, add --yes"
        );
    }
    redirect::detach(&config.redirect.bpffs)?;
    writeln!(std::io::stdout(), "the redirect is removed from {}", config.redirect.bpffs.display())?;
    Ok(ExitCode::SUCCESS)
}
