//! The log's signing key: 32 bytes in a file that only the daemon reads, outside the database.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::note::{KeyName, PUBLIC_LEN, SIGNATURE_LEN, Sign, VerifierKey};

/// Bytes of the file: the seed of RFC 8032.
const LEN: usize = 32;

/// A key under a name; `Debug` shows the public half.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

/// Why the log's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
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
        "{path} has mode {mode:04o} and owner {owner}: it must be 0600 and belong to the daemon's user (chown {us} {path} && chmod 0600 {path}); others could have read it and signed with it, so a new key is better"
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
    #[error("{path} is not a key file of {LEN} bytes")]
    Malformed {
        /// The file.
        path: String,
    },
    /// The system has no randomness.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// The bytes make no key.
    #[error("the bytes of {path} make no Ed25519 key")]
    Unusable {
        /// The file.
        path: String,
    },
}

impl LogKeyError {
    /// Whether there is no file: the one case in which a new key may be made, if the log has none yet.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl LogKey {
    /// Reads the key.
    ///
    /// # Errors
    /// [`LogKeyError`].
    pub fn load(path: &Path, name: KeyName) -> Result<Self, LogKeyError> {
        let seed = read(path)?;
        Self::from_seed(&seed, name).ok_or_else(|| LogKeyError::Unusable { path: path.display().to_string() })
    }

    /// Makes a key where there is none, and reads what is there.
    ///
    /// For a log that was never signed. A log that has checkpoints and whose key is gone needs a person: a new
    /// key made in silence would be what somebody wants who rewrites the log.
    ///
    /// The file appears under its name only when it is complete and on the disk: it is written to a
    /// temporary name and linked, which also lets exactly one of two daemons win.
    ///
    /// # Errors
    /// [`LogKeyError`]. A file that exists but is unusable is never replaced.
    pub fn load_or_create(path: &Path, name: KeyName) -> Result<Self, LogKeyError> {
        match read(path) {
            Err(error) if error.is_missing() => create(path)?,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        Self::load(path, name)
    }

    /// From given bytes. `None` if they make no key.
    #[must_use]
    pub fn from_seed(seed: &[u8; LEN], name: KeyName) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        let public: [u8; PUBLIC_LEN] = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, verifier: VerifierKey::new(name, public) })
    }
}

impl Sign for LogKey {
    fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_LEN] {
        let mut signature = [0; SIGNATURE_LEN];
        signature.copy_from_slice(self.pair.sign(text).as_ref());
        signature
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.verifier)
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; LEN]>, LogKeyError> {
    let io = |doing| failed(doing, path);
    // A symbolic link or a FIFO in its place is somebody's trick or mistake: neither is followed nor
    // waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("opening"))?;
    let meta = file.metadata().map_err(io("looking at"))?;
    let name = || path.display().to_string();
    if !meta.is_file() {
        return Err(LogKeyError::Malformed { path: name() });
    }
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    let us = rustix::process::geteuid().as_raw();
    if mode & 0o077 != 0 || owner != us {
        return Err(LogKeyError::Exposed { path: name(), mode, owner, us });
    }
    if meta.len() != LEN as u64 {
        return Err(LogKeyError::Malformed { path: name() });
    }
    let mut seed = Zeroizing::new([0_u8; LEN]);
    file.read_exact(seed.as_mut_slice()).map_err(io("reading"))?;
    Ok(seed)
}

fn create(path: &Path) -> Result<(), LogKeyError> {
    let mut seed = Zeroizing::new([0_u8; LEN]);
    aws_lc_rs::rand::fill(seed.as_mut_slice()).map_err(|_| LogKeyError::NoRandomness)?;
    // A name of its own per attempt: two daemons that start at once must not share it.
    let mut suffix = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| LogKeyError::NoRandomness)?;
    let temporary = path.with_extension(format!("new-{}", hex::encode(suffix)));
    let linked =
        write_new(&temporary, seed.as_slice()).map_err(failed("writing", &temporary)).and_then(|()| {
            match fs::hard_link(&temporary, path) {
                // Another daemon was faster: its key is the host's.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                result => result.map_err(failed("creating", path)),
            }
        });
    // Best effort: a left-over temporary file is private, and nothing was signed with it.
    let _ = fs::remove_file(&temporary);
    linked?;
    sync_directory(path).map_err(failed("making durable the directory of", path))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> LogKeyError {
    let path = path.display().to_string();
    move |source| LogKeyError::Io { doing, path: path.clone(), source }
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
mod tests;
