//! The newest checkpoint in a file beside the key, outside the database: by it a daemon knows that an older copy of the
//! database was put in place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::note::NOTE_MAX;

/// What is in the file: a note, nobody's word yet. `None` where there is no file.
///
/// # Errors
/// The system's.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut note = Vec::new();
    // One more than a note has: what is longer is none, and is not read.
    file.take(NOTE_MAX as u64 + 1).read_to_end(&mut note)?;
    Ok(Some(note))
}

/// Puts a note into the file, whole or not at all: it is on disk under another name before it takes its own.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, note: &str) -> io::Result<()> {
    let new = beside(path, "new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
    file.write_all(note.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path)
}

/// Gives the file of a log that is not gone on with a second name, under which it stays when the first is taken. `None` where
/// there is none.
///
/// # Errors
/// The system's.
pub fn keep(path: &Path, suffix: &str) -> io::Result<Option<PathBuf>> {
    let kept = beside(path, suffix);
    match fs::hard_link(path, &kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        linked => linked?,
    }
    sync_directory(path)?;
    Ok(Some(kept))
}

/// What a daemon leaves beside the file for the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It stopped in order, and everything is signed: with the last checkpoint.
    Closed,
    /// Somebody else had written to the log: with what was seen.
    Foreign,
}

impl Mark {
    fn beside(self, path: &Path) -> PathBuf {
        let suffix = match self {
            Self::Closed => "closed",
            Self::Foreign => "foreign",
        };
        beside(path, suffix)
    }

    /// What was left. `None` where nothing was.
    ///
    /// # Errors
    /// The system's.
    pub fn read(self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        read(&self.beside(path))
    }

    /// Leaves it.
    ///
    /// # Errors
    /// The system's.
    pub fn leave(self, path: &Path, text: &str) -> io::Result<()> {
        write(&self.beside(path), text)
    }

    /// Takes it away.
    ///
    /// # Errors
    /// The system's.
    pub fn take_away(self, path: &Path) -> io::Result<()> {
        match fs::remove_file(self.beside(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A mark that came back would be of another state.
            removed => removed.and_then(|()| sync_directory(path)),
        }
    }
}

/// `path` with one more suffix.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}
