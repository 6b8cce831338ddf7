//! The cgroups that programs are attached to.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, BorrowedFd},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use super::RedirectError;
use crate::{
    cgroup2,
    prim::{CgroupId, CgroupPath},
};

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

/// Whether any process lives in the cgroup at `path` or below it (`cgroup.events`, cgroups(7)); a cgroup
/// that does not exist has none.
///
/// # Errors
/// [`RedirectError::NoCgroup2`], [`RedirectError::Cgroup`].
pub fn has_processes(path: &CgroupPath) -> Result<bool, RedirectError> {
    let mount = cgroup2::mount().ok_or(RedirectError::NoCgroup2)?;
    match fs::read_to_string(mount.join(path.as_str()).join("cgroup.events")) {
        Ok(events) => Ok(events.lines().any(|line| line == "populated 1")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(RedirectError::Cgroup { path: path.clone(), source }),
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
