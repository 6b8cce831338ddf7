//! Builds every stage, binds everything, then serves until told to stop.

mod reload;
mod status;
mod upkeep;

use std::{net::SocketAddr, path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api,
    clock::Clock,
    config::{Config, policies},
    credentials,
    forward::Upstream,
    identify::{BootId, CgroupFs, MasterKey, Placeholders, Registry, Workloads},
    prim::{AgentAddr, CgroupPath},
    record::{Event, Recorder},
    redirect::Redirect,
    serve::Gateway,
    telemetry,
    terminate::Terminator,
};

/// `chaperone daemon`: runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting, with the step that failed.
pub fn main(config: &Config, config_path: &Path) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(run(config, config_path))?;
    Ok(ExitCode::SUCCESS)
}
