//! The main job on real clients and a real kernel: `cargo xtask demo`.
//!
//! moto with IAM enforcement is AWS. The AWS CLI and boto3 run in a real cgroup with a clean
//! environment and no configuration but what `chaperone run` gives them. Each check prints what was
//! seen; the last line is `demo: N checks passed, M failed`.

mod acts;
mod chain;
mod checks;
mod identity;
mod masks;
mod stage;

use std::process::ExitCode;

use anyhow::Result;
use chaperone_tests::harness::Store;
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Where the daemon's records go
    #[arg(long, value_enum, default_value_t = Records::Sqlite)]
    store: Records,
}

/// Where the daemon's records go.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Records {
    /// A file
    Sqlite,
    /// A server of PostgreSQL, which the demo starts
    Postgres,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut checks = checks::Checks::default();
    if let Err(error) = play(args.store, &mut checks) {
        checks.add("the demo runs to its end", Err(error));
    }
    checks.close()
}

fn play(records: Records, checks: &mut checks::Checks) -> Result<()> {
    let store = match records {
        Records::Sqlite => Store::sqlite(),
        Records::Postgres => {
            println!("records: PostgreSQL, a server of the demo's own");
            Store::postgres()
        }
    };
    let mut stage = stage::Stage::set(store)?;
    acts::no_keys(&mut stage, checks)?;
    acts::allowed(&mut stage, checks)?;
    acts::every_protocol(&mut stage, checks)?;
    acts::denied(&mut stage, checks)?;
    masks::hidden(&mut stage, checks)?;
    acts::placeholder_elsewhere(&mut stage, checks)?;
    acts::killed_and_restarted(&mut stage, checks)?;
    let chain = chain::roles(&mut stage, checks)?;
    identity::told_by_tokens(&stage, checks)?;
    identity::expired(&stage, checks)?;
    chain::killed(&mut stage, &chain, checks)?;
    acts::recorded(&stage, checks)?;
    acts::replayed(&stage, checks)?;
    acts::verified(&mut stage, checks)
}
