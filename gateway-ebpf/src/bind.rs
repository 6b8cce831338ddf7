//! bind4, bind6: no agent takes the port of a listener, least of all while the daemon is down.

use aya_ebpf::{macros::cgroup_sock_addr, programs::SockAddrContext};
use gateway_common::event::EventKind;

use crate::{
    ALLOW, event,
    net::{self, Asked, SOCK_STREAM},
    settings,
};

#[cgroup_sock_addr(bind4)]
fn bind4(ctx: SockAddrContext) -> i32 {
    bind(&ctx, &Asked::v4(&ctx))
}

#[cgroup_sock_addr(bind6)]
fn bind6(ctx: SockAddrContext) -> i32 {
    bind(&ctx, &Asked::v6(&ctx))
}

#[inline(always)]
fn bind(ctx: &SockAddrContext, asked: &Asked) -> i32 {
    if net::socket_type(ctx) != SOCK_STREAM {
        return ALLOW;
    }
    match settings::get() {
        None => event::refuse(ctx, asked, EventKind::NoListener),
        Some(settings) if settings::is_listener_port(settings, asked.port) => {
            event::refuse(ctx, asked, EventKind::BindProxyPort)
        }
        Some(_) => ALLOW,
    }
}
