use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tempfile::TempDir;
use time::macros::datetime;

use super::*;
use crate::terminate::{
    bundle,
    ca::{CERTIFICATE_FILE, Ca},
};

const NOW: time::OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// A CA with everything it publishes; another certificate plays the system's roots.
fn home() -> (TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    Ca::load_or_create(&directory.path().join("other"), NOW).unwrap();
    let config = Config {
        ca_dir: directory.path().join("c a"),
        system_roots: Some(directory.path().join("other").join(CERTIFICATE_FILE)),
        ..Config::default()
    };
    Ca::load_or_create(&config.ca_dir, NOW).unwrap();
    bundle::publish(&config).unwrap();
    (directory, config)
}

/// What the JVM's own tool says of it.
fn keytool(store: &Path) -> String {
    let output = Command::new("/usr/bin/keytool")
        .env_clear()
        .args(["-list", "-storepass", PASSWORD, "-keystore"])
        .arg(store)
        .output()
        .expect("this test needs a JVM: `cargo xtask setup` installs one");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_jvm_trusts_the_systems_roots_and_ours() {
    let (_directory, config) = home();
    let truststore = config.ca_dir.join(TRUSTSTORE_FILE);
    assert_eq!(fs::metadata(&truststore).unwrap().permissions().mode() & 0o7777, 0o644);
    let listed = keytool(&truststore);
    assert!(listed.contains("Keystore type: PKCS12"), "{listed}");
    assert!(listed.contains("chaperone, ") && listed.contains("root-0, "), "{listed}");
    assert_eq!(listed.matches("trustedCertEntry").count(), 2, "{listed}");
    assert_eq!(
        java_options(&config).unwrap(),
        format!(
            "\"-Djavax.net.ssl.trustStore={}\" -Djavax.net.ssl.trustStoreType=PKCS12 \
             -Djavax.net.ssl.trustStorePassword=changeit",
            truststore.display()
        )
    );
}

#[test]
fn it_is_made_anew_only_when_the_bundle_changed() {
    let (directory, config) = home();
    let bytes = || fs::read(config.ca_dir.join(TRUSTSTORE_FILE)).unwrap();
    let first = bytes();
    bundle::publish(&config).unwrap();
    assert_eq!(bytes(), first, "it is salted: made anew it would differ");

    Ca::load_or_create(&directory.path().join("more"), NOW).unwrap();
    let more = fs::read(directory.path().join("more").join(CERTIFICATE_FILE)).unwrap();
    let mut roots = fs::read(config.system_roots.as_ref().unwrap()).unwrap();
    roots.extend_from_slice(&more);
    fs::write(config.system_roots.as_ref().unwrap(), roots).unwrap();
    bundle::publish(&config).unwrap();
    assert_eq!(keytool(&config.ca_dir.join(TRUSTSTORE_FILE)).matches("trustedCertEntry").count(), 3);

    fs::remove_file(config.ca_dir.join(TRUSTSTORE_FILE)).unwrap();
    assert_eq!(java_options(&config), None);
    bundle::publish(&config).unwrap();
    assert!(java_options(&config).is_some());
}

#[test]
fn the_systems_own_roots_are_all_understood() {
    let (_directory, mut config) = home();
    config.system_roots = None;
    bundle::publish(&config).unwrap();
    let pem = fs::read(config.ca_dir.join(bundle::BUNDLE_FILE)).unwrap();
    let roots = CertificateDer::pem_slice_iter(&pem).flatten().count();
    assert!(roots > 1, "this system has no roots");
    let listed = keytool(&config.ca_dir.join(TRUSTSTORE_FILE));
    assert_eq!(listed.matches("trustedCertEntry").count(), roots);
}

#[test]
fn quotes_as_the_jvm_reads_them() {
    for (option, expected) in [
        ("-Da=/x/y", Some("-Da=/x/y")),
        ("-Da=/x y", Some("\"-Da=/x y\"")),
        ("-Da=/x'y", Some("\"-Da=/x'y\"")),
        ("-Da=/x\"y z", Some("'-Da=/x\"y z'")),
        ("-Da=/x\"y'z", None),
    ] {
        assert_eq!(quoted(option).as_deref(), expected);
    }
}
