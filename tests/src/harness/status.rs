//! What a daemon says of itself that is none.

use gateway_user::{
    api::{StatusSource, wire},
    clock::Clock,
};

/// Nothing is wrong, nothing has happened.
#[derive(Debug)]
pub struct NoStatus;

impl StatusSource for NoStatus {
    fn status(&self) -> wire::Status {
        let ok = || wire::Health { ok: true, detail: String::new() };
        wire::Status {
            version: String::new(),
            pid: std::process::id(),
            started: Clock::system().now(),
            abi: 0,
            workloads: vec![],
            observed: Vec::new(),
            open_sessions: 0,
            calls: wire::CallCounts::default(),
            policy: wire::PolicyStatus { digest: String::new(), count: 0, last_reload_error: None },
            store: ok(),
            redirect: ok(),
            kernel: None,
        }
    }
}
