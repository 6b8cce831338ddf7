//! `cargo xtask fuzz`: libFuzzer against everything that reads hostile input.
//!
//! The targets are in `fuzz/targets`, what they begin with in `fuzz/seeds`; what libFuzzer finds to be new
//! stays under `target/fuzz`, so that the next run goes on from there.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::{
    build_ebpf, setup,
    sh::{self, Sh},
};

/// What to run.
#[derive(clap::Args)]
pub struct Args {
    /// Only this target, e.g. members_json
    #[arg(long)]
    target: Option<String>,
    /// Minutes for each target
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

/// Bytes of one input: larger ones are slower and tell nothing new.
const LONGEST: u32 = 4096;
/// Seconds that one input may take: everything is bounded, so more is a finding.
const SLOWEST: u32 = 5;

/// Runs the targets one after the other.
///
/// # Errors
/// When a target finds something; the input is under `target/fuzz/findings`.
pub fn run(args: &Args) -> Result<()> {
    setup::cargo_fuzz()?;
    let object = build_ebpf::run()?;
    let targets: Vec<String> = targets()?
        .into_iter()
        .filter(|name| args.target.as_ref().is_none_or(|wanted| wanted == name))
        .collect();
    ensure!(!targets.is_empty(), "there is no such target in fuzz/targets");
    for target in &targets {
        sh::heading(target);
        let corpus = sh::root().join("target/fuzz/corpus").join(target);
        let findings = sh::root().join("target/fuzz/findings").join(target);
        fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        fs::create_dir_all(&findings).with_context(|| findings.display().to_string())?;
        // Without a sanitizer: the code is safe Rust, what is looked for are panics and slowness.
        let done = Sh::new("cargo", &["fuzz", "run", "--sanitizer=none", "--fuzz-dir=fuzz"])
            .arg(format!("--target-dir={}", sh::root().join("target/fuzz/build").display()))
            .arg(target)
            .arg(corpus)
            .arg(sh::root().join("fuzz/seeds").join(target))
            .arg("--")
            .arg(format!("-max_total_time={}", args.minutes.saturating_mul(60)))
            .arg(format!("-max_len={LONGEST}"))
            .arg(format!("-timeout={SLOWEST}"))
            .arg(format!("-dict={}", sh::root().join("fuzz/words.dict").display()))
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg("-print_final_stats=1")
            // The coverage that fuzzers need is an unstable option of the compiler.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(build_ebpf::OBJECT_VARIABLE, &object)
            .run_and_find("Done");
        println!("{target}: {}", done.with_context(|| format!("{target} found something"))?);
    }
    Ok(())
}

/// The names of all targets, sorted.
fn targets() -> Result<Vec<String>> {
    let files = fs::read_dir(sh::root().join("fuzz/targets")).context("fuzz/targets")?;
    let mut names = Vec::new();
    for file in files {
        let path = file.context("fuzz/targets")?.path();
        names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    names.sort_unstable();
    Ok(names)
}
