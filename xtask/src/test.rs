//! `cargo xtask test`: everything that must hold, from set-up to the demo.

use std::time::Instant;

use anyhow::Result;

use crate::{
    build_ebpf, demo, setup,
    sh::{self, Sh},
    tidy,
};

/// What to run.
#[derive(clap::Args)]
pub struct Args {
    /// Leave the demo out
    #[arg(long)]
    no_demo: bool,
}

/// One step of the run: its name and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// The steps after set-up and build; one that fails does not keep the others from being reported.
const STEPS: &[Step] = &[
    ("format", || Sh::new("cargo", &["fmt", "--all", "--check"]).run()),
    ("tidy", tidy::run),
    ("clippy", || {
        let lint = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        Sh::new("cargo", &lint).run()
    }),
    ("deny", deny),
    ("doctests", || Sh::new("cargo", &["test", "--workspace", "--doc", "--locked"]).run()),
    ("tests", || Sh::new("cargo", &["nextest", "run", "--workspace", "--locked"]).run()),
];

/// Sets up, builds and checks everything; prints a closing summary.
///
/// # Errors
/// When any step failed.
pub fn run(args: &Args) -> Result<()> {
    setup::require_root("the kernel tier of the tests")?;
    setup::run()?;
    sh::heading("build");
    build_ebpf::run()?;
    // The tests start the daemon and the bench's helpers as programs of their own. All targets, so that
    // every step resolves the same features and the dependencies are compiled once.
    Sh::new("cargo", &["build", "--workspace", "--all-targets", "--locked"]).run()?;

    let demo: &[Step] = if args.no_demo { &[] } else { &[("demo", demo::show)] };
    let mut outcomes = Vec::new();
    for (name, step) in STEPS.iter().chain(demo) {
        sh::heading(name);
        let start = Instant::now();
        let result = step();
        if let Err(error) = &result {
            println!("{name}: {error:#}");
        }
        outcomes.push((name, result.is_ok(), start.elapsed()));
    }
    summary(&outcomes)
}

fn summary(outcomes: &[(&&str, bool, std::time::Duration)]) -> Result<()> {
    sh::heading("summary");
    for (name, ok, took) in outcomes {
        println!("{} {name:<10} {:>6.1} s", if *ok { "✓" } else { "✗" }, took.as_secs_f32());
    }
    let failed = outcomes.iter().filter(|(_, ok, _)| !ok).count();
    println!("test: {} steps passed, {failed} failed", outcomes.len().saturating_sub(failed));
    anyhow::ensure!(failed == 0, "{failed} of {} steps failed", outcomes.len());
    Ok(())
}

/// Licences, banned crates and sources always; security advisories where their database can be
/// fetched.
fn deny() -> Result<()> {
    Sh::new("cargo", &["deny", "--locked", "--workspace", "check", "bans", "licenses", "sources"]).run()?;
    if Sh::new("cargo", &["deny", "fetch", "db"]).run_quietly().is_err() {
        println!("deny: the advisory database cannot be fetched here: advisories are NOT checked");
        return Ok(());
    }
    Sh::new("cargo", &["deny", "--locked", "--workspace", "check", "advisories"]).run()
}
