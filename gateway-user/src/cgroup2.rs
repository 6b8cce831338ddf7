//! The cgroup v2 hierarchy: where it is mounted, and where in it this process is.

use std::{fs, path::PathBuf};

use crate::prim::CgroupPath;

/// The mount point of the whole cgroup v2 hierarchy, of several the first; `None` where it is not
/// mounted. In a hybrid layout that is below `/sys/fs/cgroup`.
///
/// A service with `ReadWritePaths=` below the hierarchy sees further mounts of parts of it; their
/// root field is not `/`, so they are passed over.
#[must_use]
pub fn mount() -> Option<PathBuf> {
    mount_in(&fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// The cgroup of the calling process; `None` where it has none in the v2 hierarchy.
#[must_use]
pub fn own() -> Option<CgroupPath> {
    membership_in(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// The mount point in the text of `/proc/self/mountinfo` (proc(5)).
fn mount_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let mut fields = head.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let kind = tail.split(' ').next()?;
        (kind == "cgroup2" && root == "/").then(|| PathBuf::from(unescape(point)))
    })
}

/// Space, tab, newline and backslash are written as octal escapes.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// The line of the unified hierarchy in the text of `/proc/PID/cgroup` (cgroups(7)).
fn membership_in(cgroups: &str) -> Option<CgroupPath> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::")).map(CgroupPath::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_hierarchy_is_found_in_every_layout() {
        let check = |table: &str, expected: Option<&str>| {
            assert_eq!(mount_in(table), expected.map(PathBuf::from), "{table}");
        };
        check("30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw", Some("/sys/fs/cgroup"));
        let hybrid = "29 23 0:25 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                      32 29 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        check(hybrid, Some("/sys/fs/cgroup/unified"));
        let sandboxed = "90 80 0:26 /agents.slice /sys/fs/cgroup/agents.slice rw - cgroup2 cgroup2 rw\n\
                         91 80 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
        check(sandboxed, Some("/sys/fs/cgroup"));
        check("30 23 0:26 / /mnt/a\\040b rw - cgroup2 none rw", Some("/mnt/a b"));
        check("31 29 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", None);
        check("", None);
        check("30 23 0:26 - cgroup2", None);
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
