//! The project's own commands: `cargo xtask help`. One file per command.
#![expect(unreachable_pub, reason = "a program has no outside: pub marks what other files use")]

mod bench;
mod build_ebpf;
mod codegen;
mod corpus;
mod demo;
mod fuzz;
mod setup;
mod sh;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, set-up, test, demo and bench commands")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing to build and test; does nothing when all is there
    Setup,
    /// Build the kernel half
    BuildEbpf,
    /// Check the rules that the compiler cannot: module order, purity, documentation, links
    Tidy,
    /// Set up, lint, and run every test including the kernel's and the demo
    Test(test::Args),
    /// Count how many requests of every operation of every service are understood
    Corpus(corpus::Args),
    /// Show the whole product at work on real clients and a real kernel
    Demo(demo::Args),
    /// Make the catalogue of services, operations and IAM actions
    Codegen(codegen::Args),
    /// Feed the readers of hostile input with ever more of it
    Fuzz(fuzz::Args),
    /// Do for long what the tests do a few times
    #[command(subcommand)]
    Soak(soak::Command),
    /// Measure against direct connections, nginx and mitmproxy
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Setup => setup::run(),
        Command::BuildEbpf => build_ebpf::run().map(|object| println!("{}", object.display())),
        Command::Tidy => tidy::run(),
        Command::Test(args) => test::run(&args),
        Command::Corpus(args) => corpus::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Codegen(args) => codegen::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Soak(command) => soak::run(&command),
        Command::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
