//! What the product makes of requests for every operation of every service: `cargo xtask corpus`.

use std::{process::ExitCode, time::Instant};

use anyhow::{Result, ensure};
use chaperone_tests::corpus::{Generator, Tally, read};
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Only about every so many requests
    #[arg(long, default_value_t = 1)]
    sample: u32,
    /// Only these services, by botocore's names
    #[arg(long, value_delimiter = ',')]
    services: Vec<String>,
    /// The least share, in percent, that must be identified rightly
    #[arg(long, default_value_t = 99.9)]
    at_least: f64,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("corpus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    let start = Instant::now();
    let mut requests = Generator { sample: args.sample, services: args.services }.start()?;
    let mut tally = Tally::default();
    while let Some(line) = requests.next_line()? {
        tally.add(&line, read(&line)?);
    }
    println!("{}", tally.report(true));
    println!("{} requests in {:.0} s", tally.requests(), start.elapsed().as_secs_f32());
    ensure!(tally.requests() > 0, "no requests were made");
    ensure!(tally.wrong() == 0, "{} requests were read as another operation", tally.wrong());
    let right = tally.right_share() * 100.0;
    ensure!(right >= args.at_least, "{right:.3} % identified; {} % were asked for", args.at_least);
    Ok(())
}
