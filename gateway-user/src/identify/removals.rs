//! The kernel's word that a cgroup was removed.
//!
//! inotify(7) has it of the directory that the cgroup was in (`IN_DELETE`). Of the cgroup's own directory
//! (`IN_DELETE_SELF`), and of its `cgroup.events`, cgroup v2 says nothing when it goes (Linux 6.18).

use std::{
    collections::BTreeSet,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::prim::CgroupPath;

/// Watches the directories that cgroups are in.
#[derive(Debug)]
pub struct Removals {
    inotify: AsyncFd<OwnedFd>,
    mount: PathBuf,
    /// The kernel's numbers of what is watched.
    watched: BTreeSet<i32>,
}

impl Removals {
    /// Watches nothing yet; `mount` is where the hierarchy is mounted. Inside a runtime only.
    ///
    /// # Errors
    /// The kernel's: a user may have so many (`fs.inotify.max_user_instances`).
    pub fn new(mount: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // SAFETY: `AsyncFd` owns the descriptor, which stays what it is.
        let inotify = unsafe { AsyncFd::register_with_interest(inotify, Interest::READABLE) }
            .map_err(io::Error::from)?;
        Ok(Self { inotify, mount: mount.to_owned(), watched: BTreeSet::new() })
    }

    /// Watches for the removal of these cgroups, and of no others: no more watches than cgroups. Where the
    /// kernel does not allow one, nothing is told of its cgroups.
    pub fn watch(&mut self, cgroups: &[CgroupPath]) {
        let parent = |cgroup: &CgroupPath| self.mount.join(cgroup.as_str()).parent().map(Path::to_owned);
        let parents: BTreeSet<PathBuf> = cgroups.iter().filter_map(parent).collect();
        let mut wanted = BTreeSet::new();
        for parent in &parents {
            // The same directory has the same number, another of the same name another.
            let flags = WatchFlags::DELETE | WatchFlags::ONLYDIR;
            match inotify::add_watch(self.inotify.get_ref(), parent, flags) {
                Ok(number) => drop(wanted.insert(number)),
                Err(error) => {
                    tracing::debug!(parent = %parent.display(), %error, "a cgroup is not watched");
                }
            }
        }
        for number in self.watched.difference(&wanted) {
            // It may be gone by itself.
            let _ = inotify::remove_watch(self.inotify.get_ref(), *number);
        }
        self.watched = wanted;
    }

    /// Returns once a cgroup was removed beside or among those that are watched for. Nothing is lost where it
    /// is dropped before.
    ///
    /// # Errors
    /// The kernel's.
    pub async fn told(&self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let read = ready.try_io(|inotify| drain(inotify.get_ref()));
            if let Ok(read) = read {
                return read;
            }
        }
    }
}

/// Reads everything that is there: which cgroup it was about is looked up, also when there was too much to tell.
fn drain(inotify: &OwnedFd) -> io::Result<()> {
    let mut events = [0_u8; 4096];
    let mut any = false;
    loop {
        match rustix::io::read(inotify, &mut events) {
            Ok(_) => any = true,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if any => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
