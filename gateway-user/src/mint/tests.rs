use http::HeaderMap;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use time::macros::datetime;

use super::{fuzzing::placeholder, *};
use crate::classify::answer::{self, SMALL};

const ID: &str = "ASIAREALREALREALREAL";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const TOKEN: &str = "FwoGZXIvYXdzEBYaDH+realtoken/with=signs==";

const ASSUMED: Keys = Keys { format: Format::Xml { depth: 2 }, account: Account::Told };
const SESSION: Keys = Keys { format: Format::Xml { depth: 1 }, account: Account::OfCaller };
const LAKE: Keys =
    Keys { format: Format::Json { within: &["Credentials"], names: LARGE }, account: Account::Unknown };
const ZONE: Keys = Keys { format: Format::Json { within: &[], names: SMALL }, account: Account::Unknown };

/// An answer of `sts:AssumeRole` with these values, as they are written.
fn assumed(id: &str, secret: &str, token: &str) -> String {
    format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <AssumeRoleResult>\n\
         <AssumedRoleUser><AssumedRoleId>AROAX:s</AssumedRoleId>\
         <Arn>arn:aws:sts::222222222222:assumed-role/x/s</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>2030-01-01T01:00:00Z</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></AssumeRoleResponse>\n"
    )
}

fn passed(place: Keys, body: &str) -> Result<String, MintError> {
    let answer = read(place, body.as_bytes(), None)?;
    assert!(fuzzing::check(place, &answer));
    Ok(String::from_utf8(answer.with(&placeholder())?).unwrap())
}

fn withheld(place: Keys, body: &str, expected: &MintError) {
    let outcome = read(place, body.as_bytes(), None).and_then(|answer| answer.with(&placeholder()));
    assert_eq!(outcome.as_ref(), Err(expected), "{body}");
    let text = expected.to_string();
    assert!(![ID, SECRET, TOKEN].iter().any(|value| text.contains(value)), "{text}");
}

#[test]
fn only_the_values_change() {
    let new = placeholder();
    let (secret, token) = (new.secret.expose(), new.session_token.expose());
    assert_eq!(
        passed(ASSUMED, &assumed(ID, SECRET, TOKEN)).unwrap(),
        assumed(&new.access_key_id, secret, token)
    );
    let body = assumed(ID, SECRET, TOKEN);
    let answer = read(ASSUMED, body.as_bytes(), None).unwrap();
    assert_eq!(answer.keys().secret.expose(), SECRET);
    assert_eq!(answer.keys().expires, Some(datetime!(2030-01-01 01:00 UTC)));
    assert_eq!(answer.keys().account, Some("222222222222".parse().unwrap()));

    let session = |id: &str, secret: &str, token: &str| {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CreateSessionResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Credentials><SessionToken>{token}</SessionToken>\
             <SecretAccessKey>{secret}</SecretAccessKey><AccessKeyId>{id}</AccessKeyId>\
             <Expiration>2030-01-01T00:05:00Z</Expiration></Credentials></CreateSessionResult>"
        )
    };
    assert_eq!(
        passed(SESSION, &session(ID, SECRET, TOKEN)).unwrap(),
        session(&new.access_key_id, secret, token)
    );
    let caller = "123456789012".parse().unwrap();
    let body = session(ID, SECRET, TOKEN);
    let answer = read(SESSION, body.as_bytes(), Some(&caller)).unwrap();
    assert_eq!(answer.keys().account, Some(caller));

    let lake = |id: &str, secret: &str, token: &str| {
        format!(
            "{{ \"AccessibleDataLocations\":[\"s3://b\"],\"Credentials\" :{{\"AccessKeyId\":\"{id}\",\n\
             \"Expiration\":1893459600.5,\"SecretAccessKey\":\"{secret}\",\"SessionToken\": \"{token}\"}},\"n\":null}}"
        )
    };
    assert_eq!(passed(LAKE, &lake(ID, SECRET, TOKEN)).unwrap(), lake(&new.access_key_id, secret, token));
    let body = lake(ID, SECRET, TOKEN);
    let answer = read(LAKE, body.as_bytes(), None).unwrap();
    assert_eq!(answer.keys().expires, Some(datetime!(2030-01-01 01:00 UTC)));
    let zone = |id: &str, secret: &str, token: &str| {
        format!(
            r#"{{"accessKeyId":"{id}","secretAccessKey":"{secret}","sessionToken":"{token}","expiration":"2030-01-01T01:00:00Z"}}"#
        )
    };
    assert_eq!(passed(ZONE, &zone(ID, SECRET, TOKEN)).unwrap(), zone(&new.access_key_id, secret, token));
}

/// Answers as AWS's models have them, with everything that can be beside the keys.
#[test]
fn the_keys_of_every_operation_of_the_table_are_replaced() {
    let bodies = answer::tests::modelled();
    for row in answer::TABLE {
        let name = format!("{}.{}", row.service, row.operation);
        let mut of = bodies
            .iter()
            .filter(|of| (of.service.as_str(), of.operation.as_str()) == (row.service, row.operation));
        let (body, None) = (&of.next().expect(&name).body, of.next()) else { panic!("{name}") };
        let with = |id: &str, secret: &str, token: &str| {
            body.replacen("@id@", id, 1).replacen("@secret@", secret, 1).replacen("@token@", token, 1)
        };
        let real = with(ID, SECRET, TOKEN);
        let found = read(row.keys, real.as_bytes(), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        let keys = found.keys();
        assert_eq!(
            (keys.access_key_id.as_str(), keys.secret.expose(), keys.session_token.expose()),
            (ID, SECRET, TOKEN),
            "{name}"
        );
        assert!(keys.expires.is_some(), "{name}");
        let new = placeholder();
        let expected = with(&new.access_key_id, new.secret.expose(), new.session_token.expose());
        let out = passed(row.keys, &real).unwrap();
        assert_eq!(out, expected, "{name}");
        for part in [ID, SECRET, TOKEN] {
            assert!(!out.contains(part), "{name}: {out}");
        }
    }
}

#[test]
fn an_expiry_is_a_number_of_seconds_however_it_is_written() {
    let body = |expiration: &str| {
        format!(
            r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}","expiration":{expiration}}}"#
        )
    };
    for (written, expected) in [
        ("1893459600", datetime!(2030-01-01 01:00 UTC)),
        ("1893459600.5", datetime!(2030-01-01 01:00 UTC)),
        ("1.8934596E9", datetime!(2030-01-01 01:00 UTC)),
        ("18934596e+2", datetime!(2030-01-01 01:00 UTC)),
    ] {
        let body = body(written);
        assert_eq!(read(ZONE, body.as_bytes(), None).unwrap().keys().expires, Some(expected), "{written}");
    }
    for written in ["1893459600000", "1e400", "9223372036854775808", "true"] {
        withheld(ZONE, &body(written), &MintError::Shape("the expiry is no date"));
    }
}

#[test]
fn escaped_values_are_found() {
    let answer = |body: &str| read(ASSUMED, body.as_bytes(), None).unwrap().keys().secret.expose().to_owned();
    assert_eq!(answer(&assumed(ID, "a&#43;b&amp;c&#x2f;", TOKEN)), "a+b&c/");
    let json = format!(
        r#"{{"accessKeyId":"{ID}","secretAccessKey":"a\u002bb\/\"","sessionToken":"t-t-t","expiration":null}}"#
    );
    withheld(ZONE, &json, &MintError::Shape("the expiry is no date"));
    let json = json.replace(r#","expiration":null"#, "");
    assert_eq!(read(ZONE, json.as_bytes(), None).unwrap().keys().secret.expose(), "a+b/\"");
    passed(ZONE, &json).unwrap();
}

#[test]
fn what_is_not_as_expected_is_withheld() {
    let good = assumed(ID, SECRET, TOKEN);
    let shape = MintError::Shape;
    let unreadable = MintError::Unreadable;
    let credentials = &good[good.find("<Credentials>").unwrap()..good.find("</AssumeRoleResult>").unwrap()];
    let part = |name: &str, value: &str| format!("<{name}>{value}</{name}>");
    let place = shape("a part is not at its place");
    for (body, expected) in [
        (good.replace(credentials, ""), shape("a part is missing")),
        (good.replace(credentials, &credentials.repeat(2)), shape("a part is there twice")),
        (good.replace(&part("SessionToken", TOKEN), ""), shape("a part is missing")),
        (good.replace(&part("SessionToken", TOKEN), "<SessionToken/>"), shape("a part is no text, or empty")),
        (good.replace(ID, "short"), shape("the access key id is none")),
        (good.replace(ID, "ASIA REAL REAL REAL"), shape("the access key id is none")),
        (good.replace("2030-01-01T01:00:00Z", "soon"), shape("the expiry is no date")),
        (good.replace("Credentials>", "Other>"), place.clone()),
        (good.replace("AssumeRoleResult>", "a><b>").replace("</a><b>", "</b></a>"), place.clone()),
        (
            good.replace(
                &part("SessionToken", TOKEN),
                &format!("</Credentials><Credentials>{}", part("SessionToken", TOKEN)),
            ),
            place,
        ),
        (
            good.replace(
                "<ResponseMetadata>",
                &format!("<ResponseMetadata>{}", part("accesskeyid", "AKIAOTHEROTHEROTHER0")),
            ),
            shape("a part is there twice"),
        ),
        (good.replace("<RequestId>0", &format!("<RequestId>0{TOKEN}")), MintError::Repeated),
        (
            good.replace("<RequestId>0", &format!("<RequestId>{}", SECRET.replace('/', "&#47;"))),
            MintError::Repeated,
        ),
        (good.replace("<RequestId>0", &format!("<RequestId a=\"{ID}\">0")), MintError::Repeated),
        (good.replace("<RequestId>0", &format!("<!-- {ID} --><RequestId>0")), MintError::Repeated),
        (good.replace("</Credentials>", "</Other>"), unreadable("it is no XML")),
        (format!("<!DOCTYPE a>{good}"), unreadable("XML other than plain elements and text")),
        (
            good.replace(SECRET, &format!("<![CDATA[{SECRET}]]>")),
            unreadable("XML other than plain elements and text"),
        ),
        (good.replace(SECRET, "&secret;"), unreadable("an entity")),
        (good.replace(SECRET, "a<!-- -->b"), unreadable("a comment inside a value")),
        (good.replace(SECRET, "a\rb"), unreadable("a carriage return in a value")),
        (good.replace("</AssumeRoleResponse>", ""), unreadable("it ends before its outermost element does")),
        (good.repeat(2), unreadable("too many elements inside each other, or beside the outermost")),
        (format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{good}"), unreadable("it is not UTF-8")),
        (String::new(), unreadable("it ends before its outermost element does")),
        ("{}".to_owned(), unreadable("text outside of the outermost element")),
    ] {
        withheld(ASSUMED, &body, &expected);
    }
    withheld(SESSION, &good, &shape("a part is not at its place"));
    let json = format!(r#"{{"accessKeyId":"{ID}","secretAccessKey":"{SECRET}","sessionToken":"{TOKEN}"}}"#);
    for (body, expected) in [
        (
            json.replace("\"accessKeyId\":", "\"accessKeyId\":\"a\",\"accessKeyId\":"),
            unreadable("a name twice in one object"),
        ),
        (
            json.replace("\"accessKeyId\":", "\"AccessKeyId\":\"a\",\"accessKeyId\":"),
            shape("a part is there twice"),
        ),
        (json.replace(&format!("\"{TOKEN}\""), "1"), shape("a part is no text, or empty")),
        (format!("[{json}]"), shape("a part is not at its place")),
        (format!("{json}{json}"), unreadable("it is no JSON")),
        (json.replace('}', &format!(r#","\u{:04x}{}":1}}"#, b'A', &ID[1..])), MintError::Repeated),
        (json.replace('}', &format!(r#","more":["{TOKEN}"]}}"#)), MintError::Repeated),
        ("null".to_owned(), shape("a part is missing")),
    ] {
        withheld(ZONE, &body, &expected);
    }
    withheld(LAKE, &json, &shape("a part is not at its place"));
}

#[test]
fn heads_say_whether_there_are_keys() {
    let said = |place: Keys, status: u16, headers: &[(&'static str, &'static str)]| {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        head(place, StatusCode::from_u16(status).unwrap(), &headers)
    };
    let xml = [("content-type", "text/xml; charset=UTF-8")];
    let json = [("content-type", "application/json")];
    assert_eq!(said(ASSUMED, 200, &xml), Ok(Head::WithKeys));
    assert_eq!(said(ZONE, 200, &json), Ok(Head::WithKeys));
    assert_eq!(said(ASSUMED, 403, &json), Ok(Head::Error));
    assert_eq!(said(ASSUMED, 500, &[]), Ok(Head::Error));
    for status in [201, 206, 304] {
        assert_eq!(said(ASSUMED, status, &xml), Err(MintError::Status(status)));
    }
    assert_eq!(said(ASSUMED, 200, &json), Err(MintError::ContentType));
    assert_eq!(said(ZONE, 200, &xml), Err(MintError::ContentType));
    assert_eq!(said(ASSUMED, 200, &[]), Err(MintError::ContentType));
    assert_eq!(
        said(ASSUMED, 200, &[("content-type", "text/xml; charset=UTF-16")]),
        Err(MintError::ContentType)
    );
    let gzip = [("content-type", "text/xml"), ("content-encoding", "gzip")];
    assert_eq!(said(ASSUMED, 200, &gzip), Err(MintError::Encoded));
}

#[test]
fn headers_about_the_bytes_go() {
    let mut headers = HeaderMap::new();
    for name in ["etag", "x-amz-crc32", "x-amz-checksum-sha256", "x-amz-checksum-type", "content-md5", "date"]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("x"));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(1));
    adapt(&mut headers, 77);
    let mut left: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    left.sort_unstable();
    assert_eq!(left, [("content-length", "77"), ("date", "x")]);
}

/// A text as XML may write it, each character in a way of its own.
fn in_xml(text: &str, ways: &[u8]) -> String {
    let write = |(c, way): (char, u8)| match way % 3 {
        0 if !matches!(c, '<' | '&' | '>') => c.to_string(),
        1 => format!("&#{};", u32::from(c)),
        _ => format!("&#x{:x};", u32::from(c)),
    };
    text.chars().zip(ways.iter().copied().cycle()).map(write).collect()
}

/// The same in JSON.
fn in_json(text: &str, ways: &[u8]) -> String {
    let write = |(c, way): (char, u8)| match way % 2 {
        0 if !matches!(c, '"' | '\\') => c.to_string(),
        _ => format!("\\u{:04x}", u32::from(c)),
    };
    text.chars().zip(ways.iter().copied().cycle()).map(write).collect()
}

/// A target that reads nothing of what it begins with finds nothing.
#[test]
fn the_seeds_of_the_fuzz_target_are_read() {
    let seeds = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/mint")).unwrap();
    let read: Vec<(String, bool)> = seeds
        .map(|seed| {
            let path = seed.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fuzzing::answer(&std::fs::read(path).unwrap()))
        })
        .collect();
    assert_eq!(read.len(), 7);
    for (name, passed) in read {
        assert_eq!(passed, name != "repeated", "{name}");
    }
}

proptest! {
    #[test]
    fn no_real_value_is_left_whatever_it_is(
        id in "[A-Z0-9]{16,40}",
        secret in "[ -~]{1,60}",
        token in "[ -~]{1,200}",
        ways in prop::collection::vec(any::<u8>(), 1..8),
        beside in "[ -~]{0,40}",
    ) {
        let body = assumed(&in_xml(&id, &ways), &in_xml(&secret, &ways), &in_xml(&token, &ways));
        let body = body.replace("<RequestId>0", &format!("<RequestId>{}", in_xml(&beside, &ways)));
        // Values of spaces alone, and such as stand elsewhere, are withheld.
        if let Ok(answer) = read(ASSUMED, body.as_bytes(), None) {
            prop_assert_eq!(&answer.keys().access_key_id, &id);
            prop_assert_eq!(answer.keys().secret.expose(), &secret);
            prop_assert_eq!(answer.keys().session_token.expose(), &token);
            fuzzing::check(ASSUMED, &answer);
        }
        let value = |text: &str| in_json(text, &ways);
        let body = format!(
            r#"{{"x":["{}",1.5e3],"accessKeyId":"{}", "secretAccessKey":"{}","sessionToken" : "{}"}}"#,
            value(&beside), value(&id), value(&secret), value(&token)
        );
        if let Ok(answer) = read(ZONE, body.as_bytes(), None) {
            prop_assert_eq!(answer.keys().secret.expose(), &secret);
            prop_assert_eq!(answer.keys().session_token.expose(), &token);
            fuzzing::check(ZONE, &answer);
        }
    }

    #[test]
    fn ordinary_keys_pass(
        id in "ASIA[A-Z2-7]{16}",
        secret in "[A-Za-z0-9+/]{40}",
        token in "[A-Za-z0-9+/]{100,400}={0,2}",
    ) {
        let body = assumed(&id, &secret, &token);
        let answer = read(ASSUMED, body.as_bytes(), None).unwrap();
        prop_assert!(fuzzing::check(ASSUMED, &answer));
    }

    #[test]
    fn nothing_panics(body in "[ -~\n]{0,200}") {
        for place in [ASSUMED, SESSION, LAKE, ZONE] {
            let _ = read(place, body.as_bytes(), None);
        }
    }
}
