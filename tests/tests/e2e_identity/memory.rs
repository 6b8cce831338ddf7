//! The gateway's keys never come near an agent: not into its memory, its files, or what it receives.

use std::fs;

use crate::{
    scan::{Scan, processes},
    stage::{Agent, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_the_gateway_is_anywhere_an_agent_can_look() {
    let stage = Stage::start().await;
    stage.put("builds-1.service", &stage.token("agent-7", &["readers"], 600).await);
    let cgroup = stage.unit("builds-1.service");
    let work = stage.gateway.dir().join("work");
    fs::create_dir(&work).unwrap();
    let mut command = stage.gateway.transparent(&cgroup).unwrap();
    command.current_dir(&work).env("HOME", &work).env("RECEIVED", work.join("received"));
    let mut agent = Agent::start(command);
    for case in ["get", "identity", "get", "identity"] {
        agent.served(case);
    }
    let placeholder = agent.served("credentials");

    // The gateway's own, and those that STS gave it for this agent's calls.
    let issued = stage.upstream.issued();
    assert!(issued.len() >= 4, "each call has keys of its own: {issued:?}");
    let pids = processes(&cgroup);
    assert!(!pids.is_empty());
    let mut scan = Scan::new(&stage.secrets());
    scan.processes(&pids);
    scan.directory(&work);
    assert_eq!(scan.found, Vec::<String>::new());
    println!("{} MiB of memory, {} KiB of files", scan.memory >> 20, scan.files >> 10);

    // The same search finds what is there.
    let secret = placeholder["secret"].as_str().unwrap();
    let mut scan = Scan::new(&[("placeholder", secret), ("answer", "assumed-role/builds/")]);
    scan.processes(&pids);
    scan.directory(&work);
    for (what, place) in [("placeholder", "/mem "), ("placeholder", "/received"), ("answer", "/received")] {
        let found = scan.found.iter().any(|found| found.starts_with(what) && found.contains(place));
        assert!(found, "{what} is not in {place}: {:?}", scan.found);
    }
    // And the agent is still the one that was searched.
    assert_eq!(processes(&cgroup), pids);
    agent.served("get");
}
