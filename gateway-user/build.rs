//! Embeds the kernel half: builds it the way `cargo xtask build-ebpf` does and leaves the object
//! where `redirect::load` includes it. Never embeds nothing: without an object the build fails.

use std::{env, fs, path::Path};

use anyhow::{Context as _, Result};

// One file, so that there is one way to build.
#[path = "../xtask/src/build_ebpf.rs"]
mod build_ebpf;

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed={}", build_ebpf::OBJECT_VARIABLE);
    if let Some(prebuilt) = env::var_os(build_ebpf::OBJECT_VARIABLE) {
        println!("cargo::rerun-if-changed={}", Path::new(&prebuilt).display());
    }
    for source in [
        "../gateway-ebpf/src",
        "../gateway-ebpf/Cargo.toml",
        "../gateway-ebpf/Cargo.lock",
        "../gateway-ebpf/.cargo/config.toml",
        "../gateway-common/src",
        "../gateway-common/Cargo.toml",
        "../xtask/src/build_ebpf.rs",
    ] {
        println!("cargo::rerun-if-changed={source}");
    }
    // sqlx embeds the migrations but does not notice a new one.
    println!("cargo::rerun-if-changed=migrations");
    let object = build_ebpf::run()?;
    let out = env::var_os("OUT_DIR").context("OUT_DIR")?;
    fs::copy(&object, Path::new(&out).join("chaperone.o")).context("copying the object")?;
    Ok(())
}
