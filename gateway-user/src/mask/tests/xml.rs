use quick_xml::{Reader, events::Event};

use super::{
    plans::sample,
    random::{Shape, constant, plan, shape},
    *,
};

const XML: Format = Format::Xml { wrappers: 1 };
const QUERY: Format = Format::Xml { wrappers: 2 };

fn ok(body: &str, expected: &str) {
    assert_eq!(passed(XML, &sample(), body), expected);
}

fn bad(body: impl AsRef<[u8]>, expected: MaskError) {
    refused(XML, &sample(), body.as_ref(), expected);
}

fn why(text: &'static str) -> MaskError {
    MaskError::Malformed(text)
}

#[test]
fn what_the_plan_names_is_hidden_and_nothing_else_changes() {
    for (body, expected) in [
        (
            "<R><SecretString>hunter2</SecretString><Name>a&amp;b</Name></R>",
            "<R><SecretString>chaperone:masked</SecretString><Name>a&amp;b</Name></R>",
        ),
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">\n  <SecretString a='1'>h<![CDATA[<u>]]>n&#116;er&lt;2</SecretString >\n</R>\n",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"urn:x\">\n  <SecretString a='chaperone:masked'>chaperone:masked</SecretString >\n</R>\n",
        ),
        (
            "<R><p:SecretString>x</p:SecretString><SecretString/><SecretString></SecretString></R>",
            "<R><p:SecretString>chaperone:masked</p:SecretString><SecretString/><SecretString></SecretString></R>",
        ),
        (
            "<R><SecretBinary>aHVudGVyMg==</SecretBinary><Pin>1234</Pin><Flag>true</Flag></R>",
            "<R><SecretBinary>Y2hhcGVyb25lOm1hc2tlZA==</SecretBinary><Pin>0</Pin><Flag>false</Flag></R>",
        ),
        (
            "<R><Due>2030-01-01T01:00:00Z</Due><Due>Tue, 01 Jan 2030</Due><Due>1893456000</Due></R>",
            "<R><Due>1970-01-01T00:00:00Z</Due><Due>Thu, 01 Jan 1970 00:00:00 GMT</Due><Due>0</Due></R>",
        ),
        (
            "<R><Parameters><member><Value>a</Value><Name>b</Name></member> <x><Value>c</Value></x></Parameters></R>",
            "<R><Parameters><member><Value>chaperone:masked</Value><Name>b</Name></member> <x><Value>chaperone:masked</Value></x></Parameters></R>",
        ),
        (
            "<R><Environment><Variables><entry><key>K</key><value>V</value></entry> <entry><value>W</value></entry></Variables></Environment></R>",
            "<R><Environment><Variables><entry><key>K</key><value>chaperone:masked</value></entry> <entry><value>chaperone:masked</value></entry></Variables></Environment></R>",
        ),
        (
            "<R><Auth>\n <a>x</a>\n <b><c>12</c> <d>true</d><e>2030-01-01T01:00:00Z</e></b> tail<!-- x --></Auth></R>",
            "<R><Auth><a>chaperone:masked</a><b><c>0</c><d>false</d><e>1970-01-01T00:00:00Z</e></b>chaperone:masked</Auth></R>",
        ),
        (
            "<R><Tree><Key>a</Key><Children><member><Key>b</Key></member></Children></Tree></R>",
            "<R><Tree><Key>chaperone:masked</Key><Children><member><Key>chaperone:masked</Key></member></Children></Tree></R>",
        ),
        // A name means something at its place alone.
        (
            "<R><Value>a</Value><Other><SecretString>b</SecretString></Other></R>",
            "<R><Value>a</Value><Other><SecretString>b</SecretString></Other></R>",
        ),
        // Blanks are a value where there is nothing else.
        ("<R><SecretString>  </SecretString></R>", "<R><SecretString>chaperone:masked</SecretString></R>"),
        (
            "<R><SecretString>a<!-- b -->c<?d e?></SecretString><!-- f --><?g?></R>",
            "<R><SecretString>chaperone:masked</SecretString><!-- f --><?g?></R>",
        ),
        // What is written as CDATA is meant.
        (
            "<R><Auth><![CDATA[ ]]><a>x</a></Auth></R>",
            "<R><Auth>chaperone:masked<a>chaperone:masked</a></Auth></R>",
        ),
        // Text where the plan has members.
        (
            "<R>\n oops &amp; <Name>a</Name> <![CDATA[b]]></R>",
            "<R>\n chaperone:masked<Name>a</Name> chaperone:masked</R>",
        ),
        (
            "<R><Parameters>a</Parameters><Tree>b<Key/></Tree></R>",
            "<R><Parameters>chaperone:masked</Parameters><Tree>chaperone:masked<Key/></Tree></R>",
        ),
        ("<R SecretString=\"a\" Name=\"b\"/>", "<R SecretString=\"chaperone:masked\" Name=\"b\"/>"),
        (
            "<R><Auth xsi:type=\"t\" xmlns:xsi=\"u\" a = \"&lt;x>\"/></R>",
            "<R><Auth xsi:type=\"t\" xmlns:xsi=\"u\" a=\"chaperone:masked\"/></R>",
        ),
        (" <R a='>'/> ", " <R a='>'/> "),
        ("", ""),
    ] {
        ok(body, expected);
    }
}

#[test]
fn the_answer_proper_is_as_deep_as_is_said() {
    let body = "<SResponse><SResult><SecretString>a</SecretString></SResult><ResponseMetadata><RequestId>b</RequestId></ResponseMetadata></SResponse>";
    assert_eq!(passed(QUERY, &sample(), body), body.replace(">a<", ">chaperone:masked<"));
    assert_eq!(passed(XML, &sample(), body), body);
    let outer = "<SResponse><SecretString>a</SecretString></SResponse>";
    assert_eq!(passed(QUERY, &sample(), outer), outer.replace(">a<", ">chaperone:masked<"));
    // A document that is a text, of which nothing is known.
    let body = "<LocationConstraint>eu-west-1</LocationConstraint>";
    assert_eq!(passed(XML, &Plan::nothing(), body), body);
}

#[test]
fn repeated_members_are_lists_and_maps() {
    let mut plan = Plan::builder();
    let root = plan.structure();
    let field = plan.field("Attribute{}", Kind::Text);
    let secret = plan.secret(field);
    let map = plan.flat_map(secret, "Name");
    let field = plan.field("Key[]", Kind::Text);
    let secret = plan.secret(field);
    let list = plan.flat_list(secret);
    plan.member(root, "Attribute", map).member(root, "Key", list);
    let plan = plan.build(root).unwrap();
    let body = "<R><Key>a</Key><Attribute><Name>b</Name><Value>c</Value></Attribute><Key>d</Key><Key>e</Key><Attribute><Name>f</Name><Value>g</Value></Attribute></R>";
    let (out, report) = check(XML, &plan, body.as_bytes()).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<R><Key>chaperone:masked</Key><Attribute><Name>b</Name><Value>chaperone:masked</Value></Attribute><Key>chaperone:masked</Key><Key>chaperone:masked</Key><Attribute><Name>f</Name><Value>chaperone:masked</Value></Attribute></R>"
    );
    let paths: Vec<&str> = report.entries.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(paths, ["Key[0]", "Attribute[0]", "Key[0]", "Key[1]", "Attribute[0]"]);
}

#[test]
fn reports_say_where_in_xml() {
    let body = "<R><Parameters><member><Value>a&#x62;\r\nc\rd</Value></member><member><Name/><Value>b</Value></member></Parameters><Environment><Variables><entry/><entry><key>K</key><value>V</value></entry></Variables></Environment><Auth a=\"1\"><b>2</b></Auth></R>";
    let (_, report) = check(XML, &sample(), body.as_bytes()).unwrap();
    let found: Vec<(&str, _)> =
        report.entries.iter().map(|entry| (entry.path.as_str(), entry.digest)).collect();
    let expected = [
        ("Parameters[0].Value", "ab\nc\nd"),
        ("Parameters[1].Value", "b"),
        ("Environment.Variables[1]", "V"),
        ("Auth@a", "1"),
        ("Auth.b", "2"),
    ];
    assert_eq!(found, expected.map(|(path, value)| (path, digest(value.as_bytes()))));
}

#[test]
fn what_is_no_xml_is_refused() {
    for body in [
        "<R>",
        "<R",
        "<",
        "<R><a></a>",
        "<R/><!-- ",
        "<?xml version=\"1.0\"?>",
        " ",
        "<R a=\"></R>",
        "<R><![CDATA[</R>",
        "<R>&amp",
    ] {
        bad(body, MaskError::Broken);
    }
    for body in ["</R>", "<R></S>", "<R><a></R></a>", "<R></R></R>", "<R></ R>"] {
        let outcome = check(XML, &sample(), body.as_bytes());
        assert!(matches!(outcome, Err(MaskError::Malformed(_))), "{body}: {outcome:?}");
    }
    for body in ["<!DOCTYPE R><R/>", "<R><!ENTITY a \"b\"></R>", "<!R>"] {
        bad(body, why("a document type"));
    }
    for reference in [
        "&unknown;",
        "&#0;",
        "&#x110000;",
        "&#xd800;",
        "&#+65;",
        "&;",
        "&#;",
        "&amp",
        "& ",
        "&#xfffe;",
        "&#00000000065;",
    ] {
        for body in [
            format!("<R>{reference}</R>;"),
            format!("<R><SecretString>{reference}</SecretString></R>;"),
            format!("<R><a>{reference}</a></R>;"),
        ] {
            bad(body, why("a reference to something else than a character"));
        }
    }
    for body in ["<R/><S/>", "<R/><R>"] {
        bad(body, why("more than one outermost element"));
    }
    for body in ["a<R/>", "<R/>a", "<R/>&#32;", "<![CDATA[ ]]><R/>", "\u{feff}<R/>", "{}"] {
        bad(body, why("text outside of the outermost element"));
    }
    for body in [
        "<?xml version=\"1.1\"?><R/>",
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?><R/>",
        "<?xml?><R/>",
        "<?xml encoding=\"UTF-8\"?><R/>",
        "<??><R/>",
    ] {
        bad(body, why("XML of another version or encoding"));
    }
    for name in ["1a", "-a", ".a", "a:b:c", ":a", "a:", "a$", "a\u{0}"] {
        bad(format!("<{name}/>"), why("the name of an element"));
    }
    for attributes in ["a", "a=b", "a=\"b\"c=\"d\"", "a='<'", "=\"b\"", "1=\"b\""] {
        bad(format!("<R {attributes}></R>"), why("an attribute"));
    }
    for body in ["</>", "<R></R a>", "<R></R/>"] {
        bad(body, why("a tag"));
    }
    bad("<R><!-- a -- b --></R>", why("two dashes in a comment"));
    bad("<R><!-- a ---></R>", why("two dashes in a comment"));
    bad(b"<R\xff/>", why("the name of an element"));
}

#[test]
fn bounds_hold() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    ok(&nested(DEPTH_MAX), &nested(DEPTH_MAX));
    bad(nested(DEPTH_MAX + 1), MaskError::TooDeep);
    let name = "n".repeat(NAME_MAX);
    ok(&format!("<{name}/>"), &format!("<{name}/>"));
    bad(format!("<{name}n/>"), MaskError::TooLong);
    let tag = |length: usize| format!("<R a=\"{}\"/>", "x".repeat(length));
    ok(&tag(4096 - 9), &tag(4096 - 9));
    bad(tag(4096 - 8), MaskError::TooLong);
    bad(tag(10_000), MaskError::TooLong);
    bad(format!("<?xml {}", "x".repeat(300)), MaskError::TooLong);
    let comment = format!("<R><a>x<!-- {} -->y</a></R>", "c".repeat(100_000));
    assert!(passed(XML, &sample(), &comment) == comment);
    let text = "secret ".repeat(30_000);
    let out =
        passed(XML, &sample(), &format!("<R><SecretString>{text}<![CDATA[{text}]]></SecretString></R>"));
    assert_eq!(out, "<R><SecretString>chaperone:masked</SecretString></R>");
}

/// An element as others read it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Element(Element),
    Text {
        says: String,
        /// How much of its beginning is blanks that are written plainly.
        blank: usize,
    },
}

fn read(body: &str) -> Element {
    let mut open = vec![Element::default()];
    let mut reader = Reader::from_str(body);
    let add = |open: &mut Vec<Element>, text: &str, plain: bool| {
        let items = &mut open.last_mut().unwrap().items;
        if !matches!(items.last(), Some(Item::Text { .. })) {
            items.push(Item::Text { says: String::new(), blank: 0 });
        }
        let Some(Item::Text { says, blank }) = items.last_mut() else { unreachable!() };
        if *blank == says.len() && plain {
            *blank += text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len();
        }
        says.push_str(text);
    };
    loop {
        match reader.read_event().unwrap() {
            event @ (Event::Start(_) | Event::Empty(_)) => {
                let empty = matches!(event, Event::Empty(_));
                let (Event::Start(start) | Event::Empty(start)) = event else { unreachable!() };
                let attributes = start.attributes().map(Result::unwrap);
                let attributes = attributes.map(|a| {
                    let value = quick_xml::escape::unescape(&a.value).unwrap().into_owned();
                    (a.key.as_ref().to_owned(), value)
                });
                let name = start.name().as_ref().to_owned();
                open.push(Element { name, attributes: attributes.collect(), items: Vec::new() });
                if empty {
                    let ended = open.pop().unwrap();
                    open.last_mut().unwrap().items.push(Item::Element(ended));
                }
            }
            Event::End(_) => {
                let ended = open.pop().unwrap();
                open.last_mut().unwrap().items.push(Item::Element(ended));
            }
            Event::Text(text) => add(&mut open, &text.replace("\r\n", "\n").replace('\r', "\n"), true),
            Event::CData(text) => {
                add(&mut open, "", false);
                let items = &mut open.last_mut().unwrap().items;
                // Whatever follows it is not the beginning.
                let Some(Item::Text { says, blank }) = items.last_mut() else { unreachable!() };
                let before = *blank;
                says.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
                *blank = before;
                if says.len() == before {
                    says.push('\u{1}');
                }
            }
            Event::GeneralRef(reference) => {
                let c = reference.resolve_char_ref().unwrap();
                let c = c.or_else(|| {
                    quick_xml::escape::resolve_predefined_entity(&reference).unwrap().chars().next()
                });
                add(&mut open, c.unwrap().encode_utf8(&mut [0; 4]), false);
            }
            Event::Eof => return open.remove(0),
            _ => {}
        }
    }
}

/// What a place is, told from the tree.
#[derive(Clone, Copy)]
enum At<'s> {
    Shape(&'s Shape),
    Entry(&'s Shape, &'static str),
    Free,
    Hide(Kind),
}

fn looks(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Number => "0".to_owned(),
        Kind::Boolean => "false".to_owned(),
        Kind::Any if matches!(text, "true" | "false") => "false".to_owned(),
        Kind::Any if text.starts_with("2030-01-01T01:00:00Z") => "1970-01-01T00:00:00Z".to_owned(),
        Kind::Any
            if text.len() < 32
                && text.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && text.chars().all(|c| c.is_ascii_digit() || "+-.eE".contains(c)) =>
        {
            "0".to_owned()
        }
        _ => constant(kind, text),
    }
}

fn naive(element: &Element, at: At<'_>, hidden: &mut Vec<String>) -> Element {
    let at = match at {
        At::Shape(shape) if shape.is_free() => At::Free,
        At::Shape(Shape::FlatList(each)) => return naive(element, At::Shape(each), hidden),
        At::Shape(Shape::FlatMap(each)) => At::Entry(each, "Bb"),
        At::Shape(Shape::Secret(kind)) => At::Hide(*kind),
        at => at,
    };
    let has_children = |items: &[Item]| items.iter().any(|item| matches!(item, Item::Element(_)));
    let mut masked = Element { items: Vec::new(), ..element.clone() };
    for (index, item) in element.items.iter().enumerate() {
        match item {
            Item::Element(child) => {
                let below = match at {
                    At::Free | At::Hide(_) => at,
                    At::Shape(Shape::Structure(members)) => {
                        members.get(child.name.as_str()).map_or(At::Free, At::Shape)
                    }
                    At::Shape(Shape::List(each)) => At::Shape(each),
                    At::Shape(Shape::Map(each)) => At::Entry(each, "key"),
                    At::Entry(_, key) if child.name == key => At::Free,
                    At::Entry(each, _) => At::Shape(each),
                    At::Shape(_) => unreachable!(),
                };
                masked.items.push(Item::Element(naive(child, below, hidden)));
            }
            Item::Text { says, blank } => {
                let all_blank = *blank == says.len();
                let text = says.replace('\u{1}', "");
                match at {
                    At::Free => masked.items.push(item.clone()),
                    At::Hide(kind) => {
                        let within = has_children(&element.items[..index]) || index + 1 < element.items.len();
                        if !(all_blank && within) {
                            masked.items.push(Item::Text { says: looks(kind, &text), blank: 0 });
                            hidden.push(text);
                        }
                    }
                    At::Shape(_) | At::Entry(..) => {
                        let (before, rest) = text.split_at(*blank);
                        let mut says = before.to_owned();
                        if !all_blank {
                            says.push_str(&looks(Kind::Any, rest));
                            hidden.push(rest.to_owned());
                        }
                        masked.items.push(Item::Text { says, blank: *blank });
                    }
                }
            }
        }
    }
    masked
}

fn text() -> impl Strategy<Value = String> {
    let plain = "[ \n\ra-c0-9é\\]]{0,8}";
    prop_oneof![
        4 => plain,
        2 => "[a-z]{1,12}",
        1 => Just("12".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("2030-01-01T01:00:00Z".to_owned()),
        1 => Just("\n  ".to_owned()),
        1 => prop::sample::select(vec!["&amp;", "&#x1F600;", "&lt;b&gt;", "&#13;&#10;", " &#32;"]).prop_map(str::to_owned),
        1 => "[ a<&\\]]{0,6}".prop_map(|text| format!("<![CDATA[{}]]>", text.replace("]]>", ""))),
        1 => Just("<!-- x<y>&z -->".to_owned()),
        1 => Just("<?a b?>".to_owned()),
    ]
}

const NAMES: [&str; 6] = ["A", "Bb", "Value", "key", "x-y", "Kéy"];

fn content() -> impl Strategy<Value = String> {
    prop::collection::vec(text(), 0..3).prop_map(|parts| parts.concat()).prop_recursive(5, 40, 5, |inner| {
        prop::collection::vec(
            prop_oneof![
                2 => text(),
                5 => (prop::sample::select(NAMES.as_slice()), inner, any::<bool>()).prop_map(|(name, inner, attribute)| {
                    let attribute = if attribute { " xmlns:a='b>\"&amp;'" } else { "" };
                    if inner.is_empty() { format!("<{name}{attribute} />") } else { format!("<{name}{attribute}>{inner}</{name}>") }
                }),
            ],
            0..5,
        )
        .prop_map(|parts| parts.concat())
    })
}

proptest! {
    #[test]
    fn it_does_what_a_masker_with_the_whole_tree_does(
        shape in shape(&NAMES),
        content in content(),
        sizes in prop::collection::vec(1_usize..40, 1..8),
        looked_through in any::<bool>(),
    ) {
        let body = format!("<Root>{content}</Root>");
        let tree = read(&body);
        let plan = plan(&shape);
        let job = || if looked_through { watched(&plan) } else { job(&plan) };
        let (out, report) = in_all_chunks(XML, &job, body.as_bytes(), &sizes).unwrap();
        let mut hidden = Vec::new();
        let Item::Element(root) = &tree.items[0] else { unreachable!() };
        let expected = naive(root, At::Shape(&shape), &mut hidden);
        let out = String::from_utf8(out).unwrap();
        let found = read(&out);
        let Item::Element(found) = &found.items[0] else { unreachable!() };
        let plain = |element: &Element| format!("{element:?}").replace("\\u{1}", "");
        let plain = |element: &Element| -> String {
            let text = plain(element);
            // How the constant is written is not what is compared.
            let mut parts = text.split("blank: ");
            let mut kept = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                kept.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
            }
            kept
        };
        prop_assert_eq!(plain(found), plain(&expected), "{}\n{}", body, out);
        let digests: Vec<_> = report.entries.iter().map(|entry| entry.digest).collect();
        for text in hidden {
            prop_assert!(digests.contains(&digest(text.as_bytes())), "{:?} of {}", text, body);
        }
    }

    #[test]
    fn no_secret_is_left(
        secret in "[a-z0-9]{16,60}",
        ways in prop::collection::vec(0_u8..4, 1..40),
        sizes in prop::collection::vec(1_usize..20, 1..8),
    ) {
        let written: String = secret.chars().zip(ways.iter().cycle()).map(|(c, way)| match way {
            0 => format!("&#x{:x};", u32::from(c)),
            1 => format!("<![CDATA[{c}]]>"),
            2 => format!("<!-- {c} -->{c}"),
            _ => c.to_string(),
        }).collect();
        let body = format!("<R a='b'><SecretString>{written}</SecretString><Tree><Children><x><Key>{written}</Key></x></Children></Tree></R>");
        let plan = sample();
        let (out, report) = in_all_chunks(XML, &|| watched(&plan), body.as_bytes(), &sizes).unwrap();
        prop_assert_eq!(
            String::from_utf8(out).unwrap(),
            "<R a='b'><SecretString>chaperone:masked</SecretString><Tree><Children><x><Key>chaperone:masked</Key></x></Children></Tree></R>"
        );
        prop_assert!(report.entries.iter().all(|entry| entry.digest == digest(secret.as_bytes())));
    }

    #[test]
    fn nothing_panics(body in "[<>/!\\-\\[\\]CDATA?&;#x'\"= ab]{0,60}") {
        for body in [body.clone(), format!("<a>{body}</a>")] {
            let _ = in_all_chunks(XML, &|| watched(&sample()), body.as_bytes(), &[2, 5]);
        }
    }
}
