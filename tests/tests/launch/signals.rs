//! Signals between launcher, command and terminal.

use std::{
    fs,
    io::BufRead,
    os::unix::process::ExitStatusExt,
    process::{Child, Command},
};

use crate::bench::{bench, both, err, out, started};

#[test]
fn the_command_ends_by_a_signal_and_so_does_the_launcher() {
    let bench = bench();
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGINT, libc::SIGPIPE, libc::SIGSEGV] {
        both(&bench, &["sh", "-c", &format!("kill -{signal} $$")], |who, output| {
            assert_eq!(output.status.signal(), Some(signal), "{who}: {:?} {}", output.status, err(&output));
        });
    }
}

fn send(child: &Child, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    // SAFETY: sends a signal to a child of this test that was not waited for.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[test]
fn signals_sent_to_the_launcher_reach_the_command() {
    let bench = bench();
    let signals = [
        ("TERM", libc::SIGTERM),
        ("HUP", libc::SIGHUP),
        ("INT", libc::SIGINT),
        ("QUIT", libc::SIGQUIT),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
    ];
    for (name, number) in signals {
        // Blocks the signal before it says that it is ready, so that none is lost (a shell's trap can
        // be, between two commands).
        let script = format!(
            "use POSIX; $| = 1; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIG{name})); \
             $SIG{{{name}}} = sub {{ print qq(got {name}\\n); exit 9 }}; \
             print qq(ready\\n); sigsuspend(POSIX::SigSet->new())"
        );
        let command = ["perl", "-e", &script];
        for mut launcher in [bench.root(&command), bench.nobody(&command)] {
            let (mut child, mut lines) = started(&mut launcher);
            send(&child, number);
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, format!("got {name}\n"));
            assert_eq!(child.wait().unwrap().code(), Some(9));
        }
    }
}

#[test]
fn the_launchers_own_signal_mask_and_dispositions_are_the_commands() {
    let bench = bench();
    let command = ["cat", "/proc/self/status"];
    let own = mask_of(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn:");
    both(&bench, &command, |who, output| {
        // The test harness ignores SIGPIPE, as every Rust program does; commands must not.
        assert_eq!(mask_of(out(&output), "SigIgn:"), own & !bit(libc::SIGPIPE), "{who}");
        assert_eq!(mask_of(out(&output), "SigBlk:"), 0, "{who}");
    });
    // As with nohup: what was ignored for the launcher is ignored for the command.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_launch-client")]);
    bench.clean(&mut nohup, &command);
    let output = nohup.output().unwrap();
    assert_eq!(mask_of(out(&output), "SigIgn:"), (own & !bit(libc::SIGPIPE)) | bit(libc::SIGHUP));
}

/// A signal set of `/proc/PID/status`, without the real-time signals that glibc uses for itself.
fn mask_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap() & 0x7fff_ffff
}

fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

#[test]
fn stopped_by_the_terminal_and_continued_together() {
    let bench = bench();
    let script = "echo ready; kill -TSTP $$; echo continued";
    let (mut child, mut lines) = started(&mut bench.root(&["sh", "-c", script]));
    let pid = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: waits for a child of this test; the status outlives the call.
    let stopped = unsafe { libc::waitpid(pid, &raw mut status, libc::WUNTRACED) };
    assert!(stopped == pid && libc::WIFSTOPPED(status), "{status}");
    send(&child, libc::SIGCONT);
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line, "continued\n");
    assert!(child.wait().unwrap().success());
}
