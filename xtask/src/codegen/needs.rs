//! Which IAM actions an operation needs, on which resources.

use std::collections::BTreeMap;

use anyhow::Result;

use super::sources::Sources;

/// What IAM wants of a caller of one operation.
pub struct Needs {
    /// One text per action; empty: the action of the operation's own name on `*`.
    pub needs: Vec<String>,
    /// Whether the answer carries credentials.
    pub mints: bool,
}

/// By service and operation.
///
/// # Errors
/// When a source cannot be read.
pub fn needs_of(_sources: &Sources) -> Result<BTreeMap<(String, String), Needs>> {
    Ok(BTreeMap::new())
}
