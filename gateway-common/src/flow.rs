//! The key that finds a connection again: from the agent's SYN until the proxy's side is
//! established. The value is an [`crate::origin::OriginRecord`].

use crate::net::Address;

/// How many handshakes may be under way at once. A connection that finds the map full has no
/// origin, and the daemon closes it.
pub const MAX_FLOWS: usize = 8192;

/// One connection between an agent and a listener, as both ends of it can name it.
///
/// The listener's address belongs to it: the same source port may lead to two listeners at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The network namespace of both ends.
    pub netns: u64,
    /// The agent's address.
    pub source: Address,
    /// The listener's address.
    pub listener: Address,
    /// The agent's port, host byte order.
    pub source_port: u16,
    /// The listener's port, host byte order.
    pub listener_port: u16,
    /// Zero: the key is compared as bytes.
    pub reserved: u32,
}

const _: () = assert!(size_of::<FlowKey>() == 48 && align_of::<FlowKey>() == 8);
const _: () = assert!(core::mem::offset_of!(FlowKey, source) == 8);
const _: () = assert!(core::mem::offset_of!(FlowKey, listener) == 24);
const _: () = assert!(core::mem::offset_of!(FlowKey, source_port) == 40);
const _: () = assert!(core::mem::offset_of!(FlowKey, listener_port) == 42);
