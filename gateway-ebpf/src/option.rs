//! getsockopt of the daemon's sockets: answers where an accepted connection wanted to go.
//!
//! Stores to the context and to the option's buffer are volatile and direct: merged stores and
//! copies through a moved context pointer are refused by the verifier.

use aya_ebpf::{bindings::bpf_sockopt, macros::cgroup_sockopt, programs::SockoptContext};
use core::ptr::{addr_of_mut, from_ref};
use gateway_common::{
    net::{AF_INET, AF_INET6, Address},
    option::{
        CHAPERONE_ORIGIN, SO_ORIGINAL_DST, SOCKADDR_IN_LEN, SOCKADDR_IN6_LEN, SOL_CHAPERONE, SOL_IP, SOL_IPV6,
    },
    origin::OriginRecord,
};

use crate::{
    ALLOW,
    origin::{self, ACCEPTED},
};

const RECORD_WORDS: usize = size_of::<OriginRecord>() / 8;

/// Whatever is not ours keeps the kernel's own answer.
#[cgroup_sockopt(getsockopt)]
fn getsockopt(ctx: SockoptContext) -> i32 {
    let opt = ctx.sockopt;
    // SAFETY: the context is valid while its program runs.
    let (level, name) = unsafe { ((*opt).level, (*opt).optname) };
    match (level, name) {
        (SOL_CHAPERONE, CHAPERONE_ORIGIN) => answer_record(opt),
        (SOL_IP, SO_ORIGINAL_DST) => answer_v4(opt),
        (SOL_IPV6, SO_ORIGINAL_DST) => answer_v6(opt),
        _ => None,
    };
    ALLOW
}

#[inline(always)]
fn answer_record(opt: *mut bpf_sockopt) -> Option<()> {
    let origin = origin(opt)?;
    let out = buffer::<u64>(opt, size_of::<OriginRecord>())?;
    let words = from_ref(origin).cast::<u64>();
    for i in 0..RECORD_WORDS {
        // SAFETY: both are RECORD_WORDS long: `buffer` checked it for `out`.
        unsafe { out.add(i).write_volatile(words.add(i).read_volatile()) };
    }
    succeed(opt, size_of::<OriginRecord>());
    Some(())
}

/// A `sockaddr_in`, for IPv4 and v4-mapped destinations.
#[inline(always)]
fn answer_v4(opt: *mut bpf_sockopt) -> Option<()> {
    let origin = origin(opt).filter(|origin| origin.destination.is_v4())?;
    let out = buffer::<u32>(opt, SOCKADDR_IN_LEN)?;
    // SAFETY: `buffer` checked 16 bytes.
    unsafe {
        out.write_volatile(family_and_port(AF_INET, origin));
        out.add(1).write_volatile(origin.destination.v4_word());
        out.add(2).write_volatile(0);
        out.add(3).write_volatile(0);
    }
    succeed(opt, SOCKADDR_IN_LEN);
    Some(())
}

/// A `sockaddr_in6`, for whatever an IPv6 socket asked for.
#[inline(always)]
fn answer_v6(opt: *mut bpf_sockopt) -> Option<()> {
    let origin = origin(opt).filter(|origin| origin.family == AF_INET6)?;
    let out = buffer::<u32>(opt, SOCKADDR_IN6_LEN)?;
    let Address([a, b, c, d]) = origin.destination;
    // SAFETY: `buffer` checked 28 bytes.
    unsafe {
        out.write_volatile(family_and_port(AF_INET6, origin));
        out.add(1).write_volatile(0);
        out.add(2).write_volatile(a);
        out.add(3).write_volatile(b);
        out.add(4).write_volatile(c);
        out.add(5).write_volatile(d);
        out.add(6).write_volatile(0);
    }
    succeed(opt, SOCKADDR_IN6_LEN);
    Some(())
}

/// The first four bytes of a `sockaddr`: family in host order, port in network order.
#[inline(always)]
fn family_and_port(family: u32, origin: &OriginRecord) -> u32 {
    family | (u32::from(origin.destination_port.to_be()) << 16)
}

#[inline(always)]
fn origin(opt: *mut bpf_sockopt) -> Option<&'static OriginRecord> {
    // SAFETY: a socket option context always has its socket.
    origin::get(&ACCEPTED, unsafe { (*opt).__bindgen_anon_1.sk })
}

/// The caller's buffer, if it has room for `len` bytes.
#[inline(always)]
fn buffer<T>(opt: *mut bpf_sockopt, len: usize) -> Option<*mut T> {
    // SAFETY: the context is valid while its program runs; the verifier checks the bounds below.
    let (start, end) = unsafe { ((*opt).__bindgen_anon_2.optval, (*opt).__bindgen_anon_3.optval_end) };
    (start as usize + len <= end as usize).then_some(start.cast())
}

#[inline(always)]
fn succeed(opt: *mut bpf_sockopt, len: usize) {
    // SAFETY: both fields may be written by a getsockopt program.
    unsafe {
        addr_of_mut!((*opt).optlen).write_volatile(len as i32);
        addr_of_mut!((*opt).retval).write_volatile(0);
    }
}
