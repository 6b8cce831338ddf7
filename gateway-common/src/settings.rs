//! What the user half tells the kernel half: the only value of the map `SETTINGS`.

use crate::net::Address;

/// The most listeners of one family; the kernel half picks a slot with a mask.
pub const MAX_LISTENERS: usize = 8;

/// Where the daemon listens.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// The loopback address.
    pub address: Address,
    /// The TCP port, host byte order.
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

impl Listener {
    /// An unused slot.
    pub const NONE: Self = Self { address: Address::UNSPECIFIED, port: 0, reserved: 0 };
}

/// The listeners of one family. Unused slots repeat the used ones, so that any slot is a listener.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    /// How many different listeners there are; 0 refuses the family's connections.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// All slots filled, or all [`Listener::NONE`].
    pub slots: [Listener; MAX_LISTENERS],
}

impl Listeners {
    /// No listeners.
    pub const NONE: Self = Self { count: 0, reserved: 0, slots: [Listener::NONE; MAX_LISTENERS] };

    /// From at most [`MAX_LISTENERS`] listeners; `None` where there are more.
    #[must_use]
    pub fn new(listeners: &[Listener]) -> Option<Self> {
        if listeners.len() > MAX_LISTENERS {
            return None;
        }
        let mut all = Self { count: u32::try_from(listeners.len()).ok()?, ..Self::NONE };
        for (slot, listener) in all.slots.iter_mut().zip(listeners.iter().cycle()) {
            *slot = *listener;
        }
        Some(all)
    }

    /// Whether `port` (host byte order) belongs to one of them.
    #[inline(always)]
    #[must_use]
    pub fn has_port(&self, port: u16) -> bool {
        port != 0 && self.slots.iter().any(|listener| listener.port == port)
    }
}

/// What the user half tells the kernel half. All zeros (a fresh map) refuses everything captured.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// [`crate::ABI_VERSION`] of the writer.
    pub abi: u32,
    /// How deep the agent slice lies below the root of the cgroup v2 hierarchy; the root is 0.
    pub slice_level: u32,
    /// The cgroup id of the agent slice.
    pub slice: u64,
    /// The cookie of the network namespace the listeners are in.
    pub netns: u64,
    /// Listeners for IPv4, v4-mapped destinations included.
    pub v4: Listeners,
    /// Listeners for IPv6.
    pub v6: Listeners,
}

const _: () = assert!(size_of::<Listener>() == 20);
const _: () = assert!(size_of::<Listeners>() == 168);
const _: () = assert!(size_of::<Settings>() == 360 && align_of::<Settings>() == 8);
const _: () = assert!(core::mem::offset_of!(Settings, slice) == 8);
const _: () = assert!(core::mem::offset_of!(Settings, netns) == 16);
const _: () = assert!(core::mem::offset_of!(Settings, v4) == 24);
const _: () = assert!(core::mem::offset_of!(Settings, v6) == 192);
// The kernel half picks a slot with a mask.
const _: () = assert!(MAX_LISTENERS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::{Listener, Listeners, MAX_LISTENERS};
    use crate::net::Address;

    fn listener(port: u16) -> Listener {
        Listener { address: Address::from_v4_word(1), port, reserved: 0 }
    }

    #[test]
    fn every_slot_is_a_listener() {
        let all = Listeners::new(&[listener(1), listener(2), listener(3)]).unwrap();
        assert_eq!(all.count, 3);
        assert_eq!(all.slots.map(|slot| slot.port), [1, 2, 3, 1, 2, 3, 1, 2]);
        assert!(all.has_port(3));
        assert!(!all.has_port(4));
    }

    #[test]
    fn none_and_too_many() {
        assert_eq!(Listeners::new(&[]), Some(Listeners::NONE));
        assert!(!Listeners::NONE.has_port(0));
        assert_eq!(Listeners::new(&[listener(1); MAX_LISTENERS]).unwrap().count, 8);
        assert_eq!(Listeners::new(&[listener(1); MAX_LISTENERS + 1]), None);
    }
}
