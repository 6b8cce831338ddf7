//! `cargo xtask demo`: the main job on real clients and a real kernel.

use anyhow::Result;

use crate::{
    build_ebpf, setup,
    sh::{self, Sh},
};

/// What to show.
#[derive(clap::Args)]
pub struct Args {
    /// Where the gateway's records go: `sqlite` or `postgres`
    #[arg(long, default_value = "sqlite", value_parser = ["sqlite", "postgres"])]
    store: String,
}

/// Sets up, builds, and runs the demo.
///
/// # Errors
/// A failing build, or a demo with a failed check.
pub fn run(args: &Args) -> Result<()> {
    setup::require_root("the demo")?;
    setup::run()?;
    build_ebpf::run()?;
    sh::heading("build");
    // All targets, as the tests do: the dependencies are then compiled once for both.
    Sh::new("cargo", &["build", "--workspace", "--all-targets", "--locked"]).run()?;
    show(&args.store)
}

/// The demo itself, with records in `store`; everything is built.
///
/// # Errors
/// A failed check.
pub fn show(store: &str) -> Result<()> {
    sh::heading(&format!("demo, records in {store}"));
    Sh::new(&sh::root().join("target/debug/demo").to_string_lossy(), &["--store", store]).run()
}
