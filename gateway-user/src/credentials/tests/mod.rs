mod account;
mod endpoint;
mod own;
mod roles;
mod support;
mod trust;

pub(super) use support::{ROLE, allowed, anybody, caller, caller_of, decide};
