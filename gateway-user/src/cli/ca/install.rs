//! `chaperone ca install`: the distribution's trust store.

use std::{
    fmt::Write as _,
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::config::Config;

/// A distribution's way to add a root.
struct TrustStore {
    /// Directory of added roots, below the root directory.
    anchors: &'static str,
    /// Our file in it; Debian reads `.crt` only.
    file: &'static str,
    /// What rebuilds the store from it.
    update: &'static [&'static str],
}

/// The first whose directory exists is the system's.
const TRUST_STORES: &[TrustStore] = &[
    // RHEL, Fedora, Amazon Linux
    TrustStore {
        anchors: "etc/pki/ca-trust/source/anchors",
        file: "chaperone.pem",
        update: &["update-ca-trust", "extract"],
    },
    // Arch
    TrustStore {
        anchors: "etc/ca-certificates/trust-source/anchors",
        file: "chaperone.crt",
        update: &["update-ca-trust"],
    },
    // SUSE
    TrustStore {
        anchors: "etc/pki/trust/anchors",
        file: "chaperone.pem",
        update: &["update-ca-certificates"],
    },
    // Debian, Ubuntu, Alpine
    TrustStore {
        anchors: "usr/local/share/ca-certificates",
        file: "chaperone.crt",
        update: &["update-ca-certificates"],
    },
];

/// Adds the CA to the trust store below `root`; says what was done. The update command runs only
/// on the running system: in another root it would have to run inside it.
pub(super) fn install(config: &Config, root: &Path, dry_run: bool) -> anyhow::Result<String> {
    let pem = super::ca_pem(config)?;
    let Some(store) = TRUST_STORES.iter().find(|store| root.join(store.anchors).is_dir()) else {
        let known: Vec<_> = TRUST_STORES.iter().map(|store| store.anchors).collect();
        bail!("no known trust store below {}: looked for {}", root.display(), known.join(", "));
    };
    let target = root.join(store.anchors).join(store.file);
    let update = store.update.join(" ");
    let mut said = String::new();
    if dry_run {
        writeln!(said, "would write {}", target.display())?;
        writeln!(said, "would run   {update}")?;
        return Ok(said);
    }
    write_atomically(&target, &pem)?;
    writeln!(said, "wrote {}", target.display())?;
    if root == Path::new("/") {
        run(store.update)?;
        writeln!(said, "ran   {update}")?;
    } else {
        writeln!(said, "now run `{update}` inside {}", root.display())?;
    }
    Ok(said)
}

fn write_atomically(target: &Path, pem: &str) -> anyhow::Result<()> {
    let unfinished = PathBuf::from(format!("{}.unfinished", target.display()));
    std::fs::write(&unfinished, pem)
        .and_then(|()| std::fs::set_permissions(&unfinished, Permissions::from_mode(0o644)))
        .and_then(|()| std::fs::rename(&unfinished, target))
        .with_context(|| format!("writing {} (this needs root)", target.display()))
}

fn run(command: &[&str]) -> anyhow::Result<()> {
    let Some((program, arguments)) = command.split_first() else { return Ok(()) };
    let status = Command::new(program)
        .args(arguments)
        .stdout(std::process::Stdio::null())
        .status()
        .with_context(|| format!("running {program}"))?;
    if !status.success() {
        bail!("{program} failed: {status}");
    }
    Ok(())
}
