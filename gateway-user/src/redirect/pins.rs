//! The directory of the pins on a bpffs.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use super::{RedirectError, attach::HOOKS, load::map_names};

/// Makes the directory for the pins, readable for nobody else.
pub(super) fn prepare(dir: &Path) -> Result<(), RedirectError> {
    let existing = dir.ancestors().find(|ancestor| ancestor.exists());
    if !existing.is_some_and(is_bpffs) {
        return Err(RedirectError::NoBpffs { path: dir.to_owned() });
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(0o700)))
        .map_err(|source| RedirectError::Pin { path: dir.to_owned(), source })
}

/// Takes everything off: removes the pins, and with them the programs from every cgroup, and the
/// directory. The agents are no longer fenced. For uninstalling; a directory that does not exist
/// is fine.
///
/// # Errors
/// [`RedirectError::Pin`].
pub fn detach(bpffs: &Path) -> Result<(), RedirectError> {
    // The redirect before the recovery of origins, so that no connection arrives without one.
    for name in HOOKS.iter().map(|hook| hook.program).chain(map_names()) {
        remove_pin(&bpffs.join(name))?;
    }
    match fs::remove_dir(bpffs) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RedirectError::Pin { path: bpffs.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes a pin; one that is not there is fine.
pub(super) fn remove_pin(path: &Path) -> Result<(), RedirectError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RedirectError::Pin { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// `BPF_FS_MAGIC` of `<linux/magic.h>`.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

fn is_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| kind == BPF_FS_MAGIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_need_a_bpffs() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("chaperone");
        let error = prepare(&wanted).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{} is not on a bpffs; mount it: mount -t bpf bpf /sys/fs/bpf", wanted.display())
        );
        assert!(!wanted.exists());
    }

    #[test]
    fn detaching_nothing_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        detach(&dir.path().join("absent")).unwrap();
    }
}
