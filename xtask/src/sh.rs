//! Running other programs, with errors that say which one and why.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// The repository's root directory.
pub fn root() -> &'static Path {
    // xtask is a direct child of the workspace's root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// Where set-up puts the test peers: the Python environment and the node modules.
pub fn peers() -> PathBuf {
    root().join("target/peers")
}

/// A command whose output goes to the terminal, started in the repository's root.
pub struct Sh(Command);

impl Sh {
    /// `program` with these arguments.
    pub fn new(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).current_dir(root()).stdin(Stdio::null());
        Self(command)
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.arg(arg);
        self
    }

    /// Sets one environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it in another directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.0.current_dir(dir);
        self
    }

    /// Runs it; the terminal shows its output.
    ///
    /// # Errors
    /// When it cannot be started or does not exit with 0.
    pub fn run(mut self) -> Result<()> {
        let status = self.0.status().with_context(|| format!("cannot start `{self}`"))?;
        if !status.success() {
            bail!("`{self}` failed: {status}");
        }
        Ok(())
    }

    /// Runs it as [`Sh::run`] does and returns the last line of its standard error that has `word`,
    /// for programs that end with a summary.
    ///
    /// # Errors
    /// As [`Sh::run`], with that line.
    pub fn run_and_find(mut self, word: &str) -> Result<String> {
        self.0.stderr(Stdio::piped());
        let mut child = self.0.spawn().with_context(|| format!("cannot start `{self}`"))?;
        let mut found = String::new();
        let stderr = child.stderr.take().context("standard error")?;
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            eprintln!("{line}");
            if line.contains(word) {
                line.trim().clone_into(&mut found);
            }
        }
        let status = child.wait().with_context(|| format!("waiting for `{self}`"))?;
        if !status.success() {
            bail!("`{self}` failed: {status} {found}");
        }
        Ok(found)
    }

    /// Runs it quietly; its output is shown only in the error.
    ///
    /// # Errors
    /// As [`Sh::run`].
    pub fn run_quietly(mut self) -> Result<()> {
        let output = self.0.output().with_context(|| format!("cannot start `{self}`"))?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            bail!("`{self}` failed: {}\n{}", output.status, String::from_utf8_lossy(&text).trim());
        }
        Ok(())
    }

    /// Its standard output, trimmed; `None` when it cannot be started or fails. For questions such
    /// as "which version is installed".
    pub fn ask(mut self) -> Option<String> {
        let output = self.0.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl fmt::Display for Sh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.get_program().to_string_lossy())?;
        self.0.get_args().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// The file of a program found through `PATH`.
pub fn which(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// A heading in the output of a long command.
pub fn heading(text: &str) {
    println!("\n── {text} {}", "─".repeat(72usize.saturating_sub(text.len())));
}
