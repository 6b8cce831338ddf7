//! The ABI between the kernel half (`gateway-ebpf`) and the user half (`gateway-user`).
//!
//! Everything here crosses the border as plain memory: a map's value, a ring buffer entry, the
//! answer to a `getsockopt`. Each layout is pinned by size and offset asserts, and whoever changes
//! one raises [`ABI_VERSION`]. The kernel half has one file of the same name per concern.
#![no_std]

/// The per-CPU counters.
pub mod counter;
/// What was refused, as the ring buffer carries it.
pub mod event;
/// The key that finds a connection again during its handshake.
pub mod flow;
/// Addresses as both halves hold them.
pub mod net;
/// The socket option that returns an [`origin::OriginRecord`].
pub mod option;
/// What the kernel remembers of a redirected `connect()`.
pub mod origin;
/// What the user half tells the kernel half.
pub mod settings;

/// The version of every layout in this crate; pinned maps of another version are replaced.
pub const ABI_VERSION: u32 = 1;

#[cfg(feature = "user")]
mod pod {
    use crate::{event::Event, flow::FlowKey, origin::OriginRecord, settings::Settings};

    // SAFETY: `repr(C)`, made of integers only, and the size asserts next to each type show that
    // every padding byte is a named field: any bytes are a value and all bytes are initialised.
    unsafe impl aya::Pod for Settings {}
    // SAFETY: as above.
    unsafe impl aya::Pod for FlowKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for OriginRecord {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Event {}
}
