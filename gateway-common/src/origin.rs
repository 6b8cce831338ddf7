//! What the kernel remembers of a redirected `connect()`: stored with the agent's socket, carried
//! over the handshake in the map `FLOWS`, stored again with the accepted socket.

use crate::net::Address;

/// What the kernel remembers of a redirected `connect()`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginRecord {
    /// [`crate::ABI_VERSION`] of the writer.
    pub abi: u32,
    /// Family of the agent's socket: [`crate::net::AF_INET`] or [`crate::net::AF_INET6`], the
    /// latter also where the destination is v4-mapped.
    pub family: u32,
    /// The cgroup of the connecting task (the leaf).
    pub cgroup: u64,
    /// When it connected: `CLOCK_MONOTONIC` in nanoseconds.
    pub connected_ns: u64,
    /// The connecting process (thread group id in the initial pid namespace).
    pub pid: u32,
    /// The connecting user (in the initial user namespace).
    pub uid: u32,
    /// The address the agent asked for.
    pub destination: Address,
    /// The listener it was sent to instead.
    pub listener: Address,
    /// The port the agent asked for, host byte order.
    pub destination_port: u16,
    /// The listener's port, host byte order.
    pub listener_port: u16,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<OriginRecord>() == 72 && align_of::<OriginRecord>() == 8);
const _: () = assert!(core::mem::offset_of!(OriginRecord, cgroup) == 8);
const _: () = assert!(core::mem::offset_of!(OriginRecord, connected_ns) == 16);
const _: () = assert!(core::mem::offset_of!(OriginRecord, pid) == 24);
const _: () = assert!(core::mem::offset_of!(OriginRecord, destination) == 32);
const _: () = assert!(core::mem::offset_of!(OriginRecord, listener) == 48);
const _: () = assert!(core::mem::offset_of!(OriginRecord, destination_port) == 64);
const _: () = assert!(core::mem::offset_of!(OriginRecord, listener_port) == 66);
