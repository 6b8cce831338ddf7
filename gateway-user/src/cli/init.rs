//! `chaperone init`: a first configuration and starter policies.

use std::{
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};

/// The configuration file; its policy directory is set to the one beside it.
const CONFIG: (&str, &str) = ("chaperone.toml", include_str!("init/chaperone.toml"));
/// The starter policies with their cases: deny by default, read a little, ask before data is destroyed,
/// never touch rights, money or secrets.
const POLICIES: [(&str, &str); 10] = [
    ("10-read-only.cedar", include_str!("init/10-read-only.cedar")),
    ("10-read-only.test.toml", include_str!("init/10-read-only.test.toml")),
    ("20-data-destruction.cedar", include_str!("init/20-data-destruction.cedar")),
    ("20-data-destruction.test.toml", include_str!("init/20-data-destruction.test.toml")),
    ("80-cost.cedar", include_str!("init/80-cost.cedar")),
    ("80-cost.test.toml", include_str!("init/80-cost.test.toml")),
    ("90-no-iam.cedar", include_str!("init/90-no-iam.cedar")),
    ("90-no-iam.test.toml", include_str!("init/90-no-iam.test.toml")),
    ("91-secrets.cedar", include_str!("init/91-secrets.cedar")),
    ("91-secrets.test.toml", include_str!("init/91-secrets.test.toml")),
];
/// Directory of the policies, beside the configuration.
const POLICY_DIR: &str = "policies";

/// Writes a commented configuration and starter policies.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the configuration goes.
    #[arg(long, default_value = "/etc/chaperone")]
    pub dir: PathBuf,
    /// Replace the files this command wrote before; other files stay.
    #[arg(long)]
    pub force: bool,
}

/// Writes the files and says what comes next.
///
/// # Errors
/// Without `--force`, a configuration or a policy that is already there: nothing is written then.
/// Otherwise what the system says.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    init(&args.dir, args.force, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn init(dir: &Path, force: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let dir = std::path::absolute(dir).with_context(|| format!("finding {}", dir.display()))?;
    let policies = dir.join(POLICY_DIR);
    let config = dir.join(CONFIG.0);
    if !force {
        refuse_existing(&config, &policies)?;
    }
    for directory in [&dir, &policies] {
        make_dir(directory).with_context(|| format!("creating {}", directory.display()))?;
    }
    let mut files = vec![(config.clone(), config_text(&policies)?)];
    files.extend(POLICIES.map(|(name, text)| (policies.join(name), text.to_owned())));
    for (path, text) in &files {
        write_file(path, text, force).with_context(|| format!("writing {}", path.display()))?;
        writeln!(out, "wrote {}", path.display())?;
    }
    writeln!(out, "\nNext: name your agents in {} and what they may do in", config.display())?;
    writeln!(
        out,
        "{}, then run `chaperone policy check {0}`\nand `chaperone policy test {0}`,",
        policies.display()
    )?;
    writeln!(out, "and start the daemon: `systemctl enable --now chaperone`.")?;
    Ok(())
}

/// A starter policy beside policies that somebody wrote would permit what they did not mean to.
fn refuse_existing(config: &Path, policies: &Path) -> anyhow::Result<()> {
    let mut existing = Vec::new();
    if fs::symlink_metadata(config).is_ok() {
        existing.push(config.to_owned());
    }
    match fs::read_dir(policies) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.with_context(|| format!("reading {}", policies.display()))?.path();
                if path.extension().is_some_and(|extension| extension == "cedar") {
                    existing.push(path);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("reading {}", policies.display())),
    }
    existing.sort();
    if let Some(first) = existing.first() {
        bail!(
            "{} is already there, so nothing was written; use --force to replace what `chaperone init` writes",
            first.display()
        );
    }
    Ok(())
}

/// The template with its policy directory, which is written out where it is not the default.
fn config_text(policies: &Path) -> anyhow::Result<String> {
    let default = crate::decide::Config::default().dir;
    let text = CONFIG.1.to_owned();
    if policies == default {
        return Ok(text);
    }
    let path = policies.to_str().with_context(|| format!("{} is not UTF-8", policies.display()))?;
    let value = |path: &str| toml::Value::from(path).to_string();
    let default = default.to_str().map(value).unwrap_or_default();
    Ok(text.replace(&format!("#dir = {default}\n"), &format!("dir = {}\n", value(path))))
}

fn make_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path)?;
    // Whatever the umask says: every user may read the rules he is held to.
    fs::set_permissions(path, Permissions::from_mode(0o755))
}

/// Writes beside the target and moves it there, so that no reader sees half a file.
fn write_file(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.sync_all()?;
    let moved = if replace { fs::rename(&new, path) } else { fs::hard_link(&new, path) };
    if !replace || moved.is_err() {
        fs::remove_file(&new)?;
    }
    moved
}

#[cfg(test)]
mod tests;
