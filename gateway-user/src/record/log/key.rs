//! The log's signing key: 32 bytes in a file that only the daemon reads, outside the database.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::note::{KeyName, PUBLIC_LEN, SIGNATURE_LEN, Sign, VerifierKey};
use crate::key_file::{self, KeyFileError, LEN};

/// A key under a name; `Debug` shows the public half.
pub struct LogKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

/// Why the log's key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogKeyError {
    /// Its file cannot be.
    #[error(transparent)]
    File(#[from] KeyFileError),
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
        matches!(self, Self::File(error) if error.is_missing())
    }
}

impl LogKey {
    /// Reads the key.
    ///
    /// # Errors
    /// [`LogKeyError`].
    pub fn load(path: &Path, name: KeyName) -> Result<Self, LogKeyError> {
        Self::from_seed(&*key_file::load(path)?, name).ok_or_else(|| unusable(path))
    }

    /// Makes a key where there is none, and reads what is there.
    ///
    /// For a log that was never signed. A log that has checkpoints and whose key is gone needs a person: a new
    /// key made in silence would be what somebody wants who rewrites the log.
    ///
    /// # Errors
    /// [`LogKeyError`]. A file that exists but is unusable is never replaced.
    pub fn load_or_create(path: &Path, name: KeyName) -> Result<Self, LogKeyError> {
        Self::from_seed(&*key_file::load_or_create(path)?, name).ok_or_else(|| unusable(path))
    }

    /// From given bytes, the seed of RFC 8032. `None` if they make no key.
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

fn unusable(path: &Path) -> LogKeyError {
    LogKeyError::Unusable { path: path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_once_and_shown_by_its_public_half() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.key");
        let name: KeyName = "host.example/log".parse().unwrap();
        assert!(LogKey::load(&path, name.clone()).unwrap_err().is_missing());
        let made = LogKey::load_or_create(&path, name.clone()).unwrap();
        let shown = format!("{:?}", LogKey::load(&path, name).unwrap());
        assert_eq!(shown, format!("LogKey({})", made.verifier()));
        assert!(!shown.contains(&hex::encode(std::fs::read(&path).unwrap())));
    }
}
