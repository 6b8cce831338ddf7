//! The token that vouches for a launched command: read at its start, and again while it runs.

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{
    api::{Client, DaemonStart, wire::Token},
    prim::SessionId,
};

/// More than any issuer accepts.
const MAX_BYTES: u64 = 1 << 20;
/// How long a command may take to print a token.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a file and the daemon's socket are looked at, and how soon a failed renewal is tried again.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Where the token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// A file, which is read again whenever it changes.
    File(PathBuf),
    /// A variable of this process's environment. The command does not get it.
    Env(OsString),
    /// A command line for `sh -c` that prints the token; it is run again in time for its end.
    Command(OsString),
}

/// Why there is no token. It is never shown.
#[derive(Debug, thiserror::Error)]
pub enum TokenSourceError {
    /// The file cannot be read.
    #[error("reading the token from {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The variable is not set, or not text.
    #[error("the variable {} holds no token", .0.display())]
    Env(OsString),
    /// The command could not be run.
    #[error("running the token command: {0}")]
    Start(#[source] io::Error),
    /// The command failed.
    #[error("the token command failed: {0}")]
    Failed(std::process::ExitStatus),
    /// The command took too long, and was ended.
    #[error("the token command took longer than {COMMAND_TIMEOUT:?}")]
    Slow,
    /// Nothing was printed or written.
    #[error("there is no token, only {0}")]
    NoToken(&'static str),
}

impl TokenSource {
    /// The variable that the command must not get.
    pub(super) fn variable(&self) -> Option<&OsString> {
        if let Self::Env(name) = self { Some(name) } else { None }
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// [`TokenSourceError`].
    pub fn read(&self) -> Result<Token, TokenSourceError> {
        let text = match self {
            Self::File(path) => {
                read_file(path).map_err(|source| TokenSourceError::File { path: path.clone(), source })?
            }
            Self::Env(name) => env::var_os(name)
                .and_then(|value| value.into_string().ok())
                .map(String::into_bytes)
                .ok_or_else(|| TokenSourceError::Env(name.clone()))?,
            Self::Command(line) => run(line)?,
        };
        if text.len() as u64 > MAX_BYTES {
            return Err(TokenSourceError::NoToken("something far too long"));
        }
        let text =
            String::from_utf8(text).map_err(|_| TokenSourceError::NoToken("bytes that are no text"))?;
        match text.trim_ascii() {
            "" => Err(TokenSourceError::NoToken("emptiness")),
            token => Ok(Token::new(token.to_owned())),
        }
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs the command line, bounded in time and in what it prints.
fn run(line: &OsString) -> Result<Vec<u8>, TokenSourceError> {
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(line)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(TokenSourceError::Start)?;
    let mut output = child.stdout.take().map(|output| output.take(MAX_BYTES + 1));
    let (sender, receiver) = mpsc::channel();
    // Ends with the pipe: when the command ends, at the bound, or when the command is killed below.
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.as_mut().map_or(Ok(0), |output| output.read_to_end(&mut bytes));
        // Nobody waits for it after the time-out.
        let _ = sender.send(read.map(|_| bytes));
    });
    let printed = receiver.recv_timeout(COMMAND_TIMEOUT);
    if printed.is_err() {
        // It may have ended just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(TokenSourceError::Start)?;
    let bytes = printed.map_err(|_| TokenSourceError::Slow)?.map_err(TokenSourceError::Start)?;
    // Before the process is cloned, no other thread may be left.
    let _ = reader.join();
    if status.success() { Ok(bytes) } else { Err(TokenSourceError::Failed(status)) }
}

/// Keeps a session's token new while its command runs.
pub(super) struct Renewal<'a> {
    pub(super) client: &'a Client,
    /// The start of the daemon that has the token. It keeps tokens in memory alone.
    daemon: Option<DaemonStart>,
    pub(super) session: SessionId,
    pub(super) source: TokenSource,
    /// What the daemon has.
    pub(super) known: Token,
    /// When the daemon's token ends, in seconds since 1970.
    pub(super) expires: Option<i64>,
    due: Option<Instant>,
    failing: bool,
}

impl<'a> Renewal<'a> {
    pub(super) fn new(
        client: &'a Client,
        daemon: Option<DaemonStart>,
        session: SessionId,
        source: TokenSource,
        known: Token,
        expires: Option<i64>,
    ) -> Self {
        let mut renewal = Self { client, daemon, session, source, known, expires, due: None, failing: false };
        renewal.due = renewal.next();
        renewal
    }

    /// Looks whether there is a newer token, or a daemon that was started anew, and presents the token. What goes wrong
    /// is told once, and tried again. Call it every [`LOOK_EVERY`].
    pub(super) fn look(&mut self, tell: &dyn Fn(&str)) {
        let daemon = self.client.daemon();
        // While nobody is there, the last one's socket may be gone.
        let restarted = daemon.is_some() && daemon != self.daemon;
        let due = self.due.is_some_and(|due| due <= Instant::now());
        if !restarted && !due {
            return;
        }
        match self.present(restarted, due) {
            Ok(()) => {
                self.failing = false;
                if restarted {
                    self.daemon = daemon;
                }
            }
            Err(error) => {
                if !self.failing {
                    tell(&format!("the session's token could not be renewed: {error}"));
                }
                self.failing = true;
            }
        }
        if due {
            self.due = self.next();
        }
    }

    /// Presents a newer token if it is time for one and there is one, else the known one to a daemon that lacks it.
    fn present(&mut self, restarted: bool, due: bool) -> Result<(), Box<dyn std::error::Error>> {
        let read = if due { self.source.read().map(Some) } else { Ok(None) };
        // Where there is no newer one, the known one is still good.
        let (newer, failed) = match read {
            Ok(token) => (token.filter(|token| *token != self.known), None),
            Err(error) => (None, Some(error)),
        };
        if let Some(token) = newer.or_else(|| restarted.then(|| self.known.clone())) {
            let renewed = self.client.renew(self.session, token.clone())?;
            (self.known, self.expires) = (token, renewed.expires);
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A file is looked at again and again; a command is run when half of the time that is left is over; a variable
    /// does not change.
    fn next(&self) -> Option<Instant> {
        let wait = match &self.source {
            TokenSource::File(_) => LOOK_EVERY,
            TokenSource::Env(_) => return None,
            TokenSource::Command(_) => {
                let now = crate::clock::Clock::system().now().unix_timestamp();
                let left = self.expires?.saturating_sub(now) / 2;
                Duration::from_secs(u64::try_from(left).unwrap_or(0)).max(LOOK_EVERY)
            }
        };
        Instant::now().checked_add(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_a_file_or_a_command() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, " a.b.c\n").unwrap();
        assert!(TokenSource::File(path).read().unwrap() == Token::new("a.b.c".to_owned()));
        let command = |line: &str| TokenSource::Command(line.into()).read();
        assert!(command("echo x.y.z").unwrap() == Token::new("x.y.z".to_owned()));
        assert!(matches!(command("echo x; exit 3"), Err(TokenSourceError::Failed(_))));
        assert!(matches!(command("true"), Err(TokenSourceError::NoToken(_))));
        assert!(matches!(
            command("head -c 3000000 /dev/zero"),
            Err(TokenSourceError::NoToken(_) | TokenSourceError::Failed(_))
        ));
        let none = TokenSource::Env("CHAPERONE_TEST_NO_SUCH_VARIABLE".into()).read();
        assert!(matches!(none, Err(TokenSourceError::Env(_))));
        assert!(matches!(
            TokenSource::File("/nonexistent".into()).read(),
            Err(TokenSourceError::File { .. })
        ));
    }
}
