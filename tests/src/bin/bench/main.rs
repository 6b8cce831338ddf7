//! The gateway side by side with a direct connection, nginx and mitmproxy: `cargo xtask bench`.
//!
//! Everything runs in one go, interleaved round by round, the proxy on one processor core, generator
//! and upstream on the other. Absolute figures move with the machine; the ratios are what counts.

mod keys;
mod legs;
mod lists;
mod masks;
mod memory;
mod peers;
mod record;
mod table;
mod tokens;
mod understand;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use chaperone_tests::{allocation::Counting, harness::built, upstream::Key};
use clap::Parser;

use crate::legs::{Bench, Measure, Sample};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The processor core of the proxy.
const PROXY_CORE: u32 = 0;
/// The processor core of generator and upstream.
const PEER_CORE: u32 = 1;

#[derive(Parser)]
struct Args {
    /// Interleaved rounds; the medians are printed
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of each timed leg
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Bytes of each transfer
    #[arg(long, default_value_t = 1 << 30)]
    bytes: u64,
    /// Markdown file whose table is replaced
    #[arg(long)]
    write: Option<PathBuf>,
    /// Measure only this part
    #[arg(long, conflicts_with = "write")]
    only: Option<Part>,
    /// Leave the gateway out: to try the bench itself
    #[arg(long)]
    without_gateway: bool,
}

/// A part that can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Reading, classifying and deciding, without any connection
    Understand,
    /// Making records durable, and verifying them
    Record,
    /// Lists from a large record, on both stores
    Lists,
    /// Keys of a role: kept ones, and those made for one call
    Keys,
    /// Checking the tokens of agents, with the issuer's keys at hand
    Tokens,
    /// Masking long answers
    Masks,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    match args.only {
        Some(Part::Understand) => publish(args, &understand::measure()?.report()),
        Some(Part::Keys) => publish(args, &keys::measure()?.report()),
        Some(Part::Record) => publish(args, &record::measure()?.report()),
        Some(Part::Lists) => publish(args, &lists::measure()?.report()),
        Some(Part::Tokens) => publish(args, &tokens::measure()?.report()),
        Some(Part::Masks) => publish(args, &masks::measure()?.report()),
        None => everything(args),
    }
}

fn publish(args: &Args, report: &str) -> Result<()> {
    println!("\n{report}");
    match &args.write {
        Some(file) => table::write(file, report),
        None => Ok(()),
    }
}

/// The legs, and what needs no connection.
fn everything(args: &Args) -> Result<()> {
    let key = Key {
        id: "AKIAIOSFODNN7BENCH00".to_owned(),
        secret: "bench/secret+key".to_owned(),
        session_token: None,
    };
    let mut bench = Bench::start(&built("load")?, &key, !args.without_gateway)?;
    let measures = Measure::all(args.seconds, args.bytes);
    let mut samples: Vec<Sample> = Vec::new();
    for round in 1..=args.rounds {
        for measure in &measures {
            eprintln!("round {round}/{}: {}", args.rounds, measure.name());
            bench.measure(*measure, &mut samples)?;
        }
    }
    let memory = bench.memory(args.bytes)?;
    let legs = table::report(&measures, &bench.names(), &samples, memory.as_ref());
    // The gateway and its peers are gone before the processor is needed alone.
    drop(bench);
    let alone = [
        understand::measure()?.report(),
        keys::measure()?.report(),
        tokens::measure()?.report(),
        masks::measure()?.report(),
        record::measure()?.report(),
    ];
    publish(args, &format!("{legs}\n\n{}", alone.join("\n\n")))?;
    anyhow::ensure!(
        memory.is_none_or(|memory| memory.is_within()),
        "the daemon took more memory than its limit"
    );
    Ok(())
}
