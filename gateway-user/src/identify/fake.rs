//! A cgroup tree in memory, for the tests of what asks one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use rustix::io::Errno;

use super::{CgroupError, CgroupTree, Scopes};
use crate::prim::{CgroupId, CgroupPath};

/// Cgroups by path; ids are never reused.
#[derive(Debug, Default)]
pub(crate) struct FakeTree(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    cgroups: BTreeMap<String, Fake>,
}

#[derive(Debug, Default)]
struct Fake {
    id: u64,
    tag: Option<String>,
    bad_tag: bool,
    pids: Vec<u32>,
}

impl FakeTree {
    /// A tree with the cgroups `paths`.
    pub(crate) fn with(paths: &[&str]) -> Self {
        let tree = Self::default();
        for path in paths {
            tree.add(path);
        }
        tree
    }

    /// Adds one cgroup.
    pub(crate) fn add(&self, path: &str) -> CgroupId {
        let mut inner = self.inner();
        inner.last += 1;
        let id = inner.last;
        inner.cgroups.insert(path.to_owned(), Fake { id, ..Fake::default() });
        CgroupId(id)
    }

    /// Tags a cgroup.
    pub(crate) fn set_tag(&self, path: &str, tag: &str) {
        self.inner().cgroups.get_mut(path).unwrap().tag = Some(tag.to_owned());
    }

    /// Gives a cgroup a tag that cannot be read as text.
    pub(crate) fn spoil_tag(&self, path: &str) {
        self.inner().cgroups.get_mut(path).unwrap().bad_tag = true;
    }

    /// Removes a cgroup, whatever it holds.
    pub(crate) fn end(&self, path: &str) {
        self.inner().cgroups.remove(path).unwrap();
    }

    /// Ends all processes of a cgroup.
    pub(crate) fn empty(&self, path: &str) {
        self.inner().cgroups.get_mut(path).unwrap().pids.clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    fn read<T>(&self, path: &CgroupPath, read: impl FnOnce(&mut Fake) -> T) -> Result<T, CgroupError> {
        self.inner().cgroups.get_mut(path.as_str()).map(read).ok_or(CgroupError::Gone)
    }
}

impl CgroupTree for FakeTree {
    fn path(&self, id: CgroupId) -> Result<CgroupPath, CgroupError> {
        let inner = self.inner();
        let found = inner.cgroups.iter().find(|(_, cgroup)| cgroup.id == id.0);
        found.map(|(path, _)| CgroupPath::new(path)).ok_or(CgroupError::Gone)
    }

    fn id(&self, path: &CgroupPath) -> Result<CgroupId, CgroupError> {
        self.read(path, |cgroup| CgroupId(cgroup.id))
    }

    fn tag(&self, path: &CgroupPath) -> Result<Option<String>, CgroupError> {
        self.read(
            path,
            |cgroup| if cgroup.bad_tag { Err(CgroupError::BadTag) } else { Ok(cgroup.tag.clone()) },
        )?
    }
}

impl Scopes for FakeTree {
    fn create(&self, path: &CgroupPath, tag: &str) -> Result<CgroupId, CgroupError> {
        let id = self.add(path.as_str());
        self.set_tag(path.as_str(), tag);
        Ok(id)
    }

    fn admit(&self, path: &CgroupPath, pid: u32) -> Result<(), CgroupError> {
        self.read(path, |cgroup| cgroup.pids.push(pid))
    }

    fn populated(&self, path: &CgroupPath) -> Result<bool, CgroupError> {
        self.read(path, |cgroup| !cgroup.pids.is_empty())
    }

    fn remove(&self, path: &CgroupPath) -> Result<(), CgroupError> {
        if self.populated(path)? {
            return Err(CgroupError::Io { doing: "removing the cgroup", source: Errno::BUSY.into() });
        }
        self.end(path.as_str());
        Ok(())
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<CgroupPath>, CgroupError> {
        let prefix = format!("{}/", path.as_str());
        let inner = self.inner();
        let below = |name: &&String| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
        Ok(inner.cgroups.keys().filter(below).map(|path| CgroupPath::new(path)).collect())
    }
}
