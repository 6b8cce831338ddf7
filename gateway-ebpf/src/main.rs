//! The kernel half of chaperone.
//!
//! Attached to the agent slice: [`connect`], [`datagram`], [`bind`], [`peer`] and `sockops_agent`
//! of [`flow`]. Attached to the daemon's own cgroup: `sockops_proxy` of [`flow`] and [`option`].
//!
//! The way of an origin: `connect` stores it with the agent's socket and sends the connection to
//! a listener; before the SYN, `sockops_agent` puts it into `FLOWS`; as soon as the accepted
//! socket is established, and before `accept()` can return it, `sockops_proxy` moves it there;
//! `getsockopt` reads it. No step needs the daemon, and none can meet another connection's origin.
//!
//! Any error for an agent refuses.
#![no_std]
#![no_main]

mod bind;
mod connect;
mod counter;
mod datagram;
mod event;
mod flow;
mod net;
mod option;
mod origin;
mod peer;
mod settings;

/// Lets the operation go on.
const ALLOW: i32 = 1;
/// The system call fails with `EPERM`.
const REFUSE: i32 = 0;

// No helper in use is reserved to GPL programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 11] = *b"Apache-2.0\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}
