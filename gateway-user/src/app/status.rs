//! How the daemon is, for `chaperone status`.

use std::sync::Arc;

use gateway_common::{counter::Counter, event::EventKind};
use time::OffsetDateTime;

use super::reload::Reloader;
use crate::{
    api::{
        StatusSource,
        wire::{CallCounts, Health, KernelCounts, PolicyStatus, Status},
    },
    identify::Mode,
    redirect::{Redirect, RedirectError},
    serve::Gateway,
};

/// Reads every part's own state when it is asked.
pub(super) struct DaemonStatus {
    gateway: Arc<Gateway>,
    redirect: Arc<Redirect>,
    reloader: Arc<Reloader>,
    started: OffsetDateTime,
}

impl DaemonStatus {
    pub(super) fn new(gateway: Arc<Gateway>, redirect: Arc<Redirect>, reloader: Arc<Reloader>) -> Self {
        let started = gateway.clock.now();
        Self { gateway, redirect, reloader, started }
    }

    fn redirect(&self) -> Health {
        match self.redirect.health() {
            Ok(health) if health.is_whole() => Health { ok: true, detail: String::new() },
            Ok(health) => {
                let missing: Vec<_> =
                    health.hooks.iter().filter(|hook| !hook.effective).map(|hook| hook.program).collect();
                let detail =
                    format!("not attached: {}; restart chaperone to attach them", missing.join(", "));
                Health { ok: false, detail }
            }
            Err(error) => Health { ok: false, detail: error.to_string() },
        }
    }

    fn kernel(&self) -> Result<KernelCounts, RedirectError> {
        let count = |counter| self.redirect.count(counter);
        let refused = EventKind::ALL.into_iter().map(|kind| self.redirect.refused(kind));
        Ok(KernelCounts {
            redirected: count(Counter::Redirected)?,
            origins_lost: count(Counter::FlowsFull)?.saturating_add(count(Counter::OriginLost)?),
            refused: refused.sum::<Result<u64, _>>()?,
            events_lost: count(Counter::EventsLost)?,
        })
    }

    fn store(&self) -> Health {
        let health = self.gateway.recorder.health();
        match health.failing {
            None => match (health.unsigned.or(health.unarchived), health.unremoved) {
                (None, None) => Health { ok: true, detail: String::new() },
                (Some(why), _) => {
                    Health { ok: false, detail: format!("{why}; calls are recorded, and it is tried again") }
                }
                (None, Some(why)) => {
                    Health { ok: false, detail: format!("old records stay: {why}; calls are recorded") }
                }
            },
            Some(why) => {
                Health { ok: false, detail: format!("{why}; calls are refused until it can be written") }
            }
        }
    }
}

impl StatusSource for DaemonStatus {
    fn status(&self) -> Status {
        let policies = self.gateway.policies.load();
        let counts = self.gateway.counters.read();
        let workloads = || self.gateway.registry.workloads().all();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            abi: gateway_common::ABI_VERSION,
            workloads: workloads().map(|workload| workload.name.clone()).collect(),
            observed: workloads()
                .filter(|workload| workload.mode == Mode::Observe)
                .map(|workload| workload.name.clone())
                .collect(),
            open_sessions: self.gateway.registry.open().len() as u64,
            calls: CallCounts { allowed: counts.allowed, denied: counts.denied, failed: counts.failed },
            policy: PolicyStatus {
                digest: policies.digest().to_owned(),
                count: policies.rule_count() as u64,
                last_reload_error: self.reloader.last_error(),
            },
            store: self.store(),
            redirect: self.redirect(),
            kernel: self.kernel().ok(),
        }
    }
}
