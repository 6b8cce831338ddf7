//! What is serialised is read back.

use proptest::prelude::*;

use super::{bodies::post, *};
use crate::classify::tests::wire;

/// Members of every type, the same in all protocols.
const SHAPES: &[&str] = &[
    "{Text:s Count:i On:b Items:1 Map:2 In:3}",
    "[4",
    "<s s",
    "{Name:s Size:i=size In:3=inner}",
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

/// Writes a call and reads it back.
fn read_back(protocol: Protocol, input: &Param) -> (Param, Vec<String>) {
    let service = testing::service(protocol, "POST /", SHAPES);
    let operation = &service.operations()[0];
    let Param::Record(params) = input else { panic!("{input:?}") };
    let written = wire::write(service, operation, protocol, params);
    let headers = written.headers.iter();
    let call =
        headers.fold(call(Method::POST, &written.target), |call, (name, value)| call.header(name, value));
    values(read(service, operation, protocol, &[], parts(&call.body(&written.body).verify().unwrap())))
}

proptest! {
    #[test]
    fn json_bodies(input in input()) {
        prop_assert_eq!(read_back(Protocol::Json, &input), (input.clone(), Vec::new()));
        prop_assert_eq!(read_back(Protocol::RestJson, &input), (input, Vec::new()));
    }

    #[test]
    fn cbor_bodies(input in input()) {
        prop_assert_eq!(read_back(Protocol::Cbor, &input), (input, Vec::new()));
    }

    #[test]
    fn form_bodies(input in input()) {
        prop_assert_eq!(read_back(Protocol::Query, &input), (input.clone(), Vec::new()));
        prop_assert_eq!(read_back(Protocol::Ec2, &input), (input, Vec::new()));
    }

    #[test]
    fn xml_bodies(input in input()) {
        prop_assert_eq!(read_back(Protocol::RestXml, &input), (input, Vec::new()));
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
