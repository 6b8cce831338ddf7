//! Members in bodies.

use super::*;

/// A POST of `body` as the protocol writes its type.
pub(super) fn post(protocol: Protocol, body: impl AsRef<[u8]>) -> TestCall {
    let content_type = match protocol {
        Protocol::Json => "application/x-amz-json-1.1",
        Protocol::Cbor => "application/cbor",
        Protocol::Query | Protocol::Ec2 => "application/x-www-form-urlencoded; charset=utf-8",
        Protocol::RestJson => "application/json",
        Protocol::RestXml => "application/xml",
    };
    call(Method::POST, "/").header("content-type", content_type).body(body)
}

fn check(
    protocol: Protocol,
    shapes: &[&'static str],
    body: impl AsRef<[u8]>,
    expected: serde_json::Value,
    unknown: &[&str],
) {
    let read = values(read_as(protocol, "POST /", shapes, &[], &post(protocol, body.as_ref())));
    let body = String::from_utf8_lossy(body.as_ref()).into_owned();
    assert_eq!(read, (param(expected), unknown.iter().map(|name| (*name).to_owned()).collect()), "{body}");
}

#[test]
fn json_members_have_their_types_and_the_rest_those_of_the_wire() {
    let shapes = &[
        "{Text:s Count:i Rate:f On:b At:u Data:x Any:o Items:1 Map:2 In:3=in}",
        "[i",
        "<s f",
        "{Name:s=name Deep:o}",
    ];
    for protocol in [Protocol::Json, Protocol::RestJson] {
        let check = |body: &str, expected, unknown: &[&str]| check(protocol, shapes, body, expected, unknown);
        check("{}", json!({}), &[]);
        check("", json!({}), &[]);
        check(r#"{"Text":"x","Count":-3,"On":false}"#, json!({"Text": "x", "Count": -3, "On": false}), &[]);
        check(r#"{"Rate":1.50}"#, json!({"Rate": "1.5"}), &[]);
        check(r#"{"Rate":15e-1}"#, json!({"Rate": "1.5"}), &[]);
        check(r#"{"Rate":2}"#, json!({"Rate": "2"}), &[]);
        check(r#"{"Rate":2.0}"#, json!({"Rate": "2"}), &[]);
        // The nearest double, not the one beside it.
        let tiny = format!("-0.{}30504226616434526", "0".repeat(55));
        check(r#"{"Rate":-3.0504226616434526e-56}"#, json!({ "Rate": tiny }), &[]);
        check(r#"{"Rate":"NaN"}"#, json!({"Rate": "NaN"}), &[]);
        check(r#"{"At":1756557360}"#, json!({"At": "1756557360"}), &[]);
        check(r#"{"At":1756557360.5}"#, json!({"At": "1756557360.5"}), &[]);
        check(r#"{"At":"2025-08-30T12:36:00Z"}"#, json!({"At": "2025-08-30T12:36:00Z"}), &[]);
        check(r#"{"Data":"AQI="}"#, json!({"Data": "AQI="}), &[]);
        check(r#"{"Text":null,"Items":[1,null,2]}"#, json!({"Items": [1, 2]}), &[]);
        check(r#"{"Map":{"a":1,"A":2.5,"b":null}}"#, json!({"Map": {"a": "1", "A": "2.5"}}), &[]);
        check(
            r#"{"in":{"name":"n","Deep":[1,1.5,{"X":true,"x":18446744073709551615}],"New":[{}]}}"#,
            json!({"In": {"Name": "n", "Deep": [1, "1.5", {"X": true, "x": "18446744073709551615"}], "New": [{}]}}),
            &["New"],
        );
        check(r#"{"Any":"x"}"#, json!({"Any": "x"}), &[]);
        check(r#"{"Any":{"a":[[]]}}"#, json!({"Any": {"a": [[]]}}), &[]);
        check(r#"{"New":{"a":1},"Older":null}"#, json!({"New": {"a": 1}}), &["New"]);
        check("{\"Text\":\"\u{e9}\\u00e9\\ud83d\\ude00\"}", json!({"Text": "éé😀"}), &[]);
    }
}

#[test]
fn cbor_members_have_their_types_and_the_rest_those_of_the_wire() {
    let shapes = &["{T:s I:i F:f B:b At:u D:x Any:o L:1}", "[s"];
    let check =
        |body: &[u8], expected, unknown: &[&str]| check(Protocol::Cbor, shapes, body, expected, unknown);
    check(b"\xa0", json!({}), &[]);
    check(b"\xbf\xff", json!({}), &[]);
    check(b"\xa2\x61T\x61x\x61I\x20", json!({"T": "x", "I": -1}), &[]);
    check(b"\xa1\x61I\x1b\x7f\xff\xff\xff\xff\xff\xff\xff", json!({"I": i64::MAX}), &[]);
    check(b"\xa1\x61I\x3b\x7f\xff\xff\xff\xff\xff\xff\xff", json!({"I": i64::MIN}), &[]);
    check(b"\xa1\x61I\x18\x05", json!({"I": 5}), &[]);
    check(b"\xa1\x61B\xf5", json!({"B": true}), &[]);
    check(b"\xa2\x61B\xf6\x61T\xf7", json!({}), &[]);
    check(b"\xa1\x61F\xf9\x3e\x00", json!({"F": "1.5"}), &[]);
    check(b"\xa1\x61F\xf9\x00\x01", json!({"F": "0.000000059604645"}), &[]);
    check(b"\xa1\x61F\xf9\xfc\x00", json!({"F": "-Infinity"}), &[]);
    check(b"\xa1\x61F\xf9\x7e\x00", json!({"F": "NaN"}), &[]);
    check(b"\xa1\x61F\xfa\x3f\x8c\xcc\xcd", json!({"F": "1.1"}), &[]);
    check(b"\xa1\x61F\xfb\x3f\xf1\x99\x99\x99\x99\x99\x9a", json!({"F": "1.1"}), &[]);
    check(b"\xa1\x61F\x02", json!({"F": "2"}), &[]);
    check(b"\xa1\x62At\xc1\x1a\x68\xb2\xee\x70", json!({"At": "1756556912"}), &[]);
    check(b"\xa1\x62At\xc1\xf9\x3e\x00", json!({"At": "1.5"}), &[]);
    check(b"\xa1\x62At\xc1\x20", json!({"At": "-1"}), &[]);
    check(b"\xa1\x61D\x42\x01\x02", json!({"D": "AQI="}), &[]);
    check(b"\xa1\x61D\x5f\x41\x01\x41\x02\xff", json!({"D": "AQI="}), &[]);
    check(b"\xa1\x61T\x7f\x61x\x61y\xff", json!({"T": "xy"}), &[]);
    check(b"\xa1\x61L\x9f\x61x\xff", json!({"L": ["x"]}), &[]);
    check(
        b"\xa1\x63Any\xa3\x61a\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x61b\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x61c\x81\xc1\x01",
        json!({"Any": {"a": "18446744073709551615", "b": "-18446744073709551616", "c": ["1"]}}),
        &[],
    );
    check(b"\xa1\x63New\x01", json!({"New": 1}), &["New"]);
}

#[test]
fn forms() {
    let shapes = &[
        "{Text:s Count:i Rate:f On:b At:t Data:x Tags:1 Flat:3 Named:4 Map:5 Flatmap:6 In:2}",
        "[2",
        "{Key:s Value:s Deep:1}",
        "[+s",
        "[+2 Item",
        "<s i",
        "<+s 2 Name Content",
    ];
    let check = |body: &str, expected, unknown: &[&str]| {
        let body = format!("Action=Op&{body}&Version=2025-01-01");
        check(Protocol::Query, shapes, &body, expected, unknown);
        // The same in a URL, where a plus is not a space.
        let get = call(Method::GET, &format!("/?{}", body.replace('+', "%20")));
        assert!(read_as(Protocol::Query, "POST /", shapes, &[], &get).is_ok(), "{body}");
    };
    check("Text=a+b%2B%C3%A9&Count=-3&On=true", json!({"Text": "a b+é", "Count": -3, "On": true}), &[]);
    check("Text=&Rate=1.50", json!({"Text": "", "Rate": "1.5"}), &[]);
    check(
        "At=2025-08-30T12%3A36%3A00Z&Data=AQI%3D",
        json!({"At": "2025-08-30T12:36:00Z", "Data": "AQI="}),
        &[],
    );
    check(
        "Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=1",
        json!({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}]}),
        &[],
    );
    check("Tags.member.1.Deep.member.1.Key=a", json!({"Tags": [{"Deep": [{"Key": "a"}]}]}), &[]);
    check("Tags=", json!({"Tags": []}), &[]);
    check("Flat.1=a&Flat.2=b", json!({"Flat": ["a", "b"]}), &[]);
    let ten: Vec<String> = (1..=10).map(|n| format!("Flat.{n}={n}")).collect();
    check(&ten.join("&"), json!({"Flat": ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]}), &[]);
    check("Item.1.Key=a", json!({"Named": [{"Key": "a"}]}), &[]);
    check("Named=", json!({"Named": []}), &[]);
    check("Map.entry.1.key=a&Map.entry.1.value=1", json!({"Map": {"a": 1}}), &[]);
    check("Flatmap.1.Name=a&Flatmap.1.Content.Key=k", json!({"Flatmap": {"a": {"Key": "k"}}}), &[]);
    check("In.Key=k&In.New.1=x", json!({"In": {"Key": "k", "New": ["x"]}}), &["New"]);
    check(
        "New.1=a&Newer.a.b=1&Newer-b=2&Newest=3",
        json!({"New": ["a"], "Newer": {"a": {"b": "1"}}, "Newer-b": "2", "Newest": "3"}),
        &["New", "Newer", "Newer-b", "Newest"],
    );
}

#[test]
fn lists_of_ec2_are_all_flat() {
    let shapes =
        &["{Ids:1=InstanceId Filters:2=Filter}", "[s InstanceId", "[3 Filter", "{Name:s Values:1=Value}"];
    check(
        Protocol::Ec2,
        shapes,
        "Action=Op&InstanceId.1=i-1&InstanceId.2=i-2&Filter.1.Name=n&Filter.1.Value.1=v&Version=2016-11-15",
        json!({"Ids": ["i-1", "i-2"], "Filters": [{"Name": "n", "Values": ["v"]}]}),
        &[],
    );
}

#[test]
fn xml() {
    let shapes = &[
        "{Text:s Count:i On:b At:t Tags:1=TagSet Flat:3=Item Map:4 Flatmap:5 Grant:6 Empty:2}",
        "[2 Tag",
        "{Key:s Value:s}",
        "[+2",
        "<s i",
        "<+s s Name Content",
        "{Type:s%xsi:type Id:s=ID}",
    ];
    let check = |body: &str, expected: serde_json::Value, unknown: &[&str]| {
        let declared =
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Op xmlns=\"http://x/\">{body}</Op>\n");
        check(Protocol::RestXml, shapes, &declared, expected.clone(), unknown);
        check(Protocol::RestXml, shapes, format!("<!-- a --><Op>{body}</Op>"), expected, unknown);
    };
    check("", json!({}), &[]);
    check(
        "<Text> a\n&amp;&lt;&#13;&#x41;é</Text><Count>-3</Count>",
        json!({"Text": " a\n&<\rAé", "Count": -3}),
        &[],
    );
    check("<Text/><On>true</On>", json!({"Text": "", "On": true}), &[]);
    check("<At>2025-08-30T12:36:00Z</At>", json!({"At": "2025-08-30T12:36:00Z"}), &[]);
    check(
        "\n <TagSet>\n <Tag><Key>a</Key></Tag> <!-- b --> <Tag/></TagSet>",
        json!({"Tags": [{"Key": "a"}, {}]}),
        &[],
    );
    check("<TagSet/>", json!({"Tags": []}), &[]);
    check(
        "<Item><Key>a</Key></Item><Text>x</Text><Item><Key>b</Key></Item>",
        json!({"Text": "x", "Flat": [{"Key": "a"}, {"Key": "b"}]}),
        &[],
    );
    check("<Map><entry><key>a</key><value>1</value></entry></Map>", json!({"Map": {"a": 1}}), &[]);
    check("<Flatmap><Name>a</Name><Content>1</Content></Flatmap>", json!({"Flatmap": {"a": "1"}}), &[]);
    check(
        "<Grant xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type='Group'><ID>i</ID></Grant>",
        json!({"Grant": {"Type": "Group", "Id": "i"}}),
        &[],
    );
    check("<Empty></Empty>", json!({"Empty": {}}), &[]);
    check(
        "<New>1</New><Newer><a>1</a><a><b/></a></Newer><Text>x</Text>",
        json!({"New": "1", "Newer": {"a": ["1", {"b": ""}]}, "Text": "x"}),
        &["New", "Newer"],
    );
}

#[test]
fn bodies_that_are_one_member() {
    let check = |protocol, shapes: &[&'static str], call: &TestCall, expected: serde_json::Value| {
        let read = values(read_as(protocol, "POST /", shapes, &[], call));
        assert_eq!(read, (param(expected), Vec::new()));
    };
    let raw = |body: &[u8]| call(Method::POST, "/").header("content-type", "image/png").body(body);
    check(
        Protocol::RestJson,
        &["{Body:x& Type:s^Content-Type}"],
        &raw(b"\xff\x00"),
        json!({"Body": "/wA=", "Type": "image/png"}),
    );
    check(Protocol::RestJson, &["{Body:x&}"], &raw(b""), json!({}));
    check(Protocol::RestXml, &["{Policy:s&}"], &raw(b"{\"a\":1}"), json!({"Policy": "{\"a\":1}"}));
    let structure = |protocol, body: &str, expected| {
        check(protocol, &["{In:1&Input}", "{Name:s=name}"], &post(protocol, body), expected);
        let untyped = call(Method::POST, "/").body(body);
        assert!(read_as(protocol, "POST /", &["{In:1&Input}", "{Name:s=name}"], &[], &untyped).is_ok());
    };
    structure(Protocol::RestJson, r#"{"name":"n"}"#, json!({"In": {"Name": "n"}}));
    let new = post(Protocol::RestJson, r#"{"name":"n","new":1}"#);
    let read = values(read_as(Protocol::RestJson, "POST /", &["{In:1&Input}", "{Name:s=name}"], &[], &new));
    assert_eq!(read, (param(json!({"In": {"Name": "n", "new": 1}})), vec!["new".to_owned()]));
    structure(Protocol::RestJson, "null", json!({}));
    structure(Protocol::RestXml, "<Input><name>n</name></Input>", json!({"In": {"Name": "n"}}));
    structure(Protocol::RestXml, "", json!({}));
}

#[test]
fn streams_are_not_read() {
    let unread = |shapes: &[&'static str], call: &TestCall| {
        let read = read_as(Protocol::RestXml, "PUT /", shapes, &[], call).unwrap();
        (Param::Record(read.values), read.unread.into_iter().collect::<Vec<_>>())
    };
    let put = |host: &str| TestCall {
        host: host.to_owned(),
        service: "s3".to_owned(),
        ..call(Method::PUT, "/key").body("<data")
    };
    let s3 = put("bkt.s3.us-east-1.amazonaws.com").header("content-encoding", "gzip");
    let expected = (param(json!({"Coding": "gzip"})), vec!["Body".to_owned()]);
    assert_eq!(unread(&["{Body:x~& Coding:s^Content-Encoding}"], &s3), expected);
    // A stream that was read for its hash all the same.
    assert_eq!(
        unread(&["{Body:x~&}"], &call(Method::PUT, "/").body("data")),
        (param(json!({})), vec!["Body".to_owned()])
    );
    // A body that could be read but was not.
    assert_eq!(unread(&["{A:s B:1=b}", "[s"], &s3), (param(json!({})), vec!["A".to_owned(), "B".to_owned()]));
    assert_eq!(unread(&["{A:s^x-a}"], &s3), (param(json!({})), Vec::new()));
}
