//! A workload's token in a file: a systemd credential, a projected token, a SPIFFE JWT-SVID.

use std::{
    fs::File,
    io::{self, Read as _},
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

/// The token in `path`, without the newline that editors leave at the end.
pub(super) fn read(path: &Path) -> Result<SecretText, TokenFileError> {
    let unreadable = |source: io::Error| TokenFileError::Unreadable { path: path.to_owned(), source };
    // A pipe in its place must not hold up the daemon.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unreadable(errno.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(TokenFileError::NoFile(path.to_owned()));
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
}
