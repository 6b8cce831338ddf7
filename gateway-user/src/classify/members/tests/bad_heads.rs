//! Heads that are refused.

use super::*;

const HTTP: &str = "GET /things/{Id}?run&mode=fast";
const SHAPES: &[&str] = &[
    "{Max:i?maxResults Keys:1?tagKeys Deep:b?deep Zoom:f?zoom Match:s^If-Match Count:i^x-count \
     Names:1^x-names Meta:2^*x-amz-meta- Name:s=name}",
    "[s",
    "<s s",
];

fn refused(target: &str, headers: &[(&str, &str)]) -> String {
    let call = headers.iter().fold(call(Method::GET, target), |call, (name, text)| call.header(name, text));
    refusal(read_as(Protocol::RestJson, HTTP, SHAPES, &[("Id", "7")], &call))
}

#[test]
fn two_readings() {
    let check = |target: &str, headers: &[(&str, &str)], why: &str| {
        assert_eq!(
            refused(target, headers),
            format!("the request can be read in two ways: {why}"),
            "{target}"
        );
    };
    check("/?maxResults=1&maxResults=1", &[], "the member \"Max\" is there twice");
    check(
        "/?maxResults=1&maxresults=2",
        &[],
        "the member \"Max\" is not written \"maxresults\" in this place",
    );
    check("/?Max=1", &[], "the member \"Max\" is not written \"Max\" in this place");
    check("/?tagKeys=a&TagKeys=b", &[], "the member \"Keys\" is not written \"TagKeys\" in this place");
    check("/?name=a", &[], "the member \"Name\" is not written \"name\" in this place");
    check("/?if-match=a", &[], "the member \"Match\" is not written \"if-match\" in this place");
    check("/?id=8", &[], "the member \"Id\" is not written \"id\" in this place");
    check("/?new=1&new=2", &[], "the member \"new\" is there twice");
    check("/?new=1&NEW=2", &[], "the member \"new\" is there twice");
    check("/?mode=fast&mode=fast", &[], "the member \"mode\" is there twice");
    check("/?mode=slow", &[], "\"mode\" is not as Op has it");
    check("/?MODE=fast", &[], "\"mode\" is not as Op has it");
    check("/?run=x", &[], "\"run\" is not as Op has it");
    check("/?x-id=Other", &[], "x-id says \"Other\", the request is Op");
    check("/", &[("x-count", "1"), ("x-count", "1")], "the member \"x-count\" is there twice");
}

#[test]
fn values_that_do_not_have_their_shape() {
    let check = |target: &str, headers: &[(&str, &str)], why: &str| {
        assert_eq!(refused(target, headers), format!("the member {why}"), "{target} {headers:?}");
    };
    let number = "\"Max\" cannot be read: it is not a whole number of 64 bits in its shortest spelling";
    for text in ["", "a", "05", "%2B5", "5.0", "1e3", "-0", "0x5", "%205", "9223372036854775808", "%D9%A3"] {
        check(&format!("/?maxResults={text}"), &[], number);
    }
    for text in ["", "True", "TRUE", "1", "yes"] {
        check(&format!("/?deep={text}"), &[], "\"Deep\" cannot be read: it is neither true nor false");
    }
    for text in ["", "a", "inf", "nan", "0x1", "%2B1", "1e999", "-", "infinity", "1_0"] {
        check(&format!("/?zoom={text}"), &[], "\"Zoom\" cannot be read: it is not a decimal number");
    }
    check("/", &[("x-count", "1,2")], &number.replace("Max", "Count"));
    let names = |text: &str, why: &str| {
        check("/", &[("x-names", text)], &format!("\"Names\" cannot be read: {why}"));
    };
    names("a,", "an item of it is empty or has a quote inside");
    names(",a", "an item of it is empty or has a quote inside");
    names("a,,b", "an item of it is empty or has a quote inside");
    names("a\"b", "an item of it is empty or has a quote inside");
    names("\"a", "a quote in it has no end");
    names("\"a\\", "a quote in it has no end");
    names("\"a\"b", "there is text after a quote in it");
    check("/", &[("x-amz-meta-", "v")], "\"Meta\" cannot be read: a header is only its prefix");
}

#[test]
fn labels() {
    let check = |text: &str, why: &str| {
        let read = read_as(Protocol::RestJson, HTTP, SHAPES, &[("Id", text)], &call(Method::GET, "/"));
        assert_eq!(refusal(read), why, "{text:?}");
    };
    check("", "the member \"Id\" cannot be read: it is a label without text");
    for text in [".", "..", "a/../b", "a/.", "./a"] {
        check(text, "the request can be read in two ways: the label \"Id\" has a dot segment");
    }
}

#[test]
fn a_map_of_the_rest_has_no_part_in_other_members() {
    let refused = |shapes: &[&'static str], target: &str| {
        refusal(read_as(Protocol::RestJson, "GET /", shapes, &[], &call(Method::GET, target)))
    };
    let why = |name: &str| format!("the request can be read in two ways: the member {name:?} is there twice");
    let texts = &["{Max:i?max All:1?*}", "<s s"];
    assert_eq!(refused(texts, "/?MAX=1"), why("MAX"));
    assert_eq!(refused(texts, "/?a=1&a=2"), why("a"));
    assert_eq!(refused(texts, "/?a=1&A=2"), why("a"));
}
