//! A shell inside one session: what an agent has at its disposal.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{Gateway, process::Running};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);
const END: &str = "##exit ";

/// A shell that runs commands one after the other, all in the same session.
#[derive(Debug)]
pub struct AgentShell {
    input: ChildStdin,
    lines: Receiver<String>,
    _shell: Running,
}

/// What a command printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Standard output and standard error, mixed.
    pub output: String,
    /// Exit code.
    pub code: i32,
}

impl Ran {
    /// Its output when it succeeded.
    ///
    /// # Errors
    /// With its output when it failed.
    pub fn ok(self) -> Result<String> {
        ensure!(self.code == 0, "exit code {}: {}", self.code, self.output.trim());
        Ok(self.output)
    }
}

impl AgentShell {
    /// Starts a session with a shell in it.
    ///
    /// # Errors
    /// When the launcher cannot be started.
    pub fn start(gateway: &Gateway) -> Result<Self> {
        Self::of(gateway.agent()?)
    }

    /// A shell as the program of `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn of(mut command: Command) -> Result<Self> {
        Self::is(command.arg("/bin/sh"))
    }

    fn is(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut shell = Running::start(command)?;
        let input = shell.child().stdin.take().context("stdin")?;
        let output = shell.child().stdout.take().context("stdout")?;
        let (sender, lines) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            // Ends with the shell, or with whoever listened.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { input, lines, _shell: shell })
    }

    /// Runs one line of shell and waits for its end.
    ///
    /// # Errors
    /// When the shell is gone or the command does not end.
    pub fn run(&mut self, line: &str) -> Result<Ran> {
        writeln!(self.input, "( {line} ) 2>&1 </dev/null; printf '\\n{END}%d\\n' $?")
            .context("the shell is gone")?;
        let mut output = Vec::new();
        loop {
            let line = self.lines.recv_timeout(COMMAND_TIMEOUT).context("no end of the command")?;
            if let Some(code) = line.strip_prefix(END) {
                return Ok(Ran { output: output.join("\n").trim().to_owned(), code: code.parse()? });
            }
            output.push(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_one_after_the_other() {
        let mut shell = AgentShell::is(&mut Command::new("/bin/sh")).unwrap();
        for (line, output, code) in [
            ("echo out; echo err >&2", "out\nerr", 0),
            ("exit 3", "", 3),
            ("cat", "", 0),
            ("printf 'no newline'", "no newline", 0),
            ("kill -9 $(sh -c 'echo $PPID')", "Killed", 137),
        ] {
            let ran = shell.run(line).unwrap();
            assert_eq!(ran.code, code, "{line}: {ran:?}");
            assert!(ran.output == output || code == 137, "{line}: {ran:?}");
        }
        assert!(shell.run("false").unwrap().ok().is_err());
    }
}
