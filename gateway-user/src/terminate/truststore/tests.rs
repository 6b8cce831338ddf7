use std::fs;

use tempfile::TempDir;
use time::macros::datetime;

use super::*;

const NOW: time::OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

fn home(keytool: Option<PathBuf>) -> (TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { ca_dir: directory.path().join("c a"), keytool, ..Config::default() };
    Ca::load_or_create(&config.ca_dir, NOW).unwrap();
    (directory, config)
}

/// A JVM of our own: roots, and a `keytool` that is this script.
fn jvm(directory: &Path, script: &str) -> PathBuf {
    let keytool = directory.join("jvm/bin/keytool");
    fs::create_dir_all(directory.join("jvm/bin")).unwrap();
    fs::create_dir_all(directory.join("jvm/lib/security")).unwrap();
    fs::write(directory.join("jvm/lib/security/cacerts"), "roots").unwrap();
    fs::write(&keytool, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&keytool, Permissions::from_mode(0o755)).unwrap();
    keytool
}

/// Appends its arguments to the last one, which both calls end with.
const SCRIPT: &str = r#"for last; do :; done; echo "$@" >> "$last""#;

fn with_script(script: &str) -> (TempDir, Config) {
    let (directory, mut config) = home(None);
    config.keytool = Some(jvm(directory.path(), script));
    (directory, config)
}

fn files(config: &Config) -> Vec<String> {
    let entries = fs::read_dir(&config.ca_dir).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_real_keytool_adds_our_ca_to_the_jvms_roots() {
    let (_directory, config) = home(None);
    let keytool = find_keytool(&config)
        .unwrap_or_else(|| panic!("this test needs a JVM: `cargo xtask setup` installs one ({KEYTOOLS:?})"));
    let truststore = publish(&config).unwrap().unwrap();
    assert_eq!(fs::metadata(&truststore).unwrap().permissions().mode() & 0o7777, 0o644);
    let list = |store: &Path| {
        let output = Command::new(&keytool)
            .env_clear()
            .args(["-list", "-storepass", PASSWORD, "-keystore"])
            .arg(store)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = list(&truststore);
    assert!(listed.contains("Keystore type: PKCS12"), "{listed}");
    assert!(listed.contains("chaperone, "), "{listed}");
    let entries = |listed: &str| listed.matches("trustedCertEntry").count();
    let roots = java_roots(&keytool, &Ca::public(&config.ca_dir).unwrap()).unwrap().0;
    assert_eq!(entries(&listed), entries(&list(&roots)) + 1);
    assert_eq!(
        java_options(&config).unwrap(),
        format!(
            "\"-Djavax.net.ssl.trustStore={}\" -Djavax.net.ssl.trustStoreType=PKCS12 \
             -Djavax.net.ssl.trustStorePassword=changeit",
            truststore.display()
        )
    );
    assert_eq!(files(&config), ["ca.key", "ca.pem", "truststore.made-from", "truststore.p12"]);
}

#[test]
fn it_is_made_anew_only_when_a_source_changed() {
    let (directory, config) = with_script(SCRIPT);
    let calls = || fs::read_to_string(config.ca_dir.join(TRUSTSTORE_FILE)).unwrap().lines().count();
    publish(&config).unwrap();
    publish(&config).unwrap();
    assert_eq!(calls(), 2, "one copy and one import");
    let made_from = || fs::read(config.ca_dir.join(MADE_FROM_FILE)).unwrap();
    let first = made_from();
    fs::write(directory.path().join("jvm/lib/security/cacerts"), "other roots").unwrap();
    publish(&config).unwrap();
    assert_ne!(made_from(), first);
    assert_eq!(calls(), 2);
}

#[test]
fn a_keytool_that_fails_leaves_no_stale_truststore() {
    let (directory, config) = with_script(SCRIPT);
    publish(&config).unwrap();
    jvm(directory.path(), "echo no luck; exit 3");
    fs::write(directory.path().join("jvm/lib/security/cacerts"), "other roots").unwrap();
    let error = publish(&config).unwrap_err().to_string();
    assert!(error.ends_with("bin/keytool: exit status: 3: no luck"), "{error}");
    assert_eq!(files(&config), ["ca.key", "ca.pem"]);
    assert_eq!(java_options(&config), None);
}

#[test]
fn a_keytool_that_hangs_is_ended() {
    let (_directory, mut config) = with_script("exec sleep 600");
    config.keytool_timeout_secs = 0;
    let error = publish(&config).unwrap_err().to_string();
    assert!(error.ends_with("bin/keytool: it did not end within 0ns"), "{error}");
}

#[test]
fn a_jvm_without_roots() {
    let (directory, config) = with_script(SCRIPT);
    fs::remove_file(directory.path().join("jvm/lib/security/cacerts")).unwrap();
    let error = publish(&config).unwrap_err().to_string();
    assert!(error.contains("its JVM has no roots at "), "{error}");
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
