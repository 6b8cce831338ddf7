//! What is serialised is read back.

use proptest::prelude::*;

use super::{bodies::post, *};

/// Members of every type, the same in all protocols.
const SHAPES: &[&str] = &[
    "{Text:s Count:i On:b Items:1 Map:2 In:3}",
    "[4",
    "<s s",
    "{Name:s Size:i In:3}",
    "{Key:s Flags:5}",
    "[b",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9 /:._-]{0,12}", "[\u{20}-\u{7e}é😀\n\t]{0,8}"]
}

fn key() -> impl Strategy<Value = String> {
    "[ a-zA-Z0-9&<=.%+é-]{1,8}"
}

/// Some of `members`, in one record. Empty structures are left out where `sparse`: forms have no words
/// for them.
fn record(members: Vec<(&'static str, BoxedStrategy<Param>)>) -> BoxedStrategy<Param> {
    let some =
        members.into_iter().map(|(name, value)| prop::option::of(value).prop_map(move |value| (name, value)));
    let some: Vec<_> = some.collect();
    some.prop_map(|members| {
        let members = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Param::Record(members.collect())
    })
    .prop_filter(
        "an empty structure",
        |record| !matches!(record, Param::Record(members) if members.is_empty()),
    )
    .boxed()
}

fn list(item: BoxedStrategy<Param>) -> BoxedStrategy<Param> {
    prop::collection::vec(item, 1..4).prop_map(Param::List).boxed()
}

fn input() -> impl Strategy<Value = Param> {
    let texts = || text().prop_map(Param::Text).boxed();
    let numbers = || any::<i64>().prop_map(Param::Number).boxed();
    let flags = || any::<bool>().prop_map(Param::Bool).boxed();
    let leaf = record(vec![("Name", texts()), ("Size", numbers())]);
    let nested = leaf.prop_recursive(6, 16, 2, move |inner| {
        record(vec![("Name", texts()), ("Size", numbers()), ("In", inner.boxed())])
    });
    let tag = record(vec![("Key", texts()), ("Flags", list(flags()))]);
    let map = prop::collection::btree_map(key(), texts(), 1..4).prop_map(Param::Record).boxed();
    record(vec![
        ("Text", texts()),
        ("Count", numbers()),
        ("On", flags()),
        ("Items", list(tag)),
        ("Map", map),
        ("In", nested.boxed()),
    ])
}

fn is_map(name: &str) -> bool {
    name == "Map"
}

fn json(param: &Param) -> serde_json::Value {
    match param {
        Param::Text(text) => text.as_str().into(),
        Param::Number(number) => (*number).into(),
        Param::Bool(value) => (*value).into(),
        Param::List(items) => items.iter().map(json).collect(),
        Param::Record(members) => members.iter().map(|(name, member)| (name.clone(), json(member))).collect(),
    }
}

fn cbor_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match argument {
        0..=23 => out.push(major | u8::try_from(argument).unwrap()),
        24..=0xff => out.extend([major | 24, u8::try_from(argument).unwrap()]),
        _ => {
            out.push(major | 27);
            out.extend(argument.to_be_bytes());
        }
    }
}

fn cbor(param: &Param, out: &mut Vec<u8>) {
    let text = |text: &str, out: &mut Vec<u8>| {
        cbor_head(3, text.len() as u64, out);
        out.extend(text.as_bytes());
    };
    match param {
        Param::Text(value) => text(value, out),
        Param::Number(number) if *number < 0 => cbor_head(1, u64::try_from(-1 - number).unwrap(), out),
        Param::Number(number) => cbor_head(0, u64::try_from(*number).unwrap(), out),
        Param::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
        Param::List(items) => {
            cbor_head(4, items.len() as u64, out);
            items.iter().for_each(|item| cbor(item, out));
        }
        Param::Record(members) => {
            out.push(0xbf);
            for (name, member) in members {
                text(name, out);
                cbor(member, out);
            }
            out.push(0xff);
        }
    }
}

/// `flat`: as EC2 writes lists.
fn form(name: &str, param: &Param, flat: bool, out: &mut Vec<(String, String)>) {
    let last = name.rsplit('.').next().unwrap();
    match param {
        Param::Text(text) => out.push((name.to_owned(), text.clone())),
        Param::Number(number) => out.push((name.to_owned(), number.to_string())),
        Param::Bool(value) => out.push((name.to_owned(), value.to_string())),
        Param::List(items) => {
            let prefix = if flat { name.to_owned() } else { format!("{name}.member") };
            items.iter().zip(1..).for_each(|(item, n)| form(&format!("{prefix}.{n}"), item, flat, out));
        }
        Param::Record(members) if is_map(last) => {
            for ((key, value), n) in members.iter().zip(1..) {
                out.push((format!("{name}.entry.{n}.key"), key.clone()));
                form(&format!("{name}.entry.{n}.value"), value, flat, out);
            }
        }
        Param::Record(members) => {
            members.iter().for_each(|(member, value)| form(&format!("{name}.{member}"), value, flat, out));
        }
    }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%20", "+")
}

fn form_body(input: &Param, flat: bool) -> String {
    let Param::Record(members) = input else { panic!("{input:?}") };
    let mut pairs = vec![("Action".to_owned(), "Op".to_owned())];
    members.iter().for_each(|(name, member)| form(name, member, flat, &mut pairs));
    let pairs = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn xml(name: &str, param: &Param, out: &mut String) {
    out.push_str(&format!("<{name}>"));
    match param {
        Param::Text(text) => out.push_str(&quick_xml::escape::escape(text)),
        Param::Number(number) => out.push_str(&number.to_string()),
        Param::Bool(value) => out.push_str(&value.to_string()),
        Param::List(items) => items.iter().for_each(|item| xml("member", item, out)),
        Param::Record(members) if is_map(name) => {
            for (key, value) in members {
                out.push_str("<entry>");
                xml("key", &Param::Text(key.clone()), out);
                xml("value", value, out);
                out.push_str("</entry>");
            }
        }
        Param::Record(members) => members.iter().for_each(|(name, member)| xml(name, member, out)),
    }
    out.push_str(&format!("</{name}>"));
}

/// Signing costs more than reading, so requests are not signed here.
fn read_back(protocol: Protocol, body: impl AsRef<[u8]>) -> (Param, Vec<String>) {
    values(read_as(protocol, "POST /", SHAPES, &[], &post(protocol, body)))
}

proptest! {
    #[test]
    fn json_bodies(input in input()) {
        let body = json(&input).to_string();
        prop_assert_eq!(read_back(Protocol::Json, &body), (input.clone(), Vec::new()));
        prop_assert_eq!(read_back(Protocol::RestJson, &body), (input, Vec::new()));
    }

    #[test]
    fn cbor_bodies(input in input()) {
        let mut body = Vec::new();
        cbor(&input, &mut body);
        prop_assert_eq!(read_back(Protocol::Cbor, body), (input, Vec::new()));
    }

    #[test]
    fn form_bodies(input in input()) {
        prop_assert_eq!(read_back(Protocol::Query, form_body(&input, false)), (input.clone(), Vec::new()));
        prop_assert_eq!(read_back(Protocol::Ec2, form_body(&input, true)), (input, Vec::new()));
    }

    #[test]
    fn xml_bodies(input in input()) {
        let mut body = String::new();
        xml("Op", &input, &mut body);
        prop_assert_eq!(read_back(Protocol::RestXml, body), (input, Vec::new()));
    }

    #[test]
    fn nothing_makes_a_reader_panic(
        body in prop_oneof![
            "[\\{\\}\\[\\]\",:a0-9 ]{0,64}",
            "[A-Za-z0-9.=&%+]{0,64}",
            "(<Op>|</Op>|<Text>|</Text>|<In|/>|&amp;|&#|;|a|<!--|-->|xmlns=\"|\"){0,16}",
            ".{0,64}",
        ],
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for protocol in [Protocol::Json, Protocol::RestJson, Protocol::Query, Protocol::Ec2, Protocol::RestXml, Protocol::Cbor] {
            let _ = read_as(protocol, "POST /", SHAPES, &[], &post(protocol, &body));
            let _ = read_as(protocol, "POST /", SHAPES, &[], &post(protocol, &bytes));
        }
    }
}
