use ciborium::Value;

use super::{
    plans::sample,
    random::{NAMES, Shape, constant, plan, shape},
    *,
};

const CBOR: Format = Format::Cbor;

/// Hexadecimal digits, and texts between quotation marks with their head.
fn bytes(notation: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, part) in notation.split('"').enumerate() {
        if at % 2 == 0 {
            let digits: Vec<u8> = part.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            out.extend(digits.chunks(2).map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16)
                    .unwrap_or_else(|_| panic!("{part}"))
            }));
        } else {
            assert!(part.len() < 24);
            out.push(0x60 + u8::try_from(part.len()).unwrap());
            out.extend(part.bytes());
        }
    }
    out
}

fn ok(body: &str, expected: &str) {
    let (out, _) = check(CBOR, &sample(), &bytes(body)).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(out, bytes(expected), "{body}");
}

fn bad(body: &str, expected: MaskError) {
    refused(CBOR, &sample(), &bytes(body), expected);
}

const M: &str = r#""chaperone:masked""#;

#[test]
fn what_the_plan_names_is_hidden_and_nothing_else_changes() {
    for (body, expected) in [
        (r#"a1 "SecretString" "hunter2""#, r#"a1 "SecretString" M"#),
        // In pieces, both key and value; of indefinite length.
        (
            r#"bf 7f "Secret" "" "String" ff 7f "a" "b" ff "Name" 7f "c" ff ff"#,
            r#"bf 7f "Secret" "" "String" ff M "Name" 7f "c" ff ff"#,
        ),
        (r#"a1 "SecretString" 78 03 616263"#, r#"a1 "SecretString" M"#),
        (r#"a1 "SecretString" 60"#, r#"a1 "SecretString" M"#),
        (
            r#"a2 "SecretBinary" 43 010203 "SecretBinary" 5f 41 01 42 0203 ff"#,
            r#"a2 "SecretBinary" 50 6368617065726f6e653a6d61736b6564 "SecretBinary" 50 6368617065726f6e653a6d61736b6564"#,
        ),
        (
            r#"a4 "Pin" 1904d2 "Pin" 3863 "Pin" fb3ff8000000000000 "Pin" f93e00"#,
            r#"a4 "Pin" 00 "Pin" 00 "Pin" fb0000000000000000 "Pin" f90000"#,
        ),
        (r#"a3 "Flag" f5 "Flag" f6 "Flag" f7"#, r#"a3 "Flag" f4 "Flag" f6 "Flag" f7"#),
        (r#"a2 "Due" c1 1a65920080 "Due" c1 fa4f000000"#, r#"a2 "Due" c1 00 "Due" c1 fa00000000"#),
        // A big number, and a decimal one.
        (r#"a2 "Pin" c2 4101 "Pin" c4 82 20 19ffff"#, r#"a2 "Pin" c2 40 "Pin" c4 82 00 00"#),
        (
            r#"a1 "Parameters" 9f a1 "Value" "a" bf "Name" "b" "Value" "c" ff ff"#,
            r#"a1 "Parameters" 9f a1 "Value" M bf "Name" "b" "Value" M ff ff"#,
        ),
        (r#"a1 "Auth" a2 "a" 83 01 f5 "x" "b" a0"#, r#"a1 "Auth" a2 "a" 83 00 f4 M "b" a0"#),
        (
            r#"a1 "Environment" a2 "Variables" a1 "A" "1" "Error" "x""#,
            r#"a1 "Environment" a2 "Variables" a1 "A" M "Error" "x""#,
        ),
        (r#"a1 "Value" a1 "SecretString" "a""#, r#"a1 "Value" a1 "SecretString" "a""#),
        // Another shape than the plan's.
        (r#"a2 "Parameters" a1 "a" "b" "Tree" 81 01"#, r#"a2 "Parameters" a1 "a" M "Tree" 81 00"#),
        (r#""a""#, "M"),
        ("d9d9f7 a0", "d9d9f7 a0"),
        ("80", "80"),
        ("", ""),
    ] {
        ok(body, &expected.replace('M', M));
    }
}

#[test]
fn reports_say_where_in_cbor() {
    let body = r#"a5 "Parameters" 82 00 a1 "Value" "a" "SecretBinary" 5f 41 01 42 0203 ff "Pin" 3863 "Due" c1 f93e00 "Auth" 82 c1 00 c1 01"#;
    let (_, report) = check(CBOR, &sample(), &bytes(body)).unwrap();
    let found: Vec<(&str, _)> =
        report.entries.iter().map(|entry| (entry.path.as_str(), entry.digest)).collect();
    let expected = [
        ("Parameters[0]", "0"),
        ("Parameters[1].Value", "a"),
        ("SecretBinary", "AQID"),
        ("Pin", "-100"),
        ("Due", "1.5"),
        ("Auth[0]", "0"),
        ("Auth[1]", "1"),
    ];
    assert_eq!(found, expected.map(|(path, value)| (path, digest(value.as_bytes()))));
}

#[test]
fn tokens_stand_for_texts_and_for_no_bytes() {
    let body = bytes(r#"a2 "Text" 63 616263 "Blob" 43 000102"#);
    let (out, asked) = reports::replaced(CBOR, &body).unwrap();
    let expected = [
        bytes(r#"a2 "Text" 69"#),
        b"to\"ken<&\n".to_vec(),
        bytes(r#""Blob" 50"#),
        MASKED.as_bytes().to_vec(),
    ];
    assert_eq!(out, expected.concat());
    assert_eq!(asked, [("Text".to_owned(), b"abc".to_vec())]);
}

#[test]
fn what_is_no_cbor_is_refused() {
    let no = MaskError::Malformed("it is not CBOR");
    for body in ["1c", "1d", "1e", "1f", "3f", "df", "fc", "fe", "7c", "a1 1c"] {
        bad(body, no);
    }
    for body in [
        "18",
        "a1",
        "61",
        "7f",
        "9f",
        "bf",
        "a1 \"a\"",
        "81",
        "c1",
        "1a0000",
        "5f 41",
        "9f 80",
        "7b ffffffffffffffff 61",
    ] {
        bad(body, MaskError::Broken);
    }
    for body in ["00 00", "a0 ff", "80 01", "60 60"] {
        bad(body, MaskError::Malformed("something follows the data item"));
    }
    for body in ["ff", "81 ff", "bf \"a\" ff", "a1 \"a\" ff", "9f c1 ff"] {
        bad(body, MaskError::Malformed("a break that ends nothing"));
    }
    for body in ["a1 00 00", "a1 41 61 00", "bf 80", "a1 c1 \"a\" 00", "a1 f6 00"] {
        bad(body, MaskError::Malformed("a key that is no text"));
    }
    for body in ["7f 41 61 ff", "5f 61 61 ff", "7f 7f ff ff", "7f 00 ff", "a1 \"SecretString\" 7f 41 61 ff"] {
        bad(body, MaskError::Malformed("a piece of a text that is none"));
    }
    for body in ["e0", "f8 20", "f3"] {
        bad(body, MaskError::Malformed("a data item that is none of AWS's"));
    }
    bad("a1 61 ff 00", MaskError::Malformed("a name is not UTF-8"));
}

#[test]
fn bounds_hold() {
    let nested = |depth: usize| [vec![0x81; depth], vec![1]].concat();
    let (out, _) = check(CBOR, &Plan::nothing(), &nested(DEPTH_MAX)).unwrap();
    assert_eq!(out, nested(DEPTH_MAX));
    refused(CBOR, &sample(), &nested(DEPTH_MAX + 1), MaskError::TooDeep);
    refused(CBOR, &sample(), &vec![0x9f; 10_000], MaskError::TooDeep);
    refused(CBOR, &sample(), &vec![0xc1; 10_000], MaskError::Broken);
    // Lengths are believed, but nothing is kept for them.
    refused(CBOR, &sample(), &bytes("9b ffffffffffffffff 00"), MaskError::Broken);
    refused(CBOR, &sample(), &bytes("bb ffffffffffffffff \"a\" 00"), MaskError::Broken);
    let key = "SecretString".repeat(10_000);
    let body = [
        bytes("a1"),
        vec![0x7a],
        u32::try_from(key.len()).unwrap().to_be_bytes().to_vec(),
        key.into_bytes(),
        vec![0],
    ]
    .concat();
    assert!(check(CBOR, &sample(), &body).unwrap().0 == body);
}

/// As a masker does it that has the whole tree.
fn naive(value: &Value, shape: Option<&Shape>) -> Value {
    let map = |map: &Vec<(Value, Value)>, shape: &dyn Fn(&str) -> Option<Shape>| {
        let masked = |(key, value): &(Value, Value)| {
            (key.clone(), naive(value, shape(key.as_text().unwrap()).as_ref()))
        };
        Value::Map(map.iter().map(masked).collect())
    };
    match (shape, value) {
        (None, _) | (_, Value::Null) => value.clone(),
        (Some(shape), _) if shape.is_free() => value.clone(),
        (_, Value::Tag(tag, inner)) => Value::Tag(*tag, Box::new(naive(inner, shape))),
        (Some(Shape::Structure(members)), Value::Map(entries)) => {
            map(entries, &|name| members.get(name).cloned())
        }
        (Some(Shape::Map(each) | Shape::FlatMap(each)), Value::Map(entries)) => {
            map(entries, &|_| Some((**each).clone()))
        }
        (Some(Shape::List(each) | Shape::FlatList(each)), Value::Array(list)) => {
            Value::Array(list.iter().map(|value| naive(value, Some(each))).collect())
        }
        (Some(shape), _) => {
            let kind = if let Shape::Secret(kind) = shape { *kind } else { Kind::Any };
            match value {
                Value::Bool(_) => Value::Bool(false),
                Value::Integer(_) => Value::Integer(0.into()),
                Value::Float(_) => Value::Float(0.0),
                Value::Bytes(_) => Value::Bytes(MASKED.into()),
                Value::Text(text) => Value::Text(constant(kind, text)),
                Value::Array(list) => {
                    Value::Array(list.iter().map(|value| naive(value, Some(&Shape::Secret(kind)))).collect())
                }
                Value::Map(entries) => map(entries, &|_| Some(Shape::Secret(kind))),
                other => other.clone(),
            }
        }
    }
}

fn item() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        (-1e9..1e9).prop_map(Value::Float),
        "[a-zé😀]{0,30}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(Value::Bytes),
        any::<u32>().prop_map(|time| Value::Tag(1, Box::new(Value::Integer(time.into())))),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let entry = (prop::sample::select(NAMES.as_slice()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            prop::collection::vec(entry, 0..5).prop_map(|entries| {
                Value::Map(
                    entries.into_iter().map(|(name, value)| (Value::Text(name.to_owned()), value)).collect(),
                )
            }),
        ]
    })
}

/// A data item as CBOR may write it: lengths in different ways.
fn write(value: &Value, ways: &mut impl Iterator<Item = u8>, out: &mut Vec<u8>) {
    fn head(major: u8, number: u64, way: u8, out: &mut Vec<u8>) {
        match (number, way % 4) {
            (0..24, 1..) => out.push(major << 5 | u8::try_from(number).unwrap()),
            (0..256, 2..) => out.extend([major << 5 | 24, u8::try_from(number).unwrap()]),
            _ => {
                out.push(major << 5 | 27);
                out.extend(number.to_be_bytes());
            }
        }
    }
    let way = ways.next().unwrap();
    let string = |major: u8, bytes: &[u8], pieces: Vec<&[u8]>, out: &mut Vec<u8>| {
        if way.is_multiple_of(3) {
            out.push(major << 5 | 31);
            for piece in pieces {
                head(major, piece.len() as u64, way, out);
                out.extend(piece);
            }
            out.push(0xff);
        } else {
            head(major, bytes.len() as u64, way, out);
            out.extend(bytes);
        }
    };
    match value {
        Value::Text(text) => {
            let middle = (0..=text.len() / 2).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let (first, second) = text.as_bytes().split_at(middle);
            string(3, text.as_bytes(), vec![first, second], out);
        }
        Value::Bytes(bytes) => string(2, bytes, bytes.chunks(7).collect(), out),
        Value::Array(list) => {
            if way.is_multiple_of(2) {
                out.push(0x9f);
            } else {
                head(4, list.len() as u64, way, out);
            }
            list.iter().for_each(|value| write(value, ways, out));
            out.extend((way.is_multiple_of(2)).then_some(0xff));
        }
        Value::Map(entries) => {
            if way.is_multiple_of(2) {
                out.push(0xbf);
            } else {
                head(5, entries.len() as u64, way, out);
            }
            for (key, value) in entries {
                write(key, ways, out);
                write(value, ways, out);
            }
            out.extend((way.is_multiple_of(2)).then_some(0xff));
        }
        Value::Tag(tag, inner) => {
            head(6, *tag, way, out);
            write(inner, ways, out);
        }
        other => ciborium::into_writer(other, out).unwrap(),
    }
}

proptest! {
    #[test]
    fn it_does_what_a_masker_with_the_whole_tree_does(
        shape in shape(&NAMES),
        value in item(),
        ways in prop::collection::vec(any::<u8>(), 1..40),
        sizes in prop::collection::vec(1_usize..40, 1..8),
        looked_through in any::<bool>(),
    ) {
        let mut body = Vec::new();
        write(&value, &mut ways.iter().copied().cycle(), &mut body);
        let read: Value = ciborium::from_reader(body.as_slice()).unwrap();
        prop_assert_eq!(&read, &value);
        let plan = plan(&shape);
        let job = || if looked_through { watched(&plan) } else { job(&plan) };
        let (out, _) = in_all_chunks(CBOR, &job, &body, &sizes).unwrap();
        let found: Value = ciborium::from_reader(out.as_slice()).unwrap();
        prop_assert_eq!(found, naive(&value, Some(&shape)));
    }

    #[test]
    fn no_secret_is_left(
        secret in "[a-z0-9]{16,60}",
        ways in prop::collection::vec(any::<u8>(), 1..40),
        sizes in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let text = |text: &str| Value::Text(text.to_owned());
        let value = Value::Map(vec![
            (text("SecretString"), text(&secret)),
            (text("SecretBinary"), Value::Bytes(secret.clone().into_bytes())),
            (text("Auth"), Value::Array(vec![Value::Map(vec![(text("a"), text(&secret))])])),
        ]);
        let mut body = Vec::new();
        write(&value, &mut ways.iter().copied().cycle(), &mut body);
        let plan = sample();
        let (out, report) = in_all_chunks(CBOR, &|| watched(&plan), &body, &sizes).unwrap();
        let half = &secret.as_bytes()[..8];
        prop_assert!(!out.windows(8).any(|part| part == half));
        prop_assert_eq!(report.entries[0].digest, digest(secret.as_bytes()));
        prop_assert_eq!(report.entries[2].digest, digest(secret.as_bytes()));
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &secret);
        prop_assert_eq!(report.entries[1].digest, digest(base64.as_bytes()));
    }

    #[test]
    fn nothing_panics(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = in_all_chunks(CBOR, &|| watched(&sample()), &body, &[2, 5]);
    }
}
