//! Values that must not be shown.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: `Debug` and every log line show `[redacted]`, the memory is zeroed on drop.
///
/// There is no `Display`, no `Serialize` and no `PartialEq`: showing or comparing one is always a
/// visible call of [`SecretText::expose`].
#[derive(Clone)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes ownership of the text; the caller keeps no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", SecretText::new("hunter2".to_owned())), "[redacted]");
    }
}
