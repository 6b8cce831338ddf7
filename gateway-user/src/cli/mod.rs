//! The command line.

/// `chaperone ca`: makes clients on this host trust the local CA.
pub mod ca;
