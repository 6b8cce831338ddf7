//! The Java truststore: the JVM's own roots and our CA.
//!
//! Java reads neither PEM nor the environment, so `keytool` makes a PKCS #12 file, and
//! `JAVA_TOOL_OPTIONS` names it. Optional: without a JVM on the system there is none.

use std::{
    fs::{File, Permissions},
    io::{Read as _, Seek as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aws_lc_rs::digest;

use super::{
    Config, TerminateError,
    ca::{CERTIFICATE_FILE, Ca},
    files::{self, Directory, failed},
};

/// The truststore, PKCS #12, mode 0644.
pub const TRUSTSTORE_FILE: &str = "truststore.p12";
/// A digest of what the truststore was made from.
const MADE_FROM_FILE: &str = "truststore.made-from";
/// The password of every JVM's roots; the content is public.
const PASSWORD: &str = "changeit";
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// Where `keytool` is looked for. The daemon's PATH has no say.
const KEYTOOLS: &[&str] = &[
    "/usr/bin/keytool",
    "/usr/lib/jvm/default-java/bin/keytool",
    "/usr/lib/jvm/default/bin/keytool",
    "/usr/lib/jvm/java/bin/keytool",
];

/// Makes the truststore if the CA or the JVM's roots have changed; `None` where there is no JVM.
/// Starts a JVM twice, so it takes seconds: call it from a blocking task. The gateway works without
/// it, only Java clients do not.
///
/// # Errors
/// [`TerminateError`]; a truststore that does not fit the CA any more is removed.
pub fn publish(config: &Config) -> Result<Option<PathBuf>, TerminateError> {
    let directory = Directory::lock(&config.ca_dir)?;
    let ca = Ca::public(&config.ca_dir)?;
    let Some(keytool) = find_keytool(config) else {
        remove(&directory)?;
        return Ok(None);
    };
    let (roots, made_from) = java_roots(&keytool, &ca).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = remove(&directory);
    })?;
    let target = directory.file(TRUSTSTORE_FILE);
    let current = files::read(&directory.file(MADE_FROM_FILE), MAX_BYTES)?;
    if current.is_some_and(|(bytes, _)| bytes == made_from.as_bytes()) && target.is_file() {
        return Ok(Some(target));
    }
    remove(&directory)?;
    let made = make(&directory, &keytool, &roots, Duration::from_secs(config.keytool_timeout_secs));
    directory.remove_unfinished()?;
    made?;
    directory.replace(MADE_FROM_FILE, 0o644, made_from.as_bytes())?;
    Ok(Some(target))
}

/// The JVM options that name the truststore, if there is one and its path can be written.
pub(super) fn java_options(config: &Config) -> Option<String> {
    let path = config.ca_dir.join(TRUSTSTORE_FILE);
    if !path.is_file() {
        return None;
    }
    let store = quoted(&format!("-Djavax.net.ssl.trustStore={}", path.display()))?;
    Some(format!(
        "{store} -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword={PASSWORD}"
    ))
}

/// The JVM splits its options at white space outside of quotes and knows no escape character.
fn quoted(option: &str) -> Option<String> {
    let has = |wanted: fn(char) -> bool| option.contains(wanted);
    match (has(char::is_whitespace), has(|c| c == '"'), has(|c| c == '\'')) {
        (false, false, false) => Some(option.to_owned()),
        (_, false, _) => Some(format!("\"{option}\"")),
        (_, true, false) => Some(format!("'{option}'")),
        (_, true, true) => None,
    }
}

fn find_keytool(config: &Config) -> Option<PathBuf> {
    match &config.keytool {
        Some(keytool) => Some(keytool.clone()),
        None => KEYTOOLS.iter().map(PathBuf::from).find(|path| path.is_file()),
    }
}

/// The JVM's own roots (path), and a digest of everything the truststore is made from.
fn java_roots(
    keytool: &Path,
    ca: &rustls_pki_types::CertificateDer<'_>,
) -> Result<(PathBuf, String), TerminateError> {
    let program = keytool.canonicalize().map_err(failed("finding", keytool))?;
    let home = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    let roots = home.join("lib/security/cacerts");
    let missing = || TerminateError::Keytool {
        keytool: program.clone(),
        detail: format!("its JVM has no roots at {}", roots.display()),
    };
    let (bytes, _) = files::read(&roots, MAX_BYTES)?.ok_or_else(missing)?;
    let mut made_from = digest::Context::new(&digest::SHA256);
    made_from.update(digest::digest(&digest::SHA256, ca).as_ref());
    made_from.update(&bytes);
    Ok((roots, hex::encode(made_from.finish())))
}

fn remove(directory: &Directory) -> Result<(), TerminateError> {
    directory.remove(MADE_FROM_FILE)?;
    directory.remove(TRUSTSTORE_FILE)
}

fn make(directory: &Directory, keytool: &Path, roots: &Path, limit: Duration) -> Result<(), TerminateError> {
    let made = directory.unfinished(TRUSTSTORE_FILE);
    let copy = Command::new(keytool)
        .arg("-importkeystore")
        .args(["-srcstorepass", PASSWORD, "-srckeystore"])
        .arg(roots)
        .args(["-deststoretype", "PKCS12", "-deststorepass", PASSWORD, "-noprompt", "-destkeystore"])
        .arg(&made)
        .run(directory, keytool, limit);
    let add = || {
        Command::new(keytool)
            .args(["-importcert", "-alias", "chaperone", "-noprompt", "-storepass", PASSWORD, "-file"])
            .arg(directory.file(CERTIFICATE_FILE))
            .arg("-keystore")
            .arg(&made)
            .run(directory, keytool, limit)
    };
    copy.and_then(|()| add())?;
    let publish = |file: File| {
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    };
    File::open(&made).and_then(publish).map_err(failed("writing", &made))?;
    directory.finish(TRUSTSTORE_FILE)
}

/// Runs a command to its end or to the end of its time.
trait Run {
    fn run(&mut self, directory: &Directory, keytool: &Path, limit: Duration) -> Result<(), TerminateError>;
}

impl Run for Command {
    fn run(&mut self, directory: &Directory, keytool: &Path, limit: Duration) -> Result<(), TerminateError> {
        let fails = |detail: String| TerminateError::Keytool { keytool: keytool.to_owned(), detail };
        let io = |error: std::io::Error| fails(error.to_string());
        // A file, not a pipe: nobody has to read along, and it cannot fill up.
        let log = directory.unfinished("keytool.log");
        let mut output = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&log)
            .map_err(failed("writing", &log))?;
        // What the daemon's environment says to Java is not meant for this.
        self.env_clear().env("LC_ALL", "C").stdin(Stdio::null());
        self.stdout(output.try_clone().map_err(io)?).stderr(output.try_clone().map_err(io)?);
        let mut child = self.spawn().map_err(io)?;
        let deadline = Instant::now() + limit.min(Duration::from_secs(3600));
        let status = loop {
            if let Some(status) = child.try_wait().map_err(io)? {
                break status;
            }
            if Instant::now() >= deadline {
                child.kill().and_then(|()| child.wait()).map_err(io)?;
                return Err(fails(format!("it did not end within {limit:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return Ok(());
        }
        let mut said = Vec::new();
        output.rewind().and_then(|()| output.take(2048).read_to_end(&mut said)).map_err(io)?;
        Err(fails(format!("{status}: {}", String::from_utf8_lossy(&said).trim())))
    }
}

#[cfg(test)]
mod tests;
