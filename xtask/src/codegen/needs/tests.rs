use serde_json::{Value, json};

use super::{
    fill::{self, Aliases, Fill, Forms},
    iam::{Iam, Type},
    model::Input,
    names, overlay,
    unsaid::Unsaid,
};

/// A model with one operation, whose members are texts: `Name` or, where AWS insists on it, `Name!`.
fn model(members: &[&str]) -> Value {
    let required: Vec<&str> = members.iter().filter_map(|member| member.strip_suffix('!')).collect();
    let members: serde_json::Map<String, Value> = members
        .iter()
        .map(|member| (member.trim_end_matches('!').to_owned(), json!({ "shape": "Text" })))
        .collect();
    json!({
        "shapes": {
            "Text": { "type": "string" },
            "In": { "type": "structure", "members": members, "required": required },
        }
    })
}

/// The templates that fill `arn:…:RESOURCE` of a resource type.
fn filled(of: &str, resource: &str, operation: &str, members: &[&str], made: bool) -> Vec<String> {
    let model = model(members);
    let operation_value = json!({ "input": { "shape": "In" } });
    let input = Input::of(&model, &operation_value);
    let of = Type {
        name: of.to_owned(),
        arn: format!("arn:${{Partition}}:svc:${{Region}}:${{Account}}:{resource}"),
    };
    let (aliases, forms) = (&Aliases::new(), &Forms::new());
    let fill = Fill { of: &of, operation, input: &input, aliases, forms, accounts: &[], alone: true, made };
    fill.fill().map_or(Vec::new(), |filled| filled.templates)
}

#[test]
fn members_that_name_the_resource_fill_its_arn() {
    let check = |of, resource, operation, members: &[&str], expected: &[&str]| {
        assert_eq!(filled(of, resource, operation, members, false), expected, "{operation} {members:?}");
    };
    check("table", "table/${TableName}", "GetItem", &["TableName!"], &["~:svc:table/${TableName}"]);
    check("table", "table/${TableName}", "ListItems", &["TableName"], &["~:svc:table/${TableName}?"]);
    check(
        "function",
        "function:${FunctionName}",
        "DeleteFunction",
        &["FunctionId!"],
        &["~:svc:function:${FunctionId}"],
    );
    check("stream", "stream/${Id}", "GetStream", &["StreamArn!"], &["~:svc:stream/${StreamArn}"]);
    check(
        "index",
        "table/${TableName}/index/${IndexName}",
        "Query",
        &["TableName!", "IndexName!"],
        &["~:svc:table/${TableName}/index/${IndexName}"],
    );
    check(
        "stage",
        "apis/${ApiId}/stages/${StageName}",
        "TagResource",
        &["ResourceArn!"],
        &["${ResourceArn|arn:svc:apis/}"],
    );
    check(
        "snapshot",
        "snapshot:${SnapshotName}",
        "CopySnapshot",
        &["SourceSnapshotName!", "TargetSnapshotName!"],
        &["~:svc:snapshot:${SourceSnapshotName}", "~:svc:snapshot:${TargetSnapshotName}"],
    );
}

#[test]
fn members_that_say_something_else_do_not() {
    let check = |of, resource, operation, members: &[&str], made| {
        assert_eq!(filled(of, resource, operation, members, made), [""; 0], "{operation} {members:?}");
    };
    // AWS chooses the id of what it makes, whatever its name.
    check("image", "image/${ImageId}", "CopyImage", &["Name!", "SourceRegion!"], true);
    check("policy", "policy/${PolicyId}", "PutPolicy", &["PolicyName!"], false);
    check("table", "table/${TableName}", "GetItem", &["TableClass!", "Mode"], false);
    // One part of two.
    check("index", "table/${TableName}/index/${IndexName}", "Query", &["TableName!"], false);
}

#[test]
fn what_something_is_made_from_is_not_left_out() {
    let check = |members: &[&str], taken: &[&str], said: &[&str], expected: Option<&str>| {
        let model = model(members);
        let operation = json!({ "input": { "shape": "In" } });
        let input = Input::of(&model, &operation);
        let image = Type { name: "image".to_owned(), arn: "arn:${Partition}:s:::image/${Name}".to_owned() };
        let unsaid = Unsaid {
            operation: "CreateFleet",
            input: &input,
            aliases: &Aliases::new(),
            accounts: &["SourceOwner".to_owned()],
            types: &[&image],
            loose: &[],
        };
        let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        let line = unsaid.line("s:CreateFleet", &owned(taken), &owned(said));
        assert_eq!(line.as_deref(), expected, "{members:?}");
    };
    check(&["Name!", "SourceFleetId"], &["Name"], &[], Some("s:CreateFleet * when SourceFleetId"));
    check(&["SnapshotId!", "ImageArn"], &[], &[], Some("s:CreateFleet * when SnapshotId|ImageArn"));
    check(&["ReplicationSourceArn"], &[], &[], Some("s:CreateFleet * when ReplicationSourceArn"));
    // What is taken, what an overlay says of the same action, and what names nothing that is read.
    check(&["SourceFleetId"], &["SourceFleetId"], &[], None);
    check(&["SourceFleetId"], &[], &["s:CreateFleet ~:s:fleet/${SourceFleetId}?"], None);
    check(
        &["SourceFleetId"],
        &[],
        &["s3:GetObject * when SourceFleetId"],
        Some("s:CreateFleet * when SourceFleetId"),
    );
    let other =
        ["SourceRegion", "SourceOwner", "ResourceId", "FinalSnapshotId", "TopicArn", "SnapshotWindow"];
    check(&other, &[], &[], None);
}

#[test]
fn several_types_that_one_member_may_be_are_one_template() {
    let merged = |templates: &[&str]| fill::merged(templates.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(merged(&["${A|arn:s:x/}", "${A|arn:s:y/}"]), ["${A|arn:s:x/,s:y/}"]);
    assert_eq!(merged(&["~:s:x/${XArn}", "${XArn|arn:s:y/}"]), ["${XArn|arn:s:x/,s:y/}"]);
    assert_eq!(merged(&["~:s:x/${X}", "~:s:y/${X}"]), ["~:s:x/${X}", "~:s:y/${X}"]);
    let many: Vec<String> = (0..5).map(|n| format!("${{A|arn:s:{n}/}}")).collect();
    assert_eq!(fill::merged(many), ["${A|arn:s}"]);
}

#[test]
fn stems() {
    for (name, stem) in [
        ("FunctionName", "function"),
        ("DBInstanceIdentifier", "dbinstance"),
        ("ResourceArn", ""),
        ("StreamNames", "stream"),
        ("policyIds", "policy"),
        ("Status", "status"),
        ("TableNameList", "table"),
    ] {
        assert_eq!(names::stem(name), stem, "{name}");
    }
    assert_eq!(names::verb_and_noun("BatchGetProjects"), ("get".to_owned(), "projects".to_owned()));
}

#[test]
fn overlays_are_read() {
    let text = "\
        # Comment\n\
        prefix p\n\
        actions A=B C=q:D\n\
        names M Type arn:Other-Type\n\
        mints F\n\
        E F\n\
        \x20   = *\n\
        \x20   G ~:s:${M} when M\n\
        H +\n\
        \x20   passes-nothing\n\
        \x20   lends-nothing\n";
    let overlay = overlay::parse("s".to_owned(), text).unwrap();
    assert_eq!(overlay.prefix.as_deref(), Some("p"));
    assert_eq!(overlay.actions.get("A").map(String::as_str), Some("p:B"));
    assert_eq!(overlay.actions.get("C").map(String::as_str), Some("q:D"));
    assert_eq!(overlay.aliases.get("M").unwrap(), &["type", "arn:othertype"]);
    let lines = |name: &str| overlay.operations.get(name).unwrap().lines.clone();
    assert_eq!(lines("E"), ["p:E *", "p:G ~:s:${M} when M"]);
    assert_eq!(lines("F"), ["p:F *", "p:G ~:s:${M} when M"]);
    let entry = |name: &str| overlay.operations.get(name).unwrap();
    assert!(entry("F").mints && !entry("E").mints);
    assert!(
        entry("H").adds
            && entry("H").passes_nothing
            && entry("H").lends_nothing
            && entry("H").lines.is_empty()
    );
    for wrong in ["    = *", "lower", "actions A", "prefix", "A\n    = *\nA\n    = *"] {
        assert!(overlay::parse(String::new(), wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_service_reference_adds_what_the_packages_do_not_have() {
    let mut iam = Iam::default();
    let reference = |levels: Value| {
        json!({
            "Name": "glue",
            "Actions": [
                { "Name": "GetAsset", "Annotations": { "Properties": levels }, "Resources": [{ "Name": "asset" }] },
                { "Name": "Unsaid" },
            ],
            "Resources": [{ "Name": "asset", "ARNFormats": ["arn:${Partition}:glue:${Region}:${Account}:asset/${Id}"] }],
        })
    };
    iam.add_reference(&reference(json!({ "IsWrite": false, "IsList": false }))).unwrap();
    let action = iam.action("glue:getasset").unwrap();
    assert_eq!((action.name.as_str(), action.level.as_str()), ("GetAsset", "Read"));
    assert_eq!(action.types, [("asset".to_owned(), false)]);
    assert_eq!(iam.action("glue:Unsaid").unwrap().level, "Write");
    let of_type = &iam.service("glue").unwrap().types["asset"];
    assert_eq!(of_type.arn, "arn:${Partition}:glue:${Region}:${Account}:asset/${Id}");
    // What is known stays.
    iam.add_reference(&reference(json!({ "IsPermissionManagement": true }))).unwrap();
    assert_eq!(iam.action("glue:GetAsset").unwrap().level, "Read");
    assert!(iam.add_reference(&json!({})).is_err());
}
