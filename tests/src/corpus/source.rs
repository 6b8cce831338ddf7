//! The generators, started as programs.

use std::{
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use super::Line;
use crate::harness::{repository, venv};

/// Which requests to make.
#[derive(Debug, Clone, Default)]
pub struct Generator {
    /// About every so many; 0 and 1 are all.
    pub sample: u32,
    /// Only these services, by botocore's names; none is all.
    pub services: Vec<String>,
}

impl Generator {
    /// Starts making requests for the operations of botocore's models.
    ///
    /// # Errors
    /// When `cargo xtask setup` did not run.
    pub fn start(&self) -> Result<Generated> {
        let sample = self.sample.max(1).to_string();
        Generated::start("generate.py", &["--sample", &sample, "--services", &self.services.join(",")])
    }
}

/// Requests as they are being made.
#[derive(Debug)]
pub struct Generated {
    script: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Generated {
    /// Starts a script of `tests/corpus`.
    ///
    /// # Errors
    /// When `cargo xtask setup` did not run.
    pub fn start(script: &'static str, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(venv()?.join("bin/python"))
            .arg(repository().join("tests/corpus").join(script))
            .args(arguments)
            // Not the machine's own configuration, and no file left in the source.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| script)?;
        let lines = BufReader::new(child.stdout.take().context("standard output")?).lines();
        Ok(Self { script, child, lines })
    }

    /// The next request; `None` after the last. A generator that failed is an error at the end.
    ///
    /// # Errors
    /// When the generator failed or wrote something else.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        match self.next_text()? {
            Some(text) => Line::parse(&text).map(Some),
            None => Ok(None),
        }
    }

    /// As [`Generated::next_line`], as it was written.
    ///
    /// # Errors
    /// When the generator failed.
    pub fn next_text(&mut self) -> Result<Option<String>> {
        if let Some(line) = self.lines.next() {
            return line.with_context(|| self.script).map(Some);
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.script);
        Ok(None)
    }
}

impl Drop for Generated {
    fn drop(&mut self) {
        // It has ended, unless a test failed half-way; then nobody waits for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
