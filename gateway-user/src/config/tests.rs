use std::{fs, os::unix::fs::symlink};

use super::*;

const WORKLOAD: &str = "[[workload]]\nname = \"builds\"\ncgroup = \"agents.slice/*\"\nidentity = \"host\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("c.toml"))
}

/// `text`, with a workload behind it, is refused with `line:column: detail`.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_whole(&format!("{text}\n{WORKLOAD}"), expected);
}

#[track_caller]
fn check_whole(text: &str, expected: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert_eq!(error, format!("c.toml:{expected}"), "{text}");
}

/// A second workload with these lines, the first of which is line 8.
#[track_caller]
fn check_workload(lines: &str, expected: &str) {
    check_whole(&format!("{WORKLOAD}\n[[workload]]\nidentity = \"host\"\n{lines}\n"), expected);
}

#[test]
fn the_smallest_configuration() {
    let config = parse(WORKLOAD).unwrap();
    assert_eq!(config.workload.len(), 1);
    assert_eq!(config.redirect.slice, "agents.slice");
    let again = parse(&config.effective_toml().unwrap()).unwrap();
    assert_eq!(again.effective_toml().unwrap(), config.effective_toml().unwrap());
}

#[test]
fn syntax_and_unknown_keys() {
    check("[redirect", "1:10: unclosed table, expected `]`");
    check("[redirct]", "1:2: unknown key `redirct`: did you mean `redirect`?");
    check(
        "[serve]\nmax_conections = 5",
        "2:1: unknown key `max_conections`: did you mean `max_connections`?",
    );
    check("[policy]\nfolder = \"/x\"", "2:1: unknown key `folder`; known here: dir");
    check("[serve]\nmax_connections = \"5\"", "2:19: invalid type: string \"5\", expected usize");
    check("[serve]\nmax_connections = -5", "2:19: invalid value: integer `-5`, expected usize");
    check("[api]\ngroup = \"a\"\ngroup = \"b\"", "3:1: duplicate key");
    check("[redirect]\nlisten_v4 = [\"localhost:1\"]", "2:14: invalid socket address syntax");
    check_workload(
        "name = \"b\"\ntag = \"b\"\nrole = \"x\"",
        "10:1: unknown key `role`: did you mean `role_arn`?",
    );
}

#[test]
fn numbers_have_ranges() {
    check("[route]\nhello_timeout_secs = 0", "2:22: `hello_timeout_secs` must be between 1 and 86400");
    check("[serve]\ninspect_max_bytes = 0", "2:21: `inspect_max_bytes` must be between 1024 and 1073741824");
    check(
        "[serve]\n\n  drain_timeout_secs = 86401",
        "3:24: `drain_timeout_secs` must be between 1 and 86400",
    );
    check("credentials = { cache = 0 }", "1:25: `cache` must be between 1 and 1000000");
    // The first in the order of the file.
    check(
        "[record]\nqueue = 0\n[forward]\nidle_timeout_secs = 0",
        "2:9: `queue` must be between 1 and 1000000",
    );
}

/// A number that nobody checks may be 0 and stop everything, or overflow a deadline.
#[test]
fn every_number_has_a_range() {
    let mut config: toml::Table = parse(WORKLOAD).unwrap().effective_toml().unwrap().parse().unwrap();
    let sections: Vec<String> = config.keys().cloned().collect();
    let mut numbers = 0;
    for section in sections {
        let Some(table) = config[&section].as_table().cloned() else { continue };
        for (key, value) in table {
            if !value.is_integer() {
                continue;
            }
            numbers += 1;
            // There nothing is something that one may want.
            let least = ((&*section, &*key) != ("record", "body_max_bytes")).then_some(0);
            for wrong in least.into_iter().chain([i64::MAX]) {
                config[&section][&key] = wrong.into();
                let error =
                    parse(&config.to_string()).expect_err(&format!("{section}.{key} = {wrong}")).to_string();
                assert!(error.contains(&format!("`{key}` must be between")), "{error}");
            }
            config[&section][&key] = value;
        }
    }
    assert!(numbers >= 39, "{numbers}");
}

#[test]
fn paths_are_absolute() {
    for (section, key) in [
        ("redirect", "bpffs"),
        ("identify", "placeholder_key"),
        ("terminate", "ca_dir"),
        ("terminate", "system_roots"),
        ("policy", "dir"),
        ("record", "database"),
        ("forward", "extra_ca"),
        ("api", "socket"),
    ] {
        let column = key.len() + 4;
        check(
            &format!("[{section}]\n{key} = \"here/x\""),
            &format!("2:{column}: `{key}` must be an absolute path"),
        );
    }
}

#[test]
fn ages_of_the_record() {
    let retention = |keys: &str, expected: &str| check(&format!("[record.retention]\n{keys}"), expected);
    retention(
        "bodies_days = 30\nrows_days = 7",
        "2:15: `bodies_days` is more than `rows_days`: bodies go with their calls at the latest",
    );
    retention("rows_days = 1", "2:13: `rows_days` must be 0, or between 2 and 36500");
    retention("bodies_days = 36501", "2:15: `bodies_days` must be between 0 and 36500");
    retention("step_rows = 0", "2:13: `step_rows` must be between 1 and 20000");
    for fine in ["bodies_days = 30", "rows_days = 2", "bodies_days = 7\nrows_days = 7", "step_rows = 20000"] {
        assert!(parse(&format!("[record.retention]\n{fine}\n{WORKLOAD}")).is_ok(), "{fine}");
    }
}

#[test]
fn listeners() {
    let v4 = |list: &str, expected: &str| check(&format!("[redirect]\nlisten_v4 = [{list}]"), expected);
    let v6 = |list: &str, expected: &str| check(&format!("[redirect]\nlisten_v6 = [{list}]"), expected);
    v4("", "2:13: at least one IPv4 listener is needed");
    v4(
        "\"127.0.0.1:1\", \"192.0.2.1:1\"",
        "2:29: 192.0.2.1:1 is not a loopback address: only this host may reach the listeners",
    );
    v4("\"0.0.0.0:1\"", "2:14: 0.0.0.0:1 is not a loopback address: only this host may reach the listeners");
    v4("\"127.0.0.1:0\"", "2:14: 127.0.0.1:0 needs a fixed port: the kernel half redirects to it");
    v4("\"[::1]:1\"", "2:14: [::1]:1 is not an IPv4 address");
    v4("\"127.0.0.1:1\", \"127.0.0.1:1\"", "2:29: 127.0.0.1:1 is listed twice");
    let nine: Vec<String> = (1..=9).map(|port| format!("\"127.0.0.1:{port}\"")).collect();
    v4(&nine.join(","), "2:126: `listen_v4` takes at most 8 addresses");
    v6("\"127.0.0.1:1\"", "2:14: 127.0.0.1:1 is not an IPv6 address");
    v6(
        "\"[::ffff:127.0.0.1]:1\"",
        "2:14: [::ffff:127.0.0.1]:1 is not a loopback address: only this host may reach the listeners",
    );
    assert!(parse(&format!("[redirect]\nlisten_v6 = []\n{WORKLOAD}")).is_ok());
}

#[test]
fn the_slice() {
    let slice = |value: &str, expected: &str| check(&format!("[redirect]\nslice = \"{value}\""), expected);
    slice("", "2:9: the slice must not be empty");
    slice(
        "/agents.slice",
        "2:9: the slice is written relative to the cgroup v2 mount, without outer slashes",
    );
    slice("a/../b", "2:9: the slice must not contain empty parts, `.` or `..`");
    slice("a//b", "2:9: the slice must not contain empty parts, `.` or `..`");
    slice("agents-*.slice", "2:9: the slice is one cgroup, not a pattern");
    slice("other.slice", "5:10: the cgroup must lie below the redirected slice: write \"other.slice/…\"");
}

#[test]
fn endpoint_overrides() {
    let one = |host: &str, address: &str, expected: &str| {
        check(&format!("[[forward.override]]\nhost = \"{host}\"\naddress = \"{address}\""), expected);
    };
    one(
        "*",
        "192.0.2.1:443",
        "2:8: \"*\" is not a valid host name: each label has 1 to 63 letters, digits or hyphens; write a host name or `*.suffix`",
    );
    one(
        "a.*.com",
        "192.0.2.1:443",
        "2:8: \"a.*.com\" is not a valid host name: each label has 1 to 63 letters, digits or hyphens; write a host name or `*.suffix`",
    );
    one("S3.amazonaws.com", "192.0.2.1:443", "2:8: write host names in lower case");
    one("s3.amazonaws.com", "192.0.2.1:0", "3:11: 192.0.2.1:0 needs a port");
    one("s3.amazonaws.com", "0.0.0.0:443", "3:11: 0.0.0.0:443 is no address of a host");
    one("s3.amazonaws.com", "127.65.87.1:4143", "3:11: 127.65.87.1:4143 is a listener of the gateway itself");
    check(
        "[[forward.override]]\nhost = \"*.amazonaws.com\"\naddress = \"192.0.2.1:443\"\n\
         [[forward.override]]\nhost = \"*.amazonaws.com\"\naddress = \"192.0.2.2:443\"",
        "5:8: *.amazonaws.com is listed twice: only the first is used",
    );
}

#[test]
fn sts_endpoint_log_and_group() {
    let sts =
        |value: &str, expected: &str| check(&format!("[credentials]\nsts_endpoint = \"{value}\""), expected);
    sts("sts.internal", "2:16: \"sts.internal\" is not an https URL");
    sts("ftp://sts.internal", "2:16: \"ftp://sts.internal\" is not an https URL");
    sts("https://", "2:16: \"https://\" is not a URL");
    sts("http://sts.internal", "2:16: keys would cross the network in the clear: use https");
    sts("http://127.0.0.1.example.com", "2:16: keys would cross the network in the clear: use https");
    for fine in
        ["https://vpce-1.sts.eu-west-1.vpce.amazonaws.com", "http://127.0.0.1:5000", "http://[::1]:5000"]
    {
        assert!(parse(&format!("[credentials]\nsts_endpoint = \"{fine}\"\n{WORKLOAD}")).is_ok(), "{fine}");
    }
    check("[api]\ngroup = \"\"", "2:9: `group` must name a group of this host");
    check(
        "[log]\nfilter = \"chaperone=loud\"",
        "2:10: not a log filter: error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
    );
}

#[test]
fn workloads() {
    check_whole(
        "",
        "1:1: no workload is configured, so every agent would be refused; add a [[workload]] section",
    );
    check_workload("name = \"builds\"\ntag = \"b\"", "8:8: another workload has the name \"builds\" already");
    check_workload(
        "name = \"b\"\ncgroup = \"agents.slice/*\"",
        "9:10: another workload has the cgroup \"agents.slice/*\" already",
    );
    check_workload(
        "name = \"B\"\ntag = \"b\"",
        "8:8: \"B\" is not a valid workload name: only a-z, 0-9 and - are allowed",
    );
    check_workload("tag = \"b\"", "6:1: missing field `name`");
    check_workload(
        "name = \"b\"",
        "6:1: workload b needs `cgroup = \"agents.slice/…\"` or `tag = \"…\"` to be recognised",
    );
    check_workload(
        "name = \"b\"\ntag = \"b\"\ncgroup = \"agents.slice/b\"",
        "9:7: a workload is recognised by `cgroup` or by `tag`, not by both",
    );
    check_workload("name = \"b\"\ntag = \"\"", "9:7: a tag has 1 to 128 bytes and no control characters");

    let cgroup = |pattern: &str, expected: &str| {
        check_workload(&format!("name = \"b\"\ncgroup = \"{pattern}\""), &format!("9:10: {expected}"));
    };
    cgroup("", "the cgroup must not be empty");
    cgroup("/agents.slice/b", "the cgroup is written relative to the cgroup v2 mount, without outer slashes");
    cgroup("agents.slice/../b", "the cgroup must not contain empty parts, `.` or `..`");
    cgroup("agents.slice/[b", "not a glob: unclosed character class; missing ']'");
    for outside in
        ["agents.slice", "other.slice/b", "agents.slicer/b", "*/b", "agents.*/b", "{agents.slice,other}/b"]
    {
        cgroup(outside, "the cgroup must lie below the redirected slice: write \"agents.slice/…\"");
    }
}

#[test]
fn the_rights_of_a_workload() {
    let with = |lines: &str, expected: &str| {
        check_workload(&format!("name = \"b\"\ntag = \"b\"\n{lines}"), expected)
    };
    with("groups = [\"a\", \"\"]", "10:16: a group has 1 to 128 bytes and no control characters");
    with("groups = [\"a\", \"a\"]", "10:16: the group \"a\" is listed twice");
    with("region = \"EU\"", "10:10: \"EU\" is not a valid region: 1 to 40 of a-z, 0-9 and - are allowed");
    with("account = \"1234\"", "10:11: \"1234\" is not a valid account id: it must be 12 digits");
    with(
        "credentials = \"own\"",
        "10:15: unknown variant `own`, expected one of `gateway`, `web-identity`, `passthrough`",
    );
    with(
        "credentials = \"passthrough\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"",
        "11:12: the gateway assumes no role for a workload with `credentials = \"passthrough\"`: \
         its agents use keys of their own",
    );
    with("egress = \"all\"", "10:10: unknown variant `all`, expected `aws` or `open`");
    for wrong in [
        "agents",
        "arn:aws:iam::123456789012:user/u",
        "arn:aws:iam::1:role/r",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/*",
    ] {
        with(
            &format!("role_arn = \"{wrong}\""),
            &format!(
                "10:12: \"{wrong}\" is not the ARN of a role, such as arn:aws:iam::123456789012:role/name"
            ),
        );
    }
    with(
        "account = \"111111111111\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"",
        "11:12: the role is of account 123456789012, but `account` says 111111111111",
    );
    with(
        "scope = \"call\"",
        "10:9: without `role_arn` the gateway's own keys sign, and those cannot be limited: add the role",
    );
    with("scope = \"all\"", "10:9: unknown variant `all`, expected one of `call`, `session`, `role`");
    with(
        "credentials = \"web-identity\"",
        "10:15: \"web-identity\" needs the `role_arn` that the token is for",
    );
    for more in ["scope = \"session\"", "scope = \"role\""] {
        let fine = format!("{WORKLOAD}role_arn = \"arn:aws:iam::123456789012:role/r\"\n{more}");
        assert!(parse(&fine).is_ok(), "{more}");
    }
    let fine = format!(
        "{WORKLOAD}role_arn = \"arn:aws-cn:iam::123456789012:role/path/r\"\naccount = \"123456789012\""
    );
    assert!(parse(&fine).is_ok());
}

/// An issuer with these lines, the first of which is line 2, before a workload.
#[track_caller]
fn check_issuer(lines: &str, expected: &str) {
    check(&format!("[[issuer]]\n{lines}"), expected);
}

const ISSUER: &str = "name = \"i\"\nurl = \"https://i.example\"\naudiences = [\"a\"]";

#[test]
fn issuers() {
    assert!(parse(&format!("[[issuer]]\n{ISSUER}\n{WORKLOAD}")).is_ok());
    check_issuer("url = \"https://i.example\"\naudiences = [\"a\"]", "1:1: missing field `name`");
    check_issuer("name = \"i\"\naudiences = [\"a\"]", "1:1: missing field `url`");
    check_issuer("name = \"i\"\nurl = \"https://i.example\"", "1:1: missing field `audiences`");
    check_issuer(
        &format!("{ISSUER}\naudience = \"a\""),
        "5:1: unknown key `audience`: did you mean `audiences`?",
    );
    check_issuer(
        "name = \"I\"\nurl = \"https://i.example\"\naudiences = [\"a\"]",
        "2:8: \"I\" is not a valid issuer name: only a-z, 0-9 and - are allowed",
    );
    check_issuer(
        &format!("{ISSUER}\n[[issuer]]\n{ISSUER}"),
        "6:8: another issuer has the name \"i\" already",
    );
    for url in ["http://i.example", "https://i.example?x", "https://i.example#x", "i.example", ""] {
        check_issuer(
            &format!("name = \"i\"\nurl = \"{url}\"\naudiences = [\"a\"]"),
            &format!("3:7: \"{url}\" is not an https URL without query and fragment"),
        );
    }
    let audiences = |list: &str, expected: &str| {
        check_issuer(&format!("name = \"i\"\nurl = \"https://i.example\"\naudiences = [{list}]"), expected);
    };
    let none = "4:13: 1 to 32 audiences are needed: what `aud` of a token for chaperone says";
    audiences("", none);
    let many: Vec<String> = (0..33).map(|number| format!("\"{number}\"")).collect();
    audiences(&many.join(","), none);
    audiences("\"a\", \"\"", "4:19: 1 to 256 bytes without control characters are allowed");
    audiences("\"a\", \"a\"", "4:19: \"a\" is listed twice");
}

#[test]
fn the_claims_of_an_issuer() {
    let with = |line: &str, expected: &str| check_issuer(&format!("{ISSUER}\n{line}"), expected);
    with("ca_file = \"ca.pem\"", "5:11: `ca_file` must be an absolute path");
    with("groups_prefix = \"a\\n\"", "5:17: 1 to 256 bytes without control characters are allowed");
    for wrong in ["", ".", "a.", ".a", "a..b", "'a", "a'", "''", "'a'b", "'a'.", "a'b'", "a.b'c"] {
        with(
            &format!("groups_claim = \"{wrong}\""),
            "5:16: a claim is a name, or names joined by dots, which may be in single quotes",
        );
        with(
            &format!("claims = [\"{wrong}\"]"),
            "5:11: a claim is a name, or names joined by dots, which may be in single quotes",
        );
    }
    with("claims = [\"a\", \"a\"]", "5:16: \"a\" is listed twice");
    let many: Vec<String> = (10..43).map(|number| format!("\"{number}\"")).collect();
    with(&format!("claims = [{}]", many.join(",")), "5:171: `claims` takes at most 32 names");
    with(
        "keys_refresh_secs = 7200\nkeys_max_age_secs = 3600",
        "6:21: `keys_max_age_secs` must not be less than `keys_refresh_secs`: keys would end before they are renewed",
    );
}

#[test]
fn every_number_of_an_issuer_has_a_range() {
    let text = format!("[[issuer]]\n{ISSUER}\n{WORKLOAD}");
    let whole: toml::Table = parse(&text).unwrap().effective_toml().unwrap().parse().unwrap();
    let numbers = whole["issuer"][0].as_table().unwrap().iter().filter(|(_, value)| value.is_integer());
    let mut seen = 0;
    for key in numbers.map(|(key, _)| key) {
        seen += 1;
        for wrong in [0, i64::MAX] {
            if (key.as_str(), wrong) == ("skew_secs", 0) {
                continue;
            }
            let line = format!("{ISSUER}\n{key} = {wrong}\n{WORKLOAD}");
            let error = parse(&format!("[[issuer]]\n{line}")).expect_err(&line).to_string();
            assert!(error.contains(&format!("`{key}` must be between")), "{error}");
        }
    }
    assert_eq!(seen, 8);
    check_issuer(&format!("{ISSUER}\nskew_secs = 301"), "5:13: `skew_secs` must be between 0 and 300");
}

#[test]
fn files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("chaperone.toml");
    let shown = path.display().to_string();
    let error = Config::load(&path).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{shown}: No such file or directory (os error 2); `chaperone init` writes a first one")
    );
    fs::write(&path, WORKLOAD).unwrap();
    assert!(Config::load(&path).is_ok());
    fs::write(&path, "\n\nx = 1").unwrap();
    assert!(
        Config::load(&path).unwrap_err().to_string().starts_with(&format!("{shown}:3:1: unknown key `x`"))
    );
    fs::write(&path, b"\xff\xfe").unwrap();
    assert_eq!(
        Config::load(&path).unwrap_err().to_string(),
        format!("{shown}: stream did not contain valid UTF-8")
    );
    fs::write(&path, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert_eq!(
        Config::load(&path).unwrap_err().to_string(),
        format!("{shown}: the file has more than 1048576 bytes")
    );
    assert!(matches!(Config::load(dir.path()), Err(ConfigError::Unreadable { .. })));
}

#[test]
fn a_policy_directory() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let rule = "permit (principal, action, resource);";
    assert!(policies::load(dir.path()).unwrap().is_empty());
    fs::write(at("b.cedar"), rule).unwrap();
    fs::write(at("target"), rule).unwrap();
    symlink(at("target"), at("a.cedar")).unwrap();
    for ignored in [".a.cedar", "README.md", "b.cedar.bak", "cedar"] {
        fs::write(at(ignored), "nonsense").unwrap();
    }
    fs::create_dir(at("sub")).unwrap();
    fs::write(at("sub/c.cedar"), "nonsense").unwrap();

    let found = policies::read(dir.path()).unwrap();
    let names: Vec<_> =
        found.files.iter().map(|(path, _)| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["a.cedar", "b.cedar"]);
    assert_eq!(found.ignored, [".a.cedar", "README.md", "b.cedar.bak", "cedar", "sub", "target"].map(at));
    let set = policies::load(dir.path()).unwrap();
    assert_eq!(set.rule_ids().collect::<Vec<_>>(), ["a.cedar#1", "b.cedar#1"]);

    fs::write(at("b.cedar"), "\npermit (principal, action, resource) when { nonsense };").unwrap();
    let error = policies::load(dir.path()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:2:45: ", at("b.cedar").display())), "{error}");
}

#[test]
fn a_policy_file_is_never_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.cedar");
    let check = |words: &str| {
        let error = policies::load(dir.path()).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {words}", path.display()));
    };
    symlink(dir.path().join("gone"), &path).unwrap();
    check("No such file or directory (os error 2)");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check("not a file");
    fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    check("not a file");
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"// \xff").unwrap();
    check("not UTF-8 at byte 3");
    fs::write(&path, " ".repeat(1024 * 1024 + 1)).unwrap();
    check("more than 1048576 bytes");

    let gone = dir.path().join("gone");
    assert_eq!(
        policies::load(&gone).unwrap_err().to_string(),
        format!("{}: No such file or directory (os error 2)", gone.display())
    );
}

#[test]
fn a_policy_directory_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..17 {
        fs::write(dir.path().join(format!("{number}.cedar")), " ".repeat(1024 * 1024)).unwrap();
    }
    let error = policies::load(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("the policy files have more than 16777216 bytes together"), "{error}");
    for number in 0..1000 {
        fs::write(dir.path().join(format!("{number}")), "").unwrap();
    }
    let error = policies::load(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("more than 1000 files"), "{error}");
}

#[test]
fn who_vouches_for_a_workload() {
    let issuer = "[[issuer]]\nname = \"idp\"\nurl = \"https://idp.example.com\"\naudiences = [\"a\"]\n";
    let workload = |identity: &str, lines: &str| {
        format!("{issuer}[[workload]]\nname = \"b\"\ntag = \"b\"\nidentity = \"{identity}\"\n{lines}")
    };
    let wrong = |identity: &str, lines: &str, expected: &str| {
        let error = parse(&workload(identity, lines)).unwrap_err().to_string();
        assert_eq!(error, format!("c.toml:{expected}"), "{lines}");
    };
    let host = "`identity = \"oidc\"`: the host alone vouches";
    wrong("host", "issuer = \"idp\"", &format!("9:10: `issuer` needs {host}"));
    wrong("host", "token_file = \"/t\"", &format!("9:14: `token_file` needs {host}"));
    wrong("host", "subjects = [\"a\"]", &format!("9:12: `subjects` needs {host}"));
    wrong(
        "host",
        "credentials = \"web-identity\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"",
        "9:15: \"web-identity\" needs `identity = \"oidc\"`: the host's word is no token",
    );
    wrong("oidc", "", "8:12: `identity = \"oidc\"` needs `issuer`, the name of an [[issuer]]");
    wrong("oidc", "issuer = \"other\"", "9:10: there is no [[issuer]] with the name other");
    let with = |line: &str| format!("issuer = \"idp\"\n{line}");
    wrong("oidc", &with("token_file = \"t\""), "10:14: `token_file` must be an absolute path");
    wrong("oidc", &with("token_file = \"/{u}\""), "10:14: only {unit} is replaced in `token_file`");
    wrong("oidc", &with("subjects = [\"\"]"), "10:13: \"\" is no glob of subjects");
    let role = "credentials = \"web-identity\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"";
    wrong(
        "oidc",
        &with("web_identity_role = \"arn:aws:iam::123456789012:role/t\""),
        "10:21: `web_identity_role` needs `credentials = \"web-identity\"`: it is assumed with a token",
    );
    wrong(
        "oidc",
        &with(&format!("{role}\nweb_identity_role = \"t\"")),
        "12:21: \"t\" is not the ARN of a role, such as arn:aws:iam::123456789012:role/name",
    );
    let chained = format!("{role}\nweb_identity_role = \"arn:aws:iam::123456789012:role/t\"");
    for right in ["token_file = \"/run/{unit}/t\"\nsubjects = [\"a-*\"]", role, &chained] {
        assert!(parse(&workload("oidc", &with(right))).is_ok(), "{right}");
    }
}

#[test]
fn the_session_database() {
    let record = |lines: &str, expected: &str| check(&format!("[record]\n{lines}"), expected);
    record(
        "store = \"postgres\"",
        "2:9: `store = \"postgres\"` needs `url = \"postgres://role@host/database\"`",
    );
    record("store = \"mysql\"", "2:9: unknown variant `mysql`, expected `sqlite` or `postgres`");
    record(
        "url = \"postgres://w@localhost/r\"",
        "2:7: `url` needs `store = \"postgres\"`: records go to the file in `database`",
    );
    record("store = \"postgres\"\nurl = \"db/r\"", "3:7: the URL does not begin with `postgres://`");
    record(
        "store = \"postgres\"\nurl = \"postgres://w:hunter2@db.example.com/r\"",
        "3:7: records would cross the network unverified: add `sslmode=verify-full&sslrootcert=/path/to/ca.pem` \
         to the URL",
    );
    record("host = \"\"", "2:8: `host` has 1 to 253 bytes and no control characters");
    let text = format!("[record]\nstore = \"postgres\"\nurl = \"postgres://w@localhost/r\"\n{WORKLOAD}");
    assert!(parse(&text).is_ok());
}

#[test]
fn a_password_is_in_no_file_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    let with = |url: &str, mode| {
        let text = format!("[record]\nstore = \"postgres\"\nurl = \"{url}\"\n{WORKLOAD}");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Config::load(&path)
    };
    let secret = "postgres://w:hunter2@localhost/r";
    for mode in [0o640, 0o604, 0o644] {
        let error = with(secret, mode).expect_err("others may read it").to_string();
        let expected =
            format!(":3:7: the URL holds a password, and this file is open to others (mode {mode:04o})");
        assert!(error.contains(&expected), "{error}");
        assert!(!error.contains("hunter"), "{error}");
        assert!(with("postgres://w@localhost/r", mode).is_ok());
    }
    let config = with(secret, 0o600).unwrap();
    let shown = config.effective_toml().unwrap();
    assert!(shown.contains("w:[redacted]@localhost") && !shown.contains("hunter"), "{shown}");
    assert!(!format!("{config:?}").contains("hunter"));
}

#[test]
fn a_console_needs_no_workload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.toml");
    fs::write(&path, "[record]\nstore = \"postgres\"\nurl = \"postgres://reader@localhost/r\"\n").unwrap();
    assert!(Config::load_to_read(&path).is_ok());
    assert!(Config::load(&path).unwrap_err().to_string().contains("no workload is configured"));
}

#[test]
fn mask_rules_are_about_something() {
    let rule = |lines: &str| format!("[[mask.rule]]\n{lines}\n{WORKLOAD}");
    let reveal = "operation = \"ssm:GetParameter\"\npath = \"Parameter.Value\"\neffect = \"reveal\"";
    let config = parse(&rule(reveal)).unwrap();
    assert_eq!((config.mask.personal, config.mask.rule[0].effect), (false, mask::Effect::Reveal));
    check(
        "[[mask.rule]]\noperation = \"ssm:GetParameter\"\npath = \"Parameter\"\nreversible = true",
        "4:14: Parameter of ssm:GetParameter is no text, and tokens stand for single texts only",
    );
    let tokens = "operation = \"ssm:GetParameter\"\npath = \"Parameter.Value\"\nreversible = true";
    assert!(parse(&rule(tokens)).unwrap().mask.rule[0].reversible);
    check("[mask]\ntoken_max_bytes = 65537", "2:19: `token_max_bytes` must be between 1 and 65536");
    check(
        "[[mask.pattern]]\nname = \"acme\"\nregex = \"ACME-[\"",
        "3:9: the pattern \"acme\" cannot be used: unclosed character class",
    );
    check(
        "[[mask.rule]]\noperation = \"ssm:GetParametr\"\npath = \"*\"",
        "2:13: ssm has no operation \"GetParametr\": did you mean GetParameter?",
    );
    check(
        "[[mask.rule]]\noperation = \"ssm:GetParameter\"\npath = \"Parameter.Vallue\"",
        "3:8: answers of ssm:GetParameter have no \"Vallue\" there: did you mean Value?",
    );
    check(
        &format!("[[mask.rule]]\n{reveal}\n[[mask.rule]]\n{reveal}\nreversible = true"),
        "9:14: what is revealed has no token in its place",
    );
    check("[[mask.rule]]\npath = \"*\"", "1:1: missing field `operation`");
    check("[mask]\npersonel = true", "2:1: unknown key `personel`: did you mean `personal`?");
}
