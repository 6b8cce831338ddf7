//! `chaperone`: daemon and command line in one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway_user::cli::main()
}
