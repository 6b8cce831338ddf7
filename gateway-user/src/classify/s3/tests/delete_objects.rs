use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{call, check, classified};
use crate::{classify::ClassifyError, parse::testing::TestCall};

fn delete(body: &str) -> TestCall {
    call("POST", "/?delete").body(body)
}

#[test]
fn delete_objects_needs_an_action_for_each_key() {
    let body = r#"<?xml version="1.0" encoding="UTF-8"?>
        <Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Object><Key>a &amp; b&#x41;</Key></Object>
            <!-- a comment -->
            <Object><Key> spaced </Key><VersionId>v</VersionId></Object>
            <Quiet>true</Quiet>
        </Delete>"#;
    let expected =
        ["s3:DeleteObject arn:aws:s3:::bkt/a & bA", "s3:DeleteObjectVersion arn:aws:s3:::bkt/ spaced "];
    check(&delete(body), "DeleteObjects", &expected);
    let bypass = delete("<Delete><Object><Key>a</Key></Object></Delete>")
        .header("x-amz-bypass-governance-retention", "true");
    let expected = ["s3:DeleteObject arn:aws:s3:::bkt/a", "s3:BypassGovernanceRetention arn:aws:s3:::bkt/a"];
    check(&bypass, "DeleteObjects", &expected);
    let keys = |n: usize| format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(n));
    assert!(classified(&delete(&keys(1000))).is_ok());
    assert_eq!(
        classified(&delete(&keys(1001))),
        Err(ClassifyError::BadBody("more than 1000 objects".to_owned()))
    );
}

#[test]
fn delete_objects_bodies_that_are_refused() {
    let check = |body: &str, why: &str| {
        assert_eq!(classified(&delete(body)), Err(ClassifyError::BadBody(why.to_owned())), "{body}");
    };
    let plain = "XML other than plain elements and text";
    check("<!DOCTYPE x [<!ENTITY e \"v\">]><Delete><Object><Key>&e;</Key></Object></Delete>", plain);
    check(
        "<Delete><Object><Key>&e;</Key></Object></Delete>",
        "a reference to something else than a character",
    );
    check(
        "<Delete><Object><Key>&#1;</Key></Object></Delete>",
        "a reference to something else than a character",
    );
    check("<Delete><Object><Key><![CDATA[k]]></Key></Object></Delete>", plain);
    check("<Delete><?pi x?><Object><Key>k</Key></Object></Delete>", plain);
    check("<Delete><Object><Key>a<!-- c -->b</Key></Object></Delete>", "a comment inside a value");
    check("<Delete><Object><Key/></Object></Delete>", "an Object without Key");
    check("<Delete><Object><Key></Key></Object></Delete>", "an Object without Key");
    check("<Delete><Object><VersionId>v</VersionId></Object></Delete>", "an Object without Key");
    check("<Delete><Object><Key>a</Key><VersionId/></Object></Delete>", "a VersionId that is none");
    check("<Delete><Object><Key>a<Key>b</Key></Key></Object></Delete>", "text between elements");
    check("<Delete><Other/></Delete>", "the element \"Other\"");
    check("<Delete><Object><Key>a</Key><Other>b</Other></Object></Delete>", "the element \"Other\"");
    check("<Delete evil=\"1\"><Object><Key>a</Key></Object></Delete>", "the attribute \"evil\"");
    check("<x:Delete><Object><Key>a</Key></Object></x:Delete>", "an element with the name \"x:Delete\"");
    check(
        "<Other><Object><Key>a</Key></Object></Other>",
        "the outermost element is \"Other\", not \"Delete\"",
    );
    check("<Delete>text<Object><Key>a</Key></Object></Delete>", "text between elements");
    check("<Delete><Object><Key>a</Key></Object></Delete>text", "text outside of the outermost element");
    check(
        "<Delete><Object><Key>a</Key></Object></Delete><Delete></Delete>",
        "more than one outermost element",
    );
    check("<Delete><Object><Key>a\r</Key></Object></Delete>", "a carriage return, which XML parsers change");
    check("<Delete><Object><Key>a</Key></Object>", "it ends before its outermost element does");
    check("<Delete></Delete>", "it names no objects");
    check("", "it names no objects");
    check(
        "<?xml version='1.0' encoding='UTF-7'?><Delete><Object><Key>a</Key></Object></Delete>",
        "an XML declaration of something else than XML 1.0 in UTF-8",
    );
    let twice = classified(&delete("<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>"));
    assert_eq!(twice, Err(ClassifyError::Ambiguous("the member \"Key\" is there twice".to_owned())));
    let gzip = delete("<Delete><Object><Key>a</Key></Object></Delete>").header("content-encoding", "gzip");
    let why = "it is encoded as \"gzip\"; only plain bodies are read";
    assert_eq!(classified(&gzip), Err(ClassifyError::BadBody(why.to_owned())));
    let utf16 = TestCall { body: vec![0xff, 0xfe, b'<', 0], ..delete("") };
    assert_eq!(classified(&utf16), Err(ClassifyError::BadBody("it is not UTF-8".to_owned())));
    let dots = classified(&delete("<Delete><Object><Key>a/../b</Key></Object></Delete>"));
    assert_eq!(dots, Err(ClassifyError::Ambiguous("the object key has a dot segment".to_owned())));
    let chunked = delete("5\r\n")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "5");
    assert_eq!(classified(&chunked), Err(ClassifyError::BadBody("it is aws-chunked".to_owned())));
}

proptest! {
    #[test]
    fn delete_bodies_never_panic(body in prop_oneof![".{0,80}", "(<Delete>|<Object>|<Key>|k|&amp;|</Key>|</Object>|</Delete>|<!--|-->|\\]\\]>){0,12}"]) {
        let _ = classified(&delete(&body));
    }

    #[test]
    fn keys_survive_xml(keys in prop::collection::vec("[ -~]{1,12}", 1..4)) {
        prop_assume!(keys.iter().all(|key| !key.split('/').any(|segment| matches!(segment, "." | ".."))));
        let escaped = |key: &String| format!("<Object><Key>{}</Key></Object>", quick_xml::escape::escape(key));
        let body = format!("<Delete>{}</Delete>", keys.iter().map(escaped).collect::<String>());
        let operation = classified(&delete(&body)).unwrap();
        let got: Vec<&str> = operation.actions.iter().filter_map(|on| on.resource.strip_prefix("arn:aws:s3:::bkt/")).collect();
        // What is named twice is decided on once.
        let named: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        prop_assert_eq!(got.len(), named.len());
        prop_assert_eq!(got.into_iter().collect::<BTreeSet<_>>(), named);
    }
}
