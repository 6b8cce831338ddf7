//! The cgroup v2 tree: ids from the kernel's records to paths, tags, and the launcher's scopes.
//!
//! A cgroup's id is the inode number of its directory, which the kernel does not reuse while the
//! host is up (kernfs numbers nodes with 64 bits), and a cgroup v2 directory cannot be renamed. So
//! an id names one cgroup for its whole life, and the path found for it stays true while it lives.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir, XattrFlags},
    io::Errno,
};

use super::handle;
use crate::{
    cgroup2,
    prim::{CgroupId, CgroupPath},
};

/// The extended attribute that tags a cgroup. Only root can write (or read) `trusted.*`.
pub const TAG: &str = "trusted.chaperone.workload";

/// Bytes a tag may have: a workload name has at most 63.
pub const TAG_MAX: usize = 128;

/// How deep below a scope the launcher removes what an agent with the right to do so has made.
const REMOVE_DEPTH: usize = 32;

/// What the identification asks of the cgroup tree.
///
/// [`CgroupFs`] is the only real implementation; the direct test tier has its own.
pub trait CgroupTree: Send + Sync + 'static {
    /// The path of the cgroup `id`.
    ///
    /// # Errors
    /// [`CgroupError::Gone`] when no such cgroup lives.
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError>;

    /// The id of the cgroup at `path`.
    ///
    /// # Errors
    /// [`CgroupError::Gone`] when there is none.
    fn id(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError>;

    /// The value of [`TAG`] on the cgroup at `path`; `None` when it carries none.
    ///
    /// # Errors
    /// [`CgroupError::Gone`], or [`CgroupError::BadTag`] for a value no configuration can name.
    fn tag(&self, path: &CgroupPath) -> Result<Option<String>, CgroupError>;

    /// Whether the cgroup `id` still lives. An error other than "gone" counts as living: a session
    /// must not end because a question could not be answered.
    fn exists(&self, id: CgroupId) -> bool {
        !matches!(self.path(id), Err(CgroupError::Gone))
    }
}

/// What the launcher does to the cgroup tree.
pub trait Scopes: CgroupTree {
    /// Makes the cgroup `path`, whose parent exists, and tags it.
    ///
    /// # Errors
    /// [`CgroupError`]; nothing is left behind.
    fn create(&self, path: &CgroupPath, tag: &str) -> Result<CgroupId, CgroupError>;

    /// Moves the process `pid`, with all its threads, into the cgroup.
    ///
    /// # Errors
    /// [`CgroupError`]; the process stays where it was.
    fn admit(&self, path: &CgroupPath, pid: u32) -> Result<(), CgroupError>;

    /// Whether any process lives in the cgroup or below it.
    ///
    /// # Errors
    /// [`CgroupError`].
    fn populated(&self, path: &CgroupPath) -> Result<bool, CgroupError>;

    /// Removes the cgroup and the empty ones below it.
    ///
    /// # Errors
    /// [`CgroupError::Io`] with `EBUSY` while a process lives there: the kernel decides, so no process
    /// can slip in between a check and the removal.
    fn remove(&self, path: &CgroupPath) -> Result<(), CgroupError>;

    /// The cgroups directly below `path`.
    ///
    /// # Errors
    /// [`CgroupError`].
    fn children(&self, path: &CgroupPath) -> Result<Vec<CgroupPath>, CgroupError>;
}

/// Why the cgroup tree did not answer.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no such cgroup (any more).
    #[error("the cgroup is gone")]
    Gone,
    /// The host has no cgroup v2 hierarchy.
    #[error("no cgroup v2 hierarchy is mounted: mount one, or boot with systemd.unified_cgroup_hierarchy=1")]
    NotMounted,
    /// The kernel gave an inode that is not the one asked for.
    #[error("the kernel answered with cgroup {found}, not {wanted}")]
    OtherId {
        /// The id asked for.
        wanted: u64,
        /// The id found.
        found: u64,
    },
    /// The tag is too long or not text.
    #[error("the extended attribute {TAG} has a value that no workload can have")]
    BadTag,
    /// The kernel refused.
    #[error("{doing} failed: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl CgroupError {
    /// Names the step and sorts out the errors that mean "no such cgroup".
    fn at(doing: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::NOENT | Errno::STALE | Errno::NODEV => Self::Gone,
            errno => Self::Io { doing, source: errno.into() },
        }
    }
}

/// The host's cgroup v2 hierarchy.
#[derive(Debug)]
pub struct CgroupFs {
    mount: PathBuf,
    root: OwnedFd,
}

impl CgroupFs {
    /// Opens the hierarchy wherever it is mounted: hybrid hosts have it at `/sys/fs/cgroup/unified`.
    ///
    /// # Errors
    /// [`CgroupError::NotMounted`], or the kernel's refusal.
    pub fn open() -> Result<Self, CgroupError> {
        let mount = cgroup2::mount().ok_or(CgroupError::NotMounted)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&mount, flags, Mode::empty())
            .map_err(CgroupError::at("opening the cgroup v2 mount"))?;
        Ok(Self { mount, root })
    }

    /// Where the hierarchy is mounted.
    #[must_use]
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The directory of the cgroup at `path`, opened for `clone3(CLONE_INTO_CGROUP)`.
    ///
    /// # Errors
    /// [`CgroupError::Gone`] when there is none.
    pub fn directory(&self, path: &CgroupPath) -> Result<OwnedFd, CgroupError> {
        self.open_below(path, "", OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Makes the cgroup at `path` and those above it where they are missing: for the agent slice on a
    /// host where systemd does not make it. The root's directory asks for `CAP_DAC_OVERRIDE`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn ensure(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError> {
        for prefix in path.prefixes() {
            match rustix::fs::mkdirat(&self.root, prefix.as_str(), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(CgroupError::at("making the cgroup")(errno)),
            }
        }
        self.id(path)
    }

    fn open_below(&self, path: &CgroupPath, file: &str, flags: OFlags) -> Result<OwnedFd, CgroupError> {
        let name = relative(path, file);
        rustix::fs::openat(&self.root, &name, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(CgroupError::at("opening the cgroup"))
    }

    fn remove_below(&self, path: &CgroupPath, depth: usize) -> Result<(), CgroupError> {
        let name = relative(path, "");
        match rustix::fs::unlinkat(&self.root, &name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(()),
            // Processes or children; only children can be helped.
            Err(Errno::BUSY | Errno::NOTEMPTY) if depth > 0 => {
                let children = self.children(path)?;
                if children.is_empty() {
                    return Err(CgroupError::at("removing the cgroup")(Errno::BUSY));
                }
                children.iter().try_for_each(|child| self.remove_below(child, depth - 1))?;
                rustix::fs::unlinkat(&self.root, &name, AtFlags::REMOVEDIR)
                    .map_err(CgroupError::at("removing the cgroup"))
            }
            Err(errno) => Err(CgroupError::at("removing the cgroup")(errno)),
        }
    }
}

impl CgroupTree for CgroupFs {
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError> {
        let directory =
            handle::open(self.root.as_fd(), id).map_err(CgroupError::at("opening the cgroup by its id"))?;
        let found = inode(directory.as_fd())?;
        if found != id.0 {
            return Err(CgroupError::OtherId { wanted: id.0, found });
        }
        // The kernel writes the path of an open descriptor; one that was removed meanwhile shows
        // with " (deleted)" and is no child of the mount's living tree.
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&directory));
        let target = fs::read_link(link)
            .map_err(|source| CgroupError::Io { doing: "reading the cgroup's path", source })?;
        let below = target.strip_prefix(&self.mount).ok().and_then(Path::to_str).ok_or(CgroupError::Gone)?;
        if below.ends_with(" (deleted)") {
            return Err(CgroupError::Gone);
        }
        Ok(CgroupPath::new(below))
    }

    fn id(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError> {
        let stat = rustix::fs::statat(&self.root, relative(path, ""), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(CgroupError::at("looking up the cgroup"))?;
        Ok(CgroupId(stat.st_ino))
    }

    fn tag(&self, path: &CgroupPath) -> Result<Option<String>, CgroupError> {
        let directory = self.directory(path)?;
        let mut value = [0_u8; TAG_MAX];
        let length = match rustix::fs::fgetxattr(&directory, TAG, &mut value) {
            Ok(length) => length,
            // Absent, or a kernel whose cgroup v2 has no extended attributes.
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(Errno::RANGE) => return Err(CgroupError::BadTag),
            Err(errno) => return Err(CgroupError::at("reading the cgroup's tag")(errno)),
        };
        let text = value.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        text.map(|text| Some(text.to_owned())).ok_or(CgroupError::BadTag)
    }
}

impl Scopes for CgroupFs {
    fn create(&self, path: &CgroupPath, tag: &str) -> Result<CgroupId, CgroupError> {
        // World-readable as every cgroup is; only root may put processes in.
        rustix::fs::mkdirat(&self.root, relative(path, ""), Mode::from_raw_mode(0o755))
            .map_err(CgroupError::at("making the cgroup"))?;
        let tagged = self.directory(path).and_then(|directory| {
            rustix::fs::fsetxattr(&directory, TAG, tag.as_bytes(), XattrFlags::CREATE)
                .map_err(CgroupError::at("tagging the cgroup"))?;
            inode(directory.as_fd())
        });
        if tagged.is_err() {
            // Best effort: the error that matters is the first one.
            let _ = self.remove(path);
        }
        tagged.map(CgroupId)
    }

    fn admit(&self, path: &CgroupPath, pid: u32) -> Result<(), CgroupError> {
        let procs = self.open_below(path, "cgroup.procs", OFlags::WRONLY)?;
        let text = pid.to_string();
        // One write is one move; the kernel takes it whole or refuses it.
        rustix::io::write(&procs, text.as_bytes())
            .map_err(CgroupError::at("moving the process into the cgroup"))
            .map(drop)
    }

    fn populated(&self, path: &CgroupPath) -> Result<bool, CgroupError> {
        let events = self.open_below(path, "cgroup.events", OFlags::RDONLY)?;
        let mut text = [0_u8; 256];
        let length =
            rustix::io::read(&events, &mut text).map_err(CgroupError::at("reading cgroup.events"))?;
        let text = String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned();
        // Anything but a clear "no" counts as populated: nothing is removed on a guess.
        Ok(!text.lines().any(|line| line == "populated 0"))
    }

    fn remove(&self, path: &CgroupPath) -> Result<(), CgroupError> {
        self.remove_below(path, REMOVE_DEPTH)
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<CgroupPath>, CgroupError> {
        let directory = self.directory(path)?;
        let mut buffer = Vec::with_capacity(8192);
        let mut entries = RawDir::new(&directory, buffer.spare_capacity_mut());
        let mut children = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(CgroupError::at("listing the cgroup"))?;
            let name = entry.file_name().to_str().unwrap_or_default();
            if entry.file_type() == FileType::Directory && !matches!(name, "" | "." | "..") {
                children.push(CgroupPath::new(&relative(path, name)));
            }
        }
        Ok(children)
    }
}

/// The cgroup's path relative to the mount, for the `*at` calls; the root is `.`.
fn relative(path: &CgroupPath, file: &str) -> String {
    match (path.as_str(), file) {
        ("", "") => ".".to_owned(),
        ("", file) => file.to_owned(),
        (path, "") => path.to_owned(),
        (path, file) => format!("{path}/{file}"),
    }
}

fn inode(directory: BorrowedFd<'_>) -> Result<u64, CgroupError> {
    rustix::fs::fstat(directory).map(|stat| stat.st_ino).map_err(CgroupError::at("looking at the cgroup"))
}
