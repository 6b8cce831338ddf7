//! Opening a cgroup by its id (`open_by_handle_at(2)`).

use std::{
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use rustix::io::Errno;

use crate::prim::CgroupId;

/// `FILEID_KERNFS` of `include/linux/exportfs.h`: the handle is the node's 64-bit id.
const FILEID_KERNFS: libc::c_int = 0xfe;

/// `struct file_handle` with the 8 bytes a kernfs handle has.
#[repr(C)]
struct KernfsHandle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
}

/// The directory of cgroup `id`, where `mount` lies on the cgroup v2 hierarchy.
///
/// # Errors
/// `ESTALE` when no such cgroup lives; `EPERM` without `CAP_DAC_READ_SEARCH`.
pub(super) fn open(mount: BorrowedFd<'_>, id: CgroupId) -> Result<OwnedFd, Errno> {
    let mut handle = KernfsHandle { bytes: 8, kind: FILEID_KERNFS, id: id.0.to_ne_bytes() };
    const _: () = assert!(size_of::<KernfsHandle>() == 16 && mem::offset_of!(KernfsHandle, id) == 8);
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: the handle is a `struct file_handle` followed by the `handle_bytes` bytes it announces
    // (the layout is asserted above), it outlives the call, and `mount` is an open descriptor.
    let fd = unsafe { libc::open_by_handle_at(mount.as_raw_fd(), (&raw mut handle).cast(), flags) };
    if fd < 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    // SAFETY: the call succeeded, so `fd` is a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
