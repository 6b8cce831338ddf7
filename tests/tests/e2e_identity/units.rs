//! Units that nobody launched: their tokens lie in files.

use std::{fs, os::unix::fs::symlink, time::Instant};

use chaperone_tests::harness::{AgentShell, Hung};
use serde_json::json;

use crate::stage::{Agent, NOT_ACCEPTED, PATIENCE, Stage};

const GET: &str = "aws s3api get-object --bucket e2e-bucket --key bytes-1000 object";

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_of_two_workloads_is_decided_by_the_groups_of_their_tokens() {
    let stage = Stage::start().await;
    stage.put("builds-1.service", &stage.token("agent-7", &["readers", "night"], 600).await);
    stage.put("reviews-1.service", &stage.token("agent-8", &["writers"], 600).await);
    let cgroups = [stage.unit("builds-1.service"), stage.unit("reviews-1.service")];
    let [mut builds, mut reviews] =
        cgroups.each_ref().map(|cgroup| AgentShell::of(stage.gateway.transparent(cgroup).unwrap()).unwrap());

    builds.run(GET).unwrap().ok().unwrap();
    let denied = reviews.run(GET).unwrap();
    assert_ne!(denied.code, 0);
    for words in ["AccessDenied", "s3:GetObject", "which no rule permits"] {
        assert!(denied.output.contains(words), "{}", denied.output);
    }
    let received = stage.upstream.requests();
    assert_eq!(received.iter().filter(|request| request.uri.path() == "/bytes-1000").count(), 1);

    for (workload, subject, groups, decision) in
        [("builds", "agent-7", "night, readers", "allow"), ("reviews", "agent-8", "writers", "deny")]
    {
        let session = stage.session(workload);
        let id = session["id"].as_str().unwrap();
        let shown = stage.gateway.ask(&["sessions", "show", id]).unwrap();
        for (name, value) in [("issuer", "idp"), ("subject", subject), ("groups", groups)] {
            let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
            assert_eq!(line.trim_start_matches(name).trim_start(), value, "{shown}");
        }
        let calls = stage.ask(&["calls", "list", "--json", "--session", id]);
        let [call] = calls.as_slice() else { panic!("{calls:?}") };
        assert_eq!(
            (&call["issuer"], &call["subject"], &call["decision"]),
            (&json!("idp"), &json!(subject), &json!(decision)),
            "{call}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_without_a_token_is_refused_at_once_and_others_are_served() {
    let stage = Stage::start().await;
    stage.put("reviews-1.service", &stage.token("agent-8", &["readers"], 600).await);
    let (without, with) = (stage.unit("builds-2.service"), stage.unit("reviews-1.service"));
    // An SDK that has keys from elsewhere is told so by the call itself.
    let mut keys = stage.gateway.transparent(&without).unwrap();
    keys.env("AWS_ACCESS_KEY_ID", "AKIAELSEWHERE").env("AWS_SECRET_ACCESS_KEY", "elsewhere");
    let mut stranger = Agent::start(keys);
    stranger.refused("get", NOT_ACCEPTED);
    stage.refused_because("builds", "no-token-file");
    stage.agent_in(&with).served("get");
    stranger.refused("get", NOT_ACCEPTED);
    assert_eq!(stage.upstream.requests().len(), 1, "only the other unit's call arrived");

    // One that looks for keys is told the same: what it finds is good for nothing else.
    let mut early = stage.agent_in(&without);
    early.refused("get", NOT_ACCEPTED);
    let arrived = stage.upstream.requests().len();

    // The first connection after there is a token enrols it.
    stage.put("builds-2.service", &stage.token("agent-7", &["readers"], 600).await);
    stage.agent_in(&without).served("get");
    assert_eq!(stage.upstream.requests().len(), arrived + 1);
    // When its SDK looks for keys again is its own business; until then it is told that those it has are over.
    let answer = early.call("get");
    assert!(answer["status"] == 200 || answer["Code"] == "ExpiredToken", "{answer}");
    assert_eq!(stage.session("builds")["cgroup_path"], without.path().as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_replaced_in_its_file_counts_without_a_new_connection() {
    let stage = Stage::start().await;
    let cgroup = stage.unit("builds-1.service");
    let mut agent = stage.agent_in(&cgroup);
    // The token is to live while calls are made, not while Python loads what it needs for them.
    agent.call("nothing");
    stage.put("builds-1.service", &stage.token("agent-7", &["writers"], 20).await);
    agent.refused("get", "which no rule permits");
    let placeholder = agent.served("credentials");
    let before = stage.session("builds");
    assert_eq!(before["groups"], json!(["writers"]), "{before}");

    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    // Nobody but the daemon does anything.
    let sessions = stage.sessions_when("builds", |sessions| {
        assert!(matches!(sessions, [one] if one["ended"].is_null()), "{sessions:?}");
        sessions[0]["groups"] == json!(["readers"])
    });
    let after = &sessions[0];
    assert_eq!((&after["id"], &after["subject"]), (&before["id"], &json!("agent-7")));
    let ends = [&before, after].map(|session| session["token_expires"].as_str().unwrap().to_owned());
    assert!(ends[0] < ends[1], "{ends:?}");
    agent.served("get");
    assert_eq!(agent.served("credentials"), placeholder);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_when_the_daemon_starts_keeps_its_units_out_until_it_is_back() {
    let mut stage = Stage::start().await;
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    stage.gateway.kill().unwrap();
    stage.oidc.stop().unwrap();
    stage.gateway.start_daemon().unwrap();
    let cgroup = stage.unit("builds-1.service");
    stage.agent_in(&cgroup).refused("get", NOT_ACCEPTED);
    stage.refused_because("builds", "issuer-down");
    // The host vouches for this one.
    Agent::start(stage.gateway.agent().unwrap()).served("identity");
    let arrived = stage.upstream.requests().len();
    assert_eq!((arrived, stage.upstream.issued().len()), (1, 0), "only the other workload's call arrived");

    // It comes back with other keys.
    stage.oidc.start_again().unwrap();
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    let start = Instant::now();
    loop {
        // A new one each time: what keys an SDK found when it was refused, it keeps.
        let answer = stage.agent_in(&cgroup).call("get");
        if answer["status"] == 200 {
            break;
        }
        // The call itself may be the first that is let in, with keys of before.
        let not_yet = answer["Message"].as_str().is_some_and(|text| text.contains(NOT_ACCEPTED));
        assert!(not_yet || answer["Code"] == "ExpiredToken", "{answer}");
        assert!(start.elapsed() < PATIENCE, "it is never asked again");
    }
    assert_eq!(stage.session("builds")["subject"], "agent-7");
}

/// Threads of the process that are opening a file: proc(5), `/proc/pid/task/tid/syscall`.
fn opening(pid: u32) -> usize {
    let numbers = [
        libc::SYS_openat,
        // Newer architectures have no other.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
    ];
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    // A thread that has ended meanwhile opens nothing.
    let calls = tasks.filter_map(|task| fs::read_to_string(task.join("syscall")).ok());
    let number = |call: &str| call.split(' ').next().and_then(|number| number.parse().ok());
    calls.filter(|call| number(call).is_some_and(|number| numbers.contains(&number))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_file_that_hangs_holds_up_its_own_unit_and_one_thread() {
    let stage = Stage::start().await;
    let hung = Hung::mount(&stage.gateway.dir().join("hung")).unwrap();
    symlink(hung.dir().join("token"), stage.file("builds-1.service")).unwrap();
    stage.put("reviews-1.service", &stage.token("agent-8", &["readers"], 600).await);
    let (slow, with) = (stage.unit("builds-1.service"), stage.unit("reviews-1.service"));
    // A new one each time, because a connection that is refused stays refused.
    let stranger = || {
        let mut command = stage.gateway.transparent(&slow).unwrap();
        command.env("AWS_ACCESS_KEY_ID", "AKIAELSEWHERE").env("AWS_SECRET_ACCESS_KEY", "elsewhere");
        Agent::start(command)
    };
    let mut first = stranger();
    first.begin("get");
    hung.asked().unwrap();
    // While the daemon waits for that file, and afterwards.
    let mut served = stage.agent_in(&with);
    served.served("get");
    first.is_refused(NOT_ACCEPTED);
    stage.refused_because("builds", "token-file-slow");
    for _ in 0..3 {
        stranger().refused("get", NOT_ACCEPTED);
    }
    stage.refused_because("builds", "token-file-slow");
    assert_eq!(opening(stage.gateway.pid()), 1, "threads wait for one file");
    served.served("get");

    // As soon as there is a file that can be read.
    drop(hung);
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    stage.agent_in(&slow).served("get");
}
