use serde_json::{Map, Value, json};

use super::{
    plans::sample,
    random::{NAMES, Shape, constant, plan, shape},
    *,
};

const JSON: Format = Format::Json;

fn ok(body: &str, expected: &str) {
    assert_eq!(passed(JSON, &sample(), body), expected);
}

fn bad(body: impl AsRef<[u8]>, expected: MaskError) {
    refused(JSON, &sample(), body.as_ref(), expected);
}

const NO: MaskError = MaskError::Malformed("it is not JSON");

#[test]
fn what_the_plan_names_is_hidden_and_nothing_else_changes() {
    for (body, expected) in [
        (r#"{"SecretString":"hunter2"}"#, r#"{"SecretString":"chaperone:masked"}"#),
        (
            r#" { "SecretString" : "hunter2" , "Name":"a\u0041" } "#,
            r#" { "SecretString" : "chaperone:masked" , "Name":"a\u0041" } "#,
        ),
        (r#"{"\u0053ecretStrin\u0067":"x"}"#, r#"{"\u0053ecretStrin\u0067":"chaperone:masked"}"#),
        (
            r#"{"SecretString":"a","SecretString":"b"}"#,
            r#"{"SecretString":"chaperone:masked","SecretString":"chaperone:masked"}"#,
        ),
        (r#"{"SecretBinary":"aHVudGVyMg=="}"#, r#"{"SecretBinary":"Y2hhcGVyb25lOm1hc2tlZA=="}"#),
        (r#"{"Pin":-12.5e+3,"Flag":true}"#, r#"{"Pin":0,"Flag":false}"#),
        (r#"{"Flag":false,"Pin":null}"#, r#"{"Flag":false,"Pin":null}"#),
        (r#"{"Due":1.7e9}"#, r#"{"Due":0}"#),
        (r#"{"Due":"2030-01-01T01:00:00Z"}"#, r#"{"Due":"1970-01-01T00:00:00Z"}"#),
        (r#"{"Due":"Tue, 01 Jan 2030 00:00:00 GMT"}"#, r#"{"Due":"Thu, 01 Jan 1970 00:00:00 GMT"}"#),
        (
            r#"{"Parameters":[{"Value":"a"},{"Name":"b","Value":"c"}]}"#,
            r#"{"Parameters":[{"Value":"chaperone:masked"},{"Name":"b","Value":"chaperone:masked"}]}"#,
        ),
        (
            r#"{"Environment":{"Variables":{"A":"1","Value":"2"},"Error":{"A":"3"}}}"#,
            r#"{"Environment":{"Variables":{"A":"chaperone:masked","Value":"chaperone:masked"},"Error":{"A":"3"}}}"#,
        ),
        (
            r#"{"Auth":{"a":["x",1,true,null,{"b":"y"}],"c":{}}}"#,
            r#"{"Auth":{"a":["chaperone:masked",0,false,null,{"b":"chaperone:masked"}],"c":{}}}"#,
        ),
        (
            r#"{"Tree":{"Key":"a","Children":[{"Key":"b","Children":[{"Key":"c"}]},{"Key":"d"}]}}"#,
            r#"{"Tree":{"Key":"chaperone:masked","Children":[{"Key":"chaperone:masked","Children":[{"Key":"chaperone:masked"}]},{"Key":"chaperone:masked"}]}}"#,
        ),
        // A name means something at its place alone.
        (
            r#"{"Value":"a","Key":"b","Other":{"SecretString":"c"}}"#,
            r#"{"Value":"a","Key":"b","Other":{"SecretString":"c"}}"#,
        ),
        // Another shape than the plan's.
        (r#"{"Parameters":{"Value":"a"}}"#, r#"{"Parameters":{"Value":"chaperone:masked"}}"#),
        (r#"{"Parameters":["a",[1],{"b":2}]}"#, r#"{"Parameters":["chaperone:masked",[0],{"Value":0}]}"#),
        (
            r#"{"Parameters":"a","Tree":[1],"Environment":true}"#,
            r#"{"Parameters":"chaperone:masked","Tree":[0],"Environment":false}"#,
        ),
        (r#"[{"Name":"a"}]"#, r#"[{"Name":"chaperone:masked"}]"#),
        (r#""a""#, r#""chaperone:masked""#),
        ("12", "0"),
        (" true ", " false "),
        ("null", "null"),
        ("{}", "{}"),
        ("", ""),
    ] {
        let expected = expected.replace(r#"{"Value":0}"#, r#"{"b":2}"#);
        ok(body, &expected);
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for body in [
        "{]",
        "[}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "-01",
        "{,}",
        "{1:2}",
        "01",
        "1.",
        "-",
        "+1",
        ".5",
        "1e",
        "1e+",
        "nul",
        "truE",
        "NaN",
        "Infinity",
        "'a'",
        "{'a':1}",
        "{\"a\" 1}",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "\u{feff}{}",
        "\u{b}1",
        "/**/1",
        "{\"a\":tru,}",
        "{\"a\":1.x}",
        "{\"a\":0x1}",
    ] {
        let expected = if matches!(body, "1." | "-" | "1e" | "1e+" | "nul") { MaskError::Broken } else { NO };
        let expected = match body {
            "{]" | "[}" => NO,
            "01" => NO,
            _ => expected,
        };
        bad(body, expected);
    }
    for body in ["{} {}", "{},", "1 2", "[]]", "{}x", "\"a\"\"b\""] {
        let outcome = check(JSON, &sample(), body.as_bytes());
        assert!(matches!(outcome, Err(MaskError::Malformed(_))), "{body}: {outcome:?}");
    }
    for body in [
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1",
        "\"a",
        "\"a\\",
        "\"\\u00",
        " ",
        "{\"SecretString\":\"abc",
        "\"\\ud83d",
    ] {
        bad(body, MaskError::Broken);
    }
    let escape = MaskError::Malformed("an escape that is none");
    for text in [
        r"\x",
        r"\u12g4",
        r"\ud83d",
        r"\ud83dx",
        r"\ud83d\n",
        r"\ud83d\u0041",
        r"\ud83dxude00",
        r"\ud83d\xde00",
        r"\udc00",
        r"\U0041",
        r"\'",
    ] {
        bad(format!("{{\"{text}\":1}}"), escape);
        bad(format!("{{\"a\":\"{text}\"}}"), escape);
        bad(format!("{{\"SecretString\":\"{text}\"}}"), escape);
    }
    let control = MaskError::Malformed("a control character in a text");
    for text in ["\n", "\t", "\0", "\u{1f}", "abcdefghijkl\u{1}mnopqrstuvwxyz"] {
        bad(format!("{{\"{text}\":1}}"), control);
        bad(format!("{{\"a\":\"{text}\"}}"), control);
        bad(format!("{{\"SecretString\":\"{text}\"}}"), control);
    }
    bad(b"{\"Secret\xffString\":1}", MaskError::Malformed("a name is not UTF-8"));
    bad(b"{\"\xc3\":1}", MaskError::Malformed("a name is not UTF-8"));
    // What is only passed on may be anything between quotation marks.
    check(JSON, &sample(), b"{\"a\":\"\xff\"}").unwrap();
}

#[test]
fn bounds_hold() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    ok(&nested(DEPTH_MAX), &format!("{}0{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX)));
    bad(nested(DEPTH_MAX + 1), MaskError::TooDeep);
    let bomb = vec![b'{'; 1_000_000];
    bad(&bomb, NO);
    let bomb = b"{\"a\":".repeat(100_000);
    let mut masker = Masker::new(JSON, job(&sample()));
    assert_eq!(masker.push(&bomb, &mut Vec::new()), Err(MaskError::TooDeep));
    // And nothing follows.
    let mut out = Vec::new();
    assert_eq!(masker.push(b"1", &mut out), Err(MaskError::TooDeep));
    assert_eq!(masker.finish(&mut out), Err(MaskError::TooDeep));
    assert!(out.is_empty());
    // A name that only begins like one of the plan is another.
    let long = "SecretString".repeat(20_000);
    let body = format!(r#"{{"{long}":"a","SecretString":"b"}}"#);
    let expected = format!(r#"{{"{long}":"a","SecretString":"chaperone:masked"}}"#);
    assert!(passed(JSON, &sample(), &body) == expected);
    let longest = "n".repeat(NAME_MAX);
    let mut plan = Plan::builder();
    let field = plan.field("x", Kind::Text);
    let (root, secret) = (plan.structure(), plan.secret(field));
    plan.member(root, &longest, secret);
    let body = format!(r#"{{"{longest}n":"a","{longest}":"b"}}"#);
    let expected = body.replace("\"b\"", "\"chaperone:masked\"");
    assert_eq!(passed(JSON, &plan.build(root).unwrap(), &body), expected);
    let digits = "1".repeat(100_000);
    assert!(passed(JSON, &sample(), &format!(r#"{{"Pin":{digits}}}"#)) == r#"{"Pin":0}"#);
    let text = "secret ".repeat(100_000);
    let out = passed(JSON, &sample(), &format!(r#"{{"SecretString":"{text}"}}"#));
    assert!(out == r#"{"SecretString":"chaperone:masked"}"#);
}

#[test]
fn revealed_fields_pass() {
    let plan = sample();
    let body = br#"{"SecretString":"AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY","Tree":{"Key":"x"}}"#;
    let revealing = || Job { revealed: plan.fields_at("SecretString").collect(), ..watched(&plan) };
    let (out, report) = in_all_chunks(JSON, &revealing, body, &[5]).unwrap();
    let expected = String::from_utf8_lossy(body).replace("\"x\"", "\"chaperone:masked\"");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(report.count(), 1);
}

/// As a masker does it that has the whole tree.
fn naive(value: &Value, shape: Option<&Shape>, hidden: &mut Vec<String>) -> Value {
    match (shape, value) {
        (None, _) | (_, Value::Null) => value.clone(),
        (Some(shape), _) if shape.is_free() => value.clone(),
        (Some(Shape::Secret(kind)), _) => hide(value, *kind, hidden),
        (Some(Shape::Structure(members)), Value::Object(object)) => Value::Object(
            object
                .iter()
                .map(|(name, value)| (name.clone(), naive(value, members.get(name.as_str()), hidden)))
                .collect(),
        ),
        (Some(Shape::Map(each) | Shape::FlatMap(each)), Value::Object(object)) => Value::Object(
            object.iter().map(|(name, value)| (name.clone(), naive(value, Some(each), hidden))).collect(),
        ),
        (Some(Shape::List(each) | Shape::FlatList(each)), Value::Array(list)) => {
            Value::Array(list.iter().map(|value| naive(value, Some(each), hidden)).collect())
        }
        (Some(_), _) => hide(value, Kind::Any, hidden),
    }
}

fn hide(value: &Value, kind: Kind, hidden: &mut Vec<String>) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => Value::Bool(false),
        Value::Number(_) => json!(0),
        Value::String(text) => {
            hidden.push(text.clone());
            Value::String(constant(kind, text))
        }
        Value::Array(list) => list.iter().map(|value| hide(value, kind, hidden)).collect(),
        Value::Object(object) => Value::Object(
            object.iter().map(|(name, value)| (name.clone(), hide(value, kind, hidden))).collect(),
        ),
    }
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        "\\PC{0,12}".prop_map(Value::String),
        "[a-zA-Z0-9\"\\\\/\n\t😀é-]{0,40}".prop_map(Value::String),
        Just(json!("2030-01-01T01:00:00Z")),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((prop::sample::select(NAMES.as_slice()), inner), 0..5).prop_map(
                |members| {
                    Value::Object(
                        members
                            .into_iter()
                            .map(|(name, value)| (name.to_owned(), value))
                            .collect::<Map<_, _>>(),
                    )
                }
            ),
        ]
    })
}

/// A document as JSON may write it: characters and spaces in different ways.
fn write(value: &Value, ways: &mut impl Iterator<Item = u8>, out: &mut String) {
    let mut way = || ways.next().unwrap_or(0);
    let mut text = |text: &str, out: &mut String| {
        out.push('"');
        for c in text.chars() {
            match (c, way() % 8) {
                ('/', 1) => out.push_str("\\/"),
                ('\n', 1..4) => out.push_str("\\n"),
                ('\t', 1..4) => out.push_str("\\t"),
                ('"' | '\\', 1..6) => out.extend(['\\', c]),
                ('"' | '\\' | '\0'..='\x1f', _) | (_, 0) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => out.push(c),
            }
        }
        out.push('"');
    };
    match value {
        Value::String(string) => text(string, out),
        Value::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write(value, ways, out);
            }
            out.push_str(" ]");
        }
        Value::Object(object) => {
            out.push('{');
            for (at, (name, value)) in object.iter().enumerate() {
                out.push_str(if at > 0 { ",\n" } else { "" });
                write(&Value::String(name.clone()), ways, out);
                out.push(':');
                write(value, ways, out);
            }
            out.push_str(" }");
        }
        other => out.push_str(&other.to_string()),
    }
}

proptest! {
    #[test]
    fn it_does_what_a_masker_with_the_whole_tree_does(
        shape in shape(&NAMES),
        value in document(),
        ways in prop::collection::vec(any::<u8>(), 1..40),
        sizes in prop::collection::vec(1_usize..40, 1..8),
        looked_through in any::<bool>(),
    ) {
        let mut body = String::new();
        write(&value, &mut ways.iter().copied().cycle(), &mut body);
        prop_assert_eq!(&serde_json::from_str::<Value>(&body).unwrap(), &value);
        let plan = plan(&shape);
        let job = || if looked_through { watched(&plan) } else { job(&plan) };
        let (out, report) = in_all_chunks(JSON, &job, body.as_bytes(), &sizes).unwrap();
        let mut hidden = Vec::new();
        let expected = naive(&value, Some(&shape), &mut hidden);
        let found: Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(&found, &expected);
        // Each with the digest of what it says.
        let digests: Vec<_> = report.entries.iter().map(|entry| entry.digest).collect();
        for text in hidden {
            prop_assert!(digests.contains(&digest(text.as_bytes())), "{:?}", text);
        }
    }

    #[test]
    fn no_secret_is_left(
        secret in "[a-z0-9]{16,60}",
        name in prop::sample::select(vec!["SecretString", "SecretBinary", "Due"]),
        ways in prop::collection::vec(any::<u8>(), 1..40),
        sizes in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let value = json!({"a": {"b": [1, "x"]}, name: secret, "Tree": {"Children": [{"Key": [secret]}]}});
        let mut body = String::new();
        write(&value, &mut ways.iter().copied().cycle(), &mut body);
        let plan = sample();
        let (out, report) = in_all_chunks(JSON, &|| watched(&plan), body.as_bytes(), &sizes).unwrap();
        let found: Value = serde_json::from_slice(&out).unwrap();
        prop_assert!(!found.to_string().contains(&secret) && !String::from_utf8_lossy(&out).contains(&secret));
        prop_assert_eq!(report.count(), 2);
        prop_assert!(report.entries.iter().all(|entry| entry.digest == digest(secret.as_bytes())));
    }

    /// Whatever is accepted is JSON to everyone, and nothing else is refused but what is stricter here.
    #[test]
    fn it_reads_what_others_read(body in "[\\[\\]{}:,\"a1.e\\-\\\\un tfls]{0,30}") {
        let outcome = in_all_chunks(JSON, &|| job(&Plan::nothing()), body.as_bytes(), &[2, 5]);
        let read: Result<Value, _> = serde_json::from_str(&body);
        // Numbers may be larger than the largest double.
        let read = read.map_or_else(|error| error.to_string().contains("out of range"), |_| true);
        prop_assert_eq!(outcome.is_ok(), read || body.is_empty(), "{:?}", outcome);
    }
}
