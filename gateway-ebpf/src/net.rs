//! Addresses in and out of a `bpf_sock_addr`, word by word.
//!
//! Reads and writes are volatile because the compiler may merge two words into an access that the
//! verifier refuses for this context.

use aya_ebpf::{bindings::bpf_sock_addr, programs::SockAddrContext};
use core::ptr::addr_of_mut;
use gateway_common::net::{AF_INET, AF_INET6, Address};

/// `SOCK_STREAM` of Linux.
pub(crate) const SOCK_STREAM: u32 = 1;
/// `IPPROTO_UDP`.
pub(crate) const IPPROTO_UDP: u32 = 17;

/// The address a system call was given.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Family of the hook: `AF_INET` or `AF_INET6`.
    pub family: u32,
    /// The address.
    pub address: Address,
    /// The port, host byte order.
    pub port: u16,
}

impl Asked {
    /// In a hook for IPv4 addresses.
    #[inline(always)]
    pub(crate) fn v4(ctx: &SockAddrContext) -> Self {
        // SAFETY: the context is valid while its program runs, and IPv4 hooks may read user_ip4.
        let word = unsafe { addr_of_mut!((*ctx.sock_addr).user_ip4).read_volatile() };
        Self { family: AF_INET, address: Address::from_v4_word(word), port: port(ctx.sock_addr) }
    }

    /// In a hook for IPv6 addresses.
    #[inline(always)]
    pub(crate) fn v6(ctx: &SockAddrContext) -> Self {
        // SAFETY: the context is valid while its program runs, and IPv6 hooks may read user_ip6.
        let word = |i: usize| unsafe { addr_of_mut!((*ctx.sock_addr).user_ip6[i]).read_volatile() };
        let address = Address([word(0), word(1), word(2), word(3)]);
        Self { family: AF_INET6, address, port: port(ctx.sock_addr) }
    }
}

/// Replaces the address in a hook for IPv4 addresses.
#[inline(always)]
pub(crate) fn replace_v4(ctx: &SockAddrContext, address: &Address, port: u16) {
    // SAFETY: connect4 and getpeername4 may write user_ip4 and user_port.
    unsafe {
        addr_of_mut!((*ctx.sock_addr).user_ip4).write_volatile(address.v4_word());
        addr_of_mut!((*ctx.sock_addr).user_port).write_volatile(u32::from(port.to_be()));
    }
}

/// Replaces the address in a hook for IPv6 addresses.
#[inline(always)]
pub(crate) fn replace_v6(ctx: &SockAddrContext, address: &Address, port: u16) {
    let Address([a, b, c, d]) = *address;
    // SAFETY: connect6 and getpeername6 may write user_ip6 and user_port.
    unsafe {
        addr_of_mut!((*ctx.sock_addr).user_ip6[0]).write_volatile(a);
        addr_of_mut!((*ctx.sock_addr).user_ip6[1]).write_volatile(b);
        addr_of_mut!((*ctx.sock_addr).user_ip6[2]).write_volatile(c);
        addr_of_mut!((*ctx.sock_addr).user_ip6[3]).write_volatile(d);
        addr_of_mut!((*ctx.sock_addr).user_port).write_volatile(u32::from(port.to_be()));
    }
}

/// `SOCK_STREAM` and the like.
#[inline(always)]
pub(crate) fn socket_type(ctx: &SockAddrContext) -> u32 {
    // SAFETY: the context is valid while its program runs.
    unsafe { (*ctx.sock_addr).type_ }
}

/// `IPPROTO_UDP` and the like.
#[inline(always)]
pub(crate) fn protocol(ctx: &SockAddrContext) -> u32 {
    // SAFETY: the context is valid while its program runs.
    unsafe { (*ctx.sock_addr).protocol }
}

#[inline(always)]
fn port(sock_addr: *mut bpf_sock_addr) -> u16 {
    // SAFETY: the context is valid while its program runs. The low half holds the port in network
    // byte order, the high half is zero.
    u16::from_be(unsafe { addr_of_mut!((*sock_addr).user_port).read_volatile() } as u16)
}
