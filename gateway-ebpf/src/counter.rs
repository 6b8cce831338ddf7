//! The map `COUNTERS`.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use gateway_common::counter::Counter;

#[btf_map]
static COUNTERS: PerCpuArray<u64, { Counter::SLOTS as usize }> = PerCpuArray::new();

/// Adds one to a slot.
#[inline(always)]
pub(crate) fn add(slot: u32) {
    if let Some(sum) = COUNTERS.get_ptr_mut(slot) {
        // SAFETY: the look-up returned this CPU's slot, and no other program of this CPU runs
        // between the load and the store of a cgroup hook that could lose more than a count.
        unsafe { *sum = (*sum).wrapping_add(1) };
    }
}
