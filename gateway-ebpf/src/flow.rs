//! The map `FLOWS` and the two sockops programs that carry an origin over the handshake.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB, BPF_SOCK_OPS_STATE_CB, BPF_SOCK_OPS_STATE_CB_FLAG,
        BPF_SOCK_OPS_TCP_CONNECT_CB, BPF_TCP_ESTABLISHED, BPF_TCP_SYN_SENT, bpf_sock,
    },
    btf_maps::HashMap,
    helpers::generated::bpf_get_netns_cookie,
    macros::{btf_map, sock_ops},
    programs::SockOpsContext,
};
use core::ptr::addr_of;
use gateway_common::{
    counter::Counter,
    flow::{FlowKey, MAX_FLOWS},
    net::{AF_INET, Address},
    origin::OriginRecord,
};

use crate::{
    counter,
    origin::{self, ACCEPTED, ORIGINS},
};

#[btf_map]
static FLOWS: HashMap<FlowKey, OriginRecord, MAX_FLOWS> = HashMap::new();

/// The agent's side: before the SYN leaves, with the source address and port known.
#[sock_ops]
fn sockops_agent(ctx: SockOpsContext) -> u32 {
    match ctx.op() {
        BPF_SOCK_OPS_TCP_CONNECT_CB => {
            if let Some((key, origin)) = flow_of_agent(&ctx) {
                if FLOWS.insert(&key, origin, 0).is_err() {
                    // The daemon finds no origin and closes the connection.
                    counter::add(Counter::FlowsFull as u32);
                }
                // Asks for the end of an attempt that nobody answers.
                let _ = ctx.set_cb_flags((ctx.cb_flags() | BPF_SOCK_OPS_STATE_CB_FLAG) as i32);
            }
        }
        // Refused, timed out or given up: the other side will never take the flow. An attempt
        // that got its answer is taken by the other side, even if it is reset at once.
        BPF_SOCK_OPS_STATE_CB if ctx.arg(0) == BPF_TCP_SYN_SENT && ctx.arg(1) != BPF_TCP_ESTABLISHED => {
            if let Some((key, _)) = flow_of_agent(&ctx) {
                let _ = FLOWS.remove(&key);
            }
        }
        _ => {}
    }
    1
}

/// The daemon's side: the accepted socket is established, but still locked and in no accept queue.
#[sock_ops]
fn sockops_proxy(ctx: SockOpsContext) -> u32 {
    if ctx.op() == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB {
        let sk = socket(&ctx);
        let key = flow_of_proxy(&ctx);
        // SAFETY: the entry is copied before it is removed, and only this program removes it
        // while its connection is in this state.
        if let Some(origin) = unsafe { FLOWS.get(&key) }
            && !sk.is_null()
        {
            let stored = origin::store(&ACCEPTED, sk, origin);
            counter::add(if stored { Counter::Recovered } else { Counter::OriginLost } as u32);
            let _ = FLOWS.remove(&key);
        }
    }
    1
}

/// The key and the origin of an agent's connection, if it was redirected to its present peer.
#[inline(always)]
fn flow_of_agent(ctx: &SockOpsContext) -> Option<(FlowKey, &'static OriginRecord)> {
    let sk = socket(ctx);
    if sk.is_null() {
        return None;
    }
    let origin = origin::get(&ORIGINS, sk)?;
    // An IPv6 socket with a v4-mapped peer speaks IPv4: the listener tells, not the family.
    let ends = Ends::of(ctx, origin.listener.is_v4());
    let peer_port = u32::from_be(ctx.remote_port()) as u16;
    if ends.remote != origin.listener || peer_port != origin.listener_port {
        return None;
    }
    let key = FlowKey {
        netns: netns(ctx),
        source: ends.local,
        listener: origin.listener,
        source_port: ctx.local_port() as u16,
        listener_port: origin.listener_port,
        reserved: 0,
    };
    Some((key, origin))
}

/// The key of the same connection, seen from the accepted socket.
#[inline(always)]
fn flow_of_proxy(ctx: &SockOpsContext) -> FlowKey {
    let ends = Ends::of(ctx, ctx.family() == AF_INET);
    FlowKey {
        netns: netns(ctx),
        source: ends.remote,
        listener: ends.local,
        source_port: u32::from_be(ctx.remote_port()) as u16,
        listener_port: ctx.local_port() as u16,
        reserved: 0,
    }
}

/// Both ends of a connection.
struct Ends {
    local: Address,
    remote: Address,
}

impl Ends {
    /// `v4` tells whether the socket speaks IPv4.
    ///
    /// Reads both families' words first, volatile: otherwise the compiler loads through a choice of
    /// pointers into the context, which the verifier refuses.
    #[inline(always)]
    fn of(ctx: &SockOpsContext, v4: bool) -> Self {
        let ops = ctx.ops;
        // SAFETY: the context is valid while its program runs.
        let local = unsafe { addr_of!((*ops).local_ip4).read_volatile() };
        // SAFETY: as above.
        let remote = unsafe { addr_of!((*ops).remote_ip4).read_volatile() };
        // SAFETY: as above.
        let local6 = |i: usize| unsafe { addr_of!((*ops).local_ip6[i]).read_volatile() };
        // SAFETY: as above.
        let remote6 = |i: usize| unsafe { addr_of!((*ops).remote_ip6[i]).read_volatile() };
        let local6 = Address([local6(0), local6(1), local6(2), local6(3)]);
        let remote6 = Address([remote6(0), remote6(1), remote6(2), remote6(3)]);
        if v4 {
            Self { local: Address::from_v4_word(local), remote: Address::from_v4_word(remote) }
        } else {
            Self { local: local6, remote: remote6 }
        }
    }
}

#[inline(always)]
fn netns(ctx: &SockOpsContext) -> u64 {
    // SAFETY: the helper reads the namespace of the context's socket.
    unsafe { bpf_get_netns_cookie(ctx.as_ptr()) }
}

/// The connection's socket; null where it is not a full socket.
#[inline(always)]
fn socket(ctx: &SockOpsContext) -> *mut bpf_sock {
    // SAFETY: the context is valid while its program runs.
    unsafe { (*ctx.ops).__bindgen_anon_2.sk }
}
