//! What was refused, as the ring buffer `EVENTS` carries it to the daemon.

use crate::net::Address;

/// Size of the ring buffer in bytes: about 4,000 events.
pub const EVENTS_BYTES: usize = 256 * 1024;

/// Why something was refused to an agent. The numbers are ABI; 0 is never written.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// UDP to port 443: QUIC would go around the redirect.
    Udp443 = 1,
    /// A TCP connection from another network namespace.
    ForeignNetns = 2,
    /// A TCP connection from a socket that is bound to a device.
    BoundDevice = 3,
    /// A TCP connection to the daemon's listeners themselves.
    ProxyPort = 4,
    /// Binding a port of the daemon's listeners.
    BindProxyPort = 5,
    /// The origin could not be stored.
    NoMemory = 6,
    /// There is no listener of that family, or the settings are not written.
    NoListener = 7,
    /// The connecting task is not in the agent slice, although its socket was made there.
    OutsideSlice = 8,
}

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Udp443,
        Self::ForeignNetns,
        Self::BoundDevice,
        Self::ProxyPort,
        Self::BindProxyPort,
        Self::NoMemory,
        Self::NoListener,
        Self::OutsideSlice,
    ];

    /// The kind with this number, or `None` where the number is unknown.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// One refusal.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The number of an [`EventKind`].
    pub kind: u32,
    /// Family of the agent's socket.
    pub family: u32,
    /// The cgroup of the task (the leaf).
    pub cgroup: u64,
    /// When: `CLOCK_MONOTONIC` in nanoseconds.
    pub at_ns: u64,
    /// The process (thread group id in the initial pid namespace).
    pub pid: u32,
    /// The user (in the initial user namespace).
    pub uid: u32,
    /// The address it asked for.
    pub address: Address,
    /// The port it asked for, host byte order.
    pub port: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

const _: () = assert!(size_of::<Event>() == 56 && align_of::<Event>() == 8);
const _: () = assert!(core::mem::offset_of!(Event, cgroup) == 8);
const _: () = assert!(core::mem::offset_of!(Event, pid) == 24);
const _: () = assert!(core::mem::offset_of!(Event, address) == 32);
const _: () = assert!(core::mem::offset_of!(Event, port) == 48);

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn numbers_find_their_kind() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_number(kind as u32), Some(kind));
        }
        assert_eq!(EventKind::from_number(0), None);
        assert_eq!(EventKind::from_number(9), None);
    }
}
