use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
    sync::Arc,
};

use rustls::{
    CertificateError, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
};
use rustls_pki_types::{ServerName, UnixTime};
use tempfile::TempDir;
use time::macros::datetime;
use x509_parser::prelude::FromDer as _;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);

/// A directory that is not there yet.
fn home() -> (TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("ca");
    (parent, directory)
}

fn load(directory: &Path) -> Result<Ca, TerminateError> {
    Ca::load_or_create(directory, NOW)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[track_caller]
fn check_error(directory: &Path, expected: &str) {
    let error = load(directory).unwrap_err().to_string();
    assert_eq!(error.replace(directory.to_str().unwrap(), "DIR"), expected);
}

/// A leaf for any name, past the guards of this crate: what a thief of the key could make.
fn stolen(ca: &Ca, san: SanType, key: &KeyPair) -> CertificateDer<'static> {
    let mut leaf = CertificateParams::default();
    (leaf.not_before, leaf.not_after) = (NOW - BACKDATED, NOW + LEAF_LIFE);
    leaf.subject_alt_names = vec![san];
    leaf.use_authority_key_identifier_extension = true;
    leaf.signed_by(key, &ca.issuer).unwrap().into()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn verified(ca: &Ca, leaf: &CertificateDer<'_>, name: &str) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.unix_timestamp().unsigned_abs()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(leaf, &[], &name, &[], now).map(drop)
}

/// What OpenSSL says, strictly: empty when it accepts.
fn openssl(directory: &Path, leaf: &CertificateDer<'_>, more: &[&str]) -> String {
    let file = directory.join("leaf.der");
    fs::write(&file, leaf).unwrap();
    let output = Command::new("openssl")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .args(["verify", "-x509_strict", "-purpose", "sslserver", "-attime"])
        .arg(NOW.unix_timestamp().to_string())
        .args(more)
        .arg("-CAfile")
        .arg(directory.join(CERTIFICATE_FILE))
        .arg(file)
        .output()
        .expect("openssl is needed for this test");
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() }
}

#[test]
fn a_new_ca_has_safe_modes_and_bounds() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    assert_eq!(mode(&directory), 0o755);
    assert_eq!(mode(&directory.join(KEY_FILE)), 0o600);
    assert_eq!(mode(&directory.join(CERTIFICATE_FILE)), 0o644);
    assert_eq!(ca.expires(), NOW + CA_LIFE);

    let (_, x509) = x509_parser::certificate::X509Certificate::from_der(ca.certificate()).unwrap();
    let subject = x509.subject().to_string();
    assert!(subject.starts_with("CN=chaperone CA on "), "{subject}");
    let constraints = x509.name_constraints().unwrap().unwrap();
    assert!(constraints.critical);
    assert_eq!(constraints.value.permitted_subtrees.as_ref().unwrap().len(), AWS_SUFFIXES.len());
    assert!(x509.basic_constraints().unwrap().unwrap().critical);
    let usage = x509.key_usage().unwrap().unwrap();
    assert_eq!((usage.critical, usage.value.flags), (true, 0b110_0000));
}

#[test]
fn the_umask_changes_nothing() {
    let (_parent, directory) = home();
    let old = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let loaded = load(&directory);
    rustix::process::umask(old);
    loaded.unwrap();
    assert_eq!((mode(&directory), mode(&directory.join(CERTIFICATE_FILE))), (0o755, 0o644));
}

#[test]
fn a_second_start_keeps_the_ca() {
    let (_parent, directory) = home();
    let first = load(&directory).unwrap();
    let key = fs::read(directory.join(KEY_FILE)).unwrap();
    let second = load(&directory).unwrap();
    assert_eq!(first.certificate(), second.certificate());
    assert_eq!(Ca::public(&directory).unwrap(), *first.certificate());
    assert_eq!(fs::read(directory.join(KEY_FILE)).unwrap(), key);
}

#[test]
fn an_aws_leaf_is_accepted_by_strict_verifiers() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    let key = KeyPair::generate().unwrap();
    // Longer than the 64 characters a common name may have.
    let long = format!("{}.s3.dualstack.eu-central-1.amazonaws.com", "b".repeat(63));
    for suffix in AWS_SUFFIXES.iter().copied().chain([long.as_str()]) {
        let name = format!("x.{suffix}");
        let leaf = ca.issue(&name.parse().unwrap(), &key, NOW).unwrap().unwrap();
        assert_eq!(leaf.expires, NOW + LEAF_LIFE);
        assert_eq!(verified(&ca, &leaf.certificate, &name), Ok(()), "{name}");
        assert_eq!(openssl(&directory, &leaf.certificate, &["-verify_hostname", &name]), "", "{name}");
    }
}

#[test]
fn the_name_constraints_bite() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    let key = KeyPair::generate().unwrap();
    let address: std::net::IpAddr = "192.0.2.1".parse().unwrap();
    for (san, name) in [
        (dns("evil.example"), "evil.example"),
        (dns("evilamazonaws.com"), "evilamazonaws.com"),
        (dns("amazonaws.com.evil.example"), "amazonaws.com.evil.example"),
        (SanType::IpAddress(address), "192.0.2.1"),
        (SanType::IpAddress("2001:db8::1".parse().unwrap()), "2001:db8::1"),
    ] {
        let leaf = stolen(&ca, san, &key);
        let refused = verified(&ca, &leaf, name).unwrap_err();
        let rustls::Error::InvalidCertificate(CertificateError::Other(why)) = &refused else {
            panic!("{name}: {refused:?}")
        };
        assert!(why.to_string().contains("NameConstraintViolation"), "{name}: {why}");
        let told = openssl(&directory, &leaf, &[]);
        assert!(
            told.contains("permitted subtree violation") || told.contains("excluded subtree violation"),
            "{name}: {told}"
        );
    }
    // The same way of making one for AWS is accepted, so it is the name that was refused.
    let leaf = stolen(&ca, dns("sts.amazonaws.com"), &key);
    assert_eq!(verified(&ca, &leaf, "sts.amazonaws.com"), Ok(()));
    assert_eq!(openssl(&directory, &leaf, &[]), "");
}

/// OpenSSL alone: rustls takes nothing but the name constraints from a root.
#[test]
fn no_ca_below_it() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    let (below_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut below = parameters("below", NOW).unwrap();
    below.use_authority_key_identifier_extension = true;
    let untrusted = directory.join("below.pem");
    fs::write(&untrusted, below.signed_by(&below_key, &ca.issuer).unwrap().pem()).unwrap();
    let below = Ca {
        issuer: Issuer::new(below, below_key),
        certificate: ca.certificate.clone(),
        expires: ca.expires,
    };
    let leaf = stolen(&below, dns("sts.amazonaws.com"), &leaf_key);
    let told = openssl(&directory, &leaf, &["-untrusted", untrusted.to_str().unwrap()]);
    assert!(told.contains("path length constraint exceeded"), "{told}");
}

#[test]
fn leaves_end_with_the_ca_and_differ_in_serial() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    let key = KeyPair::generate().unwrap();
    let name: HostName = "sts.amazonaws.com".parse().unwrap();
    let late = ca.expires() - Duration::hours(3);
    assert_eq!(ca.issue(&name, &key, late).unwrap().unwrap().expires, ca.expires());
    assert!(ca.issue(&name, &key, ca.expires()).unwrap().is_none());
    let serial = || {
        let leaf = ca.issue(&name, &key, NOW).unwrap().unwrap().certificate;
        let (_, x509) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
        x509.raw_serial().to_vec()
    };
    assert_ne!(serial(), serial());
}

#[test]
fn what_a_crash_leaves_behind_is_cleaned_up() {
    let (_parent, directory) = home();
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("ca.key.unfinished"), "half a k").unwrap();
    fs::write(directory.join("ca.pem.unfinished"), "half a c").unwrap();
    load(&directory).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [KEY_FILE, CERTIFICATE_FILE]);
}

#[test]
fn a_crash_between_key_and_certificate() {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    let key = fs::read(directory.join(KEY_FILE)).unwrap();
    fs::remove_file(directory.join(CERTIFICATE_FILE)).unwrap();
    let ca = load(&directory).unwrap();
    assert_eq!(fs::read(directory.join(KEY_FILE)).unwrap(), key);
    assert_eq!(load(&directory).unwrap().certificate(), ca.certificate());
}

#[test]
fn many_that_start_at_once_make_one_ca() {
    let (_parent, directory) = home();
    let certificates: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..16).map(|_| scope.spawn(|| load(&directory).unwrap())).collect();
        starts.into_iter().map(|start| start.join().unwrap().certificate().clone()).collect()
    });
    assert!(certificates.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_key_that_others_can_read() {
    for exposed in [0o640, 0o604, 0o660, 0o644] {
        let (_parent, directory) = home();
        load(&directory).unwrap();
        fs::set_permissions(directory.join(KEY_FILE), Permissions::from_mode(exposed)).unwrap();
        check_error(
            &directory,
            &format!(
                "DIR/ca.key has mode {exposed:04o}: others can read the CA's key; run `chmod 600 DIR/ca.key`, or remove \
                 it together with ca.pem if it may have been copied"
            ),
        );
    }
}

#[test]
fn a_directory_that_others_can_write_to() {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
    check_error(&directory, "DIR has mode 0777: others can replace the CA's key; run `chmod 755 DIR`");
}

#[test]
fn a_key_that_belongs_to_somebody_else() {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    // Only root can give a file away; others cannot get into this state by themselves.
    if std::os::unix::fs::chown(directory.join(KEY_FILE), Some(12345), None).is_ok() {
        check_error(
            &directory,
            "DIR/ca.key belongs to user 12345: the CA's key must belong to root or to the daemon's user",
        );
    }
}

#[test]
fn a_certificate_without_its_key() {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    fs::remove_file(directory.join(KEY_FILE)).unwrap();
    check_error(
        &directory,
        "DIR/ca.pem is there but DIR/ca.key is not: restore the key, or remove DIR/ca.pem for a new CA",
    );
}

#[test]
fn a_pair_that_is_none() {
    let ((_one, one), (_other, other)) = (home(), home());
    load(&one).unwrap();
    load(&other).unwrap();
    fs::copy(one.join(CERTIFICATE_FILE), other.join(CERTIFICATE_FILE)).unwrap();
    let expected =
        "DIR/ca.pem was not made for DIR/ca.key: restore the right one, or remove both for a new CA";
    check_error(&other, expected);
}

#[test]
fn files_that_hold_something_else() {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    let pem = fs::read_to_string(directory.join(CERTIFICATE_FILE)).unwrap();
    let unusable = |detail| {
        format!(
            "DIR/ca.pem is not a usable CA certificate ({detail}): remove it, and it is issued anew for ca.key"
        )
    };
    fs::write(directory.join(CERTIFICATE_FILE), "hello").unwrap();
    check_error(&directory, &unusable("it holds no PEM certificate"));
    fs::write(directory.join(CERTIFICATE_FILE), format!("{pem}{pem}")).unwrap();
    check_error(&directory, &unusable("it holds more than one certificate"));
    fs::write(directory.join(CERTIFICATE_FILE), vec![b'x'; 70_000]).unwrap();
    check_error(&directory, "reading DIR/ca.pem: it has more than 65536 bytes");
    fs::write(directory.join(KEY_FILE), "hello").unwrap();
    let error = load(&directory).unwrap_err();
    assert!(matches!(error, TerminateError::KeyInvalid { .. }), "{error}");
}

#[test]
fn an_expired_ca() {
    let (_parent, directory) = home();
    let ca = load(&directory).unwrap();
    let loaded = Ca::load_or_create(&directory, ca.expires());
    let expected = TerminateError::NotValidNow {
        path: directory.join(CERTIFICATE_FILE),
        from: NOW - BACKDATED,
        until: NOW + CA_LIFE,
    };
    assert_eq!(loaded.unwrap_err().to_string(), expected.to_string());
    assert!(matches!(
        Ca::load_or_create(&directory, NOW - Duration::hours(2)),
        Err(TerminateError::NotValidNow { .. })
    ));
}

/// Puts another certificate of the same key in place.
fn check_certificate(change: impl FnOnce(&mut CertificateParams), expected: &str) {
    let (_parent, directory) = home();
    load(&directory).unwrap();
    let key = KeyPair::from_pem(&fs::read_to_string(directory.join(KEY_FILE)).unwrap()).unwrap();
    let mut ca = parameters("other", NOW).unwrap();
    change(&mut ca);
    fs::write(directory.join(CERTIFICATE_FILE), ca.self_signed(&key).unwrap().pem()).unwrap();
    match load(&directory) {
        Ok(_) => assert_eq!(expected, ""),
        Err(
            TerminateError::Unconstrained { detail, .. } | TerminateError::CertificateInvalid { detail, .. },
        ) => {
            assert_eq!(detail, expected);
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_ca_that_could_do_more_is_refused() {
    let permit = |names: &'static [&'static str]| {
        move |ca: &mut CertificateParams| {
            let names = names.iter().map(|name| GeneralSubtree::DnsName((*name).to_owned()));
            ca.name_constraints.as_mut().unwrap().permitted_subtrees = names.collect();
        }
    };
    check_certificate(|_| {}, "");
    // Made before some suffix was known: usable, with a warning.
    check_certificate(permit(&["amazonaws.com", "api.aws"]), "");
    check_certificate(|ca| ca.name_constraints = None, "it has no critical name constraints");
    check_certificate(permit(&[]), "its name constraints permit every DNS name");
    check_certificate(permit(&["amazonaws.com", "com"]), "its name constraints permit DNSName(com)");
    check_certificate(permit(&["amazonaws.com", ""]), "its name constraints permit DNSName()");
    check_certificate(
        |ca| drop(ca.name_constraints.as_mut().unwrap().excluded_subtrees.pop()),
        "its name constraints do not exclude IP addresses",
    );
    check_certificate(
        |ca| {
            ca.name_constraints
                .as_mut()
                .unwrap()
                .permitted_subtrees
                .push(GeneralSubtree::IpAddress(CidrSubnet::V4([10, 0, 0, 0], [255, 0, 0, 0])))
        },
        "its name constraints permit IPAddress(0a:00:00:00:ff:00:00:00)",
    );
    check_certificate(
        |ca| ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
        "it is no CA with path length 0",
    );
    check_certificate(|ca| ca.is_ca = IsCa::ExplicitNoCa, "it is no CA with path length 0");
    check_certificate(
        |ca| ca.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        "its key usage does not include signing certificates",
    );
}

#[test]
fn no_ca_yet() {
    let (_parent, directory) = home();
    let error = Ca::public(&directory).unwrap_err();
    assert!(matches!(error, TerminateError::NoCa { path } if path == directory.join(CERTIFICATE_FILE)));
}
