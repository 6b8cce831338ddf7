use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;
use time::macros::datetime;

use super::*;
use crate::terminate;

fn home() -> (TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let terminate = terminate::Config { ca_dir: directory.path().join("ca"), ..terminate::Config::default() };
    ca::Ca::load_or_create(&terminate.ca_dir, datetime!(2026-03-01 12:00 UTC)).unwrap();
    bundle::publish(&terminate).unwrap();
    (directory, Config { terminate, ..Config::default() })
}

fn variables() -> Vec<(String, String)> {
    [("PLAIN", "/a/b"), ("HARD", r#"a 'b' "c" \d %n $e `f`"#)]
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .into()
}

#[test]
fn every_shell_quotes() {
    for (shell, expected) in [
        (Shell::Sh, "export PLAIN='/a/b'\nexport HARD='a '\\''b'\\'' \"c\" \\d %n $e `f`'\n"),
        (Shell::Fish, "set -gx PLAIN '/a/b'\nset -gx HARD 'a \\'b\\' \"c\" \\\\d %n $e `f`'\n"),
        (
            Shell::Systemd,
            "Environment=\"PLAIN=/a/b\"\nEnvironment=\"HARD=a 'b' \\\"c\\\" \\\\d %%n $e `f`\"\n",
        ),
    ] {
        assert_eq!(written(&variables(), shell).unwrap(), expected, "{shell:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&written(&variables(), Shell::Json).unwrap()).unwrap();
    assert_eq!(json["HARD"], variables()[1].1);
}

#[test]
fn a_real_shell_reads_what_is_printed() {
    let script = written(&variables(), Shell::Sh).unwrap() + "printf %s \"$HARD\"";
    let output = std::process::Command::new("/bin/sh").env_clear().args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), variables()[1].1);
}

#[test]
fn env_names_files_that_exist() {
    let (_directory, config) = home();
    let printed = env(&config, Shell::Json).unwrap();
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&printed).unwrap();
    assert!(json.contains_key("JAVA_TOOL_OPTIONS"), "{json:?}");
    for (name, value) in json {
        let value = value.as_str().unwrap();
        // Java's is a list of options, the file first.
        let file = value.split(' ').next().unwrap().trim_start_matches("-Djavax.net.ssl.trustStore=");
        assert!(Path::new(file).is_file(), "{name}={value}");
    }
}

#[test]
fn before_the_daemon_has_started() {
    let config = Config::default();
    let config = Config {
        terminate: terminate::Config { ca_dir: "/nonexistent".into(), ..config.terminate },
        ..config
    };
    for (said, expected) in [
        (
            env(&config, Shell::Sh),
            "/nonexistent/bundle.pem does not exist: the daemon makes it when it starts",
        ),
        (
            export(&config, None),
            "/nonexistent/ca.pem does not exist: the daemon makes the CA when it first starts",
        ),
        (
            install::install(&config, Path::new("/nonexistent"), true),
            "/nonexistent/ca.pem does not exist: the daemon makes the CA when it first starts",
        ),
    ] {
        assert_eq!(said.unwrap_err().to_string(), expected);
    }
}

#[test]
fn export_prints_or_writes() {
    let (directory, config) = home();
    let pem = export(&config, None).unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"), "{pem}");
    let out = directory.path().join("out.pem");
    assert_eq!(export(&config, Some(&out)).unwrap(), "");
    assert_eq!(fs::read_to_string(out).unwrap(), pem);
}

#[test]
fn install_finds_the_distributions_store() {
    let (directory, config) = home();
    for (anchors, file, update) in [
        ("usr/local/share/ca-certificates", "chaperone.crt", "update-ca-certificates"),
        ("etc/pki/ca-trust/source/anchors", "chaperone.pem", "update-ca-trust extract"),
        ("etc/pki/trust/anchors", "chaperone.pem", "update-ca-certificates"),
        ("etc/ca-certificates/trust-source/anchors", "chaperone.crt", "update-ca-trust"),
    ] {
        let root = directory.path().join(anchors.replace('/', "-"));
        fs::create_dir_all(root.join(anchors)).unwrap();
        let target = root.join(anchors).join(file);

        let said = install::install(&config, &root, true).unwrap();
        assert_eq!(said, format!("would write {}\nwould run   {update}\n", target.display()));
        assert!(!target.exists());

        let said = install::install(&config, &root, false).unwrap();
        assert_eq!(
            said,
            format!("wrote {}\nnow run `{update}` inside {}\n", target.display(), root.display())
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), export(&config, None).unwrap());
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(root.join(anchors)).unwrap().count(), 1);
    }
}

#[test]
fn a_system_without_a_known_store() {
    let (directory, config) = home();
    let error = install::install(&config, directory.path(), false).unwrap_err().to_string();
    assert!(error.starts_with("no known trust store below "), "{error}");
}
