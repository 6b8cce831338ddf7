//! `cargo xtask build-ebpf`: builds the kernel half with the BPF compiler of Debian.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::sh::{self, Sh};

/// The object of the kernel half, freshly built.
///
/// # Errors
/// The compiler's.
pub fn run() -> Result<PathBuf> {
    let dir = sh::root().join("gateway-ebpf");
    if !dir.is_dir() {
        bail!("{} is missing", dir.display());
    }
    Sh::new("cargo", &["build", "--release", "--target", "bpfel-unknown-none"])
        .dir(&dir)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .run()?;
    Ok(dir.join("target/bpfel-unknown-none/release/gateway-ebpf"))
}
