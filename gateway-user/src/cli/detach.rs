//! `chaperone detach`: takes the redirect out of the kernel.

use std::{io::Write as _, process::ExitCode};

use anyhow::bail;

use crate::{config::Config, prim::CgroupPath, redirect};

/// Remove the redirect from the kernel.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say yes: without the redirect, agents reach AWS directly and nothing is recorded.
    #[arg(long)]
    yes: bool,
    /// Also while agents run: from then on they reach AWS, and the host's own role, directly.
    #[arg(long)]
    even_with_agents: bool,
}

/// Runs `chaperone detach`.
///
/// # Errors
/// Without `--yes`; while agents run, without `--even-with-agents`; when the pins cannot be removed.
pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    if !args.yes {
        bail!(
            "without the redirect agents reach AWS directly and nothing is recorded; if that is meant, add --yes"
        );
    }
    let slice = CgroupPath::new(&config.redirect.slice);
    if !args.even_with_agents && redirect::has_processes(&slice)? {
        bail!(
            "there are processes in {slice}: they would reach AWS directly; end them first \
             (echo 1 > the cgroup.kill of that cgroup), or add --even-with-agents"
        );
    }
    redirect::detach(&config.redirect.bpffs)?;
    writeln!(std::io::stdout(), "the redirect is removed from {}", config.redirect.bpffs.display())?;
    Ok(ExitCode::SUCCESS)
}
