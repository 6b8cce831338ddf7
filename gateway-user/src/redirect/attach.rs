//! Attaches the programs by pinned links, which survive the daemon.
//!
//! A restarted daemon finds its links and swaps the programs under them (`BPF_LINK_UPDATE`), so no
//! connection ever meets an empty hook. The fence comes first and is never taken off: what fails
//! half-way leaves the agents refused, not free.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use super::{
    RedirectError, cgroup,
    cgroup::Cgroup,
    pins::remove_pin,
    sys::{self, AttachType},
};
use crate::prim::CgroupId;

/// Whose sockets a program sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The agents'.
    Slice,
    /// The daemon's own.
    Proxy,
}

/// One program of the kernel half and where it belongs. Its name is also the name of its pin.
#[derive(Debug)]
pub(super) struct Hook {
    pub program: &'static str,
    pub attach_type: AttachType,
    pub place: Place,
}

/// Every hook, in the order of attachment: what refuses comes before what recovers the origin.
pub(super) const HOOKS: [Hook; 11] = [
    slice("connect4", AttachType::Inet4Connect),
    slice("connect6", AttachType::Inet6Connect),
    slice("sendmsg4", AttachType::Udp4Sendmsg),
    slice("sendmsg6", AttachType::Udp6Sendmsg),
    slice("bind4", AttachType::Inet4Bind),
    slice("bind6", AttachType::Inet6Bind),
    slice("getpeername4", AttachType::Inet4Getpeername),
    slice("getpeername6", AttachType::Inet6Getpeername),
    slice("sockops_agent", AttachType::SockOps),
    proxy("sockops_proxy", AttachType::SockOps),
    proxy("getsockopt", AttachType::Getsockopt),
];

const fn slice(program: &'static str, attach_type: AttachType) -> Hook {
    Hook { program, attach_type, place: Place::Slice }
}

const fn proxy(program: &'static str, attach_type: AttachType) -> Hook {
    Hook { program, attach_type, place: Place::Proxy }
}

/// The two cgroups the programs are attached to.
#[derive(Debug)]
pub(super) struct Places {
    pub slice: Cgroup,
    pub proxy: Cgroup,
}

impl Places {
    pub(super) fn of(&self, place: Place) -> &Cgroup {
        match place {
            Place::Slice => &self.slice,
            Place::Proxy => &self.proxy,
        }
    }
}

/// What attaching a hook found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// Nothing was pinned: a new link.
    Created,
    /// The pinned link was kept and its program replaced.
    Adopted,
    /// The pinned link's cgroup is gone, or is not the daemon's any more: a new link.
    Replaced,
}

/// Refuses to leave a living slice: taking the fence off would set its processes free.
pub(super) fn check_slice(slice: &Cgroup, mount: &Path, pins: &Path) -> Result<(), RedirectError> {
    for hook in HOOKS.iter().filter(|hook| hook.place == Place::Slice) {
        let failed =
            |source| RedirectError::Attach { hook: hook.program, cgroup: slice.path.clone(), source };
        let Some(link) = sys::pinned(&pins.join(hook.program)).map_err(failed)? else { continue };
        let bound = CgroupId(sys::link_info(link.as_fd()).map_err(failed)?.cgroup);
        if bound != slice.id
            && bound != DEAD
            && let Some(bound) = cgroup::find(mount, bound)
        {
            return Err(RedirectError::SliceChanged { bound, wanted: slice.path.clone() });
        }
    }
    Ok(())
}

/// Attaches every hook; the links stay attached while they are pinned or in the answer.
pub(super) fn attach_all(
    programs: &HashMap<&'static str, OwnedFd>,
    places: &Places,
    pins: &Path,
) -> Result<Vec<(OwnedFd, Attached)>, RedirectError> {
    let attach = |hook: &Hook| {
        let program = programs.get(hook.program).ok_or(RedirectError::Incomplete { name: hook.program })?;
        attach(hook, program.as_fd(), places, &pins.join(hook.program))
    };
    HOOKS.iter().map(attach).collect()
}

fn attach(
    hook: &Hook,
    program: BorrowedFd<'_>,
    places: &Places,
    pin: &Path,
) -> Result<(OwnedFd, Attached), RedirectError> {
    let target = places.of(hook.place);
    let failed = |source| RedirectError::Attach { hook: hook.program, cgroup: target.path.clone(), source };
    let Some(old) = sys::pinned(pin).map_err(failed)? else {
        return Ok((create(hook, program, target, pin).map_err(failed)?, Attached::Created));
    };
    let bound = CgroupId(sys::link_info(old.as_fd()).map_err(failed)?.cgroup);
    if bound == target.id {
        match sys::link_update(old.as_fd(), program) {
            Ok(()) => return Ok((old, Attached::Adopted)),
            // The cgroup went away between the two questions.
            Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    // `old` stays open until the new link is attached.
    let link = sys::link_create(program, target.as_fd(), hook.attach_type).map_err(failed)?;
    remove_pin(pin)?;
    sys::pin(link.as_fd(), pin).map_err(failed)?;
    Ok((link, Attached::Replaced))
}

/// What a link tells whose cgroup was removed.
const DEAD: CgroupId = CgroupId(0);

fn create(hook: &Hook, program: BorrowedFd<'_>, target: &Cgroup, pin: &Path) -> io::Result<OwnedFd> {
    let link = sys::link_create(program, target.as_fd(), hook.attach_type)?;
    sys::pin(link.as_fd(), pin)?;
    Ok(link)
}
