//! The few `bpf(2)` commands that aya does not offer for cgroup links.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

/// `enum bpf_attach_type` of the hooks in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum AttachType {
    SockOps = 3,
    Inet4Bind = 8,
    Inet6Bind = 9,
    Inet4Connect = 10,
    Inet6Connect = 11,
    Udp4Sendmsg = 14,
    Udp6Sendmsg = 15,
    Getsockopt = 21,
    Inet4Getpeername = 29,
    Inet6Getpeername = 30,
}

/// What the kernel tells of a cgroup link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LinkInfo {
    /// The id of the attached program.
    pub program: u32,
    /// The cgroup it is attached to; 0 where the cgroup is gone.
    pub cgroup: u64,
}

/// Attaches a program to a cgroup besides whatever is attached already (links are always multi).
pub(super) fn link_create(
    program: BorrowedFd<'_>,
    cgroup: BorrowedFd<'_>,
    hook: AttachType,
) -> io::Result<OwnedFd> {
    #[repr(C)]
    struct LinkCreate {
        prog_fd: RawFd,
        target_fd: RawFd,
        attach_type: u32,
        flags: u32,
    }
    let mut attr = LinkCreate {
        prog_fd: program.as_raw_fd(),
        target_fd: cgroup.as_raw_fd(),
        attach_type: hook as u32,
        flags: 0,
    };
    bpf(BPF_LINK_CREATE, &mut attr).map(owned)
}

/// Replaces the program of a link; no connection sees the hook empty.
///
/// `ENOLINK` where the link's cgroup is gone.
pub(super) fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct LinkUpdate {
        link_fd: RawFd,
        new_prog_fd: RawFd,
        flags: u32,
        old_prog_fd: u32,
    }
    let mut attr =
        LinkUpdate { link_fd: link.as_raw_fd(), new_prog_fd: program.as_raw_fd(), flags: 0, old_prog_fd: 0 };
    bpf(BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// Which program is attached where.
pub(super) fn link_info(link: BorrowedFd<'_>) -> io::Result<LinkInfo> {
    /// `struct bpf_link_info`, with the member of its union that cgroup links have.
    #[repr(C)]
    #[derive(Default)]
    struct CgroupLinkInfo {
        kind: u32,
        id: u32,
        prog_id: u32,
        padding: u32,
        cgroup_id: u64,
        attach_type: u32,
        reserved: [u32; 9],
    }
    let mut info = CgroupLinkInfo::default();
    object_info(link, &mut info)?;
    if info.kind != BPF_LINK_TYPE_CGROUP {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a cgroup link"));
    }
    Ok(LinkInfo { program: info.prog_id, cgroup: info.cgroup_id })
}

/// The id of a program.
pub(super) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    /// The first members of `struct bpf_prog_info`.
    #[repr(C)]
    #[derive(Default)]
    struct ProgramInfo {
        kind: u32,
        id: u32,
    }
    let mut info = ProgramInfo::default();
    object_info(program, &mut info)?;
    Ok(info.id)
}

/// The ids of the programs that run for sockets of this cgroup, its ancestors' included, in the
/// order in which they run.
pub(super) fn effective(cgroup: BorrowedFd<'_>, hook: AttachType) -> io::Result<Vec<u32>> {
    #[repr(C)]
    struct Query {
        target_fd: RawFd,
        attach_type: u32,
        query_flags: u32,
        attach_flags: u32,
        prog_ids: u64,
        prog_cnt: u32,
        padding: u32,
    }
    // The kernel allows 64 programs per cgroup and hook.
    let mut ids = vec![0_u32; 512];
    let mut attr = Query {
        target_fd: cgroup.as_raw_fd(),
        attach_type: hook as u32,
        query_flags: BPF_F_QUERY_EFFECTIVE,
        attach_flags: 0,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: u32::try_from(ids.len()).unwrap_or(0),
        padding: 0,
    };
    bpf(BPF_PROG_QUERY, &mut attr)?;
    ids.truncate(usize::try_from(attr.prog_cnt).unwrap_or(0));
    Ok(ids)
}

/// Pins an object at a path of a bpffs.
pub(super) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut attr = Pin { pathname: path.as_ptr() as u64, bpf_fd: object.as_raw_fd(), file_flags: 0 };
    bpf(BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Opens a pinned object; `None` where nothing is pinned.
pub(super) fn pinned(path: &Path) -> io::Result<Option<OwnedFd>> {
    let path = c_path(path)?;
    let mut attr = Pin { pathname: path.as_ptr() as u64, bpf_fd: 0, file_flags: 0 };
    match bpf(BPF_OBJ_GET, &mut attr) {
        Ok(fd) => Ok(Some(owned(fd))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Fills `info`, the beginning of the information structure of the object's kind.
fn object_info<T>(object: BorrowedFd<'_>, info: &mut T) -> io::Result<()> {
    #[repr(C)]
    struct ObjectInfo {
        bpf_fd: RawFd,
        info_len: u32,
        info: u64,
    }
    let mut attr = ObjectInfo {
        bpf_fd: object.as_raw_fd(),
        info_len: u32::try_from(size_of::<T>()).unwrap_or(0),
        info: std::ptr::from_mut(info) as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attr).map(drop)
}

#[repr(C)]
struct Pin {
    pathname: u64,
    bpf_fd: RawFd,
    file_flags: u32,
}

// enum bpf_cmd, enum bpf_link_type and flags of <linux/bpf.h>.
const BPF_OBJ_PIN: i32 = 6;
const BPF_OBJ_GET: i32 = 7;
const BPF_OBJ_GET_INFO_BY_FD: i32 = 15;
const BPF_PROG_QUERY: i32 = 16;
const BPF_LINK_CREATE: i32 = 28;
const BPF_LINK_UPDATE: i32 = 29;
const BPF_LINK_TYPE_CGROUP: u32 = 3;
const BPF_F_QUERY_EFFECTIVE: u32 = 1;

/// `attr` must be the member of `union bpf_attr` that belongs to `command`; the kernel takes a
/// shorter union for one whose rest is zero.
fn bpf<T>(command: i32, attr: &mut T) -> io::Result<RawFd> {
    let attr = std::ptr::from_mut(attr);
    // SAFETY: `attr` is valid for its size, and the memory its members point to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: only called with what the kernel has just returned as a new descriptor.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
