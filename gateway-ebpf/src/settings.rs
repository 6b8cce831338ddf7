//! The map `SETTINGS`: what the user half tells.

use aya_ebpf::{btf_maps::Array, macros::btf_map};
use gateway_common::{ABI_VERSION, settings::Settings};

#[btf_map]
static SETTINGS: Array<Settings, 1> = Array::new();

/// The settings, or `None` while they are not written.
#[inline(always)]
pub(crate) fn get() -> Option<&'static Settings> {
    SETTINGS.get(0).filter(|settings| settings.abi == ABI_VERSION)
}

/// Whether a listener of either family has this port, at whatever address.
///
/// The address is left out on purpose: `0.0.0.0`, v4-mapped and other loopback addresses lead to
/// the same listeners.
#[inline(always)]
pub(crate) fn is_listener_port(settings: &Settings, port: u16) -> bool {
    settings.v4.has_port(port) || settings.v6.has_port(port)
}
