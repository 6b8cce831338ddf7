//! The launcher stands in for its command: signals go through, and so does how it ends.
//!
//! Nothing is done in signal handlers: the signals are blocked and taken one by one
//! (sigwaitinfo(2)), so dispositions stay as they are and none arrives between a check and a wait.

use std::{io, mem, ptr, time::Duration};

/// Those that are taken. SIGCONT needs no help, SIGWINCH reaches the command by itself.
const TAKEN: &[libc::c_int] = &[
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCHLD,
];

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Exited(u8),
    /// By this signal.
    Signaled(i32),
}

/// The signals are blocked while this lives.
pub(super) struct Signals {
    taken: libc::sigset_t,
    before: libc::sigset_t,
}

impl Signals {
    /// Blocks them for the calling thread, which must be the only one.
    pub(super) fn block() -> io::Result<Self> {
        let taken = set_of(TAKEN);
        let mut before = set_of(&[]);
        // An ignored SIGCHLD, which a launcher may inherit, would have the kernel reap the command
        // before its end is known.
        // SAFETY: sets a disposition, touches no memory of ours.
        if unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both sets are initialized and outlive the call.
        check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const taken, &raw mut before) })?;
        Ok(Self { taken, before })
    }

    /// The mask as it was, which the command gets.
    pub(super) fn before(&self) -> &libc::sigset_t {
        &self.before
    }

    /// Stands in for the process `pid` until it ends.
    pub(super) fn supervise(
        &self,
        pid: libc::pid_t,
        every: Option<Duration>,
        mut look_after: impl FnMut(),
    ) -> io::Result<Ended> {
        loop {
            match self.next(every)? {
                None => look_after(),
                Some((libc::SIGCHLD, _)) => {
                    if let Some(ended) = look(pid)? {
                        return Ok(ended);
                    }
                }
                // The terminal sends to its whole foreground group: the command has it already.
                Some((_, Sender::Kernel)) => {}
                Some((signal, Sender::Process)) => send(pid, signal),
            }
        }
    }

    /// Waits for the end of a process that ends by itself.
    pub(super) fn reap(&self, pid: libc::pid_t) -> io::Result<()> {
        wait(pid, 0).map(drop)
    }

    /// The next signal; `None` where none came within `limit`.
    fn next(&self, limit: Option<Duration>) -> io::Result<Option<(libc::c_int, Sender)>> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        loop {
            // SAFETY: `siginfo_t` is plain data, for which zeroes are valid.
            let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
            // SAFETY: set, info and limit are initialized and outlive the call; a null limit is none.
            let signal = unsafe { libc::sigtimedwait(&raw const self.taken, &raw mut info, limit) };
            if signal > 0 {
                // SI_KERNEL; whatever is sent by a call (kill, sigqueue, tgkill) is not positive.
                let sender = if info.si_code > 0 { Sender::Kernel } else { Sender::Process };
                return Ok(Some((signal, sender)));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                // A stop and continue interrupts the wait.
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: the set is initialized and outlives the call.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The kernel: the terminal, or a timer.
    Kernel,
    /// Another process, to the launcher alone.
    Process,
}

/// Ends this process the way its command ended: a shell must be able to tell a command that was
/// interrupted from one that failed. Returns the exit code for the case that it is still there.
#[must_use]
pub fn die_by(signal: i32) -> u8 {
    let only = set_of(&[signal]);
    // No core file of the launcher.
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // SAFETY: restores a default disposition, unblocks the signal and sends it to this process; no
    // memory but the set is touched.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const only, ptr::null_mut());
        libc::raise(signal);
    }
    // As shells write it.
    u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128))
}

/// What became of the process, after a SIGCHLD; stops when it was stopped.
fn look(pid: libc::pid_t) -> io::Result<Option<Ended>> {
    while let Some(status) = wait(pid, libc::WNOHANG | libc::WUNTRACED)? {
        if libc::WIFEXITED(status) {
            return Ok(Some(Ended::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))));
        }
        if libc::WIFSIGNALED(status) {
            return Ok(Some(Ended::Signaled(libc::WTERMSIG(status))));
        }
        // By the terminal, or by a program that wants the shell back: the shell watches us, so we
        // stop as well, and both go on together. A SIGSTOP is somebody's business with the command
        // alone, who would not know to continue us.
        if libc::WIFSTOPPED(status)
            && matches!(libc::WSTOPSIG(status), libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU)
        {
            // SAFETY: sends a signal to this process; returns when it is continued.
            unsafe { libc::raise(libc::SIGSTOP) };
            send(pid, libc::SIGCONT);
        }
    }
    Ok(None)
}

/// `waitpid(2)`: the status, or `None` when there is no news (`WNOHANG`).
fn wait(pid: libc::pid_t, options: libc::c_int) -> io::Result<Option<libc::c_int>> {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        match unsafe { libc::waitpid(pid, &raw mut status, options) } {
            0 => return Ok(None),
            found if found == pid => return Ok(Some(status)),
            _ => {}
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn send(pid: libc::pid_t, signal: libc::c_int) {
    // It may have ended and not been reaped: then the signal goes nowhere, as it should. The number
    // cannot be another process's before it is reaped, which only this thread does.
    // SAFETY: sends a signal to a child of ours.
    unsafe { libc::kill(pid, signal) };
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: `sigset_t` is plain data; sigemptyset initializes it, sigaddset takes valid numbers.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
