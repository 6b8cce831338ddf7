//! `chaperone run`: the command line of [`crate::launch`].

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use crate::{
    api::Client,
    config::Config,
    launch::{self, Ended, TokenSource, signals},
    prim::WorkloadName,
};

/// Runs a command as an agent: in a session of its own, with AWS through the gateway.
///
/// Exits with the command's own exit code, or by the signal that ended it; with 127 when the command
/// is not found, 126 when it cannot be executed, and 125 when the session could not be started.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The workload to run as; not needed where exactly one is configured.
    #[arg(long, value_name = "NAME")]
    workload: Option<WorkloadName>,
    #[command(flatten)]
    token: TokenArgs,
    /// The command and its arguments, after `--`.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What vouches for the command, where the workload needs a token and has no file of it.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct TokenArgs {
    /// A file with the token; read again whenever it changes.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A variable with the token; the command does not get it, and it cannot be renewed.
    #[arg(long, value_name = "NAME")]
    token_env: Option<OsString>,
    /// A shell command that prints the token; run again in time for the token's end.
    #[arg(long, value_name = "COMMAND")]
    token_command: Option<OsString>,
}

impl TokenArgs {
    fn source(self) -> Option<TokenSource> {
        let file = self.token_file.map(TokenSource::File);
        let env = self.token_env.map(TokenSource::Env);
        file.or(env).or(self.token_command.map(TokenSource::Command))
    }
}

/// Runs the command and stands in for it. The process must have one thread: no runtime, no logger's.
///
/// # Errors
/// None so far: what goes wrong is said on standard error and becomes the exit code, so that it
/// cannot be taken for the command's own failure.
pub fn run(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    if rustix::process::geteuid().is_root() {
        say("the command runs as root, which can take the fence away: run agents as an ordinary user");
    }
    let client = Client::new(&config.api);
    match launch::run(&client, args.workload, args.token.source(), &args.command, say_removed, &say) {
        Ok(Ended::Exited(code)) => Ok(code.into()),
        Ok(Ended::Signaled(signal)) => Ok(signals::die_by(signal).into()),
        Err(error) => {
            say(&error.to_string());
            if let Some(step) = error.next_step() {
                say(&format!("next step: {step}"));
            }
            Ok(error.exit_code().into())
        }
    }
}

fn say_removed(names: &[String]) {
    if !names.is_empty() {
        say(&format!(
            "not passed on to the command, which gets its credentials from the gateway: {}",
            names.join(", ")
        ));
    }
}

fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr(), "chaperone: {text}");
}
