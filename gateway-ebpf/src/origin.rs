//! The socket storages: `ORIGINS` at the agent's socket, `ACCEPTED` at the daemon's.

use aya_ebpf::{
    bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock},
    btf_maps::SkStorage,
    helpers::generated::bpf_sk_storage_get,
    macros::btf_map,
};
use core::ptr::{from_ref, null_mut};
use gateway_common::origin::OriginRecord;

#[btf_map]
pub(crate) static ORIGINS: SkStorage<OriginRecord> = SkStorage::new();

#[btf_map]
pub(crate) static ACCEPTED: SkStorage<OriginRecord> = SkStorage::new();

/// The record stored with `sk`.
#[inline(always)]
pub(crate) fn get(map: &'static SkStorage<OriginRecord>, sk: *mut bpf_sock) -> Option<&'static OriginRecord> {
    // SAFETY: `sk` is the context's socket (checked against null where it may be null) and the
    // map is a socket storage; the value lives as long as the socket, which outlives the program.
    unsafe { bpf_sk_storage_get(as_ptr(map), sk.cast(), null_mut(), 0).cast::<OriginRecord>().as_ref() }
}

/// The place for a record of `sk`, made where there is none; `None` where there is no memory.
#[inline(always)]
pub(crate) fn place(
    map: &'static SkStorage<OriginRecord>,
    sk: *mut bpf_sock,
) -> Option<&'static mut OriginRecord> {
    let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
    // SAFETY: as in `get`. A new value is zeroed, and the caller holds the socket's lock.
    unsafe { bpf_sk_storage_get(as_ptr(map), sk.cast(), null_mut(), create).cast::<OriginRecord>().as_mut() }
}

/// Stores a record that lies in another map; `false` where there is no memory.
#[inline(always)]
pub(crate) fn store(map: &'static SkStorage<OriginRecord>, sk: *mut bpf_sock, record: &OriginRecord) -> bool {
    let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
    let record = from_ref(record).cast_mut().cast();
    // SAFETY: as in `get`; the helper copies the record and does not keep the pointer.
    !unsafe { bpf_sk_storage_get(as_ptr(map), sk.cast(), record, create) }.is_null()
}

#[inline(always)]
fn as_ptr(map: &'static SkStorage<OriginRecord>) -> *mut core::ffi::c_void {
    from_ref(map).cast_mut().cast()
}
