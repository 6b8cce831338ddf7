//! A key in a file of its own: 32 random bytes that only the daemon reads, made once and never replaced.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use zeroize::Zeroizing;

/// Bytes of a key.
pub const LEN: usize = 32;

/// The bytes; zeroed on drop.
pub type Key = Zeroizing<[u8; LEN]>;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
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
        "{path} has mode {mode:04o} and owner {owner}: it must be 0600 and belong to the daemon's user (chown {us} {path} && chmod 0600 {path}); others could have read it and used it, so a new key is better"
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
}

impl KeyFileError {
    /// Whether there is no file: the one case in which a key may be made.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads the key.
///
/// # Errors
/// [`KeyFileError`].
pub fn load(path: &Path) -> Result<Key, KeyFileError> {
    let io = |doing| failed(doing, path);
    // A symbolic link or a FIFO in its place is somebody's trick or mistake: neither is followed nor
    // waited for.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io("opening"))?;
    let meta = file.metadata().map_err(io("looking at"))?;
    let name = || path.display().to_string();
    if !meta.is_file() {
        return Err(KeyFileError::Malformed { path: name() });
    }
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    let us = rustix::process::geteuid().as_raw();
    if mode & 0o077 != 0 || owner != us {
        return Err(KeyFileError::Exposed { path: name(), mode, owner, us });
    }
    if meta.len() != LEN as u64 {
        return Err(KeyFileError::Malformed { path: name() });
    }
    let mut key = Key::new([0; LEN]);
    file.read_exact(key.as_mut_slice()).map_err(io("reading"))?;
    Ok(key)
}

/// Reads the key, or makes one where there is none.
///
/// The file appears under its name only when it is complete and on the disk: it is written to a
/// temporary name and linked, which also lets exactly one of two daemons win.
///
/// # Errors
/// [`KeyFileError`]. A file that exists but is unusable is never replaced.
pub fn load_or_create(path: &Path) -> Result<Key, KeyFileError> {
    match load(path) {
        Err(error) if error.is_missing() => {
            create(path)?;
            load(path)
        }
        loaded => loaded,
    }
}

fn create(path: &Path) -> Result<(), KeyFileError> {
    let mut key = Key::new([0; LEN]);
    aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| KeyFileError::NoRandomness)?;
    // A name of its own per attempt: two daemons that start at once must not share it.
    let mut suffix = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut suffix).map_err(|_| KeyFileError::NoRandomness)?;
    let temporary = path.with_extension(format!("new-{}", hex::encode(suffix)));
    let linked =
        write_new(&temporary, key.as_slice()).map_err(failed("writing", &temporary)).and_then(|()| {
            match fs::hard_link(&temporary, path) {
                // Another daemon was faster: its key is the host's.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                result => result.map_err(failed("creating", path)),
            }
        });
    // Best effort: a left-over temporary file is private, and nothing was done with its key.
    let _ = fs::remove_file(&temporary);
    linked?;
    sync_directory(path).map_err(failed("making durable the directory of", path))
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> KeyFileError {
    let path = path.display().to_string();
    move |source| KeyFileError::Io { doing, path: path.clone(), source }
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
