//! Members in path, query and headers.

use super::*;

const HTTP: &str = "GET /things/{Id}/{Rest+}?run&mode=fast";
const SHAPES: &[&str] = &[
    "{Id:i Max:i?maxResults Keys:1?tagKeys Since:t?since Deep:b?deep Zoom:f?zoom All:2?* \
     Match:s^If-Match Names:1^x-names Meta:3^*x-amz-meta- When:h^x-when Context:o^x-context Owner:s#^x-owner \
     More:i=more}",
    "[s",
    "<s 1",
    "<s s",
];

fn head(target: &str, headers: &[(&str, &str)]) -> (Param, Vec<String>) {
    let call = headers.iter().fold(call(Method::GET, target), |call, (name, text)| call.header(name, text));
    values(read_as(Protocol::RestJson, HTTP, SHAPES, &[("Id", "7"), ("Rest", "a/b c")], &call))
}

#[test]
fn labels_query_and_headers_by_their_shapes() {
    let check = |target: &str, headers: &[(&str, &str)], expected: serde_json::Value| {
        let mut all = json!({"Id": 7, "Rest": "a/b c"});
        all.as_object_mut().unwrap().extend(expected.as_object().unwrap().clone());
        assert_eq!(head(target, headers), (param(all), Vec::new()), "{target}");
    };
    check("/", &[], json!({}));
    check("/?run&mode=fast&x-id=Op", &[], json!({}));
    check("/?run=&mode=fast", &[], json!({}));
    check("/?maxResults=-5&deep=true&zoom=1.50", &[], json!({"Max": -5, "Deep": true, "Zoom": "1.5"}));
    check("/?zoom=2", &[], json!({"Zoom": "2"}));
    check(
        "/?zoom=Infinity&since=2025-08-30T12%3A36%3A00Z",
        &[],
        json!({"Zoom": "Infinity", "Since": "2025-08-30T12:36:00Z"}),
    );
    check("/?tagKeys=a&maxResults=1&tagKeys=b%20c", &[], json!({"Keys": ["a", "b c"], "Max": 1}));
    check("/?tagKeys=", &[], json!({"Keys": [""]}));
    check("/?x=1&y=2&x=3", &[], json!({"All": {"x": ["1", "3"], "y": ["2"]}}));
    check("/", &[("if-match", "\"e\"")], json!({"Match": "\"e\""}));
    check("/", &[("x-names", "a, b")], json!({"Names": ["a", "b"]}));
    check("/", &[("x-names", r#""a,b" , "c\"\\d","""#)], json!({"Names": ["a,b", "c\"\\d", ""]}));
    check("/", &[("x-names", "a"), ("x-names", "b,c")], json!({"Names": ["a", "b", "c"]}));
    check("/", &[("x-names", "")], json!({"Names": []}));
    check("/", &[("x-amz-meta-a", "1"), ("x-amz-meta-b-c", "é")], json!({"Meta": {"a": "1", "b-c": "é"}}));
    check(
        "/",
        &[("x-when", "Sat, 30 Aug 2025 12:36:00 GMT")],
        json!({"When": "Sat, 30 Aug 2025 12:36:00 GMT"}),
    );
    check("/", &[("x-context", "e30=")], json!({"Context": "e30="}));
    check("/", &[("x-other", "not a member"), ("x-owner", "me")], json!({"Owner": "me"}));
}

#[test]
fn what_the_model_does_not_have_is_kept_and_marked() {
    let shapes = &["{Max:i?max Name:s=name}"];
    let read =
        |target: &str| values(read_as(Protocol::RestJson, "GET /", shapes, &[], &call(Method::GET, target)));
    assert_eq!(read("/?new=1&max=2"), (param(json!({"Max": 2, "new": "1"})), vec!["new".to_owned()]));
    assert_eq!(values(read_as(Protocol::RestJson, "GET /", &[], &[], &call(Method::GET, "/?a"))).1, ["a"]);
}

#[test]
fn labels_of_the_host() {
    let read = |label: &[(&str, &str)], header: Option<&str>| {
        let get = call(Method::GET, "/");
        let get = header.map_or(get.clone(), |text| get.header("x-owner", text));
        read_as(Protocol::RestXml, "GET /", &["{Owner:s#^x-owner}"], label, &get)
    };
    let me = || (param(json!({"Owner": "me"})), Vec::new());
    assert_eq!(values(read(&[("Owner", "me")], Some("me"))), me());
    assert_eq!(values(read(&[("Owner", "me")], None)), me());
    assert_eq!(values(read(&[], Some("me"))), me());
    let why =
        "the request can be read in two ways: the host and the header say different things of \"Owner\"";
    assert_eq!(refusal(read(&[("Owner", "me")], Some("you"))), why);
}
