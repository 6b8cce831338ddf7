//! A workload's token in a file: a systemd credential, a projected token, a SPIFFE JWT-SVID.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::{prim::CgroupPath, secret::SecretText};

/// More than any issuer accepts.
const MAX_BYTES: u64 = 1 << 20;

/// Why there is no token in the file. The file's content is never part of it.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be opened or read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A directory, a pipe, a device.
    #[error("{path} is no file", path = .0.display())]
    NoFile(PathBuf),
    /// Somebody else than root could have written it, or could put another file in its place.
    #[error("{} {what}: only root may write tokens and the directories that they are in", path.display())]
    Untrusted {
        /// The file, or its directory.
        path: PathBuf,
        /// Who could.
        what: &'static str,
    },
    /// Larger than any token.
    #[error("{path} has more than {MAX_BYTES} bytes", path = .0.display())]
    TooLarge(PathBuf),
    /// Not text.
    #[error("{path} is not text", path = .0.display())]
    NotText(PathBuf),
    /// Nothing in it.
    #[error("{path} is empty", path = .0.display())]
    Empty(PathBuf),
}

/// The file of the session in `cgroup`: `{unit}` is the last part of the path, which has no `/`.
pub(super) fn path(template: &str, cgroup: &CgroupPath) -> PathBuf {
    let unit = cgroup.as_str().rsplit('/').next().unwrap_or_default();
    PathBuf::from(template.replace("{unit}", unit))
}

/// Refuses what somebody else than root may write; the daemon's own user counts as root. A sticky bit does not help: it
/// keeps others from removing files and not from making them.
fn check_writers(path: &Path, found: &Metadata) -> Result<(), TokenFileError> {
    let own = rustix::process::geteuid().as_raw();
    let untrusted = |what| Err(TokenFileError::Untrusted { path: path.to_owned(), what });
    match found.mode() {
        _ if found.uid() != 0 && found.uid() != own => untrusted("is another user's than root's"),
        mode if mode & 0o002 != 0 => untrusted("may be written by everybody"),
        mode if mode & 0o020 != 0 => untrusted("may be written by its group"),
        _ => Ok(()),
    }
}

/// The token in `path`, without the newline that editors leave at the end.
pub(super) fn read(path: &Path) -> Result<SecretText, TokenFileError> {
    let unreadable = |source: io::Error| TokenFileError::Unreadable { path: path.to_owned(), source };
    // A pipe in its place must not hold up the daemon.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unreadable(errno.into()))?;
    let file = File::from(file);
    let opened = file.metadata().map_err(unreadable)?;
    if !opened.is_file() {
        return Err(TokenFileError::NoFile(path.to_owned()));
    }
    check_writers(path, &opened)?;
    // Where the configured path leads through a link, both directories count: that of the link and that of the file.
    let target = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(unreadable)?;
    for directory in [path, &target].into_iter().filter_map(Path::parent) {
        let named = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        check_writers(named, &std::fs::metadata(named).map_err(unreadable)?)?;
    }
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TokenFileError::TooLarge(path.to_owned()));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| TokenFileError::NotText(path.to_owned()))?;
    match text.trim_ascii_end() {
        "" => Err(TokenFileError::Empty(path.to_owned())),
        token => Ok(SecretText::new(token.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_last_part_of_the_cgroup() {
        let cgroup = CgroupPath::new("agents.slice/claude-1.service");
        let file = path("/run/agents/{unit}/token", &cgroup);
        assert_eq!(file, Path::new("/run/agents/claude-1.service/token"));
        assert_eq!(path("/run/token", &cgroup), Path::new("/run/token"));
    }

    #[test]
    fn only_files_with_text_hold_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        assert_eq!(read(&file("good", b"a.b.c\n")).unwrap().expose(), "a.b.c");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("good", &link).unwrap();
        assert_eq!(read(&link).unwrap().expose(), "a.b.c", "projected tokens are symbolic links");
        assert!(matches!(read(&file("empty", b"\n")), Err(TokenFileError::Empty(_))));
        assert!(matches!(read(&file("binary", b"\xff")), Err(TokenFileError::NotText(_))));
        let large = vec![b'a'; usize::try_from(MAX_BYTES).unwrap() + 1];
        assert!(matches!(read(&file("large", &large)), Err(TokenFileError::TooLarge(_))));
        assert!(matches!(read(dir.path()), Err(TokenFileError::NoFile(_))));
        assert!(matches!(read(&dir.path().join("none")), Err(TokenFileError::Unreadable { .. })));
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(matches!(read(&pipe), Err(TokenFileError::NoFile(_))));
    }

    /// Whoever may write the file, or put another in its place, says who the agent is.
    #[test]
    fn a_token_that_others_could_have_written_is_none() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        let chmod = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let (inner, link) = (dir.path().join("inner"), dir.path().join("link"));
        std::fs::create_dir(&inner).unwrap();
        let file = inner.join("token");
        std::fs::write(&file, "a.b.c").unwrap();
        symlink(&file, &link).unwrap();
        let refused = |what: &str| {
            for path in [&file, &link] {
                let error = read(path).unwrap_err();
                assert!(matches!(error, TokenFileError::Untrusted { .. }), "{what}: {error}");
                assert!(!error.to_string().contains("a.b.c"));
            }
        };
        for (mode, good) in [(0o600, true), (0o644, true), (0o440, true), (0o620, false), (0o602, false)] {
            chmod(&file, mode);
            if good {
                assert!(read(&file).is_ok() && read(&link).is_ok(), "{mode:o}");
            } else {
                refused(&format!("a file of mode {mode:o}"));
            }
        }
        chmod(&file, 0o600);
        for mode in [0o1777, 0o777, 0o775, 0o770] {
            chmod(&inner, mode);
            refused(&format!("a directory of mode {mode:o}"));
        }
        chmod(&inner, 0o755);
        assert!(read(&link).is_ok());
        chmod(dir.path(), 0o1777);
        assert!(read(&file).is_ok());
        assert!(matches!(read(&link), Err(TokenFileError::Untrusted { .. })), "the link's directory counts");
        chmod(dir.path(), 0o700);
        // Only root can give files away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(65534), None).unwrap();
            refused("another user's file");
            std::os::unix::fs::chown(&file, Some(0), None).unwrap();
            std::os::unix::fs::chown(&inner, Some(65534), None).unwrap();
            refused("another user's directory");
        }
    }
}
