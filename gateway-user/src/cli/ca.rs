//! `chaperone ca`: makes clients on this host trust the local CA.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

use crate::{
    config::Config,
    terminate::{bundle, ca},
};

mod install;

/// Makes clients trust the local CA.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Print the CA's certificate (PEM).
    Export {
        /// Write it to this file instead.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Add the CA to the distribution's trust store. Needs root.
    ///
    /// Agents started by `chaperone run` do not need this. It serves clients that are started in
    /// another way and read the system's store.
    Install {
        /// Work on the system below this directory, and only say which command to run in it.
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
        /// Change nothing, say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the variables that make clients trust the CA.
    Env {
        /// The language to print them in.
        #[arg(long, value_enum, default_value_t = Shell::Sh)]
        shell: Shell,
    },
}

/// A language that sets variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Shell {
    /// POSIX shells: `eval "$(chaperone ca env)"`.
    Sh,
    /// fish: `chaperone ca env --shell fish | source`.
    Fish,
    /// One JSON object.
    Json,
    /// `Environment=` lines for a drop-in of a systemd service.
    Systemd,
}

/// Runs the command.
///
/// # Errors
/// Says which file could not be read or written, and what to do.
pub fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    let said = match command {
        Command::Export { out } => export(config, out.as_deref())?,
        Command::Install { root, dry_run } => install::install(config, &root, dry_run)?,
        Command::Env { shell } => env(config, shell)?,
    };
    std::io::stdout().write_all(said.as_bytes()).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn export(config: &Config, out: Option<&Path>) -> anyhow::Result<String> {
    let pem = ca_pem(config)?;
    let Some(out) = out else { return Ok(pem) };
    std::fs::write(out, pem).with_context(|| format!("writing {}", out.display()))?;
    Ok(String::new())
}

/// The CA's certificate, checked to be one.
fn ca_pem(config: &Config) -> anyhow::Result<String> {
    let directory = &config.terminate.ca_dir;
    ca::Ca::public(directory)?;
    let path = directory.join(ca::CERTIFICATE_FILE);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

fn env(config: &Config, shell: Shell) -> anyhow::Result<String> {
    let bundle = config.terminate.ca_dir.join(bundle::BUNDLE_FILE);
    if !bundle.is_file() {
        bail!("{} does not exist: the daemon makes it when it starts", bundle.display());
    }
    let mut variables = bundle::client_env(&config.terminate);
    for (name, value) in &mut variables {
        if name == bundle::JAVA_OPTIONS {
            *value = bundle::join_java_options(std::env::var(&*name).ok().as_deref(), value);
        }
    }
    written(&variables, shell)
}

/// The variables in a language, every value quoted whatever it holds.
fn written(variables: &[(String, String)], shell: Shell) -> anyhow::Result<String> {
    if shell == Shell::Json {
        let object: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        return Ok(serde_json::to_string_pretty(&object)? + "\n");
    }
    let mut lines = String::new();
    for (name, value) in variables {
        match shell {
            Shell::Sh => writeln!(lines, "export {name}='{}'", value.replace('\'', r"'\''"))?,
            Shell::Fish => {
                writeln!(lines, "set -gx {name} '{}'", value.replace('\\', r"\\").replace('\'', r"\'"))?;
            }
            Shell::Systemd => {
                let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('%', "%%");
                writeln!(lines, "Environment=\"{name}={value}\"")?;
            }
            Shell::Json => {}
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
