//! The form is as documented, and no two rows have the same one.

use proptest::prelude::*;

use super::*;

fn example() -> Form {
    Form::new("ends", 7).column("session", "s1").column("status", -1).column("note", None::<&str>)
}

/// The same row by another program, from the documentation alone: `python3`, `hashlib`.
#[test]
fn the_documented_example() {
    let form = "chaperone-row/1\nrow 4:ends 7\ntext 7:session 2:s1\ninteger 6:status -1\nnull 4:note\n";
    assert_eq!(example().as_bytes(), form.as_bytes());
    let hash = example().hash().to_string();
    assert_eq!(hash, "8efa3730772454b777d594ddfb067bd65334476744852c94ba49d455346433cb");
    assert!(
        include_str!("../leaf.rs").contains(&format!("//! `{hash}`")),
        "the documentation has another hash"
    );
}

#[test]
fn every_type() {
    let check = |form: Form, expected: &[u8]| {
        let head = b"chaperone-row/1\nrow 1:t 1\n";
        assert_eq!(form.as_bytes(), [head.as_slice(), expected].concat());
    };
    let form = || Form::new("t", 1);
    check(form(), b"");
    check(form().column("n", Value::Null), b"null 1:n\n");
    check(form().column("n", 0), b"integer 1:n 0\n");
    check(form().column("n", i64::MIN), b"integer 1:n -9223372036854775808\n");
    check(form().column("n", Some(i64::MAX)), b"integer 1:n 9223372036854775807\n");
    check(form().column("n", ""), b"text 1:n 0:\n");
    check(form().column("n", "\u{e9}\n"), b"text 1:n 3:\xc3\xa9\n\n");
    check(form().column("n", Value::Text(b"\xff")), b"text 1:n 1:\xff\n");
    check(form().column("n", [0_u8, 10].as_slice()), b"blob 1:n 2:\x00\n\n");
    check(form().later_column("n", None::<i64>), b"");
    check(form().later_column("n", 5), b"integer 1:n 5\n");
}

#[test]
fn a_column_is_read_back() {
    let form = Form::new("a\nb 3:", 7)
        .column("none", None::<&str>)
        .column("text", "1:x\ntext 5:after 3:no!\n")
        .column("blob", [0_u8, 10].as_slice())
        .column("number", i64::MIN)
        .column("after", "all")
        .column("wrong", Value::Text(b"\xff"));
    assert_eq!(form.value("none"), Some(Value::Null));
    assert_eq!(form.text("text"), Some("1:x\ntext 5:after 3:no!\n"));
    assert_eq!(form.value("blob"), Some(Value::Blob(&[0, 10])));
    assert_eq!(form.value("number"), Some(Value::Integer(i64::MIN)));
    assert_eq!(form.text("after"), Some("all"));
    assert_eq!((form.text("none"), form.text("wrong"), form.text("other")), (None, None, None));
    assert_eq!(example().text("session"), Some("s1"));
}

/// A row that was read back from its form.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    table: Vec<u8>,
    number: i64,
    columns: Vec<(Vec<u8>, Owned)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Owned {
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// Reads the grammar of the documentation; what can be read back is not ambiguous.
fn read(mut form: &[u8]) -> Option<Row> {
    fn literal<'a>(from: &mut &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
        let rest = from.strip_prefix(text)?;
        *from = rest;
        Some(rest)
    }
    fn until(from: &mut &[u8], end: u8) -> Option<Vec<u8>> {
        let at = from.iter().position(|byte| *byte == end)?;
        let (head, rest) = from.split_at(at);
        *from = &rest[1..];
        Some(head.to_vec())
    }
    fn string(from: &mut &[u8]) -> Option<Vec<u8>> {
        let length: usize = String::from_utf8(until(from, b':')?).ok()?.parse().ok()?;
        let (bytes, rest) = from.split_at_checked(length)?;
        *from = rest;
        Some(bytes.to_vec())
    }
    fn integer(from: &mut &[u8]) -> Option<i64> {
        String::from_utf8(until(from, b'\n')?).ok()?.parse().ok()
    }
    let from = &mut form;
    literal(from, b"chaperone-row/1\nrow ")?;
    let table = string(from)?;
    literal(from, b" ")?;
    let number = integer(from)?;
    let mut columns = Vec::new();
    while !from.is_empty() {
        let kind = until(from, b' ')?;
        let name = string(from)?;
        literal(from, if kind == b"null" { b"\n" } else { b" " })?;
        let value = match kind.as_slice() {
            b"null" => Owned::Null,
            b"integer" => Owned::Integer(integer(from)?),
            b"text" => Owned::Text(string(from)?),
            b"blob" => Owned::Blob(string(from)?),
            _ => return None,
        };
        if matches!(value, Owned::Text(_) | Owned::Blob(_)) {
            literal(from, b"\n")?;
        }
        columns.push((name, value));
    }
    Some(Row { table, number, columns })
}

fn any_value() -> impl Strategy<Value = Owned> {
    // Texts that look like parts of a form are what could deceive.
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::sample::select(vec!["", " ", "\n", "4:note", " 1:a\ntext 1:b 0:\n", "-1", "null 4:note\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        Just(Owned::Null),
        any::<i64>().prop_map(Owned::Integer),
        bytes.clone().prop_map(Owned::Text),
        bytes.prop_map(Owned::Blob),
    ]
}

proptest! {
    #[test]
    fn a_form_is_the_form_of_one_row(
        table in "[a-z :\n0-9]{0,8}",
        number in any::<i64>(),
        columns in prop::collection::vec(("[a-z :\n0-9]{0,8}", any_value()), 0..6),
    ) {
        let mut form = Form::new(table.clone(), number);
        for (name, value) in &columns {
            let value = match value {
                Owned::Null => Value::Null,
                Owned::Integer(number) => Value::Integer(*number),
                Owned::Text(bytes) => Value::Text(bytes),
                Owned::Blob(bytes) => Value::Blob(bytes),
            };
            form = form.column(name, value);
        }
        let columns = columns.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        prop_assert_eq!(read(form.as_bytes()), Some(Row { table: table.into_bytes(), number, columns }));
    }
}
