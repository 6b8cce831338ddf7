//! Cgroups that vanish with their test, and processes in them.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    marker::PhantomData,
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use gateway_user::{
    cgroup2,
    prim::{CgroupId, CgroupPath},
};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Serialize, de::DeserializeOwned};

/// A cgroup of the v2 hierarchy, made by a test and removed with it.
#[derive(Debug)]
pub struct Cgroup {
    path: CgroupPath,
    dir: PathBuf,
}

impl Cgroup {
    /// Makes one below the root; `role` is for whoever looks at the machine.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn create(role: &str) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::at(CgroupPath::new(&format!("chaperone-test-{}-{number}-{role}", std::process::id())))
    }

    /// Makes one below this one.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn child(&self, name: &str) -> Result<Self> {
        Self::at(CgroupPath::new(&format!("{}/{name}", self.path.as_str())))
    }

    /// Takes one that exists already, to remove it with the test.
    ///
    /// # Errors
    /// Where there is no cgroup v2.
    pub fn at(path: CgroupPath) -> Result<Self> {
        let dir = cgroup2::mount().context("cgroup v2 is not mounted")?.join(path.as_str());
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(Self { path, dir })
    }

    /// Its path below the mount.
    #[must_use]
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// Its id.
    ///
    /// # Errors
    /// Where it was removed.
    pub fn id(&self) -> Result<CgroupId> {
        use std::os::unix::fs::MetadataExt as _;
        Ok(CgroupId(fs::metadata(&self.dir)?.ino()))
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves this process into it until the answer is dropped.
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn enter(&self) -> Result<Membership> {
        let mount = cgroup2::mount().context("cgroup v2 is not mounted")?;
        let own = cgroup2::own().context("this process is in no cgroup v2")?;
        let home = mount.join(own.as_str());
        join(&self.dir)?;
        Ok(Membership { home })
    }

    /// Moves the calling process into it for good; for the work of a [`Running`].
    ///
    /// # Errors
    /// Where the machine does not allow it.
    pub fn join(&self) -> Result<()> {
        join(&self.dir)
    }

    /// Runs `work` in a process of this cgroup and returns what it returns.
    ///
    /// # Panics
    /// Where `work` panics.
    pub fn run<T: Serialize + DeserializeOwned>(&self, work: impl FnOnce() -> T) -> T {
        self.spawn(|_| work()).join()
    }

    /// Starts `work` in a process of this cgroup.
    ///
    /// # Panics
    /// Where no process can be made.
    pub fn spawn<T: Serialize + DeserializeOwned>(&self, work: impl FnOnce(&mut Agent) -> T) -> Running<T> {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        // SAFETY: the child uses only what `fork` leaves usable: glibc keeps its allocator so, the
        // work takes no lock of the parent, and the child ends by `_exit`.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0, "fork: {}", std::io::Error::last_os_error());
        if pid == 0 {
            drop(ours);
            close_all_but(&theirs);
            let mut agent = Agent(theirs);
            let result = catch_unwind(AssertUnwindSafe(|| {
                join(&self.dir).expect("joining the cgroup");
                work(&mut agent)
            }));
            let result = result.map_err(|panic| message(&*panic));
            let _ = agent.say(&serde_json::to_string(&result).expect("the result as JSON"));
            // SAFETY: ends the child without running the parent's destructors.
            unsafe { libc::_exit(0) }
        }
        let pid = Pid::from_raw(pid).expect("the child's pid");
        Running { pid: Some(pid), lines: BufReader::new(ours), result: PhantomData }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.dir.exists()
            && let Err(error) = fs::remove_dir(&self.dir)
        {
            eprintln!("removing {}: {error}", self.dir.display());
        }
    }
}

/// Keeps this process in a cgroup.
#[derive(Debug)]
pub struct Membership {
    home: PathBuf,
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Err(error) = join(&self.home) {
            eprintln!("going back: {error}");
        }
    }
}

/// The side of a started process: talks to the test.
#[derive(Debug)]
pub struct Agent(UnixStream);

impl Agent {
    /// Lets [`Running::wait`] go on.
    pub fn ready(&mut self) {
        self.say("ready").expect("telling the test");
    }

    /// Waits for [`Running::go_on`].
    pub fn wait(&mut self) {
        self.0.read_exact(&mut [0]).expect("a word from the test");
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        writeln!(self.0, "{line}")
    }
}

/// A started process; killed when dropped.
#[derive(Debug)]
pub struct Running<T> {
    pid: Option<Pid>,
    lines: BufReader<UnixStream>,
    result: PhantomData<T>,
}

impl<T: DeserializeOwned> Running<T> {
    /// Waits for [`Agent::ready`].
    ///
    /// # Panics
    /// Where the process ended instead.
    pub fn wait(&mut self) {
        assert_eq!(self.line(), "ready");
    }

    /// Lets [`Agent::wait`] go on.
    ///
    /// # Panics
    /// Where the process is gone.
    pub fn go_on(&mut self) {
        self.lines.get_mut().write_all(b"\n").expect("telling the process");
    }

    /// Waits for the end and returns the result.
    ///
    /// # Panics
    /// Where the work panicked.
    pub fn join(mut self) -> T {
        let line = self.line();
        let result: Result<T, String> = serde_json::from_str(&line).expect("the result as JSON");
        result.unwrap_or_else(|panic| panic!("in the process: {panic}"))
    }

    /// The process.
    ///
    /// # Panics
    /// Never: a running process has a pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.map(|pid| pid.as_raw_pid().unsigned_abs()).expect("a running process has a pid")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line from the process");
        line.trim_end().to_owned()
    }
}

impl<T> Running<T> {
    /// Kills it with SIGKILL.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(pid) = self.pid.take() {
            let _ = kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.end();
    }
}

/// A process of the test must not keep the daemon's listeners open.
fn close_all_but(keep: &UnixStream) {
    let keep = keep.as_raw_fd().unsigned_abs();
    for (first, last) in [(3, keep - 1), (keep + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: the process came from `fork` and never drops what it has not made itself.
            unsafe { libc::close_range(first, last, 0) };
        }
    }
}

fn join(dir: &Path) -> Result<()> {
    fs::write(dir.join("cgroup.procs"), "0").with_context(|| dir.display().to_string())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
