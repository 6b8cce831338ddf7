//! Files that are there whole or not at all, and that two processes do not both create.

use std::{
    fs::{DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::TerminateError;

/// Marks a file that is not finished; whoever holds the lock removes leftovers.
const UNFINISHED: &str = ".unfinished";

/// The CA directory, locked against every other process that writes to it.
///
/// The lock is the kernel's (flock on the directory itself), so a crash releases it.
pub(super) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    /// Opens or creates the directory, waits for the lock and removes what a crash left behind.
    ///
    /// # Errors
    /// [`TerminateError::DirectoryWritable`] when others could replace the key, [`TerminateError::Io`].
    pub(super) fn lock(path: &Path) -> Result<Self, TerminateError> {
        create(path).map_err(failed("creating", path))?;
        let handle = File::open(path).map_err(failed("opening", path))?;
        let mode = handle.metadata().map_err(failed("reading", path))?.mode();
        if mode & 0o022 != 0 {
            return Err(TerminateError::DirectoryWritable { path: path.to_owned(), mode: mode & 0o7777 });
        }
        rustix::io::retry_on_intr(|| flock(&handle, FlockOperation::LockExclusive))
            .map_err(|error| failed("locking", path)(error.into()))?;
        let directory = Self { path: path.to_owned(), handle };
        directory.remove_unfinished()?;
        Ok(directory)
    }

    /// The full path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Where a file is written before it gets its name.
    pub(super) fn unfinished(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}{UNFINISHED}"))
    }

    /// Creates `name` with these bytes and this mode, durably; never overwrites.
    pub(super) fn create(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), TerminateError> {
        let (target, unfinished) = (self.file(name), self.unfinished(name));
        write(&unfinished, mode, bytes).map_err(failed("writing", &unfinished))?;
        // Unlike rename, link refuses to replace a file.
        std::fs::hard_link(&unfinished, &target).map_err(failed("creating", &target))?;
        std::fs::remove_file(&unfinished).map_err(failed("removing", &unfinished))?;
        self.sync()
    }

    /// Replaces `name` atomically; readers see the old bytes or the new ones.
    pub(super) fn replace(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), TerminateError> {
        let unfinished = self.unfinished(name);
        write(&unfinished, mode, bytes).map_err(failed("writing", &unfinished))?;
        self.finish(name)
    }

    /// Gives a file written at [`Directory::unfinished`] its name, replacing an older one.
    pub(super) fn finish(&self, name: &str) -> Result<(), TerminateError> {
        let target = self.file(name);
        std::fs::rename(self.unfinished(name), &target).map_err(failed("replacing", &target))?;
        self.sync()
    }

    /// Removes `name` if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<(), TerminateError> {
        let target = self.file(name);
        match std::fs::remove_file(&target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", &target)(error)),
            Ok(()) | Err(_) => self.sync(),
        }
    }

    /// Makes new and changed names durable.
    fn sync(&self) -> Result<(), TerminateError> {
        self.handle.sync_all().map_err(failed("syncing", &self.path))
    }

    /// Removes what was not finished: by a crash, or by whoever holds the lock.
    pub(super) fn remove_unfinished(&self) -> Result<(), TerminateError> {
        let entries = std::fs::read_dir(&self.path).map_err(failed("reading", &self.path))?;
        for entry in entries {
            let path = entry.map_err(failed("reading", &self.path))?.path();
            if path.to_string_lossy().ends_with(UNFINISHED) {
                std::fs::remove_file(&path).map_err(failed("removing", &path))?;
            }
        }
        Ok(())
    }
}

/// Reads a whole file of at most `limit` bytes; `None` when there is none.
pub(super) fn read(path: &Path, limit: u64) -> Result<Option<(Vec<u8>, std::fs::Metadata)>, TerminateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("opening", path)(error)),
    };
    let metadata = file.metadata().map_err(failed("reading", path))?;
    // Room for the whole file at once: growing would leave copies of a key behind in freed memory.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or(0) + 1);
    let count = file.take(limit + 1).read_to_end(&mut bytes).map_err(failed("reading", path))?;
    if u64::try_from(count).unwrap_or(u64::MAX) > limit {
        let error = io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {limit} bytes"));
        return Err(failed("reading", path)(error));
    }
    Ok(Some((bytes, metadata)))
}

/// Names the step and the file of a failed system call.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TerminateError + use<> {
    let path = path.to_owned();
    move |source| TerminateError::Io { action, path, source }
}

/// Agents read the public files, so they may enter; what is secret in here has its own mode.
fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path)?;
    // The umask took its part of the mode.
    std::fs::set_permissions(path, Permissions::from_mode(0o755))?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The umask took its part of the mode.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
