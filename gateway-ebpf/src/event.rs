//! The map `EVENTS`: tells the daemon what was refused. Never on the way of what is allowed.

use aya_ebpf::{
    EbpfContext as _,
    btf_maps::RingBuf,
    helpers::{bpf_get_current_cgroup_id, bpf_ktime_get_ns},
    macros::btf_map,
    programs::SockAddrContext,
};
use gateway_common::{
    counter::Counter,
    event::{EVENTS_BYTES, Event, EventKind},
};

use crate::{REFUSE, counter, net::Asked};

#[btf_map]
static EVENTS: RingBuf<Event, EVENTS_BYTES> = RingBuf::new();

/// Counts and reports a refusal, and refuses.
#[inline(always)]
pub(crate) fn refuse(ctx: &SockAddrContext, asked: &Asked, kind: EventKind) -> i32 {
    counter::add(Counter::of_refusal(kind));
    match EVENTS.reserve(0) {
        Some(mut entry) => {
            entry.write(Event {
                kind: kind as u32,
                family: asked.family,
                // SAFETY: both helpers read the current task and the clock.
                cgroup: unsafe { bpf_get_current_cgroup_id() },
                // SAFETY: as above.
                at_ns: unsafe { bpf_ktime_get_ns() },
                pid: ctx.tgid(),
                uid: ctx.uid(),
                address: asked.address,
                port: asked.port,
                reserved: [0; 3],
            });
            entry.submit(0);
        }
        None => counter::add(Counter::EventsLost as u32),
    }
    REFUSE
}
