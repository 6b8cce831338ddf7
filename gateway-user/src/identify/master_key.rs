//! The host's master key, from which placeholders are derived.

use std::path::Path;

use aws_lc_rs::hmac;

use crate::key_file::{self, Key, KeyFileError, LEN};

/// 32 random bytes; redacted and zeroed on drop.
#[derive(Clone)]
pub struct MasterKey(Key);

impl MasterKey {
    /// Reads the key, or makes one where none is. Without the one that was there, running sessions need new credentials.
    ///
    /// # Errors
    /// [`KeyFileError`]. A file that exists but is unusable is never replaced.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyFileError> {
        key_file::load_or_create(path).map(Self)
    }

    /// From given bytes: for tests of what derives from it.
    #[must_use]
    pub fn from_bytes(bytes: [u8; LEN]) -> Self {
        Self(Key::new(bytes))
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
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}
