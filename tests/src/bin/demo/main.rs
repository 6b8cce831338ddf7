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

fn main() -> ExitCode {
    let mut checks = checks::Checks::default();
    if let Err(error) = play(&mut checks) {
        checks.add("the demo runs to its end", Err(error));
    }
    checks.close()
}

fn play(checks: &mut checks::Checks) -> Result<()> {
    let mut stage = stage::Stage::set()?;
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
    acts::recorded(&stage, checks)
}
