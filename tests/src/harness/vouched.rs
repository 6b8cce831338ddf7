//! Workloads whose agents are told by tokens, and the files that the tokens lie in.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use anyhow::Result;
use gateway_user::secret::SecretText;

use super::Oidc;

/// The issuer's name in the configuration.
const ISSUER: &str = "idp";

/// A directory with a token file for each unit, as its agents' host has them.
#[derive(Debug)]
pub struct TokenFiles(tempfile::TempDir);

impl TokenFiles {
    /// An empty one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new() -> Result<Self> {
        // A launcher reads the file that it is told as its own user.
        let open = fs::Permissions::from_mode(0o755);
        Ok(Self(tempfile::Builder::new().permissions(open).tempdir()?))
    }

    /// The file of a unit.
    #[must_use]
    pub fn file(&self, unit: &str) -> PathBuf {
        self.0.path().join(format!("{unit}.token"))
    }

    /// Puts a token there, in one step as Kubernetes and others do.
    ///
    /// # Errors
    /// The kernel's.
    pub fn put(&self, unit: &str, token: &SecretText) -> Result<PathBuf> {
        let (new, file) = (self.0.path().join("new"), self.file(unit));
        fs::write(&new, token.expose())?;
        fs::rename(new, &file)?;
        Ok(file)
    }

    /// The workload's line of the configuration that says so.
    #[must_use]
    pub fn line(&self) -> String {
        format!("token_file = \"{}\"", self.file("{unit}").display())
    }
}

/// The configuration's table of a workload that is the units `NAME-*.service`, with these lines more.
#[must_use]
pub fn vouched_workload(name: &str, more: &str) -> String {
    format!(
        r#"
[[workload]]
name = "{name}"
cgroup = "{{slice}}/{name}-*.service"
identity = "oidc"
issuer = "{ISSUER}"
subjects = ["agent-*"]
region = "eu-central-1"
account = "123456789012"
{more}
"#
    )
}

/// The configuration's table of their issuer: audience `chaperone`, groups in `groups`.
#[must_use]
pub fn vouching_issuer(oidc: &Oidc) -> String {
    format!(
        r#"
[[issuer]]
name = "{ISSUER}"
url = "{}"
audiences = ["chaperone"]
groups_claim = "groups"
ca_file = "{}"
"#,
        oidc.url(),
        oidc.ca_file().display()
    )
}
