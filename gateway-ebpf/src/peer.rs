//! getpeername4, getpeername6: the agent sees the peer it asked for, not our listener.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use gateway_common::origin::OriginRecord;

use crate::{
    ALLOW,
    net::{self, Asked},
    origin::{self, ORIGINS},
};

#[cgroup_sock_addr(getpeername4)]
fn getpeername4(ctx: SockAddrContext) -> i32 {
    if let Some(origin) = original(&ctx, &Asked::v4(&ctx)) {
        net::replace_v4(&ctx, &origin.destination, origin.destination_port);
    }
    ALLOW
}

#[cgroup_sock_addr(getpeername6)]
fn getpeername6(ctx: SockAddrContext) -> i32 {
    if let Some(origin) = original(&ctx, &Asked::v6(&ctx)) {
        net::replace_v6(&ctx, &origin.destination, origin.destination_port);
    }
    ALLOW
}

/// The origin of the socket, if the listener in it is the peer that is about to be told.
#[inline(always)]
fn original(ctx: &SockAddrContext, peer: &Asked) -> Option<&'static OriginRecord> {
    // SAFETY: a socket address context always has its socket.
    let sk = unsafe { (*ctx.sock_addr).__bindgen_anon_1.sk };
    origin::get(&ORIGINS, sk)
        .filter(|origin| origin.listener == peer.address && origin.listener_port == peer.port)
}
