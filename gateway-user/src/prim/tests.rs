use super::*;

#[test]
fn host_names_are_lower_case_and_never_addresses() {
    let check = |text: &str, expected: Option<&str>| {
        assert_eq!(text.parse::<HostName>().ok().as_ref().map(HostName::as_str), expected, "{text:?}");
    };
    check("S3.Amazonaws.com", Some("s3.amazonaws.com"));
    check("s3.amazonaws.com.", Some("s3.amazonaws.com"));
    check("my_bucket.s3.amazonaws.com", Some("my_bucket.s3.amazonaws.com"));
    check("", None);
    check("a..b", None);
    check("192.0.2.1", None);
    check("s3.amazonaws.com\0.example", None);
    check(&"a".repeat(64), None);
}

#[test]
fn configured_names() {
    let check = |text: &str, expected: bool| {
        assert_eq!(text.parse::<WorkloadName>().is_ok(), expected, "{text:?}");
        assert_eq!(text.parse::<IssuerName>().is_ok(), expected, "{text:?}");
    };
    for fine in ["a", "0", "a-b", &"a".repeat(63)] {
        check(fine, true);
    }
    for wrong in ["", "A", "a_b", "a.b", "a b", "-a", "a-", "ü", "a\n", &"a".repeat(64)] {
        check(wrong, false);
    }
    let error = "I".parse::<IssuerName>().unwrap_err().to_string();
    assert_eq!(error, "\"I\" is not a valid issuer name: only a-z, 0-9 and - are allowed");
}

#[test]
fn ids_read_back_what_they_write() {
    let id = SessionId::generate();
    assert_eq!(id.to_string().parse(), Ok(id));
    assert!("c-00".parse::<SessionId>().is_err());
    assert!(id.to_string().replace("s-", "c-").parse::<SessionId>().is_err());
}

#[test]
fn cgroup_paths_know_their_ancestors() {
    let path = CgroupPath::new("/agents.slice/claude-1.service/sub");
    let prefixes: Vec<_> = path.prefixes().map(|p| p.as_str().to_owned()).collect();
    assert_eq!(
        prefixes,
        ["agents.slice", "agents.slice/claude-1.service", "agents.slice/claude-1.service/sub"]
    );
    assert!(path.is_within(&CgroupPath::new("agents.slice")));
    assert!(!path.is_within(&CgroupPath::new("agents.slic")));
    assert!(!CgroupPath::new("agents.slice2").is_within(&CgroupPath::new("agents.slice")));
    assert_eq!(CgroupPath::new("/").prefixes().count(), 0);
}
