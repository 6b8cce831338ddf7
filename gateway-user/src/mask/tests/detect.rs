use super::*;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";

fn pem(kind: &str) -> String {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n";
    format!("-----BEGIN {kind}-----\n{}-----END {kind}-----", line.repeat(3))
}

/// What a text becomes, and which detectors found something.
fn looked_through(text: &str) -> (String, Vec<String>) {
    let job = || watched(&Plan::nothing());
    let (out, report) = in_all_chunks(Format::Text, &job, text.as_bytes(), &[7, 1, 30]).unwrap();
    let name = |entry: &Entry| match &entry.cause {
        Cause::Detector(name) => name.to_string(),
        other => format!("{other:?}"),
    };
    (String::from_utf8(out).unwrap(), report.entries.iter().map(name).collect())
}

/// `<…>` of a text is hidden, by this detector.
fn finds(name: &str, marked: &str) {
    let text = marked.replace(['⟦', '⟧'], "");
    let mut expected = String::new();
    for (at, part) in marked.split(['⟦', '⟧']).enumerate() {
        expected.push_str(if at % 2 == 0 { part } else { MASKED });
    }
    let hidden = marked.matches('⟦').count();
    let (out, names) = looked_through(&text);
    assert_eq!(out, expected);
    assert_eq!(names, vec![name; hidden], "{text}");
    in_documents(&text, &expected);
}

fn leaves(text: &str) {
    let (out, names) = looked_through(text);
    assert_eq!(out, text, "{names:?}");
    in_documents(text, text);
}

/// The same as a value of every format: what it says is what counts.
fn in_documents(text: &str, expected: &str) {
    let job = || watched(&Plan::nothing());
    for plain in [true, false] {
        let mut body = String::from("{\"a\":[");
        let write = |text: &str| {
            let json = serde_json::to_string(text).unwrap();
            if plain {
                return json;
            }
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
            format!("\"{}\"", units.collect::<String>())
        };
        body.push_str(&write(text));
        body.push_str("]}");
        let (out, _) = in_all_chunks(Format::Json, &job, body.as_bytes(), &[7, 1, 30]).unwrap();
        if text == expected {
            assert_eq!(String::from_utf8_lossy(&out), body);
        }
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(found["a"][0].as_str(), Some(expected), "{body}");
    }
    let escaped = quick_xml::escape::escape(text);
    let numbers: String = text.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    let cdata = format!("<![CDATA[{}]]>", text.replace("]]>", ""));
    for written in [escaped.as_ref(), &numbers, &cdata] {
        let body = format!("<R><a>{written}</a></R>");
        let (out, _) =
            in_all_chunks(Format::Xml { wrappers: 1 }, &job, body.as_bytes(), &[7, 1, 30]).unwrap();
        let out = String::from_utf8(out).unwrap();
        if text == expected {
            assert_eq!(out, body);
        }
        let inner = out.strip_prefix("<R><a>").unwrap().strip_suffix("</a></R>").unwrap();
        let said = match inner.strip_prefix("<![CDATA[") {
            Some(inner) => inner.strip_suffix("]]>").unwrap().to_owned(),
            None => quick_xml::escape::unescape(inner).unwrap().into_owned(),
        };
        assert_eq!(said, expected, "{body}");
    }
    let value = ciborium::Value::Array(vec![ciborium::Value::Text(text.to_owned())]);
    let mut body = Vec::new();
    ciborium::into_writer(&value, &mut body).unwrap();
    let (out, _) = in_all_chunks(Format::Cbor, &job, &body, &[7, 1, 30]).unwrap();
    let found: ciborium::Value = ciborium::from_reader(out.as_slice()).unwrap();
    let found = found.as_array().unwrap()[0].as_text().unwrap().to_owned();
    assert_eq!(found.len(), text.len());
    assert_eq!(found == text, text == expected, "{found}");
}

#[test]
fn secret_access_keys_are_found_near_ids_and_names() {
    for text in [
        format!("{ID} ⟦{KEY}⟧"),
        format!("{ID}:⟦{KEY}⟧:rest"),
        format!("{ID},⟦{KEY}⟧\nASIAIOSFODNN7EXAMPLE,⟦{KEY}⟧"),
        format!("⟦{KEY}⟧ {ID}"),
        format!("{{\"AccessKeyId\":\"{ID}\",\"SecretAccessKey\":\"⟦{KEY}⟧\"}}"),
        format!("{{\\\"secretAccessKey\\\":\\\"⟦{KEY}⟧\\\"}}"),
        format!("[default]\naws_access_key_id = {ID}\naws_secret_access_key = ⟦{KEY}⟧\nregion = x"),
        format!("export AWS_SECRET_ACCESS_KEY=⟦{KEY}⟧;"),
        format!("aws.secretKey=⟦{KEY}⟧"),
        format!("AWS_SECRET_KEY: '⟦{KEY}⟧'"),
        format!("secret access key ⟦{KEY}⟧"),
        format!("Secret-Key: ⟦{KEY}⟧ é"),
    ] {
        finds("aws-secret-access-key", &text);
    }
    let sha1 = "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12";
    for text in [
        KEY.to_owned(),
        ID.to_owned(),
        format!("{ID} {sha1}"),
        format!("{ID} {}", KEY.to_lowercase()),
        format!("{ID} {}", KEY.to_uppercase()),
        format!("{ID}X {KEY}"),
        format!("X{ID} {KEY}"),
        format!("{ID} {KEY}x"),
        format!("{ID} x{KEY}"),
        format!("{ID} {KEY}="),
        format!("secret {KEY}"),
        format!("secret_access_key {}{KEY}", " ".repeat(100)),
        format!("AROAIOSFODNN7EXAMPLE {KEY}"),
    ] {
        leaves(&text);
    }
}

#[test]
fn private_keys_are_found_to_their_end() {
    for kind in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        finds("private-key", &format!("a ⟦{}⟧\nb", pem(kind)));
    }
    finds("private-key", &format!("⟦{}⟧", pem("PRIVATE KEY").replace('\n', "\\n")));
    finds("private-key", &format!("⟦{}⟧ ⟦{}⟧", pem("PRIVATE KEY"), pem("EC PRIVATE KEY")));
    // What has no end ends with the text.
    finds("private-key", "a⟦-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC⟧");
    leaves(&pem("CERTIFICATE"));
    leaves(&pem("PUBLIC KEY"));
    leaves("-----BEGIN ");
}

#[test]
fn web_tokens_are_found() {
    for text in [
        format!("⟦{JWT}⟧"),
        format!("Authorization: Bearer ⟦{JWT}⟧\r\n"),
        format!("token=⟦{JWT}⟧&x"),
        format!("(⟦{HEADER}.e30.⟧)"),
        // Encrypted: five parts. Another alphabet of spaces.
        format!("⟦{HEADER}.a.b.c.d⟧ e"),
        "⟦ewogICJhbGciOiAiSFMyNTYiCn0.eyJhIjoxfQ.c2ln⟧".to_owned(),
        "⟦eyAiYWxnIjoibm9uZSJ9.eyJhIjoxfQ.⟧".to_owned(),
    ] {
        finds("json-web-token", &text);
    }
    for text in [
        HEADER.to_owned(),
        format!("{HEADER}.eyJzdWIiOiIxMjM0NTY3ODkwIn0"),
        // No algorithm, or no JSON.
        "eyJ0eXAiOiJKV1QifQ.eyJhIjoxfQ.c2ln".to_owned(),
        "eyJhbGci.eyJhIjoxfQ.c2ln".to_owned(),
        format!("x{JWT}"),
        format!("{HEADER}..c"),
    ] {
        leaves(&text);
    }
}

#[test]
fn passwords_of_connections_are_found() {
    for text in [
        "postgres://user:⟦hunter2⟧@db.example.com:5432/x",
        "url = \"mongodb+srv://u:⟦p%40ss⟧@h/d\"",
        "redis://:⟦hunter2⟧@h:6379",
        "https://u:⟦a@b:c⟧@h",
        "Server=h;User Id=u;Password=⟦hunter2⟧;Database=d",
        "Uid=u;Pwd=⟦hunter2⟧",
        "jdbc:mysql://h:3306/d?user=u&password=⟦hunter2⟧&x=y",
        "password = '⟦two words⟧' x",
        "DB_PASSWORD=⟦hunter2⟧\n",
        "PASSWD=⟦hunter2⟧ --password=⟦hunter3⟧",
        "amqp://u:⟦a⟧@h,amqp://u:⟦b⟧@i",
    ] {
        finds("connection-password", text);
    }
    for text in [
        "https://example.com/a:b@c",
        "s3://bucket/key@x",
        "https://host:443/x",
        "https://user@host/",
        "ssh://git@github.com:22/x",
        "https://u:@h",
        "postgres://u:${PASSWORD}@h",
        "postgres://u:***@h",
        "Password=;",
        "password=",
        "password = ${x}",
        "password=****",
        "passwordReset=1",
        "PWD=/home/user",
        "if password == other",
        "the password is unknown",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:password-AbCdEf",
    ] {
        leaves(text);
    }
}

#[test]
fn signatures_of_links_are_found() {
    const SIGNATURE: &str = "fe5f80f77d5fa3beca038a248ff027d0445342fe2855ddc963176630326f1024";
    let credential = "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20300101%2Fus-east-1%2Fs3%2Faws4_request";
    for text in [
        format!("https://b.s3.amazonaws.com/k?{credential}&X-Amz-Signature=⟦{SIGNATURE}⟧"),
        format!("see http://h:9000/?X-Amz-Signature=⟦{SIGNATURE}⟧&{credential} and go on"),
        format!("<a href='s3://h/k?a&amp;X-Amz-Signature=⟦{SIGNATURE}⟧'>é</a>"),
        format!("https://a/?to=https://b/?X-Amz-Signature=⟦{SIGNATURE}⟧"),
        format!("https://a/?X-Amz-Signature=⟦{SIGNATURE}⟧,https://b/?X-Amz-Signature=⟦{SIGNATURE}⟧"),
        // By ECDSA.
        format!("https://a/?X-Amz-Signature=⟦3045{SIGNATURE}{SIGNATURE}⟧"),
    ] {
        finds("presigned-url", &text);
    }
    for text in [
        format!("https://b.s3.amazonaws.com/k?{credential}&X-Amz-SignedHeaders=host"),
        format!("https://a/?X-Amz-Signature={}", SIGNATURE.get(1..).unwrap()),
        format!("https://a/?X-Amz-Signature=${{signature}}&{SIGNATURE}"),
        format!("https://a/{SIGNATURE} X-Amz-Signature={SIGNATURE}"),
        format!("X-Amz-Signature={SIGNATURE}"),
        format!("https://a/?digest={SIGNATURE}"),
        "arn:aws:s3:::b/X-Amz-Signature".to_owned(),
    ] {
        leaves(&text);
    }
    let body = format!(r#"{{"NextToken":"https://a/?X-Amz-Signature={SIGNATURE}"}}"#);
    let (out, _) = in_all_chunks(Format::Json, &|| watched(&Plan::nothing()), body.as_bytes(), &[7]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), body);
}

/// What agents need and what only looks random.
#[test]
fn ids_and_tokens_are_left_alone() {
    let kms = "AQICAHhBJ5Jd0wBrwmOG1jcFQTEL6VbR6WQm4kYGmUHXHQa8pwFk0Bg6q4Z5oXb3GAbcVZ3hAAAAfjB8BgkqhkiG9w0BBwagbzBtAgEAMGgGCSqGSIb3DQEHATAeBglghkgBZQMEAS4wEQQM";
    let next = "eyJ2IjoiMiIsImMiOiJ0NVRHdGpLeHRqRnFnOTJzOHpqOGE5a3M0TFZjVE1ScVZ2QnRlZ1hYIiwicyI6IjEifQ==";
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":["secretsmanager:GetSecretValue","iam:ChangePassword"],"Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAIOSFODNN7EXAMPLE:x"}}}]}"#;
    let encoded = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D";
    for text in [
        ID,
        "ASIAIOSFODNN7EXAMPLE",
        "AROAIOSFODNN7EXAMPLE:i-0abcd1234ef567890",
        "AIDAIOSFODNN7EXAMPLE",
        "arn:aws:iam::123456789012:role/service-role/SecretAccessKeyRotation",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/db-AbCdEf",
        "arn:aws:sts::123456789012:assumed-role/role/session",
        "0a1b2c3d-4e5f-6789-abcd-ef0123456789",
        "C3D13FE58DE4C810",
        "s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234=",
        "\"d41d8cd98f00b204e9800998ecf8427e\"",
        "\"d41d8cd98f00b204e9800998ecf8427e-12\"",
        "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
        "3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo",
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "https://sqs.us-east-1.amazonaws.com/123456789012/queue",
        "https://example.s3.amazonaws.com/key?X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20300101%2Fus-east-1%2Fs3%2Faws4_request",
        "projects/secretKeyRotation/and/a/long/path",
        "i-0abcd1234ef567890",
        "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n-----END CERTIFICATE-----",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7VJTUt9Us8cKj user@host",
        kms,
        next,
        policy,
        encoded,
    ] {
        leaves(text);
    }
    // A token of a listing may look like anything.
    for name in ["NextToken", "nextToken", "next_token", "Marker", "NextContinuationToken", "x-y"] {
        for text in [JWT, &format!("{ID} {KEY}")] {
            let kept = name != "x-y";
            let job = || watched(&Plan::nothing());
            let check = |format: Format, body: String| {
                let (out, _) = in_all_chunks(format, &job, body.as_bytes(), &[7]).unwrap();
                assert_eq!(out == body.as_bytes(), kept, "{body}");
            };
            check(Format::Json, format!(r#"{{"Items":[],"{name}":"{text}"}}"#));
            check(Format::Xml { wrappers: 1 }, format!("<R><{name}>{text}</{name}></R>"));
            let map = vec![(ciborium::Value::Text(name.to_owned()), ciborium::Value::Text(text.to_owned()))];
            let mut body = Vec::new();
            ciborium::into_writer(&ciborium::Value::Map(map), &mut body).unwrap();
            let (out, _) = in_all_chunks(Format::Cbor, &job, &body, &[7]).unwrap();
            assert_eq!(out == body, kept);
        }
    }
}

/// A key of a table may look like anything, too, and who goes on with a listing sends it back.
#[test]
fn the_last_key_of_a_listing_passes_with_all_that_is_in_it() {
    for (name, kept) in
        [("LastEvaluatedKey", true), ("ExclusiveStartKey", true), ("NextToken", false), ("Item", false)]
    {
        let body =
            format!(r#"{{"Items":[],"{name}":{{"pk":{{"S":"{JWT}"}},"sk":{{"L":["{JWT}"]}}}},"Next":"1"}}"#);
        let job = || watched(&Plan::nothing());
        let (out, _) = in_all_chunks(Format::Json, &job, body.as_bytes(), &[7]).unwrap();
        assert_eq!(out == body.as_bytes(), kept, "{body}");
        // What comes after it is looked through.
        let after = body.replace(r#""Next":"1""#, &format!(r#""Other":"{JWT}""#));
        let (out, _) = in_all_chunks(Format::Json, &job, after.as_bytes(), &[7]).unwrap();
        assert!(out != after.as_bytes() && !out.ends_with(format!("{JWT}\"}}").as_bytes()), "{after}");
        let text = |text: &str| ciborium::Value::Text(text.to_owned());
        let key =
            ciborium::Value::Map(vec![(text("pk"), ciborium::Value::Map(vec![(text("S"), text(JWT))]))]);
        let mut body = Vec::new();
        ciborium::into_writer(&ciborium::Value::Map(vec![(text(name), key)]), &mut body).unwrap();
        let (out, _) = in_all_chunks(Format::Cbor, &job, &body, &[7]).unwrap();
        assert_eq!(out == body, kept, "{name}");
    }
}

#[test]
fn a_key_is_found_beside_its_name() {
    let job = || watched(&Plan::nothing());
    let json = |body: &str| {
        let (out, _) = in_all_chunks(Format::Json, &job, body.as_bytes(), &[7]).unwrap();
        String::from_utf8(out).unwrap()
    };
    for body in [
        r#"{"AWS_SECRET_ACCESS_KEY":"KEY"}"#,
        r#"{"AWS\u005fSECRET_ACCESS_KEY":"KEY"}"#,
        r#"{"environment":[{"name":"AWS_SECRET_ACCESS_KEY","value":"KEY"}]}"#,
        r#"{"SecretAccessKey":" KEY "}"#,
        r#"{"Id":"AKIAIOSFODNN7EXAMPLE","x":1,"y":"KEY"}"#,
        r#"["AKIAIOSFODNN7EXAMPLE","KEY"]"#,
    ] {
        assert_eq!(
            json(
                &body
                    .replace("KEY\"", &format!("{KEY}\""))
                    .replace("KEY ", &format!("{KEY} "))
                    .replace(&format!("ACCESS_{KEY}"), "ACCESS_KEY")
            ),
            body.replace("KEY\"", &format!("{MASKED}\""))
                .replace("KEY ", &format!("{MASKED} "))
                .replace(&format!("ACCESS_{MASKED}"), "ACCESS_KEY"),
            "{body}"
        );
    }
    for body in [
        r#"{"SecretArn":"KEY"}"#,
        r#"{"SecretAccessKey":"KEYs"}"#,
        r#"{"name":"AWS_SECRET_ACCESS_KEY","b":"c","value":"KEY"}"#,
        r#"[{"name":"AWS_SECRET_ACCESS_KEY"},{"value":"KEY"}]"#,
    ] {
        let body = body.replace("\"KEY", &format!("\"{KEY}"));
        assert_eq!(json(&body), body);
    }
    let xml = |body: String| {
        let (out, _) = in_all_chunks(Format::Xml { wrappers: 1 }, &job, body.as_bytes(), &[7]).unwrap();
        String::from_utf8(out).unwrap()
    };
    for (before, after) in [
        ("<R><SecretAccessKey>", "</SecretAccessKey></R>"),
        ("<R><n><Name>AWS_SECRET_ACCESS_KEY</Name> <Value>", "</Value></n></R>"),
        ("<R><Id>AKIAIOSFODNN7EXAMPLE</Id><Key>", "</Key></R>"),
    ] {
        assert_eq!(xml(format!("{before}{KEY}{after}")), format!("{before}{MASKED}{after}"));
    }
    let body = format!("<R><n><Name>AWS_SECRET_ACCESS_KEY</Name></n><n><Value>{KEY}</Value></n></R>");
    assert_eq!(xml(body.clone()), body);
    let map = vec![("Name", "AWS_SECRET_ACCESS_KEY"), ("Value", KEY), ("secretKey", KEY), ("other", KEY)];
    let map = map.into_iter().map(|(name, value)| {
        (ciborium::Value::Text(name.to_owned()), ciborium::Value::Text(value.to_owned()))
    });
    let mut body = Vec::new();
    ciborium::into_writer(&ciborium::Value::Map(map.collect()), &mut body).unwrap();
    let (out, report) = in_all_chunks(Format::Cbor, &job, &body, &[7]).unwrap();
    let text = String::from_utf8_lossy(&out);
    assert_eq!(
        (text.matches(KEY).count(), text.matches(&format!("{MASKED}{}", "*".repeat(24))).count()),
        (1, 2)
    );
    let paths: Vec<&str> = report.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["Value", "secretKey"]);
    assert!(report.entries.iter().all(|entry| entry.digest == digest(KEY.as_bytes())));
}

fn patterns(patterns: &[(&str, &str)]) -> Result<Detectors, DetectError> {
    let pattern =
        |(name, regex): &(&str, &str)| Pattern { name: (*name).to_owned(), regex: (*regex).to_owned() };
    Detectors::new(&patterns.iter().map(pattern).collect::<Vec<_>>())
}

#[test]
fn patterns_of_the_operator_are_found() {
    let detectors = Arc::new(
        patterns(&[
            ("ticket", r"TICKET-[0-9]{6}"),
            ("pin", r"(?i)\bpin[:=] ?(?<secret>[0-9]{4})\b"),
            ("upper", r"\b[XYZ]{5}\b"),
        ])
        .unwrap(),
    );
    let job = || Job { detectors: Some(Arc::clone(&detectors)), ..job(&Plan::nothing()) };
    for (text, expected) in [
        ("a TICKET-123456 b", "a chaperone:masked b"),
        ("PIN: 1234, pin=99", "PIN: chaperone:masked, pin=99"),
        ("XYZZY aXYZZY", "chaperone:masked aXYZZY"),
        ("TICKET-12", "TICKET-12"),
    ] {
        let (out, _) = in_all_chunks(Format::Text, &job, text.as_bytes(), &[3]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let body = format!(r#"{{"a":"{text}","b":"{}","c":"\u0041{text}"}}"#, text.replace('T', "\\u0054"));
        let (out, report) = in_all_chunks(Format::Json, &job, body.as_bytes(), &[3]).unwrap();
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((found["a"].as_str(), found["b"].as_str()), (Some(expected), Some(expected)));
        assert!(expected == text || report.count() >= 2);
    }
    // A word that is written with escapes.
    let lines = Arc::new(patterns(&[("lines", r#"a\n"b"#)]).unwrap());
    let escaping = || Job { detectors: Some(Arc::clone(&lines)), ..job() };
    let body = br#"{"a":"x a\n\"b y","c":"\ta"}"#;
    let (out, _) = in_all_chunks(Format::Json, &escaping, body, &[3]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"x chaperone:masked y","c":"\ta"}"#);
    let body = br#"{"a":"x\n https:\/\/u:hunter2@h","b":"\n\u0041KIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY","c":"\t://","d":"\tpwd=x"}"#;
    let (out, _) = in_all_chunks(Format::Json, &|| watched(&Plan::nothing()), body, &[3]).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"{"a":"x\n https:\/\/u:chaperone:masked@h","b":"\n\u0041KIAIOSFODNN7EXAMPLE chaperone:masked","c":"\t://","d":"\tpwd=chaperone:masked"}"#
    );
    // Half of a character that is written as one escape: all of the escape goes.
    let half = Arc::new(patterns(&[("half", r"(?-u:\x98\x80)")]).unwrap());
    let job = || Job { detectors: Some(Arc::clone(&half)), ..job() };
    let body = br#"{"a":"b\ud83d\ude00c"}"#;
    let (out, _) = in_all_chunks(Format::Json, &job, body, &[3]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"a":"bchaperone:maskedc"}"#);
    let failed = |found: Result<Detectors, DetectError>| found.unwrap_err();
    assert_eq!(failed(patterns(&[("x", "a*")])), DetectError::Empty("x".to_owned()));
    for regex in ["(", "a{1000}{1000}", "\\p{L}{900}{90}"] {
        let error = failed(patterns(&[("x", regex)]));
        assert!(matches!(&error, DetectError::Pattern { name, .. } if name == "x"), "{error}");
    }
    assert_eq!(failed(patterns(&[("x", "abc"); 65])), DetectError::TooMany);
    assert!(patterns(&[("x", "abc"); 64]).is_ok());
}

/// Of two words that begin at one place only one is found, and in what is hidden none.
#[test]
fn patterns_are_found_where_words_built_in_are() {
    for (regex, text, expected) in [
        ("AKIA[0-9A-Z]{16}", "a AKIAIOSFODNN7EXAMPLE b", "a chaperone:masked b"),
        (r"ASI\w{3}", "a ASIAbc b", "a chaperone:masked b"),
        (r"pwd:\s*(?<secret>\S+)", "pwd: hunter2 x", "pwd: chaperone:masked x"),
        (r"eyJ[\w-]+\.[\w-]+", "eyJhbGci.eyJhIjoxfQ x", "chaperone:masked x"),
        ("-----BEGIN CERTIFICATE-----.*", "a -----BEGIN CERTIFICATE-----MIID", "a chaperone:masked"),
        ("://internal[.]\\w+", "https://internal.host/", "httpschaperone:masked/"),
        ("(?i)secret-[0-9]{4}", "x sEcret-1234 SECRET-12345", "x chaperone:masked chaperone:masked5"),
        (r"\.sig (?<secret>\d{4})", &format!("{HEADER}.e30.sig 1234"), "chaperone:masked chaperone:masked"),
    ] {
        let detectors = Arc::new(patterns(&[("own", regex)]).unwrap());
        let job = || Job { detectors: Some(Arc::clone(&detectors)), ..job(&Plan::nothing()) };
        let (out, report) = in_all_chunks(Format::Text, &job, text.as_bytes(), &[3]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{regex}");
        assert!(report.entries.iter().any(|entry| entry.cause == Cause::Detector("own".into())), "{regex}");
        let body = format!(r#"{{"a":"{text}"}}"#);
        let (out, _) = in_all_chunks(Format::Json, &job, body.as_bytes(), &[3]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{{"a":"{expected}"}}"#), "{regex}");
    }
}

/// Of something found in a long text, wherever it is.
#[test]
fn no_boundary_hides_a_secret() {
    let job = || watched(&Plan::nothing());
    // What comes before a block still tells that no word begins with it.
    for before in 8_150..8_200 {
        let text =
            format!("{}x{JWT} {}", "y ".repeat(before / 2) + &" ".repeat(before % 2), "dolor ".repeat(5_000));
        let (out, report) = masked(Format::Text, job(), [text.as_bytes()]).unwrap();
        assert!(out == text.as_bytes() && report.count() == 0, "{before}");
    }
    let long = "c".repeat(MATCH_MAX - HEADER.len() - 3);
    let token = format!("{HEADER}.{long}.s");
    let key = pem("PRIVATE KEY").replace("MIIE", &"M".repeat(30_000));
    for (secret, plain) in
        [(KEY, format!("aws_secret_access_key={KEY}")), (&token, token.clone()), (&key, key.clone())]
    {
        for before in [
            0, 1, 40, 6_100, 6_143, 6_144, 8_100, 8_190, 8_191, 8_192, 8_193, 16_340, 16_383, 16_384, 16_385,
            24_500, 24_575, 24_576, 24_577, 33_000,
        ] {
            let text = format!(
                "{}{}{plain} {}",
                "lorem ipsum ".repeat(before / 12),
                " ".repeat(before % 12),
                "dolor ".repeat(5_000)
            );
            let expected = text.replace(secret, MASKED);
            let (out, report) = masked(Format::Text, job(), text.as_bytes().chunks(4096)).unwrap();
            assert!(out == expected.as_bytes(), "{before}: {}", plain.get(..60).unwrap());
            assert_eq!(report.count(), 1);
            assert_eq!(report.entries[0].digest, digest(secret.as_bytes()));
            let body = serde_json::to_string(&text).unwrap();
            for size in [1000, 1_000_000] {
                let (out, report) = masked(Format::Json, job(), body.as_bytes().chunks(size)).unwrap();
                assert_eq!(report.entries[0].digest, digest(secret.as_bytes()));
                assert!(
                    out == serde_json::to_vec(&expected).unwrap(),
                    "{before} in JSON: {}",
                    plain.get(..60).unwrap()
                );
            }
            let mut body = Vec::new();
            ciborium::into_writer(&ciborium::Value::Text(text.clone()), &mut body).unwrap();
            let (out, _) = masked(Format::Cbor, job(), body.chunks(1000)).unwrap();
            let found: ciborium::Value = ciborium::from_reader(out.as_slice()).unwrap();
            let fill = format!("{MASKED}{}", "*".repeat(secret.len() - MASKED.len()));
            assert!(found.as_text().unwrap() == text.replace(secret, &fill), "{before} in CBOR");
        }
    }
}

#[test]
fn what_is_held_is_bounded() {
    // Escapes, comments and pieces without end.
    let job = || watched(&Plan::nothing());
    let escapes = format!("\"{}\"", "\\n\\u0041".repeat(30_000));
    let comments = format!("<R>{}</R>", "a<!-- b -->".repeat(30_000));
    let comment = format!("<R>a<!-- {} -->b</R>", "x".repeat(100_000));
    let pieces = [vec![0x7f], b"\x61a\x60".repeat(30_000), vec![0xff]].concat();
    for (format, body) in [
        (Format::Json, escapes.into_bytes()),
        (Format::Xml { wrappers: 1 }, comments.into_bytes()),
        (Format::Xml { wrappers: 1 }, comment.into_bytes()),
        (Format::Cbor, pieces),
    ] {
        for size in [1, 777, 1_000_000] {
            let mut masker = Masker::new(format, job());
            let (mut out, mut most) = (Vec::new(), 0);
            let mut taken = 0;
            for chunk in body.chunks(size) {
                masker.push(chunk, &mut out).unwrap();
                taken += chunk.len();
                most = most.max(taken - out.len());
            }
            masker.finish(&mut out).unwrap();
            assert!(out == body);
            assert!(most <= 16 * 1024 + 16, "{most}");
        }
    }
}

fn secret() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        ("[A-Z]{8}[a-z]{8}[0-9/+]{8}[a-zA-Z]{16}").prop_map(|key| (format!("SecretAccessKey={key}"), key)),
        (100_usize..9000).prop_map(|length| {
            let key = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
                "Ab\"\\9\n".repeat(length / 6)
            );
            (key.clone(), key)
        }),
        (1_usize..4000).prop_map(|length| {
            let token = format!("{HEADER}.{}.x", "a".repeat(length));
            (token.clone(), token)
        }),
        "[a-z0-9%]{1,30}".prop_map(|word| (format!("https://U:{word}@H/"), word)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Planted anywhere in a long text, in every format, in whatever chunks.
    #[test]
    fn planted_secrets_are_found(
        planted in prop::collection::vec((0_usize..30_000, secret()), 1..4),
        sizes in prop::collection::vec(1_usize..5000, 1..8),
        ways in prop::collection::vec(0_u8..40, 1..50),
        filler in prop::sample::select(vec!["lorem ipsum\n", "\"\\\"", "é😀 ", "x "]),
    ) {
        let mut text = String::new();
        let mut expected = Vec::new();
        for (before, (plain, secret)) in &planted {
            text.push_str(&filler.repeat(before / filler.len()));
            text.push(' ');
            text.push_str(plain);
            text.push(' ');
            expected.push(digest(secret.as_bytes()));
        }
        let chunks = |body: &[u8]| -> Vec<Vec<u8>> {
            let mut rest = body;
            let mut chunks = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, others) = rest.split_at((*size).min(rest.len()));
                chunks.push(chunk.to_vec());
                rest = others;
            }
            chunks
        };
        let run = |format: Format, body: &[u8]| {
            let job = || watched(&Plan::nothing());
            let whole = masked(format, job(), [body]).unwrap();
            let chunks = chunks(body);
            let parts = masked(format, job(), chunks.iter().map(Vec::as_slice)).unwrap();
            assert!(parts == whole, "chunks change the outcome");
            let digests: Vec<_> = whole.1.entries.iter().map(|entry| entry.digest).collect();
            assert_eq!(&digests, &expected, "{format:?} {:.300}", String::from_utf8_lossy(body));
            whole.0
        };
        let mut replaced = text.clone();
        for (_, (plain, secret)) in &planted {
            let at = plain.rfind(secret.as_str()).unwrap();
            let masked = [&plain[..at], MASKED, &plain[at + secret.len()..]].concat();
            replaced = replaced.replacen(plain, &masked, 1);
        }
        let out = run(Format::Text, text.as_bytes());
        prop_assert!(out == replaced.as_bytes());
        let mut json = String::from("[\"");
        // Not so often that more is written than is held.
        let ways: Vec<u8> = ways.iter().flat_map(|way| [vec![9; 40], vec![way % 4]].concat()).collect();
        for (c, way) in text.chars().zip(ways.iter().cycle()) {
            match (c, way) {
                (_, 0) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| json.push_str(&format!("\\u{unit:04x}"))),
                ('\n', _) => json.push_str("\\n"),
                ('"' | '\\', _) => json.extend(['\\', c]),
                _ => json.push(c),
            }
        }
        json.push_str("\"]");
        let out = run(Format::Json, json.as_bytes());
        let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
        prop_assert!(found[0] == replaced.as_str());
        let mut xml = String::from("<R><a>");
        for (c, way) in text.chars().zip(ways.iter().cycle()) {
            match (c, way) {
                (_, 0) => xml.push_str(&format!("&#x{:x};", u32::from(c))),
                (_, 1) if c != ']' && c != '>' => xml.push_str(&format!("<![CDATA[{c}]]>")),
                (_, 2) => xml.push_str(&format!("<!-- x -->{}", quick_xml::escape::escape(c.to_string()))),
                _ => xml.push_str(&quick_xml::escape::escape(c.to_string())),
            }
        }
        xml.push_str("</a></R>");
        let out = run(Format::Xml { wrappers: 1 }, xml.as_bytes());
        prop_assert_eq!(out.windows(MASKED.len()).filter(|part| *part == MASKED.as_bytes()).count(), planted.len());
        let mut cbor = vec![0x7f];
        for part in text.as_bytes().chunks(61 + usize::from(ways[40]) * 600) {
            cbor.push(0x79);
            cbor.extend(u16::try_from(part.len()).unwrap().to_be_bytes());
            cbor.extend(part);
        }
        cbor.push(0xff);
        let out = run(Format::Cbor, &cbor);
        prop_assert_eq!(out.len(), cbor.len());
    }
}
