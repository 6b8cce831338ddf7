use super::{testing::Ca, *};

fn names(roots: Option<Roots>) -> Vec<CertificateDer<'static>> {
    let roots = roots.map_or_else(Vec::new, |roots| {
        assert_eq!(roots.store.len(), roots.certificates.len());
        roots.certificates
    });
    assert!(!roots.iter().any(|root| roots.iter().filter(|other| *other == root).count() > 1));
    roots
}

/// An admin may have it in the system's store for the agents, and in a bundle that is named as `extra_ca`.
#[test]
fn the_gateway_s_own_ca_is_left_out_whoever_signed_it() {
    let (own, other) = (Ca::new(), Ca::new());
    let copies = [own.certificate(), own.made_anew(), own.signed_by(&other)];
    let all = || copies.iter().cloned().chain([other.certificate()]);
    assert_eq!(names(Roots::without(None, all())).len(), 4);
    for certificate in &copies {
        assert_eq!(names(Roots::without(Some(certificate), all())), [other.certificate()]);
        assert!(Roots::without(Some(certificate), copies.clone()).is_none());
    }
    assert!(Roots::without(None, []).is_none());
}

/// One that was replaced because its key was stolen, or another host's.
#[test]
fn no_gateway_s_ca_is_a_root() {
    let (former, other) = (Ca::named(&format!("{OWN_CA_NAME}build7")), Ca::named("chaperone"));
    let own = Ca::new().certificate();
    let roots = Roots::without(Some(&own), [former.certificate(), other.certificate()]);
    assert_eq!(names(roots), [other.certificate()]);
}

#[test]
fn where_the_own_ca_cannot_be_told_nobody_is_trusted() {
    let nothing = CertificateDer::from(b"no certificate".to_vec());
    assert!(Roots::without(Some(&nothing), [Ca::new().certificate()]).is_none());
}

#[test]
fn system_roots_that_cannot_be_read_are_passed_over_but_not_those_of_a_file() {
    let (ca, nothing) = (Ca::new(), CertificateDer::from(b"no certificate".to_vec()));
    assert_eq!(names(Roots::without(None, [nothing, ca.certificate()])), [ca.certificate()]);

    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |text: &str, expected: &str| {
        std::fs::write(file.path(), text).unwrap();
        let error = read(file.path()).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check("", "it contains no certificate");
    let bad = "-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n";
    check(&format!("{}{bad}", ca.pem()), "invalid peer certificate: BadEncoding");
    std::fs::write(file.path(), ca.pem()).unwrap();
    assert_eq!(read(file.path()).unwrap(), [ca.certificate()]);
}

#[test]
fn the_text_of_roots_says_the_same() {
    let certificates = [Ca::new().certificate(), Ca::new().certificate()];
    let text = Roots::without(None, certificates.clone()).unwrap().pem();
    assert!(text.lines().all(|line| line.len() <= 64), "{text}");
    let read = CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(read, certificates);
}
