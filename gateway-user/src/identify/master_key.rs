//! The host's master key, from which placeholders are derived.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// Bytes of the key.
const LEN: usize = 32;

/// 32 random bytes; redacted and zeroed on drop.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; LEN]>);

/// Why the master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        source: io::Error,
    },
    /// Others may read or change it.
    #[error(
        "{path} has mode {mode:04o} and owner {owner}: it must be 0600 and belong to the daemon's user (chown {us} {path} && chmod 0600 {path}), and should be replaced, since others could have read it"
    )]
    Exposed {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
        /// The daemon's user.
        us: u32,
    },
    /// Not a key of ours.
    #[error(
        "{path} is not a key file of {LEN} bytes: remove it to have a new one made; running sessions then need new credentials"
    )]
    Malformed {
        /// The file.
        path: String,
    },
    /// The system has no randomness.
    #[error("the system gave no random bytes")]
    NoRandomness,
}

impl MasterKey {
    /// Reads the key, or makes one where none is.
    ///
    /// The file appears under its name only when it is complete and on the disk: it is written to a
    /// temporary name and linked, which also lets exactly one of two daemons win.
    ///
    /// # Errors
    /// [`MasterKeyError`]. A file that exists but is unusable is never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        match Self::load(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::create(path)?;
                Self::load(path)
            }
            result => result,
        }
    }

    /// From given bytes: for tests of what derives from it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the derivation.
    #[must_use]
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// A key for what is named so and for nothing else: HMAC-SHA256 of the name, from which nobody learns this one.
    #[must_use]
    pub fn key_for(&self, what: &str) -> hmac::Key {
        let own = hmac::Key::new(hmac::HMAC_SHA256, self.expose());
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&own, what.as_bytes()).as_ref())
    }

    fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let io = |doing| failed(doing, path);
        // A symbolic link or a FIFO in its place is somebody's trick or mistake: neither is followed
        // nor waited for.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("opening"))?;
        let meta = file.metadata().map_err(io("looking at"))?;
        let name = || path.display().to_string();
        if !meta.is_file() {
            return Err(MasterKeyError::Malformed { path: name() });
        }
        let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
        let us = rustix::process::geteuid().as_raw();
        if mode & 0o077 != 0 || owner != us {
            return Err(MasterKeyError::Exposed { path: name(), mode, owner, us });
        }
        if meta.len() != LEN as u64 {
            return Err(MasterKeyError::Malformed { path: name() });
        }
        let mut bytes = Zeroizing::new([0_u8; LEN]);
        file.read_exact(bytes.as_mut_slice()).map_err(io("reading"))?;
        Ok(Self(bytes))
    }

    fn create(path: &Path) -> Result<(), MasterKeyError> {
        let mut bytes = Zeroizing::new([0_u8; LEN]);
        aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| MasterKeyError::NoRandomness)?;
        // A name of its own per attempt: two daemons that start at once must not share it.
        let mut suffix = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut suffix).map_err(|_| MasterKeyError::NoRandomness)?;
        let temporary = path.with_extension(format!("new-{}", hex::encode(suffix)));
        let linked =
            write_new(&temporary, bytes.as_slice()).map_err(failed("writing", &temporary)).and_then(|()| {
                match fs::hard_link(&temporary, path) {
                    // Another daemon was faster: its key is the host's.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                    result => result.map_err(failed("creating", path)),
                }
            });
        // Best effort: a left-over temporary file is private and no session was derived from it.
        let _ = fs::remove_file(&temporary);
        linked?;
        sync_directory(path).map_err(failed("making durable the directory of", path))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> MasterKeyError {
    let path = path.display().to_string();
    move |source| MasterKeyError::Io { doing, path: path.clone(), source }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // create_new: never through a link somebody planted, never a file with other permissions.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn made_once_private_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("placeholder.key");
        let first = MasterKey::load_or_create(&path).unwrap();
        let second = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_ne!(first.expose(), [0; LEN]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
        assert_eq!(format!("{first:?}"), "[redacted]");
    }

    #[test]
    fn a_crashed_attempt_is_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("placeholder.key");
        fs::write(path.with_extension("new-0011223344556677"), b"torn").unwrap();
        MasterKey::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), LEN as u64);
    }

    #[test]
    fn daemons_that_start_at_once_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("placeholder.key");
        let start = std::sync::Barrier::new(8);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let daemons: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        // What each does that found no file: one of them is first.
                        MasterKey::create(&path).unwrap();
                        MasterKey::load(&path).unwrap()
                    })
                })
                .collect();
            daemons.into_iter().map(|daemon| daemon.join().unwrap()).collect()
        });
        let stored = MasterKey::load(&path).unwrap();
        assert!(keys.iter().all(|key| key.expose() == stored.expose()));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn an_unusable_file_is_refused_and_kept() {
        let check = |prepare: &dyn Fn(&Path), expected: &str| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("placeholder.key");
            prepare(&path);
            let before = fs::symlink_metadata(&path).unwrap().len();
            let error = MasterKey::load_or_create(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(fs::symlink_metadata(&path).unwrap().len(), before, "the file is kept");
        };
        let write = |path: &Path, len: usize, mode: u32| {
            fs::write(path, vec![1; len]).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        check(&|path| write(path, 32, 0o644), "has mode 0644");
        check(&|path| write(path, 32, 0o620), "chmod 0600");
        check(&|path| write(path, 31, 0o600), "not a key file of 32 bytes");
        check(&|path| write(path, 33, 0o600), "not a key file of 32 bytes");
        check(&|path| write(path, 0, 0o600), "not a key file of 32 bytes");
        check(&|path| fs::create_dir(path).unwrap(), "not a key file of 32 bytes");
        check(&|path| symlink("/dev/zero", path).unwrap(), "opening");
    }

    #[test]
    fn a_missing_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("absent/placeholder.key");
        let error = MasterKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("writing") && error.contains("absent"), "{error}");
    }
}
