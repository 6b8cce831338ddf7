use std::fs;

use tempfile::TempDir;
use time::macros::datetime;

use super::*;

const NOW: time::OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// A CA, and another certificate that plays the system's roots.
fn home() -> (TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let other = Ca::load_or_create(&directory.path().join("other"), NOW).unwrap();
    assert!(!other.certificate().is_empty());
    let config = Config {
        ca_dir: directory.path().join("ca"),
        system_roots: Some(directory.path().join("other").join(CERTIFICATE_FILE)),
        ..Config::default()
    };
    Ca::load_or_create(&config.ca_dir, NOW).unwrap();
    (directory, config)
}

fn bundle(config: &Config) -> Vec<CertificateDer<'static>> {
    let pem = fs::read(config.ca_dir.join(BUNDLE_FILE)).unwrap();
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap()
}

fn certificate(directory: &Path) -> CertificateDer<'static> {
    Ca::public(directory).unwrap()
}

#[test]
fn the_bundle_is_the_systems_roots_and_ours() {
    let (directory, config) = home();
    publish(&config).unwrap();
    let other = certificate(&directory.path().join("other"));
    assert_eq!(bundle(&config), [other, certificate(&config.ca_dir)]);
    let mode = fs::metadata(config.ca_dir.join(BUNDLE_FILE)).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn the_bundle_follows_its_sources_and_is_left_alone_otherwise() {
    let (directory, config) = home();
    publish(&config).unwrap();
    let inode = || fs::metadata(config.ca_dir.join(BUNDLE_FILE)).unwrap().ino();
    let first = inode();
    publish(&config).unwrap();
    assert_eq!(inode(), first);

    // The system's roots change; they have no newline at their end.
    let roots = config.system_roots.as_ref().unwrap();
    let more = Ca::load_or_create(&directory.path().join("more"), NOW).unwrap();
    let pem = fs::read_to_string(directory.path().join("more").join(CERTIFICATE_FILE)).unwrap();
    fs::write(roots, pem.trim_end()).unwrap();
    publish(&config).unwrap();
    assert_ne!(inode(), first);
    assert_eq!(bundle(&config), [more.certificate().clone(), certificate(&config.ca_dir)]);

    // The CA changes.
    fs::remove_file(config.ca_dir.join("ca.key")).unwrap();
    fs::remove_file(config.ca_dir.join(CERTIFICATE_FILE)).unwrap();
    let ca = Ca::load_or_create(&config.ca_dir, NOW).unwrap();
    publish(&config).unwrap();
    assert_eq!(bundle(&config), [more.certificate().clone(), ca.certificate().clone()]);
}

#[test]
fn a_ca_that_the_system_knows_already_is_not_repeated() {
    let (_directory, mut config) = home();
    config.system_roots = Some(config.ca_dir.join(CERTIFICATE_FILE));
    publish(&config).unwrap();
    assert_eq!(bundle(&config), [certificate(&config.ca_dir)]);
}

#[test]
fn configured_roots_that_are_missing() {
    let (directory, mut config) = home();
    config.system_roots = Some(directory.path().join("nothing.pem"));
    let error = publish(&config).unwrap_err().to_string();
    assert_eq!(error, format!("opening {}/nothing.pem: entity not found", directory.path().display()));
}

#[test]
fn a_crash_in_the_middle_leaves_the_old_bundle() {
    let (_directory, config) = home();
    publish(&config).unwrap();
    let before = bundle(&config);
    fs::write(config.ca_dir.join("bundle.pem.unfinished"), "half").unwrap();
    assert_eq!(bundle(&config), before);
    publish(&config).unwrap();
    assert!(!config.ca_dir.join("bundle.pem.unfinished").exists());
}

#[test]
fn a_directory_that_agents_cannot_enter_is_found() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    fs::set_permissions(&inner, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(closed_to_agents(&inner.join("bundle.pem")), None);
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(closed_to_agents(&inner.join("bundle.pem")).as_deref(), Some(directory.path()));
}

#[test]
fn clients_get_the_bundle_where_roots_are_replaced_and_the_ca_where_they_are_added() {
    let config = Config { ca_dir: "/var/lib/chaperone/ca".into(), ..Config::default() };
    let env = client_env(&config);
    let value = |wanted: &str| env.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    for name in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"] {
        assert_eq!(value(name), Some("/var/lib/chaperone/ca/bundle.pem"), "{name}");
    }
    for name in ["NODE_EXTRA_CA_CERTS", "DENO_CERT"] {
        assert_eq!(value(name), Some("/var/lib/chaperone/ca/ca.pem"), "{name}");
    }
    assert_eq!(value(JAVA_OPTIONS), None, "there is no truststore");
    let mut names: Vec<_> = env.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), env.len());
}

#[test]
fn java_options_are_joined() {
    let ours = "-Da=b -Dc=d";
    for (inherited, expected) in [
        (None, ours),
        (Some(""), ours),
        (Some("  "), ours),
        (Some("-Xmx1g"), "-Xmx1g -Da=b -Dc=d"),
        (Some("-Xmx1g -Da=b -Dc=d"), "-Xmx1g -Da=b -Dc=d"),
        (Some("-Da=b -Dc=d"), ours),
    ] {
        assert_eq!(join_java_options(inherited, ours), expected);
    }
}
