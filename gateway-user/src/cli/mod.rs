//! The command line.

pub mod init;
pub mod policy;
