use super::{plans::sample, *};

fn report(body: &str) -> Report {
    check(Format::Json, &sample(), body.as_bytes()).unwrap().1
}

#[test]
fn a_report_says_where_and_why() {
    let plan = sample();
    let found = report(
        r#"{"Parameters":[{"Name":"a"},{"Value":"x"}],"Environment":{"Variables":{"K\u0007ey.1":"y"}},"Auth":{"a":[1,{"b":true}]},"Tree":["z",null],"SecretBinary":"aHVudGVyMg=="}"#,
    );
    let entry = |path: &str, field: Option<&str>, value: &str| Entry {
        path: path.to_owned(),
        cause: field.map_or(Cause::Shape, |path| Cause::Field(plan.fields_at(path).next().unwrap())),
        digest: digest(value.as_bytes()),
    };
    assert_eq!(
        found.entries,
        [
            entry("Parameters[1].Value", Some("Parameters[].Value"), "x"),
            entry("Environment.Variables.K\u{fffd}ey.1", Some("Environment.Variables{}"), "y"),
            entry("Auth.a[0]", Some("Auth"), "1"),
            entry("Auth.a[1].b", Some("Auth"), "true"),
            entry("Tree[0]", None, "z"),
            entry("SecretBinary", Some("SecretBinary"), "aHVudGVyMg=="),
        ]
    );
    assert_eq!(found.more, 0);
}

#[test]
fn reports_are_bounded() {
    let many = format!(r#"{{"Auth":[{}1]}}"#, "1,".repeat(999));
    let found = report(&many);
    assert_eq!((found.entries.len(), found.more, found.count()), (ENTRIES_MAX, 744, 1000));
    let name = "é".repeat(100);
    let deep = format!(r#"{{"Auth":{}1{}}}"#, format!(r#"{{"{name}":"#).repeat(100), "}".repeat(100));
    let found = report(&deep);
    assert!(found.entries[0].path.len() <= 256 && found.entries[0].path.ends_with('…'), "{found:?}");
    assert!(found.entries[0].path.starts_with("Auth.éé"), "{found:?}");
}

/// Remembers what it was asked.
struct Tokens(Arc<std::sync::Mutex<Asked>>);

/// Paths and values.
type Asked = Vec<(String, Vec<u8>)>;

impl Replace for Tokens {
    fn replacement(&mut self, field: &Field, digest: [u8; DIGEST_LEN], value: &[u8]) -> Option<String> {
        assert_eq!(digest, super::digest(value));
        self.0.lock().unwrap().push((field.path.to_string(), value.to_vec()));
        (value != b"none").then(|| "to\"ken<&\n".to_owned())
    }

    fn too_long(&mut self, field: &Field) {
        self.0.lock().unwrap().push((field.path.to_string(), b"too long".to_vec()));
    }
}

pub(in crate::mask) fn reversible() -> Plan {
    let mut plan = Plan::builder();
    let root = plan.structure();
    for (name, kind) in [("Text", Kind::Text), ("Blob", Kind::Blob), ("Number", Kind::Number)] {
        let field = plan.reversible_field(name, kind);
        let secret = plan.secret(field);
        plan.member(root, name, secret);
    }
    let plain = plan.field("Plain", Kind::Text);
    let plain = plan.secret(plain);
    plan.member(root, "Plain", plain);
    plan.build(root).unwrap()
}

/// The answer, and what was asked.
pub(in crate::mask) fn replaced(format: Format, body: &[u8]) -> Result<(Vec<u8>, Asked), MaskError> {
    let plan = reversible();
    let asked = Arc::default();
    let asking = || Job { replace: Some(Box::new(Tokens(Arc::clone(&asked)))), ..job(&plan) };
    let outcome = in_all_chunks(format, &asking, body, &[2, 3]);
    asked.lock().unwrap().clear();
    if outcome.is_ok() {
        let _ = masked(format, asking(), [body]);
    }
    let asked = asked.lock().unwrap().clone();
    outcome.map(|(out, _)| (out, asked))
}

#[test]
fn reversible_fields_are_asked_about() {
    let (out, asked) =
        replaced(Format::Json, br#"{"Text":"a\u0062c","Blob":"AAEC","Number":12,"Plain":"x","Text":"none"}"#)
            .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"Text":"to\"ken<&\u000a","Blob":"Y2hhcGVyb25lOm1hc2tlZA==","Number":0,"Plain":"chaperone:masked","Text":"chaperone:masked"}"#
    );
    let expected: [(String, Vec<u8>); 2] =
        [("Text".to_owned(), b"abc".to_vec()), ("Text".to_owned(), b"none".to_vec())];
    assert_eq!(asked, expected);
    let long = |length: usize| format!(r#"{{"Text":"{}"}}"#, "x".repeat(length));
    let (out, asked) = replaced(Format::Json, long(REVERSIBLE_MAX).as_bytes()).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("ken"), "{}", asked.len());
    // A longer one is hidden for good, and said to be.
    let (out, asked) = replaced(Format::Json, long(REVERSIBLE_MAX + 1).as_bytes()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"Text":"chaperone:masked"}"#);
    assert_eq!(asked, [("Text".to_owned(), b"too long".to_vec())]);
}
