//! `chaperone run`: starts a command inside its session's cgroup.
//!
//! The command is in the cgroup from its first instruction, so every socket it ever opens is an
//! agent's: as root it is cloned into it, for everybody else the daemon moves the fresh child, which
//! waits for that before it runs anything. Nothing but standard input, output and error comes along.

use std::{
    env,
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::net::{AddressFamily, sockopt::socket_domain};

use self::{
    child::{Child, Start},
    program::Program,
    signals::Signals,
};
use crate::{
    api::{
        Client, ClientError,
        wire::{LaunchRequest, Launched, Placement},
    },
    identify::{CgroupError, CgroupFs},
    launch::token::Renewal,
    prim::WorkloadName,
};

/// The first process of a session, up to its `execve`.
mod child;
/// The launcher's environment, changed as the daemon says.
pub mod environment;
/// What is executed, prepared before there is a child.
mod program;
/// The launcher stands in for its command: signals go through, and so does how it ends.
pub mod signals;
/// The token that vouches for the command, read at its start and again while it runs.
mod token;

pub use self::{
    program::BadCommand,
    signals::Ended,
    token::{TokenSource, TokenSourceError},
};

/// Why the command did not run, or how it ended is not known.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Standard input, output or error is a connection that was made outside the fence.
    #[error("descriptor {0} is a network connection, which an agent must not bring along")]
    NetworkStdio(u32),
    /// The daemon did not give a session.
    #[error(transparent)]
    Daemon(#[from] ClientError),
    /// The session's cgroup could not be opened.
    #[error("opening the session's cgroup: {0}")]
    Cgroup(#[from] CgroupError),
    /// There is no token to present.
    #[error(transparent)]
    Token(#[from] TokenSourceError),
    /// The command line cannot be given to the kernel.
    #[error(transparent)]
    BadCommand(#[from] BadCommand),
    /// The kernel gave no process.
    #[error("starting a process: {0}")]
    Start(#[source] io::Error),
    /// There is no such program.
    #[error("{0}: command not found")]
    NotFound(String),
    /// The program cannot be executed.
    #[error("{program}: {source}")]
    NotExecutable {
        /// The program.
        program: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The command's end could not be waited for.
    #[error("waiting for the command: {0}")]
    Wait(#[source] io::Error),
}

impl RunError {
    /// The exit code for it: as `env(1)` and `timeout(1)` have them, 127 and 126 for the command and
    /// 125 for the launcher itself.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable { .. } => 126,
            Self::NetworkStdio(_)
            | Self::Daemon(_)
            | Self::Token(_)
            | Self::Cgroup(_)
            | Self::BadCommand(_)
            | Self::Start(_)
            | Self::Wait(_) => 125,
        }
    }

    /// What to do, where there is something to do.
    #[must_use]
    pub fn next_step(&self) -> Option<&str> {
        match self {
            Self::NetworkStdio(_) => Some("redirect it to a file, a pipe or /dev/null"),
            Self::Daemon(error) => Some(error.next_step()),
            Self::Token(_) => Some("check --token-file, --token-env or --token-command"),
            Self::Cgroup(_) => Some("see the daemon's log: journalctl -u chaperone"),
            Self::Start(_) => {
                Some("check that the kernel is 5.7 or later and that no sandbox forbids clone3")
            }
            Self::BadCommand(_) | Self::NotFound(_) | Self::NotExecutable { .. } | Self::Wait(_) => None,
        }
    }
}

/// Runs `command` in a new session of `workload` and waits for its end. The `token` vouches for it, and is
/// presented anew when it changes.
///
/// Call it from a process with one thread. `removed` is told which of the launcher's variables the
/// command does not get, `tell` what goes wrong with the token meanwhile.
///
/// # Errors
/// [`RunError`].
pub fn run(
    client: &Client,
    workload: Option<WorkloadName>,
    token: Option<TokenSource>,
    command: &[OsString],
    removed: impl FnOnce(&[String]),
    tell: &dyn Fn(&str),
) -> Result<Ended, RunError> {
    stdio_stays_inside()?;
    let recorded = command.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let presented = token.as_ref().map(TokenSource::read).transpose()?;
    // Before it is asked: one that is started meanwhile is noticed.
    let daemon = client.daemon();
    let request = LaunchRequest { workload, command: recorded, token: presented.clone() };
    let launched = client.launch(&request)?;
    let own = env::vars_os();
    let hidden = token.as_ref().and_then(TokenSource::variable).cloned();
    let own = own.filter(|(name, _)| hidden.as_ref() != Some(name));
    let (environment, names) = environment::apply(&launched.environment, own);
    removed(&names);
    let program = Program::new(command, environment)?;

    // From here on every signal waits for the loop below, so that none is lost or kills only us.
    let signals = Signals::block().map_err(RunError::Start)?;
    let mut child = place(client, &launched, &program, &signals)?;
    if let Some(source) = child.exec_error().map_err(RunError::Wait)? {
        let _ = signals.reap(child.pid());
        return Err(not_started(&program, source));
    }
    let mut renewal = token.zip(presented).map(|(source, token)| {
        Renewal::new(client, daemon, launched.session, source, token, launched.token_expires)
    });
    let every = renewal.as_ref().map(|_| token::LOOK_EVERY);
    let look = || renewal.iter_mut().for_each(|renewal| renewal.look(tell));
    signals.supervise(child.pid(), every, look).map_err(RunError::Wait)
}

/// Starts the child and sees it into its cgroup.
fn place(
    client: &Client,
    launched: &Launched,
    program: &Program,
    signals: &Signals,
) -> Result<Child, RunError> {
    match launched.placement {
        Placement::Clone => {
            let directory = CgroupFs::open()?.directory(&launched.cgroup)?;
            Child::start(program, Start::Inside(directory.as_fd()), signals.before()).map_err(RunError::Start)
        }
        Placement::Adopt => {
            let mut child =
                Child::start(program, Start::Waiting, signals.before()).map_err(RunError::Start)?;
            let adopted = child
                .wait_until_ready()
                .map_err(RunError::Start)
                .and_then(|()| Ok(client.adopt(launched.session, child.id())?));
            match adopted {
                Ok(()) => {
                    child.release().map_err(RunError::Start)?;
                    Ok(child)
                }
                Err(error) => {
                    // The child sees its gate close, and ends without having run anything.
                    let pid = child.pid();
                    drop(child);
                    let _ = signals.reap(pid);
                    Err(error)
                }
            }
        }
    }
}

/// The daemon checks this for a child that it moves; as root nobody else would.
fn stdio_stays_inside() -> Result<(), RunError> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let check = |fd: BorrowedFd<'_>, number| match socket_domain(fd) {
        Ok(family) if family != AddressFamily::UNIX => Err(RunError::NetworkStdio(number)),
        // A unix socket, or no socket at all.
        _ => Ok(()),
    };
    check(stdin.as_fd(), 0)?;
    check(stdout.as_fd(), 1)?;
    check(stderr.as_fd(), 2)
}

fn not_started(program: &Program, source: io::Error) -> RunError {
    let name = program.name().to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RunError::NotFound(name),
        _ => RunError::NotExecutable { program: name, source },
    }
}
