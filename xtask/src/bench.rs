//! `cargo xtask bench`: the gateway against a direct connection, nginx and mitmproxy.

use anyhow::Result;

use crate::{
    build_ebpf, setup,
    sh::{self, Sh},
};

/// What to measure.
#[derive(clap::Args)]
pub struct Args {
    /// Write the table into docs/performance.md
    #[arg(long)]
    write: bool,
    /// Interleaved rounds; the medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each timed leg
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Measure only this part: `understand` is reading, classifying and deciding, without any connection;
    /// `keys` is what keys of a role cost, `tokens` what it takes to check a token of an agent's,
    /// `masks` how fast answers pass that are looked through, `record` what a call's record takes,
    /// and verifying it, `lists` how long lists from a large record take
    #[arg(long, conflicts_with = "write")]
    only: Option<String>,
}

/// Sets up, builds with optimisation, and measures.
///
/// # Errors
/// A failing build, or a leg that did not work.
pub fn run(args: &Args) -> Result<()> {
    if args.only.is_none() {
        setup::require_root("the bench")?;
    }
    setup::run()?;
    build_ebpf::run()?;
    sh::heading("build");
    // Only what is measured and what measures: optimised links are slow.
    let bins = ["chaperone", "bench", "load", "upstream"].map(|bin| format!("--bin={bin}"));
    let build = Sh::new("cargo", &["build", "--release", "--workspace", "--locked"]);
    bins.iter().fold(build, |build, bin| build.arg(bin)).run()?;
    sh::heading("bench");
    let mut bench = Sh::new(&sh::root().join("target/release/bench").to_string_lossy(), &[])
        .arg(format!("--rounds={}", args.rounds))
        .arg(format!("--seconds={}", args.seconds));
    if let Some(part) = &args.only {
        bench = bench.arg(format!("--only={part}"));
    }
    if args.write {
        bench = bench.arg(format!("--write={}", sh::root().join("docs/performance.md").display()));
    }
    bench.run()
}
