//! The comparison sees what it should, and nothing else.

use serde_json::{Value, json};

use super::*;

fn read() -> BTreeMap<String, Param> {
    let text = |text: &str| Param::Text(text.to_owned());
    let record = |pairs: Vec<(&str, Param)>| {
        Param::Record(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    [
        ("Name", text("a b")),
        ("Count", Param::Number(5)),
        ("Dry", Param::Bool(true)),
        ("Half", text("0.5")),
        ("Whole", Param::Number(2)),
        ("Seconds", text("1751605567")),
        ("Iso", text("2025-07-04T05:06:07Z")),
        ("Http", text("Fri, 04 Jul 2025 05:06:07 GMT")),
        ("Blob", text("YmxvYg==")),
        ("Tags", Param::List(vec![record(vec![("key", text("k"))])])),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn compared(params: Value) -> Result<(), String> {
    let truth = Truth {
        params: params.as_object().unwrap().clone(),
        streaming: Some("Body".to_owned()),
        ..Truth::default()
    };
    compare(&truth, &read()).map_err(|difference| difference.path)
}

#[test]
fn what_is_the_same_is_found_the_same() {
    for params in [
        json!({}),
        json!({"Name": "a b", "Count": 5, "Dry": true}),
        json!({"Half": {"$float": 0.5}, "Whole": {"$float": 2.0}}),
        json!({"Seconds": {"$time": 1_751_605_567}, "Iso": {"$time": 1_751_605_567}}),
        json!({"Http": {"$time": 1_751_605_567}}),
        json!({"Blob": {"$blob": "YmxvYg=="}, "Name": {"$blob": "YSBi"}}),
        json!({"Tags": [{"Key|key": "k"}], "Count": {"$open": true}}),
        json!({"Body": {"$blob": "YmxvYg=="}, "Absent": [], "AlsoAbsent": {}}),
    ] {
        assert_eq!(compared(params.clone()), Ok(()), "{params}");
    }
}

#[test]
fn what_differs_is_found() {
    for (params, path) in [
        (json!({"Name": "a+b"}), "Name"),
        (json!({"Absent": "x"}), "Absent"),
        (json!({"Count": "5"}), "Count"),
        (json!({"Count": true}), "Count"),
        (json!({"Half": {"$float": 0.25}}), "Half"),
        (json!({"Iso": {"$time": 1_751_605_568}}), "Iso"),
        (json!({"Blob": {"$blob": "eHh4"}}), "Blob"),
        (json!({"Tags": []}), "Tags"),
        (json!({"Tags": [{"Key|key": "other"}]}), "Tags.0.Key"),
        (json!({"Tags": [{"Key": "k"}]}), "Tags.0.Key"),
    ] {
        assert_eq!(compared(params.clone()), Err(path.to_owned()), "{params}");
    }
}
