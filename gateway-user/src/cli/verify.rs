//! `chaperone verify`: whether the record is what was written.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use serde_json::json;

use super::progress::{bar, watched};
use crate::{
    config::Config,
    record::{
        audit::{Audit, Audited, Contents, Progress, Request, audit},
        log::note::VerifierKey,
    },
};

/// Nothing can be said: exit code beside 0 (everything fits) and 1 (something does not).
const UNKNOWN: u8 = 2;

/// Read the whole record again and say whether it is what was written: every row against the log, the log against its
/// signed checkpoints. Exit code 0 when everything fits, 1 when something does not, 2 when that cannot be said.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A checkpoint that was kept elsewhere: the log must have gone on from it. May be given more than once.
    #[arg(long, value_name = "FILE")]
    against: Vec<PathBuf>,
    /// A key that is believed, as `chaperone log key` prints it. May be given more than once. Without any, the files of this
    /// host say it, its key and its newest checkpoint, which proves less: who could change the record might have changed
    /// those.
    #[arg(long, value_name = "VKEY")]
    key: Vec<VerifierKey>,
    /// Only the log of this name. May be given more than once.
    #[arg(long, value_name = "NAME")]
    log: Vec<String>,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Verifies and prints what was found.
///
/// # Errors
/// When standard output cannot be written.
pub async fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    let is_json = args.json;
    let progress = Progress::default();
    let verifying = async {
        let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
        let against = args.against.iter().map(read).collect::<anyhow::Result<_>>()?;
        let request = Request { keys: args.key, against, only: args.log };
        Ok::<_, anyhow::Error>(audit(&config.record, request, progress.clone()).await?)
    };
    let audited = watched(verifying, || line(progress.get())).await;
    let (text, code) = match audited {
        Ok(audit) if is_json => (serde_json::to_string_pretty(&as_json(&audit))?, code(&audit)),
        Ok(audit) => (as_text(&audit), code(&audit)),
        Err(error) if is_json => (json!({ "error": format!("{error:#}") }).to_string(), UNKNOWN),
        Err(error) => {
            eprintln!("chaperone: nothing can be said: {error:#}");
            return Ok(UNKNOWN.into());
        }
    };
    writeln!(io::stdout(), "{}", text.trim_end()).context("writing what was found")?;
    Ok(code.into())
}

/// How far it is, once that can be said.
fn line((read, all): (u64, u64)) -> Option<String> {
    (all > 0).then(|| format!("{}  {read} of {all} entries", bar(read, all)))
}

fn code(audit: &Audit) -> u8 {
    match (audit.has_discrepancy(), audit.is_silent()) {
        (true, _) => 1,
        (false, false) => 0,
        (false, true) => UNKNOWN,
    }
}

fn as_text(audit: &Audit) -> String {
    let logs = audit.logs.iter().map(log_text);
    let missing = audit.missing.iter().map(|name| {
        format!(
            "log {name}\n  MISSING: a key or a checkpoint kept outside the database is of this log, and the database has no such log\n"
        )
    });
    let stray = audit.stray.map(|id| {
        format!("log with the number {id}\n  DOES NOT FIT: entries or checkpoints are of it, and the database has no such log\n")
    });
    let unread = audit.unread.map(|rows| {
        format!(
            "rows\n  DOES NOT FIT: {rows} rows are in no log, and are hidden from whoever reads by the log\n"
        )
    });
    let unsigned = audit.unsigned.iter().map(|name| {
        format!(
            "log {name}\n  not verified: nobody has signed anything of it, so it may be anybody's; a daemon that runs signs within \
             record.log.checkpoint_secs\n"
        )
    });
    let without_key = audit
        .without_key
        .iter()
        .map(|name| format!("log {name}\n  not verified: no key of this log is given (--key)\n"));
    let contents = match &audit.contents {
        Contents { wrong: Some(wrong), .. } => format!("contents of bodies\n  DOES NOT FIT: {wrong}\n"),
        Contents { fit, wrong: None } => format!("contents of bodies\n  fits: {fit} contents\n"),
    };
    logs.chain(missing)
        .chain(stray)
        .chain(unread)
        .chain(unsigned)
        .chain(without_key)
        .chain([contents])
        .collect()
}

fn log_text(log: &Audited) -> String {
    let Audited { origin, hostname, found } = log;
    let report = match found {
        Err(discrepancy) => return format!("log {origin} of {hostname}\n  DOES NOT FIT: {discrepancy}\n"),
        Ok(report) => report,
    };
    let open = report.size - report.signed;
    let uncovered = match open {
        0 => "every entry is covered by a checkpoint".to_owned(),
        _ => format!("the last {open} entries are covered by no checkpoint yet"),
    };
    format!(
        "log {origin} of {hostname}\n  fits: {} rows, {} log entries, {} checkpoints\n  {uncovered}\n  {} rows were removed, \
         with tombstones\n  root {} of {} entries\n",
        report.rows, report.size, report.checkpoints, report.pruned, report.root, report.size
    )
}

fn as_json(audit: &Audit) -> serde_json::Value {
    let logs: Vec<_> = audit
        .logs
        .iter()
        .map(|log| match &log.found {
            Ok(report) => json!({
                "log": log.origin, "hostname": log.hostname, "fits": true, "rows": report.rows,
                "entries": report.size, "checkpoints": report.checkpoints, "signed": report.signed,
                "removed": report.pruned, "root": report.root.to_string(),
            }),
            Err(discrepancy) => json!({
                "log": log.origin, "hostname": log.hostname, "fits": false,
                "discrepancy": discrepancy.to_string(),
            }),
        })
        .collect();
    json!({
        "fits": code(audit) == 0,
        "logs": logs,
        "missing": audit.missing,
        "stray": audit.stray,
        "unread": audit.unread,
        "unsigned": audit.unsigned,
        "without_key": audit.without_key,
        "contents": {
            "fit": audit.contents.fit,
            "discrepancy": audit.contents.wrong.as_ref().map(ToString::to_string),
        },
    })
}

#[cfg(test)]
mod tests;
