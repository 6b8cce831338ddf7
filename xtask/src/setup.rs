//! `cargo xtask setup`: installs what is missing, says what it did and what it skipped.
//!
//! Everything else calls this first, so it must be quick when nothing is to do.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};

use crate::sh::{self, Sh};

/// Debian packages, and the command that makes a package unnecessary when it comes from elsewhere.
const PACKAGES: &[(&str, Option<&str>)] = &[
    // The compiler and core library for the BPF target, and what bpf-linker links.
    ("rustc-web", None),
    ("libstd-rust-web-dev-bpf", None),
    ("llvm-22-dev", None),
    ("libpolly-22-dev", None),
    ("zlib1g-dev", None),
    ("libzstd-dev", None),
    ("libxml2-dev", None),
    ("build-essential", Some("cc")),
    // Test peers and tools.
    ("ca-certificates", None),
    ("curl", Some("curl")),
    ("default-jre-headless", Some("keytool")),
    ("git", Some("git")),
    ("iproute2", Some("ip")),
    ("nginx-light", Some("nginx")),
    ("nodejs", Some("node")),
    ("npm", Some("npm")),
    ("openssl", Some("openssl")),
    // Debian keeps the server's programs beside the PATH.
    ("postgresql-15", None),
    ("python3-venv", None),
    ("sqlite3", Some("sqlite3")),
    ("systemd", Some("systemd-analyze")),
    ("util-linux", Some("unshare")),
];

/// Version of the linker for the BPF target.
const BPF_LINKER: &str = "0.13.0";
/// LLVM's place in Debian; bpf-linker must match the LLVM of `rustc-web`.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
/// Test runner and licence checker; any installed version will do.
const CARGO_TOOLS: &[(&str, &str)] = &[("cargo-nextest", "0.9.143"), ("cargo-deny", "0.20.2")];
/// The system's roots, which pip and npm do not use by themselves.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Installs what is missing.
///
/// # Errors
/// The first step that fails, with its output.
pub fn run() -> Result<()> {
    let start = Instant::now();
    sh::heading("setup");
    packages()?;
    bpf_linker()?;
    CARGO_TOOLS.iter().try_for_each(|(tool, version)| cargo_tool(tool, version))?;
    python()?;
    node()?;
    println!("setup: complete after {:.1} s", start.elapsed().as_secs_f32());
    Ok(())
}

fn packages() -> Result<()> {
    let names = || PACKAGES.iter().map(|(package, _)| *package);
    let known = Sh::new("dpkg-query", &["-W", "-f", "${Package} ${db:Status-Status}\n"]);
    // Asked for names, dpkg-query fails when it does not know one; so list all that is installed.
    let known = known.ask().context("dpkg-query does not work: this set-up is for Debian")?;
    let installed: Vec<&str> = known.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(package, command)| !installed.contains(package) && !command.is_some_and(find_command))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        println!("packages: all {} are there", names().count());
        return Ok(());
    }
    println!("packages: installing {}", missing.join(" "));
    let _guard = NoServiceStarts::enforce()?;
    let install = || {
        missing.iter().fold(
            Sh::new("apt-get", &["install", "--yes", "--no-install-recommends"])
                .env("DEBIAN_FRONTEND", "noninteractive"),
            |install, package| install.arg(package),
        )
    };
    // The lists of a fresh image are missing or old; refresh them only then.
    if install().run_quietly().is_err() {
        Sh::new("apt-get", &["update"]).run()?;
        install().run()?;
    }
    Ok(())
}

/// nginx and others live in sbin, which a plain user's PATH may not have.
fn find_command(command: &str) -> bool {
    sh::which(command).is_some() || Path::new("/usr/sbin").join(command).is_file()
}

/// While it lives, packages do not start their services (Debian policy-rc.d).
struct NoServiceStarts(Option<&'static Path>);

impl NoServiceStarts {
    fn enforce() -> Result<Self> {
        let policy = Path::new("/usr/sbin/policy-rc.d");
        if policy.exists() {
            return Ok(Self(None));
        }
        fs::write(policy, "#!/bin/sh\nexit 101\n").context("writing policy-rc.d (setup needs root)")?;
        let guard = Self(Some(policy));
        fs::set_permissions(policy, fs::Permissions::from_mode(0o755)).context("policy-rc.d")?;
        Ok(guard)
    }
}

impl Drop for NoServiceStarts {
    fn drop(&mut self) {
        if let Some(policy) = self.0 {
            // Nothing can be done about a failure here, and a left-over file is visible to the admin.
            let _ = fs::remove_file(policy);
        }
    }
}

fn bpf_linker() -> Result<()> {
    let wanted = format!("bpf-linker {BPF_LINKER}");
    if Sh::new("bpf-linker", &["--version"]).ask().as_deref() == Some(&wanted) {
        println!("bpf-linker: {BPF_LINKER} is there");
        return Ok(());
    }
    println!("bpf-linker: installing {BPF_LINKER}");
    Sh::new("cargo", &["install", "bpf-linker", "--version", BPF_LINKER, "--locked", "--force"])
        .arg("--no-default-features")
        .arg("--features=llvm-22")
        .env("LLVM_PREFIX", LLVM_PREFIX)
        .run()
}

/// The fuzzer's driver, which only `cargo xtask fuzz` needs.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_fuzz() -> Result<()> {
    cargo_tool("cargo-fuzz", "0.13.2")
}

fn cargo_tool(tool: &str, version: &str) -> Result<()> {
    if sh::which(tool).is_some() {
        println!("{tool}: is there");
        return Ok(());
    }
    println!("{tool}: installing {version}");
    // A checker runs for seconds: the debug build saves minutes here.
    Sh::new("cargo", &["install", tool, "--version", version, "--locked", "--debug"]).run()
}

fn python() -> Result<()> {
    let venv = sh::peers().join("venv");
    let required = sh::root().join("tests/peers/requirements.txt");
    let optional = sh::root().join("tests/peers/requirements-bench.txt");
    let stamp = Stamp::of(&venv, &[&required, &optional])?;
    if stamp.is_current() {
        println!("python: target/peers/venv is current");
        return Ok(());
    }
    println!("python: building target/peers/venv");
    fs::create_dir_all(sh::peers()).context("target/peers")?;
    let python = if Path::new("/usr/bin/python3").is_file() { "/usr/bin/python3" } else { "python3" };
    Sh::new(python, &["-m", "venv", "--clear"]).arg(&venv).run()?;
    let pip = |file: &Path| {
        let pip = venv.join("bin/pip");
        let install = Sh::new(&pip.to_string_lossy(), &["install", "--quiet", "--disable-pip-version-check"]);
        with_system_roots(install.arg("-r").arg(file), "PIP_CERT")
    };
    pip(&required).run()?;
    if let Err(error) = pip(&optional).run_quietly() {
        println!("python: mitmproxy is left out of the bench: {error:#}");
    }
    stamp.write()
}

fn node() -> Result<()> {
    let modules = sh::peers().join("node");
    let package = sh::root().join("tests/peers/package.json");
    let lock = sh::root().join("tests/peers/package-lock.json");
    let stamp = Stamp::of(&modules, &[&package, &lock])?;
    if stamp.is_current() {
        println!("node: target/peers/node is current");
        return Ok(());
    }
    println!("node: building target/peers/node");
    fs::create_dir_all(&modules).context("target/peers/node")?;
    fs::copy(&package, modules.join("package.json")).context("package.json")?;
    fs::copy(&lock, modules.join("package-lock.json")).context("package-lock.json")?;
    let install = Sh::new("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).dir(&modules);
    with_system_roots(install, "NODE_EXTRA_CA_CERTS").run()?;
    stamp.write()
}

/// Package managers carry their own roots; behind a company mirror only the system's will do.
fn with_system_roots(command: Sh, variable: &str) -> Sh {
    if std::env::var_os(variable).is_none() && Path::new(SYSTEM_ROOTS).is_file() {
        command.env(variable, SYSTEM_ROOTS)
    } else {
        command
    }
}

/// Remembers in a directory what it was built from.
struct Stamp {
    file: std::path::PathBuf,
    content: String,
}

impl Stamp {
    fn of(dir: &Path, inputs: &[&Path]) -> Result<Self> {
        let read = |path: &&Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let content = inputs.iter().map(read).collect::<Result<String>>()?;
        // The scripts in it name their interpreter by its path: one that was copied or moved is built anew.
        let content = format!("{}\n{content}", dir.display());
        Ok(Self { file: dir.join(".built-from"), content })
    }

    fn is_current(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|found| found == self.content)
    }

    fn write(&self) -> Result<()> {
        fs::write(&self.file, &self.content).with_context(|| format!("writing {}", self.file.display()))
    }
}

/// Root is needed to load programs into the kernel; say so before a long build.
///
/// # Errors
/// When not root.
pub fn require_root(what: &str) -> Result<()> {
    let uid = Sh::new("id", &["-u"]).ask().unwrap_or_default();
    if uid != "0" {
        bail!("{what} loads programs into the kernel and creates cgroups: run it as root");
    }
    Ok(())
}
