//! One writer per database: an exclusive lock on `<database>.lock`, held while the daemon lives.
//!
//! The kernel drops the lock when the process ends, however it ends. The file stays: unlinking it
//! would let two daemons lock two files of the same name.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
};

use crate::record::{Config, RecordError};

/// The lock, released on drop.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says who holds it.
    pub(super) fn take(config: &Config) -> Result<Self, RecordError> {
        let path = config.lock_file();
        let failed = |error: std::io::Error| RecordError::Open {
            database: path.display().to_string(),
            detail: error.to_string(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = read_pid(&mut file).map(|pid| format!(" (pid {pid})")).unwrap_or_default();
                return Err(RecordError::InUse {
                    database: config.database.display().to_string(),
                    daemon: format!("another chaperone daemon{pid}"),
                    key: "record.database",
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The pid is for people only, so a full disk does not keep the daemon from starting here.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot write the pid into the lock file");
        }
        Ok(Self { _file: file })
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
