//! Bodies that are refused.

use super::{bodies::post, *};

fn refused(protocol: Protocol, shapes: &[&'static str], body: impl AsRef<[u8]>) -> String {
    refusal(read_as(protocol, "POST /", shapes, &[], &post(protocol, body)))
}

fn ambiguous(why: &str) -> String {
    format!("the request can be read in two ways: {why}")
}

fn bad(why: &str) -> String {
    format!("the body cannot be read: {why}")
}

fn member(name: &str, why: &str) -> String {
    format!("the member {name:?} cannot be read: {why}")
}

/// One value below `depth - 1` others.
fn nested(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth - 1), close.repeat(depth - 1))
}

#[test]
fn json() {
    let shapes =
        &["{Text:s Count:i Rate:f On:b Data:x In:1=in Items:2 Map:3 Id/}", "{Name:s=name}", "[s", "<s s"];
    for protocol in [Protocol::Json, Protocol::RestJson] {
        // Where in the body it is does not matter here.
        let refused = |body: &[u8]| {
            let why = refused(protocol, shapes, body);
            why.split(" at line ").next().unwrap_or_default().to_owned()
        };
        let check = |body: &str, why: String| assert_eq!(refused(body.as_bytes()), why, "{body}");
        check(r#"{"Text":"a","Text":"b"}"#, bad("the key \"Text\" is there twice"));
        check(r#"{"Text":"a","\u0054ext":"b"}"#, bad("the key \"Text\" is there twice"));
        check(r#"{"in":{"x":1,"x":null}}"#, bad("the key \"x\" is there twice"));
        check(r#"{"New":"a","new":"b"}"#, ambiguous("the member \"new\" is there twice"));
        check(r#"{"in":{"name":"a","Name":"b"}}"#, ambiguous("the member \"name\" is there twice"));
        check(r#"{"text":"a"}"#, ambiguous("the member \"Text\" is not written \"text\" in this place"));
        check(r#"{"In":{}}"#, ambiguous("the member \"In\" is not written \"In\" in this place"));
        check(
            r#"{"in":{"Name":"x"}}"#,
            ambiguous("the member \"Name\" is not written \"Name\" in this place"),
        );
        check(r#"{"id":"8"}"#, ambiguous("the member \"Id\" is not written \"id\" in this place"));
        check("{}{}", bad("trailing characters"));
        check("{} x", bad("trailing characters"));
        check("[]", bad("it is not an object of members"));
        check("null", bad("it is not an object of members"));
        check("\u{feff}{}", bad("expected value"));
        check("{\"Text\":'a'}", bad("expected value"));
        check("{\"Text\":\"a\",}", bad("trailing comma"));
        check("{/**/}", bad("key must be a string"));
        check(r#"{"Count":NaN}"#, bad("expected value"));
        check(r#"{"Count":01}"#, bad("invalid number"));
        check(r#"{"Rate":1e999}"#, bad("number out of range"));
        check(r#"{"Text":"\ud800"}"#, bad("unexpected end of hex escape"));
        check("{\"Text\":\"a\nb\"}", bad("control character (\\u0000-\\u001F) found while parsing a string"));
        check(r#"{"Text":5}"#, member("Text", "it is a number, not a text"));
        check(r#"{"Text":{}}"#, member("Text", "it is a structure, not a text"));
        check(r#"{"Count":"5"}"#, member("Count", "it is a text, not a whole number"));
        check(r#"{"Count":5.0}"#, member("Count", "it is a number, not a whole number"));
        check(r#"{"Count":-0}"#, member("Count", "it is a number, not a whole number"));
        check(r#"{"Count":9223372036854775808}"#, member("Count", "it is a number, not a whole number"));
        check(r#"{"Count":true}"#, member("Count", "it is true or false, not a whole number"));
        check(r#"{"Rate":"1.5"}"#, member("Rate", "it is a text, not a number"));
        check(r#"{"On":"true"}"#, member("On", "it is a text, not true or false"));
        check(r#"{"On":1}"#, member("On", "it is a number, not true or false"));
        check(r#"{"Data":[1,2]}"#, member("Data", "it is a list, not bytes"));
        check(r#"{"in":"x"}"#, member("In", "it is a text, not a structure"));
        check(r#"{"in":[]}"#, member("In", "it is a list, not a structure"));
        check(r#"{"Items":"x"}"#, member("Items", "it is a text, not a list"));
        check(r#"{"Items":[["x"]]}"#, member("Items", "it is a list, not a text"));
        check(r#"{"Map":[]}"#, member("Map", "it is a list, not a map"));
        check(&nested("{\"a\":", "1", "}", 33), bad("nested deeper than 32 levels"));
        check(&nested("[", "1", "]", 1_000_000), bad("nested deeper than 32 levels"));
        check(&format!("{{\"a\":[1{}]}}", ",1".repeat(MAX_VALUES - 2)), bad("more than 50000 values"));
        check(&format!("{{{:?}:1}}", "k".repeat(65_536)), bad("a name of more than 65535 bytes"));
        let latin1 = refused(b"{\"Text\":\"\xe9\"}");
        assert_eq!(latin1, bad("invalid unicode code point"));
        let utf16 = refused(b"{\0}\0");
        assert_eq!(utf16, bad("key must be a string"));
    }
    let within =
        |body: String| values(read_as(Protocol::Json, "POST /", shapes, &[], &post(Protocol::Json, body)));
    assert_eq!(within(nested("{\"a\":", "1", "}", 32)).1, ["a"]);
    assert_eq!(within(format!("{{\"a\":[1{}]}}", ",1".repeat(MAX_VALUES - 3))).1, ["a"]);
    assert_eq!(within(format!("{{{:?}:1}}", "k".repeat(65_535))).1, ["k".repeat(65_535)]);
}

#[test]
fn cbor() {
    let shapes = &["{T:s I:i F:f B:b At:u D:x In:1=in}", "{N:s=n}"];
    let check =
        |body: &[u8], why: String| assert_eq!(refused(Protocol::Cbor, shapes, body), why, "{body:x?}");
    let none = || bad("it is not CBOR");
    let early = || bad("the CBOR ends too early");
    check(b"\xa0\x00", bad("trailing bytes after the CBOR value"));
    check(b"\xa0\xa0", bad("trailing bytes after the CBOR value"));
    check(b"\x80", bad("it is not an object of members"));
    check(b"\xf6", bad("it is not an object of members"));
    check(b"\xa2\x61T\x61a\x61T\x61b", bad("the key \"T\" is there twice"));
    check(b"\xa2\x61T\x61a\x7f\x61T\xff\x61b", bad("the key \"T\" is there twice"));
    check(b"\xa2\x61x\x01\x61X\x02", ambiguous("the member \"x\" is there twice"));
    check(b"\xa1\x61t\x61a", ambiguous("the member \"T\" is not written \"t\" in this place"));
    check(b"\xa1\x62in\xa1\x61N\x61a", ambiguous("the member \"N\" is not written \"N\" in this place"));
    check(b"\xa1\x01\x01", bad("a key that is no text"));
    check(b"\xa1\x41a\x01", bad("a key that is no text"));
    check(b"\xa1\x61a", early());
    check(b"\xa1\x62a", early());
    check(b"\xbf\x61a\x01", early());
    check(b"\xa1\x61a\x7b\xff\xff\xff\xff\xff\xff\xff\xff", early());
    check(b"\xa1\x61a\x9b\xff\xff\xff\xff\xff\xff\xff\xff", early());
    check(b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", early());
    check(b"\xff", bad("a simple value that is none of AWS's"));
    check(b"\xa1\x61a\xff", bad("a simple value that is none of AWS's"));
    check(b"\xa1\x61a\xe0", bad("a simple value that is none of AWS's"));
    check(b"\xa1\x61a\xf8\x20", bad("a simple value that is none of AWS's"));
    check(b"\xa1\x61a\x1c", none());
    check(b"\xa1\x61a\x1f", none());
    check(b"\xa1\x61a\xdf\x01", none());
    check(b"\xa1\x61T\x7f\x41a\xff", none());
    check(b"\xa1\x61T\x7f\x7f\x61a\xff\xff", none());
    check(b"\xa1\x61T\x61\xff", bad("a text is not UTF-8"));
    check(b"\xa1\x61T\x7f\x61\xc3\x61\xa9\xff", bad("a text is not UTF-8"));
    check(b"\xa1\x61a\xc2\x41\x01", bad("a CBOR tag other than a timestamp"));
    check(b"\xa1\x61a\xd8\x20\x61x", bad("a CBOR tag other than a timestamp"));
    check(b"\xa1\x61a\xc1\x61x", bad("a timestamp that is no number"));
    check(b"\xa1\x61a\xc1\xf6", bad("a timestamp that is no number"));
    check(b"\xa1\x61a\xc1\xc1\x01", bad("a timestamp that is no number"));
    check(b"\xa1\x61T\x41a", member("T", "it is bytes, not a text"));
    check(b"\xa1\x61I\xf9\x3c\x00", member("I", "it is a number, not a whole number"));
    check(b"\xa1\x61I\xc1\x01", member("I", "it is a timestamp, not a whole number"));
    check(b"\xa1\x61B\x01", member("B", "it is a number, not true or false"));
    check(b"\xa1\x61D\x80", member("D", "it is a list, not bytes"));
    check(b"\xa1\x62in\x61a", member("In", "it is a text, not a structure"));
    let deep = |depth: usize| [b"\xa1\x61a".repeat(depth - 1), vec![1]].concat();
    check(&deep(33), bad("nested deeper than 32 levels"));
    check(&b"\x81".repeat(1_000_000), bad("nested deeper than 32 levels"));
    let many = |count: usize| [b"\xa1\x61a\x9f".to_vec(), vec![1; count], vec![0xff]].concat();
    check(&many(MAX_VALUES - 1), bad("more than 50000 values"));
    let within =
        |body: Vec<u8>| values(read_as(Protocol::Cbor, "POST /", shapes, &[], &post(Protocol::Cbor, body)));
    assert_eq!(within(deep(32)).1, ["a"]);
    assert_eq!(within(many(MAX_VALUES - 2)).1, ["a"]);
}

#[test]
fn forms() {
    let shapes = &["{Text:s Count:i On:b Tags:1 In:2 Flat:3 Map:4}", "[2 Tag", "{Key:s}", "[+s", "<s s"];
    let check = |body: &str, why: String| assert_eq!(refused(Protocol::Query, shapes, body), why, "{body}");
    let list = |name: &str| member(name, "it is numbered in another way, or not at all, not a list");
    check("Text", bad("a pair has no value"));
    check("", bad("a pair has no value"));
    check("Text=a&", bad("a pair has no value"));
    check("Text=a&&On=true", bad("a pair has no value"));
    check("=x", bad("a pair has no name"));
    check("Text=%4", bad("a percent-encoding is broken"));
    check("Text=%zz", bad("a percent-encoding is broken"));
    check("Text=%u0041", bad("a percent-encoding is broken"));
    check("Text=%ff", bad("a value is not UTF-8"));
    check("Text=%00", bad("a value has a NUL"));
    check("Text=a;On=true", bad("the form has a bare ';'"));
    check("Text=a b", bad("the form has a bare ' '"));
    check("Text=a\r\n", bad("the form has a bare '\\r'"));
    check("Text=\u{e9}", bad("the form has a bare 'é'"));
    check("\u{feff}Text=a", bad("the form has a bare '\\u{feff}'"));
    check("Text=a&Text=a", ambiguous("the member \"Text\" is there twice"));
    check("Text=a&%54ext=a", ambiguous("the member \"Text\" is there twice"));
    check("Text=a&text=a", ambiguous("the member \"text\" is there twice"));
    check("Tags.Tag.1.Key=a&Tags.Tag.1.key=b", ambiguous("the member \"Tags.Tag.1.key\" is there twice"));
    check("Action=a&action=b", ambiguous("the member \"action\" is there twice"));
    check("text=a", ambiguous("the member \"Text\" is not written \"text\" in this place"));
    check("Tags.Tag.1.key=a", ambiguous("the member \"Key\" is not written \"key\" in this place"));
    check("In=a&In.Key=b", member("In", "it is a plain value, not a structure"));
    check("In.Key=a&In.Key.x=b", ambiguous("the parameter \"Key\" is a value and a structure"));
    check("New=a&New.x=b", ambiguous("the parameter \"New\" is a value and a structure"));
    check("Text.x=a", member("Text", "it is a structure, not a text"));
    check("Text.1=a", member("Text", "it is a structure, not a text"));
    check("Count=05", member("Count", "it is not a whole number of 64 bits in its shortest spelling"));
    check("Count=+5", member("Count", "it is not a whole number of 64 bits in its shortest spelling"));
    check("On=True", member("On", "it is neither true nor false"));
    check("Tags=x", list("Tags"));
    check("Tags.1.Key=a", list("Tags"));
    check("Tags.member.1.Key=a", list("Tags"));
    check("Tags.Tag.1.Key=a&Tags.member.1.Key=b", list("Tags"));
    check("Tags.Tag=x", list("Tags"));
    check("Tags.Tag.0.Key=a", list("Tags"));
    check("Tags.Tag.2.Key=a", list("Tags"));
    check("Tags.Tag.1.Key=a&Tags.Tag.3.Key=b", list("Tags"));
    check("Tags.Tag.01.Key=a", list("Tags"));
    check("Tags.Tag.1.Key=a&Tags.Tag.01.Key=b", list("Tags"));
    check("Tags.Tag.%2B1.Key=a", list("Tags"));
    check("Flat=a", list("Flat"));
    check("Flat.=a", list("Flat"));
    check("Flat.1=a&Flat=", list("Flat"));
    check(
        "Map.1.key=a&Map.1.value=b",
        member("Map", "it is numbered in another way, or not at all, not a map"),
    );
    let entry = member("Map", "an entry of it is not one key and one value");
    check("Map.entry.1.key=a", entry.clone());
    check("Map.entry.1.Key=a&Map.entry.1.value=b", entry.clone());
    check("Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.1.x=c", entry.clone());
    check("Map.entry.1=a", entry);
    let twice = "Map.entry.1.key=a&Map.entry.1.value=b&Map.entry.2.key=a&Map.entry.2.value=c";
    check(twice, ambiguous("the member \"a\" is there twice"));
    check("SignatureVersion=2", ambiguous("\"SignatureVersion\" is in the form"));
    check("AWSAccessKeyId=x", ambiguous("\"AWSAccessKeyId\" is in the form"));
    check("X-Amz-Security-Token=x", ambiguous("\"X-Amz-Security-Token\" is in the form"));
    check(&format!("{}=x", vec!["a"; 33].join(".")), bad("nested deeper than 32 levels"));
    let many = |count: usize| (0..count).map(|n| format!("a{n}=1")).collect::<Vec<_>>().join("&");
    check(&many(MAX_VALUES + 1), bad("more than 50000 values"));
    // Few pairs of many levels are many values.
    let deep = |n: usize| format!("{n}.{}=1", vec!["a"; 30].join("."));
    check(&(1..2000).map(deep).collect::<Vec<_>>().join("&"), bad("more than 50000 values"));
    let within =
        |body: &str| values(read_as(Protocol::Query, "POST /", shapes, &[], &post(Protocol::Query, body)));
    assert_eq!(within(&many(MAX_VALUES)).1.len(), MAX_VALUES);
    assert_eq!(within(&format!("{}=x", vec!["a"; 32].join("."))).1, ["a"]);
}

#[test]
fn xml() {
    let shapes = &[
        "{Text:s Count:i Tags:1=TagSet In:2 Map:3 Grant:4 Id/}",
        "[2 Tag",
        "{Key:s}",
        "<s s",
        "{Type:s%xsi:type Id:s=ID}",
    ];
    let check = |body: &str, why: String| assert_eq!(refused(Protocol::RestXml, shapes, body), why, "{body}");
    let inside = |body: &str, why: String| check(&format!("<Op>{body}</Op>"), why);
    let other = || bad("XML other than plain elements and text");
    check("<!DOCTYPE Op><Op/>", other());
    check("<!DOCTYPE Op [<!ENTITY a \"b\">]><Op><Text>&a;</Text></Op>", other());
    check("<?php x?><Op/>", other());
    check("<Op/><?x?>", other());
    check(" <?xml version=\"1.0\"?><Op/>", other());
    check("<?xml version=\"1.0\"?><?xml version=\"1.0\"?><Op/>", other());
    let declaration = || bad("an XML declaration of something else than XML 1.0 in UTF-8");
    check("<?xml version=\"1.1\"?><Op/>", declaration());
    check("<?xml encoding=\"UTF-8\"?><Op/>", declaration());
    check("<?xml version=\"1.0\" encoding=\"UTF-7\"?><Op/>", declaration());
    check("<?xml version=\"1.0\" encoding=\"UTF-8\" encoding=\"UTF-7\"?><Op/>", declaration());
    check("<?xml version=\"1.0\" encoding=\"UTF-16\" standalone=\"yes\"?><Op/>", declaration());
    check("\u{feff}<Op/>", bad("the character '\\u{feff}' is not allowed in XML"));
    inside("<Text>\u{1}</Text>", bad("the character '\\u{1}' is not allowed in XML"));
    inside("<Text>a\r\nb</Text>", bad("a carriage return, which XML parsers change"));
    let reference = || bad("a reference to something else than a character");
    inside("<Text>&nbsp;</Text>", reference());
    inside("<Text>&#1;</Text>", reference());
    inside("<Text>&#xfffe;</Text>", reference());
    inside("<Text><![CDATA[a]]></Text>", other());
    inside("<Text>a]]></Text>", bad("a bare ]]>"));
    inside("<Text>a<!-- b -->c</Text>", bad("a comment inside a value"));
    inside("<Text><?a b?></Text>", other());
    inside("<Text>a</Text><Text>b</Text>", ambiguous("the member \"Text\" is there twice"));
    inside("<Text>a</Text><text>b</text>", ambiguous("the member \"text\" is there twice"));
    inside("<New/><NEW/>", ambiguous("the member \"New\" is there twice"));
    inside("<text>b</text>", ambiguous("the member \"Text\" is not written \"text\" in this place"));
    inside("<Tags/>", ambiguous("the member \"Tags\" is not written \"Tags\" in this place"));
    inside("<id>8</id>", ambiguous("the member \"Id\" is not written \"id\" in this place"));
    inside("<a:Text xmlns:a=\"b\">a</a:Text>", bad("an element with the name \"a:Text\""));
    inside("<Text xmlns:a=\"b\">a</Text>", bad("the namespace \"b\""));
    inside("<Text xmlns=\"b\">a</Text>", bad("the namespace \"b\""));
    check("<Op xmlns=\"a\"><Text xmlns=\"b\">a</Text></Op>", bad("the namespace \"b\""));
    check("<Op xmlns:xsi=\"a\"/>", bad("the namespace \"a\""));
    check("<Op x=\"a\"/>", bad("the attribute \"x\""));
    inside("<In x=\"a\"/>", bad("the attribute \"x\""));
    inside("<Text x=\"a\">a</Text>", member("Text", "it is a structure, not a text"));
    inside(
        "<Grant xsi:type=\"a\" xsi:type=\"b\"/>",
        bad("position 19: duplicated attribute, previous declaration at position 6"),
    );
    inside("<Grant xsi:type=\"a&amp;\"/>", bad("an attribute with a special character: \"xsi:type\""));
    inside(
        "<Grant xsi:Type=\"a\"/>",
        ambiguous("the member \"Type\" is not written \"xsi:Type\" in this place"),
    );
    inside(
        "<Grant><Type>a</Type></Grant>",
        ambiguous("the member \"Type\" is not written \"Type\" in this place"),
    );
    inside("<Text><b/></Text>", member("Text", "it is a structure, not a text"));
    inside("<In>a</In>", member("In", "it is a plain value, not a structure"));
    inside("<In>a<Key>b</Key></In>", bad("text between elements"));
    check("<Op>a</Op>", member("Op", "it is a plain value, not a structure"));
    inside(
        "<Count> 5</Count>",
        member("Count", "it is not a whole number of 64 bits in its shortest spelling"),
    );
    inside("<TagSet>a</TagSet>", member("Tags", "it is something else, not a list"));
    inside("<TagSet><member/></TagSet>", member("Tags", "it is something else, not a list"));
    inside("<TagSet/><TagSet/>", ambiguous("the member \"Tags\" is there twice"));
    let entry = || member("Map", "an entry of it is not one key and one value");
    inside("<Map><entry><key>a</key></entry></Map>", entry());
    inside("<Map><entry><key>a</key><value>b</value><value>b</value></entry></Map>", entry());
    inside("<Map><entry><key><a/></key><value>b</value></entry></Map>", entry());
    let pair = "<entry><key>a</key><value>b</value></entry>";
    inside(&format!("<Map>{pair}{pair}</Map>"), ambiguous("the member \"a\" is there twice"));
    check("<Op/><Op/>", bad("more than one outermost element"));
    check("<Op/>a", bad("text outside of the outermost element"));
    check("a<Op/>", bad("text outside of the outermost element"));
    check("<Op>", bad("it ends before its outermost element does"));
    check("<!-- a -->", bad("it ends before its outermost element does"));
    check(" ", bad("it ends before its outermost element does"));
    check(&nested("<a>", "b", "</a>", 34), bad("nested deeper than 32 levels"));
    let many = |count: usize| format!("<Op><TagSet>{}</TagSet></Op>", "<Tag/>".repeat(count));
    check(&many(MAX_VALUES - 1), bad("more than 50000 values"));
    for broken in
        ["<Op></op>", "<Op>&</Op>", "<Op", "</Op>", "<Op><Text></Op></Text>", "<Op a></Op>", "<Op a=b></Op>"]
    {
        assert!(
            refused(Protocol::RestXml, shapes, broken).starts_with("the body cannot be read: "),
            "{broken}"
        );
    }
    assert_eq!(refused(Protocol::RestXml, shapes, b"<Op>\xe9</Op>"), bad("it is not UTF-8"));
    let payload = |body: &str| {
        refusal(read_as(
            Protocol::RestXml,
            "POST /",
            &["{In:1&Input}", "{}"],
            &[],
            &post(Protocol::RestXml, body),
        ))
    };
    assert_eq!(payload("<input/>"), bad("the outermost element is \"input\", not \"Input\""));
    let within = |body: String| {
        values(read_as(Protocol::RestXml, "POST /", shapes, &[], &post(Protocol::RestXml, body)))
    };
    assert_eq!(within(many(MAX_VALUES - 2)).1, Vec::<String>::new());
    assert_eq!(within(nested("<a>", "b", "</a>", 33)).1, ["a"]);
}

#[test]
fn bodies_of_another_type() {
    let check = |protocol, content_type: &str, body: &[u8], why: &str| {
        let call = call(Method::POST, "/").header("content-type", content_type).body(body);
        let read = read_as(protocol, "POST /", &["{Text:s}"], &[], &call);
        assert_eq!(refusal(read), ambiguous(why), "{content_type}");
    };
    let typed = |protocol, found: &str, expected: &str, body: &[u8]| {
        check(protocol, found, body, &format!("a body of the type {found:?} where {expected} is expected"));
    };
    let json = "application/x-amz-json-1.0 or application/x-amz-json-1.1";
    for found in
        ["application/json", "application/x-amz-json-1.1; charset=utf-16", "text/plain", "application/cbor"]
    {
        typed(Protocol::Json, found, json, b"{}");
    }
    let rest = " or application/json or application/x-amz-json-1.0 or application/x-amz-json-1.1";
    for found in [
        "text/json",
        "application/json; charset=iso-8859-1",
        "application/x-www-form-urlencoded",
        "application/xml",
    ] {
        typed(Protocol::RestJson, found, rest, b"{}");
    }
    for found in ["application/json", "text/xml; charset=utf-16", "application/x-www-form-urlencoded"] {
        typed(Protocol::RestXml, found, " or application/xml or text/xml", b"<Op/>");
    }
    typed(Protocol::Cbor, "application/json", "application/cbor", b"\xa0");
    check(Protocol::Cbor, "application/cbor", b"", "rpc-v2-cbor with a body that is not CBOR");
    let neither = "a query call that is neither a form nor a GET";
    for found in [
        "application/json",
        "application/x-www-form-urlencoded; charset=utf-7",
        "multipart/form-data; boundary=a",
    ] {
        check(Protocol::Query, found, b"Action=Op", neither);
    }
    let get = call(Method::GET, "/?Action=Op").body("Action=Other");
    assert_eq!(refusal(read_as(Protocol::Query, "POST /", &[], &[], &get)), ambiguous(neither));
    let and_url = |target: &str| {
        let post = TestCall { target: target.to_owned(), ..post(Protocol::Query, "Action=Op") };
        read_as(Protocol::Query, "POST /?mode=fast", &[], &[], &post)
    };
    assert!(and_url("/?mode=fast").is_ok() && and_url("/").is_ok());
    for target in ["/?mode=slow", "/?mode=fast&mode=fast", "/?mode=fast&Name=n", "/?Action=Other"] {
        assert_eq!(refusal(and_url(target)), ambiguous(neither), "{target}");
    }
    for (protocol, body) in [(Protocol::Json, "{}"), (Protocol::Cbor, "\u{60}")] {
        let post = TestCall { target: "/?Name=n".to_owned(), ..post(protocol, body) };
        let read = read_as(protocol, "POST /", &[], &[], &post);
        assert_eq!(refusal(read), ambiguous("an RPC call with a query string"));
    }
    let text = call(Method::PUT, "/").header("content-type", "text/plain; charset=utf-16").body("a");
    let policy = |call: &TestCall| refusal(read_as(Protocol::RestXml, "PUT /", &["{Policy:s&}"], &[], call));
    assert_eq!(policy(&text), ambiguous("a charset other than UTF-8"));
    assert_eq!(policy(&call(Method::PUT, "/").body(b"\xff")), bad("it is not UTF-8"));
}

#[test]
fn encoded_bodies() {
    for (protocol, body) in [
        (Protocol::Json, "{}"),
        (Protocol::RestJson, "{}"),
        (Protocol::Query, "Action=Op"),
        (Protocol::RestXml, "<Op/>"),
        (Protocol::Cbor, "\u{60}"),
    ] {
        for coding in ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, gzip", "x-gzip", ""] {
            let call = post(protocol, body).header("content-encoding", coding);
            let read = read_as(protocol, "POST /", &["{Text:s}"], &[], &call);
            let why = format!("it is encoded as {coding:?}; only plain bodies are read");
            assert_eq!(refusal(read), bad(&why), "{protocol:?}");
        }
    }
    let plain = post(Protocol::Json, "{}").header("content-encoding", "identity");
    assert!(read_as(Protocol::Json, "POST /", &[], &[], &plain).is_ok());
    let chunked = TestCall {
        service: "s3".to_owned(),
        host: "bkt.s3.us-east-1.amazonaws.com".to_owned(),
        ..call(Method::PUT, "/?delete")
    }
    .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    .header("content-encoding", "aws-chunked")
    .header("x-amz-decoded-content-length", "5")
    .header("x-amz-trailer", "x-amz-checksum-crc32")
    .body("5\r\n<Op/>\r\n0\r\n\r\n");
    let read = read_as(Protocol::RestXml, "POST /?delete", &["{Text:s}"], &[], &chunked);
    assert_eq!(refusal(read), bad("it is aws-chunked"));
}
