mod account;
mod endpoint;
mod own;
mod roles;
mod support;

pub(super) use support::{ROLE, allowed, caller, caller_of, decide};
