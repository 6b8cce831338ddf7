//! Where programs and scripts are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// The repository's root.
#[must_use]
pub fn repository() -> &'static Path {
    // This crate is a direct child of the workspace's root.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or_else(|| Path::new("."))
}

/// A program of this workspace, of the same build as the running one.
///
/// # Errors
/// When it was not built: `cargo xtask test` and `cargo build --workspace` do.
pub fn built(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("current_exe")?;
    // Test programs lie in target/PROFILE/deps, others in target/PROFILE.
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
        .with_context(|| format!("`{name}` is not built: run `cargo build --workspace --bins`"))
}

/// The Python environment of the test peers.
///
/// # Errors
/// When `cargo xtask setup` did not run.
pub fn venv() -> Result<PathBuf> {
    peer("venv")
}

/// The node modules of the test peers.
///
/// # Errors
/// When `cargo xtask setup` did not run.
pub fn node_modules() -> Result<PathBuf> {
    peer("node/node_modules")
}

fn peer(name: &str) -> Result<PathBuf> {
    let dir = repository().join("target/peers").join(name);
    ensure!(dir.is_dir(), "{} is missing: run `cargo xtask setup`", dir.display());
    Ok(dir)
}

/// The scripts that real clients run.
#[must_use]
pub fn peer_scripts() -> PathBuf {
    repository().join("tests/peers")
}
