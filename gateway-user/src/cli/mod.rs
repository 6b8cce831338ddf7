//! The command line.

/// `chaperone run`.
pub mod run;
/// `chaperone status`.
pub mod status;
