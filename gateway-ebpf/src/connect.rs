//! connect4, connect6: stores where the agent wanted to go and sends it to a listener.
//!
//! Every TCP connection of the slice that leaves the host is redirected, whatever its port: the
//! daemon decides by port and server name. Connections that stay on the loopback are left alone,
//! except those to the listeners themselves, which would arrive without an origin.

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sock,
    helpers::{
        bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id, bpf_get_prandom_u32, bpf_ktime_get_ns,
        generated::bpf_get_netns_cookie,
    },
    macros::cgroup_sock_addr,
    programs::SockAddrContext,
};
use gateway_common::{
    ABI_VERSION,
    counter::Counter,
    event::EventKind,
    net::Address,
    origin::OriginRecord,
    settings::{Listener, MAX_LISTENERS, Settings},
};

use crate::{
    ALLOW, counter, datagram, event,
    net::{self, Asked, SOCK_STREAM},
    origin::{self, ORIGINS},
    settings,
};

#[cgroup_sock_addr(connect4)]
fn connect4(ctx: SockAddrContext) -> i32 {
    let asked = Asked::v4(&ctx);
    match decide(&ctx, &asked) {
        Ok(LeaveAlone) => ALLOW,
        Ok(SendTo(address, port)) => {
            net::replace_v4(&ctx, &address, port);
            ALLOW
        }
        Err(kind) => event::refuse(&ctx, &asked, kind),
    }
}

#[cgroup_sock_addr(connect6)]
fn connect6(ctx: SockAddrContext) -> i32 {
    let asked = Asked::v6(&ctx);
    match decide(&ctx, &asked) {
        Ok(LeaveAlone) => ALLOW,
        Ok(SendTo(address, port)) => {
            net::replace_v6(&ctx, &address, port);
            ALLOW
        }
        Err(kind) => event::refuse(&ctx, &asked, kind),
    }
}

enum Decision {
    LeaveAlone,
    SendTo(Address, u16),
}
use Decision::{LeaveAlone, SendTo};

#[inline(always)]
fn decide(ctx: &SockAddrContext, asked: &Asked) -> Result<Decision, EventKind> {
    if net::socket_type(ctx) != SOCK_STREAM {
        return datagram::check(ctx, asked).map(|()| LeaveAlone);
    }
    let settings = settings::get().ok_or(EventKind::NoListener)?;

    if asked.address.is_local() {
        if settings::is_listener_port(settings, asked.port) {
            return Err(EventKind::ProxyPort);
        }
        // An origin that an earlier connection of the socket left behind names a listener, which is
        // not this peer: nobody takes it for this connection's.
        return Ok(LeaveAlone);
    }
    // Our loopback addresses mean something else in another network namespace.
    // SAFETY: the helper reads the namespace of the context's socket.
    if unsafe { bpf_get_netns_cookie(ctx.as_ptr()) } != settings.netns {
        return Err(EventKind::ForeignNetns);
    }
    // The hook was chosen by the socket's cgroup; the task must be an agent, too, because its
    // cgroup is the identity.
    // SAFETY: the helper reads the current task.
    if unsafe { bpf_get_current_ancestor_cgroup_id(settings.slice_level as i32) } != settings.slice {
        return Err(EventKind::OutsideSlice);
    }
    // SAFETY: a socket address context always has its socket.
    let sk = unsafe { (*ctx.sock_addr).__bindgen_anon_1.sk };
    // Such a socket routes by its device instead of its address.
    // SAFETY: as above, the socket is there; the verifier checks the access.
    if unsafe { (*sk).bound_dev_if } != 0 {
        return Err(EventKind::BoundDevice);
    }
    let listener = choose(settings, &asked.address)?;
    remember(ctx, sk, asked, listener)?;
    counter::add(Counter::Redirected as u32);
    Ok(SendTo(listener.address, listener.port))
}

/// One of the listeners of the destination's family, at random: each has its own range of source
/// ports.
#[inline(always)]
fn choose<'a>(settings: &'a Settings, destination: &Address) -> Result<&'a Listener, EventKind> {
    // An IPv6 socket with a v4-mapped destination speaks IPv4, so its listener does, too.
    let listeners = if destination.is_v4() { &settings.v4 } else { &settings.v6 };
    if listeners.count == 0 {
        return Err(EventKind::NoListener);
    }
    // SAFETY: the helper has no preconditions.
    let random = unsafe { bpf_get_prandom_u32() } as usize;
    Ok(&listeners.slots[random & (MAX_LISTENERS - 1)])
}

#[inline(always)]
fn remember(
    ctx: &SockAddrContext,
    sk: *mut bpf_sock,
    asked: &Asked,
    listener: &Listener,
) -> Result<(), EventKind> {
    let place = origin::place(&ORIGINS, sk).ok_or(EventKind::NoMemory)?;
    *place = OriginRecord {
        abi: ABI_VERSION,
        family: asked.family,
        // SAFETY: the helpers read the current task and the clock.
        cgroup: unsafe { bpf_get_current_cgroup_id() },
        // SAFETY: as above.
        connected_ns: unsafe { bpf_ktime_get_ns() },
        pid: ctx.tgid(),
        uid: ctx.uid(),
        destination: asked.address,
        listener: listener.address,
        destination_port: asked.port,
        listener_port: listener.port,
        reserved: 0,
    };
    Ok(())
}
