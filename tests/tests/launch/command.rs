//! The command as it runs: its cgroup, exit code, descriptors, streams and environment.

use std::{
    fs::{self, File},
    io::Write,
    net::TcpListener,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::PermissionsExt, process::ExitStatusExt},
    },
    process::Stdio,
};

use gateway_user::{identify::scope, prim::CgroupPath};

use crate::bench::{NOBODY, bench, both, err, out};

#[test]
fn the_command_is_in_its_cgroup_from_the_first_instruction() {
    let bench = bench();
    both(&bench, &["cat", "/proc/self/cgroup"], |who, output| {
        assert!(output.status.success(), "{who}: {}", err(&output));
        let line = out(&output).lines().find_map(|line| line.strip_prefix("0::")).unwrap();
        let session = bench.log.0.lock().unwrap().last().copied().unwrap();
        let expected = scope::path(&bench.slice, &"claude".parse().unwrap(), session);
        assert_eq!(CgroupPath::new(line), expected, "{who}");
    });
}

#[test]
fn the_session_knows_the_command_and_the_user() {
    let bench = bench();
    assert!(bench.nobody(&["true", "-x", "a b"]).status().unwrap().success());
    let launch = bench.session().launch.clone().unwrap();
    assert_eq!(
        (launch.uid, launch.command),
        (NOBODY, vec!["true".to_owned(), "-x".to_owned(), "a b".to_owned()])
    );
}

#[test]
fn exit_codes_pass_through() {
    let bench = bench();
    let check = |command: &[&str], code: i32, message: &str| {
        both(&bench, command, |who, output| {
            assert_eq!(output.status.code(), Some(code), "{who} {command:?}: {}", err(&output));
            assert!(err(&output).contains(message), "{who} {command:?}: {}", err(&output));
        });
    };
    check(&["true"], 0, "");
    check(&["sh", "-c", "exit 3"], 3, "");
    check(&["sh", "-c", "exit 255"], 255, "");
    check(&["no-such-command"], 127, "chaperone: no-such-command: command not found");
    check(&["/no/such/command"], 127, "/no/such/command: command not found");
    check(&["/etc/passwd"], 126, "/etc/passwd: Permission denied");
    check(&["/etc"], 126, "/etc: Permission denied");
}

#[test]
fn a_script_without_an_interpreter_line_is_the_shells() {
    let bench = bench();
    let script = bench.dir.path().join("script");
    fs::write(&script, "echo \"$0 $1\"\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let script = script.to_str().unwrap();
    both(&bench, &[script, "arg"], |who, output| {
        assert_eq!(out(&output).trim(), format!("{script} arg"), "{who}: {}", err(&output));
    });
}

#[test]
fn nothing_but_standard_descriptors_comes_along() {
    let bench = bench();
    let (reader, writer) = std::io::pipe().unwrap();
    let extra = File::open("/etc/passwd").unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let fds: Vec<OwnedFd> = vec![reader.into(), writer.into(), extra.into(), socket.into()];
    for fd in &fds {
        // Without close-on-exec, they reach the launcher.
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).unwrap();
    }
    let high = rustix::io::dup(&fds[2]).unwrap();
    assert!(high.as_raw_fd() > 2);
    let script = "for fd in /proc/self/fd/*; do echo ${fd##*/}; done";
    both(&bench, &["bash", "-c", script], |who, output| {
        let seen: Vec<u32> = out(&output).lines().filter_map(|line| line.parse().ok()).collect();
        // The shell itself opens the directory to list it, on the lowest free number.
        assert_eq!(seen, [0, 1, 2, 3], "{who}: {}", err(&output));
    });
}

#[test]
fn a_network_connection_as_standard_input_is_refused() {
    let bench = bench();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = || OwnedFd::from(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    for mut launcher in [bench.root(&["true"]), bench.nobody(&["true"])] {
        let output = launcher.stdin(connect()).output().unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(err(&output).contains("descriptor 0 is a network connection"), "{}", err(&output));
    }
    assert!(bench.registry.open().is_empty());
}

#[test]
fn the_environment_has_the_ca_and_no_credentials() {
    let bench = bench();
    for mut launcher in [bench.root(&["env"]), bench.nobody(&["env"])] {
        let output = launcher
            .env("AWS_ACCESS_KEY_ID", "AKIAREAL")
            .env("AWS_SECRET_ACCESS_KEY", "very-secret")
            .env("AWS_PROFILE", "prod")
            .env("AWS_CA_BUNDLE", "/other.pem")
            .env("KEPT", "1")
            .output()
            .unwrap();
        let session = bench.log.0.lock().unwrap().last().copied().unwrap();
        let variables: Vec<_> = out(&output).lines().collect();
        for expected in [
            "AWS_CA_BUNDLE=/etc/chaperone-test.pem",
            "AWS_REGION=eu-central-1",
            "AWS_DEFAULT_REGION=eu-central-1",
            "KEPT=1",
            &format!("CHAPERONE_SESSION={session}"),
        ] {
            assert!(variables.contains(&expected), "{expected} in {variables:?}");
        }
        for absent in ["AKIAREAL", "very-secret", "AWS_PROFILE", "/other.pem"] {
            assert!(!out(&output).contains(absent), "{absent} in {variables:?}");
        }
        let said =
            "gets its credentials from the gateway: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE";
        assert!(err(&output).contains(said), "{}", err(&output));
        assert!(!err(&output).contains("secret"), "values are not shown");
    }
}

#[test]
fn standard_streams_pass_through_and_without_a_pipe_reader_the_command_ends() {
    let bench = bench();
    let mut child = bench.root(&["cat"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"through").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"through");

    let mut child = bench.root(&["yes"]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGPIPE));
}
