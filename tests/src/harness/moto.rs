//! moto as AWS: verifies signatures and enforces the user's IAM policy.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    daemon::free_port,
    process::Running,
    programs::{peer_scripts, venv},
};
use crate::{pki::TestCa, upstream::Key};

/// The names in its certificate. It serves one certificate, and a wildcard covers one label.
const NAMES: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "*.amazonaws.com",
    "*.eu-central-1.amazonaws.com",
    "*.s3.eu-central-1.amazonaws.com",
];

/// A running moto with a user, two roles, a bucket and a table.
#[derive(Debug)]
pub struct Moto {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The keys of the only user. What its policy and the roles allow is in `prepare_moto.py`.
    pub key: Key,
    ca: TestCa,
    dir: tempfile::TempDir,
    _server: Running,
}

impl Moto {
    /// Starts it, makes user, roles, bucket and table, and turns enforcement on.
    ///
    /// # Errors
    /// When moto does not come up; with its words.
    pub fn start(bucket: &str, table: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("chaperone-moto-").tempdir()?;
        let ca = TestCa::new()?;
        ca.write_leaf(dir.path(), "moto", NAMES)?;
        fs::write(dir.path().join("ca.pem"), ca.pem())?;
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port("127.0.0.1:0")?));
        let mut server = Running::start(
            clean("python3")?
                .arg(peer_scripts().join("moto_server.py"))
                .args(["-H", "127.0.0.1", "-p", &addr.port().to_string(), "-c", "moto.pem", "-k", "moto.key"])
                // Everything is allowed until the user exists; see prepare_moto.py.
                .env("INITIAL_NO_AUTH_ACTION_COUNT", "1000000")
                .env("HOME", dir.path())
                .current_dir(dir.path())
                .stderr(Stdio::piped()),
        )?;
        wait_until_running(&mut server)?;

        let prepare = clean("python3")?
            .arg(peer_scripts().join("prepare_moto.py"))
            .args([&format!("https://{addr}"), bucket, table])
            .env("AWS_CA_BUNDLE", dir.path().join("ca.pem"))
            .env("HOME", dir.path())
            .output()?;
        ensure!(prepare.status.success(), "prepare_moto.py: {}", String::from_utf8_lossy(&prepare.stderr));
        let text = String::from_utf8(prepare.stdout)?;
        let (id, secret) = text.trim().split_once(' ').context("prepare_moto.py printed no key")?;
        let key = Key { id: id.to_owned(), secret: secret.to_owned(), session_token: None };
        Ok(Self { addr, key, ca, dir, _server: server })
    }

    /// Who vouches for it.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        self.ca.pem()
    }

    /// The same as a file.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }
}

/// A program of the Python environment with a clean environment of its own.
fn clean(program: &str) -> Result<Command> {
    let mut command = Command::new(venv()?.join("bin").join(program));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    Ok(command)
}

/// Reads its log until it says that it runs; afterwards a thread keeps the pipe empty.
fn wait_until_running(server: &mut Running) -> Result<()> {
    let stderr = server.child().stderr.take().context("stderr")?;
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    for line in lines.by_ref() {
        if line.contains("Running on") {
            std::thread::spawn(move || lines.for_each(drop));
            return Ok(());
        }
        seen.push(line);
    }
    bail!("moto ended before it was running:\n{}", seen.join("\n"))
}
