//! `cargo xtask test`: everything that must hold, from set-up to the demo.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::{
    build_ebpf, codegen, demo, setup,
    sh::{self, Sh},
    tidy,
};

/// What to run.
#[derive(clap::Args)]
pub struct Args {
    /// Leave the demos out
    #[arg(long)]
    no_demo: bool,
}

/// One step of the run: its name and what it does.
type Step = (&'static str, fn() -> Result<Passed>);

/// How a step passed, and what the summary says of it.
enum Passed {
    /// Everything was checked.
    Whole(String),
    /// Something could not be checked here: this.
    InPart(String),
}

impl Passed {
    fn quietly() -> Self {
        Self::Whole(String::new())
    }
}

/// The steps after set-up and build; one that fails does not keep the others from being reported.
const STEPS: &[Step] = &[
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("tidy", || tidy::run().map(|()| Passed::quietly())),
    ("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])),
    ("deny", deny),
    ("catalogue", || codegen::check().map(|()| Passed::quietly())),
    ("doctests", || cargo(&["test", "--workspace", "--doc", "--locked"])),
    ("tests", || {
        Sh::new("cargo", &["nextest", "run", "--workspace", "--locked"])
            .run_and_find("Summary")
            .map(Passed::Whole)
    }),
];

/// The whole job, on either store.
const DEMOS: &[Step] = &[
    ("demo", || demo::show("sqlite").map(|()| Passed::quietly())),
    ("demo, pg", || demo::show("postgres").map(|()| Passed::quietly())),
];

/// How a step ended.
struct Outcome {
    name: &'static str,
    result: Result<Passed>,
    took: Duration,
}

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

    let demos = if args.no_demo { &[] } else { DEMOS };
    let outcomes: Vec<Outcome> = STEPS.iter().chain(demos).map(take).collect();
    summary(&outcomes)
}

fn take((name, step): &Step) -> Outcome {
    sh::heading(name);
    let start = Instant::now();
    let result = step();
    if let Err(error) = &result {
        println!("{name}: {error:#}");
    }
    Outcome { name, result, took: start.elapsed() }
}

fn summary(outcomes: &[Outcome]) -> Result<()> {
    sh::heading("summary");
    for Outcome { name, result, took } in outcomes {
        let (sign, detail) = match result {
            Ok(Passed::Whole(detail)) => ("✓", detail.clone()),
            Ok(Passed::InPart(left_out)) => ("!", left_out.clone()),
            Err(error) => ("✗", error.to_string()),
        };
        println!(
            "{sign} {name:<10} {:>6.1} s  {}",
            took.as_secs_f32(),
            detail.lines().next().unwrap_or_default()
        );
    }
    let count =
        |of: fn(&Result<Passed>) -> bool| outcomes.iter().filter(|outcome| of(&outcome.result)).count();
    let failed = count(Result::is_err);
    let in_part = count(|result| matches!(result, Ok(Passed::InPart(_))));
    let passed = outcomes.len().saturating_sub(failed);
    println!("test: {passed} steps passed, {in_part} of them only in part; {failed} failed");
    ensure!(failed == 0, "{failed} of {} steps failed", outcomes.len());
    Ok(())
}

fn cargo(args: &[&str]) -> Result<Passed> {
    Sh::new("cargo", args).run().map(|()| Passed::quietly())
}

/// Licences, banned crates and sources always; security advisories where their database can be
/// fetched.
fn deny() -> Result<Passed> {
    Sh::new("cargo", &["deny", "--locked", "--workspace", "check", "bans", "licenses", "sources"]).run()?;
    if Sh::new("cargo", &["deny", "fetch", "db"]).run_quietly().is_err() {
        let left_out = "the advisory database cannot be fetched here: advisories are NOT checked";
        return Ok(Passed::InPart(left_out.to_owned()));
    }
    Sh::new("cargo", &["deny", "--locked", "--workspace", "check", "advisories"]).run()?;
    Ok(Passed::quietly())
}
