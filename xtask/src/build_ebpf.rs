//! `build-ebpf`: compiles the kernel half.
//!
//! The build script of `gateway-user` includes this file, so that `cargo build` and
//! `cargo xtask build-ebpf` are one way. It uses, in this order: an object that somebody else
//! built, named by `CHAPERONE_EBPF_OBJECT`; nightly with `rust-src`; Debian's `rustc-web` with its
//! prebuilt `core` for the BPF target.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

/// Names an object to take instead of building one.
pub(crate) const OBJECT_VARIABLE: &str = "CHAPERONE_EBPF_OBJECT";

const TARGET: &str = "bpfel-unknown-none";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// Builds the kernel half, or takes the prebuilt one, and returns `target/ebpf/chaperone.o`.
///
/// # Errors
/// Tells which tool is missing and that `cargo xtask setup` installs it.
pub(crate) fn run() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace has a root")?;
    let built = match env::var_os(OBJECT_VARIABLE) {
        Some(prebuilt) => PathBuf::from(prebuilt),
        None => build(&root.join("gateway-ebpf"))?,
    };
    let object = fs::read(&built).with_context(|| format!("the kernel half's object {}", built.display()))?;
    ensure!(object.starts_with(b"\x7fELF"), "{} is not an ELF object", built.display());
    install(&object, &root.join("target/ebpf"))
}

/// Compiles the package and returns the linked object.
fn build(package: &Path) -> Result<PathBuf> {
    let mut cargo = compiler()?.cargo();
    for variable in CARGO_VARIABLES {
        cargo.env_remove(variable);
    }
    let status = cargo
        .current_dir(package)
        .args(["build", "--release", "--locked", "--target", TARGET, "--target-dir", "target"])
        .env("PATH", path_with_cargo_bin()?)
        .status()
        .context("cargo")?;
    ensure!(status.success(), "the kernel half does not compile (see above)");
    Ok(package.join("target").join(TARGET).join("release/chaperone"))
}

/// What the cargo that runs us has set for itself, and must not reach the cargo that we run.
const CARGO_VARIABLES: [&str; 10] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "MAKEFLAGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

#[derive(Debug)]
enum Compiler {
    /// rustup's nightly builds `core` from source.
    Nightly,
    /// Debian's compiler of this path has `core` prebuilt, and its cargo is whichever there is.
    Debian,
}

fn compiler() -> Result<Compiler> {
    ensure!(
        which("bpf-linker"),
        "bpf-linker is missing: `cargo xtask setup` installs it, or name a prebuilt object in {OBJECT_VARIABLE}"
    );
    let source = |sysroot: PathBuf| sysroot.join("lib/rustlib/src/rust/library/core").is_dir();
    let core = |libdir: PathBuf| fs::read_dir(libdir).is_ok_and(|mut entries| entries.next().is_some());
    if rustc(&["rustup", "run", "nightly", "rustc"], &["--print", "sysroot"]).is_some_and(source) {
        return Ok(Compiler::Nightly);
    }
    if rustc(&[DEBIAN_RUSTC], &["--print", "target-libdir", "--target", TARGET]).is_some_and(core) {
        return Ok(Compiler::Debian);
    }
    bail!(
        "no compiler for the kernel half: neither nightly with rust-src nor Debian's rustc-web with \
         libstd-rust-web-dev-bpf is there; `cargo xtask setup` installs the latter, or name a prebuilt \
         object in {OBJECT_VARIABLE}"
    )
}

impl Compiler {
    fn cargo(&self) -> Command {
        match self {
            Self::Nightly => {
                let mut cargo = Command::new("rustup");
                cargo.args(["run", "nightly", "cargo", "-Z", "build-std=core"]).env_remove("RUSTC");
                cargo
            }
            Self::Debian => {
                let mut cargo = Command::new("cargo");
                // The kernel half needs the unstable assembler of its target.
                cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
                cargo
            }
        }
    }
}

/// What a compiler prints, as a path; `None` where it is not installed.
fn rustc(command: &[&str], args: &[&str]) -> Option<PathBuf> {
    let (program, first) = command.split_first()?;
    let output = Command::new(program)
        .args(first)
        .args(args)
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(text.trim()))
}

fn which(program: &str) -> bool {
    path_with_cargo_bin().is_ok_and(|path| env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// `PATH` with cargo's own programs, which a service's shell may lack.
fn path_with_cargo_bin() -> Result<std::ffi::OsString> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain(home.map(|home| home.join("bin")));
    env::join_paths(dirs).context("PATH")
}

/// Writes the object under its final name in one step: two builds may run at once.
fn install(object: &[u8], dir: &Path) -> Result<PathBuf> {
    let path = dir.join("chaperone.o");
    if fs::read(&path).is_ok_and(|present| present == object) {
        return Ok(path);
    }
    let fresh = dir.join(format!("chaperone.o.{}", std::process::id()));
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(&fresh, object))
        .and_then(|()| fs::rename(&fresh, &path))
        .with_context(|| path.display().to_string())?;
    Ok(path)
}
