//! `cargo xtask demo`: the main job on real clients and a real kernel.

use anyhow::Result;

use crate::{
    build_ebpf, setup,
    sh::{self, Sh},
};

/// Sets up, builds, and runs the demo.
///
/// # Errors
/// A failing build, or a demo with a failed check.
pub fn run() -> Result<()> {
    setup::require_root("the demo")?;
    setup::run()?;
    build_ebpf::run()?;
    sh::heading("build");
    // All targets, as the tests do: the dependencies are then compiled once for both.
    Sh::new("cargo", &["build", "--workspace", "--all-targets", "--locked"]).run()?;
    show()
}

/// The demo itself; everything is built.
///
/// # Errors
/// A failed check.
pub fn show() -> Result<()> {
    sh::heading("demo");
    Sh::new(&sh::root().join("target/debug/demo").to_string_lossy(), &[]).run()
}
