use proptest::prelude::*;

use super::*;

fn arn(line: &str) -> ArnTemplate<'_> {
    match Need::parse(line).unwrap().resource {
        Resource::Arn { template, .. } => template,
        other => panic!("{line}: {other:?}"),
    }
}

fn member<'a>(names: &[&'a str], form: Form<'a>, default: Option<&'a str>) -> Placeholder<'a> {
    Placeholder { path: Path { absolute: false, names: names.to_vec() }, form, default }
}

#[test]
fn lines_are_read() {
    let need = Need::parse("a:B * each L.*.M when X|Y=v unless Z~t").unwrap();
    assert_eq!((need.action, &need.resource), ("a:B", &Resource::Any));
    assert_eq!(need.each, Some(Path { absolute: false, names: vec!["L", "*", "M"] }));
    let asks: Vec<(bool, Vec<Ask<'_>>)> = need
        .conditions
        .iter()
        .map(|condition| (condition.when, condition.tests.iter().map(|test| test.ask).collect()))
        .collect();
    assert_eq!(asks, [(true, vec![Ask::Named, Ask::Is("v")]), (false, vec![Ask::Contains("t")])]);
    assert_eq!(Need::parse("iam:PassRole roles").unwrap().resource, Resource::Roles);
    assert_eq!(Need::parse("s3:GetObject objects").unwrap().resource, Resource::Objects);
}

#[test]
fn arns_are_read() {
    let table = ArnTemplate::Parts {
        service: "dynamodb",
        region: Field::Own,
        account: Field::Own,
        resource: vec![
            Part::Literal("table/"),
            Part::Member(member(&["TableName"], Form::Word, None)),
            Part::Literal("/index/"),
            Part::Member(member(&["Index", "*", "Name"], Form::Path, Some("x"))),
        ],
    };
    let resource = "table/${TableName}/index/${Index.*.Name|path=x}";
    assert_eq!(arn(&format!("a:B ~:dynamodb:{resource}")), table);
    assert_eq!(arn(&format!("a:B arn:${{Partition}}:dynamodb:${{Region}}:${{Account}}:{resource}")), table);
    assert_eq!(
        arn("a:B arn:${Partition}:x::${Account|/Owner}:y"),
        ArnTemplate::Parts {
            service: "x",
            region: Field::Empty,
            account: Field::Member(Path { absolute: true, names: vec!["Owner"] }),
            resource: vec![Part::Literal("y")],
        }
    );
    assert_eq!(
        arn("a:B ${ResourceArn|arn:x,y}?"),
        ArnTemplate::Whole(member(&["ResourceArn"], Form::Arn("x,y"), None))
    );
}

#[test]
fn other_lines_are_refused() {
    for (line, why) in [
        ("", "it is empty"),
        ("a *", "the action is not PREFIX:Name"),
        ("a:B", "it has no resource"),
        ("a:* *", "the action is not PREFIX:Name"),
        ("a:B * when", "a word is missing at its end"),
        ("a:B * if X", "it has a word that is not each, when or unless"),
        ("a:B * each X each Y", "it has a word that is not each, when or unless"),
        ("a:B table", "the resource is no ARN"),
        ("a:B ~:x:", "the ARN has no resource"),
        ("a:B ~:x:y*", "the resource has a wildcard or a stray bracket"),
        ("a:B ~:x:${A", "a placeholder has no end"),
        ("a:B ~:x:${A|b}", "a placeholder has a form that does not exist"),
        ("a:B ~:x:${A..b}", "a path is not names with dots"),
        (
            "a:B arn:${Partition}:x:${Account}:${Account}:y",
            "the region or account is a placeholder of something else",
        ),
    ] {
        assert_eq!(Need::parse(line), Err(BadNeed { line: line.to_owned(), why }));
    }
}

proptest! {
    #[test]
    fn no_line_panics(line in prop_oneof![".{0,60}", "a:B [~^$:{}|=*?.a-z ]{0,40}( when [a-z|~=./]{0,10})?"]) {
        if let Ok(need) = Need::parse(&line) {
            prop_assert!(need.action.contains(':'));
        }
    }
}
