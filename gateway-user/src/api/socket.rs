//! The socket's file: who may connect.

use std::{
    ffi::CString,
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt},
            net::UnixStream,
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, Gid, Mode},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::net::UnixListener;
use tracing::warn;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// The daemon's listening socket; its file is removed on drop.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Held for as long as the socket is ours: what makes "nobody listens" certain.
    _lock: File,
}

/// Why the daemon's socket could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon has it.
    #[error("another daemon listens on {path}: stop it first (systemctl stop chaperone)")]
    InUse {
        /// The socket.
        path: String,
    },
    /// Something else lies there.
    #[error("{path} exists and is not a socket: remove it, or set [api] socket to another path")]
    NotASocket {
        /// The path.
        path: String,
    },
    /// The system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The path.
        path: String,
        /// The system's words.
        source: io::Error,
    },
}

impl Socket {
    /// Binds the socket: `root:GROUP` with mode 0660, or 0600 where the group does not exist.
    ///
    /// A socket that nobody listens on is what a killed daemon left behind, and is replaced.
    ///
    /// # Errors
    /// [`SocketError`].
    pub fn bind(config: &super::Config) -> Result<Self, SocketError> {
        let path = &config.socket;
        make_directory(path)?;
        let lock = lock(path)?;
        remove_stale(path)?;
        let fd = bind_private(path).map_err(failed("binding", path))?;
        open_to_group(path, &config.group)?;
        rustix::net::listen(&fd, BACKLOG).map_err(|errno| failed("listening on", path)(errno.into()))?;
        let listener = UnixListener::from_std(fd.into()).map_err(failed("listening on", path))?;
        Ok(Self { listener, path: path.clone(), _lock: lock })
    }

    /// The listener.
    #[must_use]
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Best effort: a left-over file is replaced by the next daemon.
        let _ = fs::remove_file(&self.path);
    }
}

/// The service's RuntimeDirectory= is there already; a daemon started by hand has none.
fn make_directory(path: &Path) -> Result<(), SocketError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(failed("creating", directory))
}

/// Takes the lock beside the socket, so that of two daemons that start at once one is refused
/// instead of removing the other's fresh socket.
fn lock(path: &Path) -> Result<File, SocketError> {
    let name = path.with_extension("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&name)
        .map_err(failed("opening", &name))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(SocketError::InUse { path: path.display().to_string() }),
        Err(errno) => Err(failed("locking", &name)(errno.into())),
    }
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let name = || path.display().to_string();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("looking at", path)(error)),
        Ok(meta) if !meta.file_type().is_socket() => return Err(SocketError::NotASocket { path: name() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        // The lock is ours, so this is not a daemon of this version; it listens all the same.
        Ok(_) => Err(SocketError::InUse { path: name() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed("removing", path))
        }
        Err(error) => Err(failed("probing", path)(error)),
    }
}

/// Binds with mode 0600 from the first moment: the kernel takes the file's mode from the socket's
/// own (unix(7) leaves it out; `unix_bind_bsd` in `net/unix/af_unix.c`), less the umask.
fn bind_private(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o600))?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

fn open_to_group(path: &Path, group: &str) -> Result<(), SocketError> {
    match group_id(group).map_err(failed("looking up the group for", path))? {
        Some(gid) => {
            rustix::fs::chown(path, None, Some(Gid::from_raw(gid)))
                .map_err(|errno| failed("giving the group", path)(errno.into()))?;
            // After the group is right: never open to another one.
            rustix::fs::chmod(path, Mode::from_raw_mode(0o660))
                .map_err(|errno| failed("opening to its group", path)(errno.into()))
        }
        None => {
            warn!(group, "the group does not exist: only root can use chaperone run and chaperone status");
            Ok(())
        }
    }
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> SocketError {
    let path = path.display().to_string();
    move |source| SocketError::Io { doing, path: path.clone(), source }
}

/// The id of `group` from any source the host is configured for (getgrnam_r(3)).
fn group_id(group: &str) -> io::Result<Option<u32>> {
    let name = CString::new(group)?;
    // A group's entry lists its members; large directories have large groups.
    let mut buffer: Vec<libc::c_char> = vec![0; 1024 * 1024];
    let mut found: *mut libc::group = std::ptr::null_mut();
    // SAFETY: `libc::group` is a plain C struct of pointers and integers, for which zeroes are valid.
    let mut entry: libc::group = unsafe { std::mem::zeroed() };
    // SAFETY: the name is NUL-terminated, the buffer has the length given, and all pointers outlive
    // the call.
    let error = unsafe {
        libc::getgrnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    match error {
        0 => Ok((!found.is_null()).then_some(entry.gr_gid)),
        // getgrnam_r(3): sources say "no such group" in these ways too.
        libc::ENOENT | libc::ESRCH => Ok(None),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

#[cfg(test)]
mod tests;
