//! The first process of a session, up to its `execve`.
//!
//! The child is a copy of the launcher until it executes the command. It takes no lock and allocates
//! nothing (signal-safety(7)): all it needs was prepared before. It talks to the launcher through two
//! pipes that close on exec: the *report*, on which it writes that it is ready and why `execve`
//! failed, and the *gate*, which keeps it waiting until it is in its cgroup.

use std::{
    fs::File,
    io::{self, Read, Write},
    mem,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
    ptr,
};

use rustix::pipe::{PipeFlags, pipe_with};

use super::program::{Pointers, Program, SHELL};

/// Written to the report when the child holds nothing but what the daemon allows.
static READY: u8 = b'R';

/// Where the child starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    /// Inside this cgroup (`CLONE_INTO_CGROUP`), and at once.
    Inside(BorrowedFd<'a>),
    /// Where the launcher is; it waits to be released.
    Waiting,
}

/// The launcher's side of its child.
#[derive(Debug)]
pub(super) struct Child {
    pid: libc::pid_t,
    report: File,
    gate: Option<File>,
}

impl Child {
    /// Clones. The child gets the signal mask `mask`.
    pub(super) fn start(program: &Program, start: Start<'_>, mask: &libc::sigset_t) -> io::Result<Self> {
        let (report, report_in) = pipe_with(PipeFlags::CLOEXEC)?;
        let (gate_out, gate) = pipe_with(PipeFlags::CLOEXEC)?;
        let waits = matches!(start, Start::Waiting);
        let side = ChildSide {
            pointers: program.pointers(),
            mask: *mask,
            report: report_in.as_raw_fd(),
            gate: waits.then(|| gate_out.as_raw_fd()),
            gaps: gaps([report_in.as_raw_fd(), gate_out.as_raw_fd()]),
        };
        // SAFETY: the child's copy of this function calls only `ChildSide::run`, which is
        // async-signal-safe and never returns.
        let pid = unsafe { clone(start) }?;
        if pid == 0 {
            side.run();
        }
        drop((report_in, gate_out));
        Ok(Self { pid, report: report.into(), gate: waits.then(|| OwnedFd::into(gate)) })
    }

    /// The child's process id, for the kernel's calls.
    pub(super) fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// The child's process id, for the daemon.
    pub(super) fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Waits until the child has closed all it must not bring along.
    pub(super) fn wait_until_ready(&mut self) -> io::Result<()> {
        let mut byte = [0];
        self.report.read_exact(&mut byte)?;
        if byte == [READY] { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Lets the waiting child execute its command.
    pub(super) fn release(&mut self) -> io::Result<()> {
        self.gate.take().map_or(Ok(()), |mut gate| gate.write_all(&[READY]))
    }

    /// Waits for the `execve`: `None` when the command runs, else why it does not.
    pub(super) fn exec_error(&mut self) -> io::Result<Option<io::Error>> {
        let mut text = Vec::new();
        // Ends when exec closes the child's end, or the child ends.
        (&mut self.report).take(8).read_to_end(&mut text)?;
        let errno = text.try_into().ok().map(i32::from_ne_bytes);
        Ok(errno.map(io::Error::from_raw_os_error))
    }
}

/// What the child needs, all of it ready.
struct ChildSide {
    pointers: Pointers,
    mask: libc::sigset_t,
    report: RawFd,
    gate: Option<RawFd>,
    gaps: [Option<(u32, u32)>; 3],
}

impl ChildSide {
    /// The child's whole life as a copy of the launcher.
    fn run(&self) -> ! {
        // SAFETY: only async-signal-safe calls, on descriptors this process owns and on memory that
        // was prepared before the clone and that nobody else touches.
        unsafe {
            // The Rust runtime ignores SIGPIPE; commands expect to be ended by it. Every other
            // disposition is as the launcher found it, so that nohup(1) works through it.
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            for (first, last) in self.gaps.iter().flatten() {
                if libc::syscall(libc::SYS_close_range, *first, *last, 0) != 0 {
                    // A sandbox that knows the call not: better nothing runs than a socket comes along.
                    self.fail(*libc::__errno_location());
                }
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut());
            if let Some(gate) = self.gate {
                libc::write(self.report, (&raw const READY).cast(), 1);
                let mut byte = 0_u8;
                let read = loop {
                    let read = libc::read(gate, (&raw mut byte).cast(), 1);
                    if read >= 0 || *libc::__errno_location() != libc::EINTR {
                        break read;
                    }
                };
                if read != 1 {
                    // The launcher gave up, or is gone: nothing may run outside the cgroup.
                    libc::_exit(125);
                }
            }
            let errno = self.execute();
            self.fail(errno)
        }
    }

    /// Reports `errno` and ends.
    ///
    /// # Safety
    /// Call it only in the child.
    unsafe fn fail(&self, errno: libc::c_int) -> ! {
        let bytes = errno.to_ne_bytes();
        // SAFETY: async-signal-safe calls on a descriptor this process owns.
        unsafe {
            libc::write(self.report, bytes.as_ptr().cast(), bytes.len());
            libc::_exit(127)
        }
    }

    /// Tries each candidate as `execvp(3)` does; returns the `errno` that says most.
    ///
    /// # Safety
    /// Call it only in the child.
    unsafe fn execute(&self) -> libc::c_int {
        let Pointers { arguments, variables, candidates } = &self.pointers;
        let mut result = libc::ENOENT;
        for (file, shell_arguments) in candidates {
            // SAFETY: the path is NUL-terminated and the arrays end with a null pointer; all of it
            // outlives the call.
            let errno = unsafe {
                libc::execve(*file, arguments.as_ptr(), variables.as_ptr());
                *libc::__errno_location()
            };
            match errno {
                // Not here; perhaps in the next directory.
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                // Here, but not for us: worth saying if there is no other.
                libc::EACCES => result = errno,
                libc::ENOEXEC => {
                    // SAFETY: as above.
                    return unsafe {
                        libc::execve(SHELL.as_ptr(), shell_arguments.as_ptr(), variables.as_ptr());
                        *libc::__errno_location()
                    };
                }
                errno => return errno,
            }
        }
        result
    }
}

/// A child that shares nothing with the launcher but what `fork(2)` shares; 0 in the child.
///
/// # Safety
/// The child may call only what is async-signal-safe, and must not return from its caller's frame.
unsafe fn clone(start: Start<'_>) -> io::Result<libc::pid_t> {
    // SAFETY: `clone_args` is integers only; zero means "not used".
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    if let Start::Inside(cgroup) = start {
        // CLONE_INTO_CGROUP of linux/sched.h; libc has it as a signed constant.
        arguments.flags = 0x2_0000_0000;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: the structure has the size given; no memory is shared and no stack is set, so the child
    // continues on its own copy.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>()) };
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid >= 0 => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The ranges of descriptors to close: all from 3 on but the two to keep.
fn gaps(keep: [RawFd; 2]) -> [Option<(u32, u32)>; 3] {
    let [a, b] = keep.map(RawFd::unsigned_abs);
    let (low, high) = (a.min(b), a.max(b));
    let range = |first: u32, last: u32| (first <= last).then_some((first, last));
    [
        range(3, low.saturating_sub(1)),
        range(low.saturating_add(1).max(3), high.saturating_sub(1)),
        range(high.saturating_add(1).max(3), u32::MAX),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_pipes_is_closed() {
        let check = |keep: [RawFd; 2], expected: [Option<(u32, u32)>; 3]| assert_eq!(gaps(keep), expected);
        check([4, 5], [Some((3, 3)), None, Some((6, u32::MAX))]);
        check([3, 4], [None, None, Some((5, u32::MAX))]);
        check([9, 6], [Some((3, 5)), Some((7, 8)), Some((10, u32::MAX))]);
        // A launcher that was started with standard descriptors closed.
        check([0, 3], [None, None, Some((4, u32::MAX))]);
        check([1, 2], [None, None, Some((3, u32::MAX))]);
    }
}
