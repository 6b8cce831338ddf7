//! How much one request may make the gateway hold.

use std::cell::Cell;

/// Levels of nesting, the outermost value included.
pub(super) const MAX_DEPTH: usize = 32;
/// Values in one body: scalars, lists and structures together. PutLogEvents may have 10,000 events
/// of three values each; a call of CloudWatch with 150 values in each of hundreds of metrics is refused.
pub(in crate::classify) const MAX_VALUES: usize = 50_000;
/// Bytes of one name or key: the longest that a service allows is DynamoDB's for attributes.
pub(super) const MAX_NAME: usize = 65_535;
/// Bytes of one text, whatever the bound on bodies is configured to be: the largest archive that Lambda
/// takes inline has 50 MiB, in base64.
pub(super) const MAX_TEXT: usize = 70 << 20;

/// What is left of the bounds while a body is read.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    /// All of it.
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_VALUES))
    }

    /// Pays for a value at `depth`; the outermost is at 1.
    pub(super) fn value(&self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        let left = self.0.get().checked_sub(1).ok_or_else(|| format!("more than {MAX_VALUES} values"))?;
        self.0.set(left);
        Ok(())
    }
}

/// Whether a name is short enough and plain: control characters end names for some parsers.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.len() > MAX_NAME {
        return Err(format!("a name of more than {MAX_NAME} bytes"));
    }
    Ok(())
}

/// Whether a text is short enough.
pub(super) fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT {
        return Err(format!("a text of more than {MAX_TEXT} bytes"));
    }
    Ok(())
}
