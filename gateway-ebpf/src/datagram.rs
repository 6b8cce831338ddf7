//! UDP: connect4/6 of datagram sockets, and sendmsg4/6 for datagrams with an address of their own.
//!
//! The promise of today: no UDP to port 443 leaves the slice, so that HTTP/3 clients fall back to
//! TCP, which is redirected. Other UDP, raw and ICMP sockets are left alone; the complete fence
//! will refuse what no rule lists.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use gateway_common::event::EventKind;

use crate::{
    ALLOW, event,
    net::{self, Asked, IPPROTO_UDP},
};

const HTTPS: u16 = 443;

#[cgroup_sock_addr(sendmsg4)]
fn sendmsg4(ctx: SockAddrContext) -> i32 {
    send(&ctx, &Asked::v4(&ctx))
}

#[cgroup_sock_addr(sendmsg6)]
fn sendmsg6(ctx: SockAddrContext) -> i32 {
    send(&ctx, &Asked::v6(&ctx))
}

#[inline(always)]
fn send(ctx: &SockAddrContext, asked: &Asked) -> i32 {
    match check(ctx, asked) {
        Ok(()) => ALLOW,
        Err(kind) => event::refuse(ctx, asked, kind),
    }
}

/// Refuses UDP to port 443, wherever it goes.
#[inline(always)]
pub(crate) fn check(ctx: &SockAddrContext, asked: &Asked) -> Result<(), EventKind> {
    if net::protocol(ctx) == IPPROTO_UDP && asked.port == HTTPS {
        return Err(EventKind::Udp443);
    }
    Ok(())
}
