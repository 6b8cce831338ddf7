//! `chaperone policy`: questions about policies, answered without a daemon.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;

mod capture;
mod cases;
mod explain;
mod recorded;
mod request_file;
mod subject;
mod suggest;

use crate::{
    config::{Config, ConfigError, policies},
    decide::Policies,
};

/// Questions about policies.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Command {
    /// Load all policies as the daemon would and report everything wrong with them.
    Check {
        /// Directory of *.cedar files [default: `policy.dir` of the configuration].
        dir: Option<PathBuf>,
        /// Warnings, too, make the exit code 1.
        #[arg(long)]
        strict: bool,
    },
    /// Run the cases of all *.test.toml files that lie beside the policies.
    Test {
        /// Directory of *.cedar and *.test.toml files [default: `policy.dir` of the configuration].
        dir: Option<PathBuf>,
        /// Put recorded calls to the policies instead, and show what they would say otherwise now.
        ///
        /// Asked are the calls that policy was asked about, as they are recorded; --since 7d and the like say which. Limits on
        /// how much a session may do are not counted.
        #[arg(long)]
        recorded: bool,
        #[command(flatten)]
        which: recorded::Args,
    },
    /// Show what a call is to the gateway and what policy says to it; nothing is sent to AWS.
    ///
    /// `chaperone policy explain -- aws s3api copy-object …` runs the command with keys that are good
    /// for nothing, until it makes its first call. The exit code is 0 if it would be allowed.
    Explain(explain::Args),
    /// Print rules that permit what was recorded.
    Suggest(suggest::Args),
}

/// Answers; the exit code is 1 where something is wrong with the policies. `load` reads the
/// configuration, and is called only where that is needed.
///
/// # Errors
/// The directory or a file in it cannot be read; the configuration is wrong.
pub fn run(args: Args, load: impl FnOnce() -> Result<Config, ConfigError>) -> anyhow::Result<ExitCode> {
    let fine = answer(args, load, &mut io::stdout().lock())?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answer(
    args: Args,
    load: impl FnOnce() -> Result<Config, ConfigError>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    match args.command {
        Command::Check { dir, strict } => check(&dir_or(dir, load)?, strict, out),
        Command::Test { dir, recorded: false, which: _ } => cases::run(&dir_or(dir, load)?, out),
        Command::Test { dir, recorded: true, which } => {
            let config = load()?;
            let dir = dir.unwrap_or_else(|| config.policy.dir.clone());
            runtime()?.block_on(recorded::run(&which, &dir, &config, out))
        }
        Command::Explain(args) => runtime()?.block_on(explain::run(args, load, out)),
        Command::Suggest(args) => {
            runtime()?.block_on(suggest::run(args, &load()?, out))?;
            Ok(true)
        }
    }
}

/// Runs the cases of a directory, for tests of what is shipped.
#[cfg(test)]
pub(super) fn run_cases(dir: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    cases::run(dir, out)
}

/// The directory that was named, or the configured one.
fn dir_or(
    dir: Option<PathBuf>,
    load: impl FnOnce() -> Result<Config, ConfigError>,
) -> Result<PathBuf, ConfigError> {
    dir.map_or_else(|| Ok(load()?.policy.dir), Ok)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Whether the policies of `dir` can be used.
fn check(dir: &Path, strict: bool, out: &mut impl Write) -> anyhow::Result<bool> {
    let found = policies::read(dir).context("reading the policies")?;
    for path in found.ignored.iter().filter(|path| !cases::is_case_file(path)) {
        writeln!(out, "{}: ignored, policy files end in .cedar", path.display())?;
    }
    match Policies::parse(found.files) {
        Ok(set) => {
            writeln!(
                out,
                "{}: {}, {}",
                dir.display(),
                count(set.rule_count(), "rule"),
                count(set.file_count(), "file")
            )?;
            if set.is_empty() {
                writeln!(out, "no rule permits anything, so every call is denied")?;
            }
            for warning in set.warnings() {
                writeln!(out, "warning: {warning}")?;
            }
            writeln!(out, "digest {}", set.digest())?;
            Ok(!strict || set.warnings().is_empty())
        }
        Err(errors) => {
            writeln!(out, "{errors}")?;
            writeln!(out, "{}: {}", dir.display(), count(errors.errors().len(), "error"))?;
            Ok(false)
        }
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// The first line that `chaperone policy …` prints, with a configuration at `config`.
    fn printed(line: &[&str], config: &Path) -> anyhow::Result<String> {
        let args = Line::try_parse_from([&["policy"], line].concat()).unwrap().args;
        let mut out = Vec::new();
        answer(args, || Config::load(config), &mut out)?;
        Ok(String::from_utf8(out).unwrap().lines().next().unwrap().to_owned())
    }

    #[test]
    fn without_a_directory_the_configuration_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let (configured, other) = (dir.path().join("configured"), dir.path().join("other"));
        for (path, rules) in [(&configured, 1), (&other, 2)] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("a.cedar"), "permit (principal, action, resource);".repeat(rules)).unwrap();
        }
        let config = dir.path().join("chaperone.toml");
        let other = other.to_str().unwrap();
        let of_other = format!("{other}: 2 rules, 1 file");

        let error = printed(&["check"], &config).unwrap_err();
        assert!(error.is::<ConfigError>(), "{error:#}");
        assert_eq!(printed(&["check", other], &config).unwrap(), of_other, "no configuration is needed");

        let text = format!(
            "[policy]\ndir = {configured:?}\n[[workload]]\nname = \"a\"\ntag = \"a\"\nidentity = \"host\"\n"
        );
        fs::write(&config, text).unwrap();
        assert_eq!(
            printed(&["check"], &config).unwrap(),
            format!("{}: 1 rule, 1 file", configured.display())
        );
        assert_eq!(printed(&["check", other], &config).unwrap(), of_other);
    }

    fn checked(dir: &Path) -> (bool, String) {
        let mut out = Vec::new();
        let fine = check(dir, true, &mut out).unwrap();
        (fine, String::from_utf8(out).unwrap().replace(&dir.display().to_string(), "DIR"))
    }

    #[test]
    fn good_empty_and_bad() {
        let dir = tempfile::tempdir().unwrap();
        let (fine, words) = checked(dir.path());
        assert!(fine);
        assert!(
            words.starts_with(
                "DIR: 0 rules, 0 files\nno rule permits anything, so every call is denied\ndigest e3b0c442"
            ),
            "{words}"
        );

        fs::write(dir.path().join("a.cedar"), "permit (principal, action, resource);").unwrap();
        fs::write(dir.path().join("notes"), "").unwrap();
        let (fine, words) = checked(dir.path());
        assert!(fine);
        assert!(
            words.starts_with("DIR/notes: ignored, policy files end in .cedar\nDIR: 1 rule, 1 file\ndigest "),
            "{words}"
        );

        fs::write(dir.path().join("a.cedar"), "permit (principal, action in Action::\"s3:Raed\", resource);")
            .unwrap();
        fs::write(dir.path().join("b.cedar"), "\nnonsense").unwrap();
        let (fine, words) = checked(dir.path());
        assert!(!fine);
        assert_eq!(
            words,
            "DIR/notes: ignored, policy files end in .cedar\n\
             DIR/a.cedar:1:39: `s3:Raed` is not an action\n  \
               help: IAM's names are not always those of the API operations: the Service Authorization Reference lists them\n\
             DIR/b.cedar:2:9: unexpected end of input\n\
             DIR: 2 errors\n"
        );
    }

    #[test]
    fn warnings_fail_only_where_they_are_to() {
        let dir = tempfile::tempdir().unwrap();
        let never = "@id(\"all\") permit (principal, action, resource);\n@id(\"no\") forbid (principal, action, resource);";
        fs::write(dir.path().join("a.cedar"), never).unwrap();
        let (fine, words) = checked(dir.path());
        assert!(!fine);
        assert!(
            words.contains("warning: DIR/a.cedar:1:1: this rule permits nothing: `no` forbids all of it"),
            "{words}"
        );
        assert!(check(dir.path(), false, &mut Vec::new()).unwrap());
    }

    #[test]
    fn an_unreadable_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let error = format!("{:#}", check(&gone, false, &mut Vec::new()).unwrap_err());
        assert_eq!(
            error,
            format!("reading the policies: {}: No such file or directory (os error 2)", gone.display())
        );
    }
}
