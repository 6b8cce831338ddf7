//! `chaperone status`: how the daemon is.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use comfy_table::{Table, presets};

use crate::{
    api::{
        Client, ClientError,
        wire::{Health, KernelCounts, Status},
    },
    config::Config,
    prim::WorkloadName,
};

/// `EX_UNAVAILABLE` of sysexits.h: there is no daemon to ask.
const UNAVAILABLE: u8 = 69;

/// Shows how the daemon is: exit code 0 when all is well, 1 when something is not, 69 when the daemon
/// cannot be asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Asks the daemon and prints the answer.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    let (text, code) = answer(args, Client::new(&config.api).status())?;
    writeln!(io::stdout(), "{text}").context("writing the status")?;
    Ok(code.into())
}

fn answer(args: &Args, asked: Result<Status, ClientError>) -> anyhow::Result<(String, u8)> {
    match asked {
        Ok(status) => {
            let text = if args.json { as_json(&status)? } else { table(&status).to_string() };
            Ok((text, u8::from(!status.healthy())))
        }
        Err(error) if args.json => {
            let reply = serde_json::json!({ "error": error.to_string(), "next_step": error.next_step() });
            Ok((serde_json::to_string_pretty(&reply)?, UNAVAILABLE))
        }
        Err(error) => Ok((format!("{error}\nnext step: {}", error.next_step()), UNAVAILABLE)),
    }
}

fn as_json(status: &Status) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(status)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("healthy".to_owned(), status.healthy().into());
    }
    Ok(serde_json::to_string_pretty(&value)?)
}

fn table(status: &Status) -> Table {
    let health =
        |health: &Health| if health.ok { "ok".to_owned() } else { format!("FAILED: {}", health.detail) };
    let workloads: Vec<_> = status.workloads.iter().map(WorkloadName::as_str).collect();
    let calls = status.calls;
    let policy = match &status.policy.last_reload_error {
        None => format!("{} rules, digest {}", status.policy.count, status.policy.digest),
        Some(error) => format!(
            "FAILED to reload, the {} rules of before stay in force, digest {}: {error}",
            status.policy.count, status.policy.digest
        ),
    };
    let kernel = status.kernel.map_or_else(
        || "unknown".to_owned(),
        |counts| {
            let KernelCounts { redirected, origins_lost, refused, events_lost } = counts;
            format!(
                "{redirected} redirected, {origins_lost} lost, {refused} refused, {events_lost} events lost"
            )
        },
    );
    let started = status.started.format(&time::format_description::well_known::Rfc3339);
    let observed: Vec<_> = status.observed.iter().map(WorkloadName::as_str).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_rows([
        ["daemon", &format!("chaperone {}, pid {}, kernel ABI {}", status.version, status.pid, status.abi)],
        ["started", &started.unwrap_or_default()],
        ["workloads", &workloads.join(", ")],
        [
            "observed",
            &match observed.as_slice() {
                [] => "none".to_owned(),
                names => format!("POLICY IS NOT ENFORCED for {}", names.join(", ")),
            },
        ],
        ["open sessions", &status.open_sessions.to_string()],
        ["calls", &format!("{} allowed, {} denied, {} failed", calls.allowed, calls.denied, calls.failed)],
        ["policy", &policy],
        ["records", &health(&status.store)],
        ["redirect", &health(&status.redirect)],
        ["kernel", &kernel],
    ]);
    table
}

#[cfg(test)]
mod tests;
