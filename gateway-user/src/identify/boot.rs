//! Which boot of the host this is: cgroup ids mean nothing in another one.

use std::{fmt, fs, io};

/// The kernel's boot id (`/proc/sys/kernel/random/boot_id`, random(4)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootId(String);

impl BootId {
    /// The running kernel's.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> io::Result<Self> {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| Self::new(text.trim()))
    }

    /// As it was stored.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
