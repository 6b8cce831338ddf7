//! Who may launch, and what is adopted.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::{
        fd::OwnedFd,
        unix::fs::{PermissionsExt, symlink},
    },
    path::PathBuf,
    process::{Command, Stdio},
};

use gateway_user::{
    api::{self, Client, ClientError, wire},
    identify::Scopes,
};

use crate::bench::{bench, err};

#[test]
fn an_agent_may_not_start_another_session() {
    let bench = bench();
    let inner = env!("CARGO_BIN_EXE_launch-client");
    let socket = bench.config.socket.to_str().unwrap();
    let output = bench.root(&[inner, socket, "--", "true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("runs inside the agent slice already"), "{}", err(&output));
    assert!(err(&output).contains("next step: start the command without chaperone run"), "{}", err(&output));
}

#[test]
fn without_membership_in_the_group_nothing_is_launched() {
    let bench = bench();
    fs::set_permissions(&bench.config.socket, fs::Permissions::from_mode(0o600)).unwrap();
    let output = bench.nobody(&["true"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("you may not use"), "{}", err(&output));
    assert!(bench.registry.open().is_empty());
}

#[test]
fn without_a_daemon_the_command_does_not_run() {
    let bench = bench();
    let marker = bench.dir.path().join("ran");
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_launch-client"));
    let absent: PathBuf = bench.dir.path().join("absent.sock");
    launcher.env_clear().arg(absent).arg("--").arg("/usr/bin/touch").arg(&marker);
    let output = launcher.output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(err(&output).contains("the daemon is not running"), "{}", err(&output));
    assert!(!marker.exists());
}

#[test]
fn a_stale_socket_says_that_the_daemon_is_not_running() {
    let bench = bench();
    let link = bench.dir.path().join("dangling.sock");
    symlink("/nonexistent", &link).unwrap();
    let config = api::Config { socket: link, ..api::Config::default() };
    let error = Client::new(&config).status().unwrap_err();
    assert!(matches!(error, ClientError::NotRunning { .. }), "{error}");
}

#[test]
fn only_a_fresh_child_of_the_one_who_asks_is_adopted() {
    let bench = bench();
    let request = wire::LaunchRequest { workload: None, command: vec!["cat".to_owned()], token: None };
    let launched = bench.client().launch(&request).unwrap();
    let check = |mut command: Command, expected: &str| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // `cat` answers once it runs as what it is.
        child.stdin.as_mut().unwrap().write_all(b"ready\n").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        let before = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        let result = bench.client().adopt(launched.session, child.id());
        let after = fs::read_to_string(format!("/proc/{}/cgroup", child.id())).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        match result {
            Err(ClientError::Refused(reply)) => assert!(reply.error.contains(expected), "{reply:?}"),
            other => panic!("{other:?} instead of {expected}"),
        }
        assert_eq!(before, after, "what is refused is not moved");
    };
    let mut socket = Command::new("cat");
    socket.stderr(OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap()));
    check(socket, "holds descriptor 2, a TCP socket");

    let mut other_user = Command::new("setpriv");
    other_user.args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"]);
    check(other_user, "does not run as user 0, who asks");

    // A grandchild: its parent is the shell.
    let mut shell = Command::new("sh")
        .args(["-c", "exec 3<&0; cat >/dev/null <&3 & echo $!; wait"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let grandchild = line.trim().parse().unwrap();
    let refused = bench.client().adopt(launched.session, grandchild).unwrap_err().to_string();
    drop(shell.stdin.take());
    shell.wait().unwrap();
    assert!(refused.contains("is not a child of process"), "{refused}");
    let init = bench.client().adopt(launched.session, 1).unwrap_err().to_string();
    assert!(init.contains("process 1 is not a child of process"), "{init}");
    assert!(!bench.tree.populated(&launched.cgroup).unwrap());
}
