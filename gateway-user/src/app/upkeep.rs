//! What runs beside the connections: ended sessions, the kernel's events, the watchdog.

use std::{sync::Arc, time::Duration};

use gateway_common::event::EventKind;
use serde_json::json;
use tokio::sync::mpsc;

use super::renewals::Looks;
use crate::{
    api::{Launcher, Retention},
    identify::Removals,
    issuer::Issuers,
    record::Event,
    redirect::{Redirect, Refusal},
    serve::{Cause, Gateway},
};

/// Removes the cgroups of launched commands that are over, ends the sessions whose cgroup is gone, and
/// records the counts of ended bursts of events.
pub(super) async fn sweep(gateway: Arc<Gateway>, launcher: Arc<Launcher>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    while tick(&gateway, &mut ticks).await {
        launcher.sweep();
        gateway.report_unkept().await;
        gateway.report_bursts().await;
        gateway.record_ends().await;
        gateway.end_gone().await;
    }
}

/// Ends sessions as soon as their cgroup is removed. What the kernel does not tell, the sweep finds.
pub(super) async fn removals(gateway: Arc<Gateway>, mut removals: Removals) {
    loop {
        removals.watch(&gateway.registry.cgroups());
        // What was removed before it was watched.
        gateway.end_gone().await;
        tokio::select! {
            () = gateway.registry.begun() => {}
            told = removals.told() => if let Err(error) = told {
                tracing::warn!(%error, "the kernel does not tell of removed cgroups: they are found by the sweep");
                return;
            },
            () = gateway.shutdown.cancelled() => return,
        }
    }
}

/// Token files that are read, and renewed tokens that are verified, at once.
const RENEWALS: usize = 16;

/// Reads tokens again. Each apart from the rest: a file may be on a file system that does not answer, and an issuer
/// may not answer either.
pub(super) async fn renew(gateway: Arc<Gateway>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    let mut looks = Looks::new(RENEWALS);
    while tick(&gateway, &mut ticks).await {
        let sessions = gateway.registry.open().into_iter();
        let with_files = sessions.filter(|session| session.workload.token_file.is_some());
        looks.begin(with_files.map(|session| {
            let gateway = Arc::clone(&gateway);
            (session.id, async move { gateway.renew_from_file(&session).await })
        }));
    }
}

/// How often it is looked whether an issuer's keys are due.
const KEYS_CHECK: Duration = Duration::from_secs(5);

/// Fetches the keys of issuers, at the start and when they are due. An issuer that is down keeps only its own workloads
/// out.
pub(super) async fn issuer_keys(gateway: Arc<Gateway>, issuers: Arc<Issuers>) {
    let mut ticks = tokio::time::interval(KEYS_CHECK);
    while tick(&gateway, &mut ticks).await {
        tokio::select! {
            () = issuers.refresh() => {}
            () = gateway.shutdown.cancelled() => {}
        }
    }
}

/// How long after its token's end a session that does nothing stays; its calls are refused from that very
/// moment.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

/// Ends the sessions whose token has expired.
pub(super) async fn expire(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(EXPIRY_CHECK);
    while tick(&gateway, &mut ticks).await {
        gateway.end_expired().await;
    }
}

/// How often what is old is removed, where it is.
const RETENTION: Duration = Duration::from_secs(60 * 60);

/// Removes what is older than the configuration wants it kept. What could not be removed is tried again an hour later.
pub(super) async fn retain(gateway: Arc<Gateway>, retention: Arc<Retention>) {
    let mut ticks = tokio::time::interval(RETENTION);
    while tick(&gateway, &mut ticks).await {
        // It says itself what went wrong, and ends at shutdown with what it has to say.
        let _ = retention.run_due().await;
    }
    retention.ended().await;
}

/// Records what the kernel refused.
pub(super) async fn kernel_events(gateway: Arc<Gateway>, mut events: mpsc::Receiver<Refusal>) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = gateway.shutdown.cancelled() => None,
        };
        let Some(refusal) = event else { return };
        let destination = refusal.destination.to_string();
        let mut event = Event::new("kernel-refused", format!("{}: {destination}", in_words(refusal.kind)));
        event.pid = Some(refusal.pid);
        event.uid = Some(refusal.uid);
        event.detail = json!({ "destination": destination, "cgroup_id": refusal.cgroup.0 });
        if let Some(session) = gateway.registry.session_of(refusal.cgroup) {
            event = event.of_session(&session);
        }
        gateway.report(Cause::Cgroup(refusal.cgroup), event).await;
    }
}

fn in_words(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Udp443 => "UDP to port 443 (QUIC)",
        EventKind::ForeignNetns => "a connection from another network namespace",
        EventKind::BoundDevice => "a connection bound to a network device",
        EventKind::ProxyPort => "a connection to the gateway's own listeners",
        EventKind::BindProxyPort => "binding the gateway's port",
        EventKind::NoMemory => "the kernel had no memory for the origin",
        EventKind::NoListener => "the gateway has no listener of this address family",
        EventKind::OutsideSlice => "the socket belongs to the agent slice, its process does not",
    }
}

/// How often the fence is looked at: as long as a slice that somebody removed and made again stays
/// open. The unit keeps the slice alive, so this is for mistakes.
const FENCE_CHECK: Duration = Duration::from_secs(2);

/// Keeps the fence whole where somebody removed and remade the slice; a fence that stays broken is one
/// event, not one every two seconds.
pub(super) async fn tend(gateway: Arc<Gateway>, redirect: Arc<Redirect>) {
    let mut ticks = tokio::time::interval(FENCE_CHECK);
    let mut broken = false;
    while tick(&gateway, &mut ticks).await {
        let event = match redirect.tend() {
            Ok(tended) if !tended.repaired && !broken => continue,
            Ok(_) => {
                broken = false;
                Event::new("fence-repaired", "the agent slice had lost its programs; they are attached again")
            }
            Err(_) if broken => continue,
            Err(error) => {
                broken = true;
                tracing::error!(%error, "the fence of the agent slice is not whole");
                Event::new("fence-broken", error.to_string())
            }
        };
        if let Err(error) = gateway.recorder.event(event).await {
            tracing::error!(%error, "the state of the fence could not be recorded");
        }
    }
}

/// Tells systemd that the runtime still turns, at half the interval it asks for.
pub(super) async fn watchdog(gateway: Arc<Gateway>) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(interval / 2);
    while tick(&gateway, &mut ticks).await {
        super::notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Waits for the next tick; `false` at shutdown.
async fn tick(gateway: &Gateway, ticks: &mut tokio::time::Interval) -> bool {
    tokio::select! {
        _ = ticks.tick() => true,
        () = gateway.shutdown.cancelled() => false,
    }
}
