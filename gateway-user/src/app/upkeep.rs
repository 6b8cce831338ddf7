//! What runs beside the connections: ended sessions, the kernel's events, the watchdog.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    record::{Event, SessionEnd},
    redirect::KernelEvent,
    serve::Gateway,
};

/// Ends the sessions whose cgroup is gone.
pub(super) async fn sweep(gateway: Arc<Gateway>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    while tick(&gateway, &mut ticks).await {
        for session in gateway.registry.ended() {
            tracing::info!(session = %session.id, "session ended");
            let reason = crate::identify::EndReason::CgroupGone.as_str().to_owned();
            if let Err(error) = gateway.recorder.session_ended(SessionEnd { session: session.id, reason }).await {
                // The next start finds it open with its cgroup gone, and ends it then.
                tracing::error!(session = %session.id, %error, "a session's end could not be recorded");
            }
        }
    }
}

/// Records what the kernel refused.
pub(super) async fn kernel_events(gateway: Arc<Gateway>, mut events: mpsc::Receiver<KernelEvent>) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = gateway.shutdown.cancelled() => None,
        };
        let Some(event) = event else { return };
        let _ = event;
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
