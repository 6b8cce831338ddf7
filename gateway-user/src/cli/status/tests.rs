use time::macros::datetime;

use super::*;
use crate::api::wire::{CallCounts, ErrorReply, KernelCounts, PolicyStatus};

fn healthy() -> Status {
    let ok = || Health { ok: true, detail: String::new() };
    Status {
        version: "1.2.3".to_owned(),
        pid: 42,
        started: datetime!(2030-01-01 00:00 UTC),
        abi: 7,
        workloads: vec!["claude".parse().unwrap(), "ci".parse().unwrap()],
        observed: Vec::new(),
        open_sessions: 3,
        calls: CallCounts { allowed: 5, denied: 2, failed: 1 },
        policy: PolicyStatus { digest: "abc".to_owned(), count: 4, last_reload_error: None },
        store: ok(),
        redirect: ok(),
        kernel: Some(KernelCounts { redirected: 9, origins_lost: 0, refused: 2, events_lost: 0 }),
    }
}

fn text(json: bool, asked: Result<Status, ClientError>) -> (String, u8) {
    let (text, code) = answer(&Args { json }, asked).unwrap();
    (text.lines().map(str::trim).collect::<Vec<_>>().join("\n"), code)
}

#[test]
fn all_is_well() {
    let (table, code) = text(false, Ok(healthy()));
    assert_eq!(code, 0);
    insta::assert_snapshot!(table, @r"
    daemon         chaperone 1.2.3, pid 42, kernel ABI 7
    started        2030-01-01T00:00:00Z
    workloads      claude, ci
    observed       none
    open sessions  3
    calls          5 allowed, 2 denied, 1 failed
    policy         4 rules, digest abc
    records        ok
    redirect       ok
    kernel         9 redirected, 0 lost, 2 refused, 0 events lost
    ");
    let (json, code) = text(true, Ok(healthy()));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &value["healthy"], &value["pid"]), (0, &true.into(), &42.into()));
}

#[test]
fn what_is_wrong_is_said_and_becomes_the_exit_code() {
    let check = |change: &dyn Fn(&mut Status), expected: &str| {
        let mut status = healthy();
        change(&mut status);
        let (table, code) = text(false, Ok(status.clone()));
        assert!(code == 1 && table.contains(expected), "{code} {table}");
        let (json, code) = text(true, Ok(status));
        assert!(code == 1 && json.contains("\"healthy\": false"), "{code} {json}");
    };
    let failed = || Health { ok: false, detail: "disk full".to_owned() };
    check(&|status| status.store = failed(), "records        FAILED: disk full");
    let mut observing = healthy();
    observing.observed = vec!["ci".parse().unwrap()];
    let (table, code) = text(false, Ok(observing));
    assert!(code == 0 && table.contains("observed       POLICY IS NOT ENFORCED for ci"), "{table}");
    check(&|status| status.redirect = failed(), "redirect       FAILED: disk full");
    check(&|status| status.policy.last_reload_error = Some("a.cedar:3".to_owned()), "FAILED to reload");
}

#[test]
fn without_a_daemon_the_next_step_is_said() {
    let not_running = || ClientError::NotRunning { socket: "/run/chaperone/api.sock".to_owned() };
    assert_eq!(
        text(false, Err(not_running())),
        (
            "the daemon is not running: nobody listens on /run/chaperone/api.sock\nnext step: start it: systemctl \
             start chaperone (and see journalctl -u chaperone)"
                .to_owned(),
            69
        )
    );
    let (json, code) = text(true, Err(not_running()));
    let reply: ErrorReply = serde_json::from_str(&json).unwrap();
    assert_eq!((reply.next_step.starts_with("start it"), code), (true, 69));
}
