//! What is effectively attached: asked of the kernel per cgroup, because a pin proves nothing.

use std::os::fd::AsFd as _;

use super::{
    RedirectError,
    attach::{HOOKS, Hook, Places},
    sys,
};
use crate::prim::CgroupPath;

/// The state of one hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookHealth {
    /// The program of the kernel half.
    pub program: &'static str,
    /// The cgroup it belongs to.
    pub cgroup: CgroupPath,
    /// Whether the kernel runs this daemon's program there.
    pub effective: bool,
    /// How many other programs run after it and could undo what it did.
    pub after: usize,
}

/// The state of all hooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// One entry per hook.
    pub hooks: Vec<HookHealth>,
}

impl Health {
    /// Whether the fence is whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.hooks.iter().all(|hook| hook.effective)
    }
}

/// Asks the kernel for every hook of the cgroups as they are now. `id_of` tells the id of the
/// program that should run.
pub(super) fn check(
    places: &Places,
    id_of: impl Fn(&Hook) -> Result<u32, RedirectError>,
) -> Result<Health, RedirectError> {
    let check = |hook: &Hook| {
        let cgroup = places.of(hook.place);
        let wanted = id_of(hook)?;
        let running = sys::effective(cgroup.as_fd(), hook.attach_type).map_err(|source| {
            RedirectError::Attach { hook: hook.program, cgroup: cgroup.path.clone(), source }
        })?;
        let at = running.iter().position(|id| *id == wanted);
        Ok(HookHealth {
            program: hook.program,
            cgroup: cgroup.path.clone(),
            effective: at.is_some(),
            after: at.map_or(0, |at| running.len() - at - 1),
        })
    };
    Ok(Health { hooks: HOOKS.iter().map(check).collect::<Result<_, _>>()? })
}
