//! Where the cgroups are: the v2 hierarchy, the agent slice, the daemon's own cgroup.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::RedirectError;
use crate::prim::{CgroupId, CgroupPath};

/// Where the cgroup v2 hierarchy is mounted. In a hybrid layout that is below `/sys/fs/cgroup`.
///
/// # Errors
/// [`RedirectError::NoCgroup2`] where it is not mounted.
pub fn cgroup_mount() -> Result<PathBuf, RedirectError> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    mount_in(&mounts).ok_or(RedirectError::NoCgroup2)
}

/// The cgroup of the calling process in the v2 hierarchy.
///
/// # Errors
/// [`RedirectError::NoCgroup2`] where it has none.
pub fn own_cgroup() -> Result<CgroupPath, RedirectError> {
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    membership_in(&membership).ok_or(RedirectError::NoCgroup2)
}

/// The mount point of the first `cgroup2` in the text of `/proc/mounts` (see `fstab(5)`).
fn mount_in(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(unescape(point)))
    })
}

/// `/proc/mounts` writes blanks and backslashes as `\ooo`.
fn unescape(field: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(field.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The line of the unified hierarchy in the text of `/proc/PID/cgroup` (see `cgroups(7)`).
fn membership_in(cgroups: &str) -> Option<CgroupPath> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(CgroupPath::new)
}

/// An existing cgroup, held open so that it stays the one that was looked up.
#[derive(Debug)]
pub(super) struct Cgroup {
    pub path: CgroupPath,
    pub id: CgroupId,
    dir: File,
}

impl Cgroup {
    /// Opens a cgroup.
    pub(super) fn open(mount: &Path, path: &CgroupPath) -> Result<Self, RedirectError> {
        let open = || -> io::Result<Self> {
            let dir = File::open(mount.join(path.as_str()))?;
            let id = CgroupId(dir.metadata()?.ino());
            Ok(Self { path: path.clone(), id, dir })
        };
        open().map_err(|source| RedirectError::Cgroup { path: path.clone(), source })
    }

    /// Opens a cgroup, made together with its ancestors where it does not exist.
    pub(super) fn open_or_create(mount: &Path, path: &CgroupPath) -> Result<Self, RedirectError> {
        fs::create_dir_all(mount.join(path.as_str()))
            .map_err(|source| RedirectError::Cgroup { path: path.clone(), source })?;
        Self::open(mount, path)
    }

    /// How deep it lies below the root of the hierarchy.
    pub(super) fn level(&self) -> u32 {
        u32::try_from(self.path.prefixes().count()).unwrap_or(u32::MAX)
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Looks for a living cgroup by its id; walks the whole hierarchy.
pub(super) fn find(mount: &Path, id: CgroupId) -> Option<CgroupPath> {
    let mut open = vec![mount.to_owned()];
    while let Some(dir) = open.pop() {
        if fs::metadata(&dir).is_ok_and(|metadata| metadata.ino() == id.0) {
            return dir.strip_prefix(mount).ok().and_then(Path::to_str).map(CgroupPath::new);
        }
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        open.extend(entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found_in_every_layout() {
        let check = |mounts: &str, expected: Option<&str>| {
            assert_eq!(mount_in(mounts), expected.map(PathBuf::from), "{mounts}");
        };
        check("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n", Some("/sys/fs/cgroup"));
        check(
            "tmpfs /sys/fs/cgroup tmpfs ro 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
             cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
            Some("/sys/fs/cgroup/unified"),
        );
        check("none /mnt/a\\040b\\134c cgroup2 rw 0 0\n", Some("/mnt/a b\\c"));
        check("cgroup2 /not/here tmpfs rw 0 0\n", None);
        check("garbage\n\n", None);
        check("", None);
    }

    #[test]
    fn the_membership_is_the_unified_line() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(membership_in(text), expected.map(CgroupPath::new), "{text}");
        };
        check("0::/system.slice/chaperone.service\n", Some("system.slice/chaperone.service"));
        check("9:name=systemd:/x\n0::/\n", Some(""));
        check("1:cpu:/\n", None);
        check("", None);
    }
}
