//! How a launched session ends, and what it survives.

use std::{
    fs::File,
    process::{Command, Stdio},
    sync::Arc,
};

use gateway_user::{
    api::Launcher,
    clock::Clock,
    identify::{BootId, CgroupError, CgroupTree, StoredSession},
};

use crate::bench::{bench, registry, started};

#[test]
fn the_session_ends_with_its_last_process_and_its_cgroup_is_removed() {
    let bench = bench();
    let fifo = bench.dir.path().join("fifo");
    assert!(Command::new("mkfifo").args(["-m", "666"]).arg(&fifo).status().unwrap().success());
    // A process that outlives the command, for as long as somebody could write to the FIFO.
    let script = format!("cat < {} & echo ready", fifo.display());
    let command = ["sh", "-c", &script];
    for mut launcher in [bench.root(&command), bench.nobody(&command)] {
        let (mut child, _lines) = started(&mut launcher);
        let hold = File::options().write(true).open(&fifo).unwrap();
        assert!(child.wait().unwrap().success());
        let session = bench.session();
        bench.launcher.sweep();
        assert!(bench.registry.gone().is_empty(), "a process of the session still runs");

        drop(hold);
        let ended: Vec<_> = bench.sweep().iter().map(|session| session.id).collect();
        assert_eq!(ended, [session.id]);
        assert!(matches!(bench.tree.id(&session.cgroup), Err(CgroupError::Gone)));
    }
}

#[test]
fn a_restarted_daemon_goes_on_with_a_launched_session() {
    let bench = bench();
    let (mut child, lines) =
        started(bench.root(&["sh", "-c", "echo ready; read line"]).stdin(Stdio::piped()));
    let session = bench.session();
    // A registry and launcher as a new daemon makes them, from what the database holds.
    let registry = registry(&bench.slice, &bench.tree);
    let ended = registry.restore([StoredSession {
        id: session.id,
        workload: session.workload.name.clone(),
        cgroup: session.cgroup.clone(),
        cgroup_id: session.cgroup_id,
        boot: BootId::current().unwrap(),
        started: session.started,
        launch: session.launch.clone(),
        identity: None,
    }]);
    assert_eq!(ended, []);
    let launcher = Launcher::new(
        &bench.config,
        Arc::clone(&registry),
        bench.tree.clone(),
        bench.log.clone(),
        vec![],
        Clock::system(),
    );
    launcher.sweep();
    assert!(registry.gone().is_empty());
    let [restored] = registry.open().try_into().unwrap();
    assert_eq!(restored.placeholder.access_key_id, session.placeholder.access_key_id);

    drop(child.stdin.take());
    drop(lines);
    child.wait().unwrap();
    while !registry.open().is_empty() {
        launcher.sweep();
        registry.gone();
    }
    assert!(matches!(bench.tree.id(&session.cgroup), Err(CgroupError::Gone)));
}
