use super::super::*;
use crate::catalog::{Protocol, catalog, secrets};

#[test]
fn every_plan_can_be_made() {
    let mut plans = 0;
    for personal in [false, true] {
        for service in catalog().services() {
            let Some(secrets) = secrets(service.name) else { continue };
            for operation in secrets.outputs() {
                for protocol in &service.protocols {
                    let tree = tree::Tree::unfold(secrets, operation, personal);
                    let plan = tree.plan(*protocol).unwrap_or_else(|error| panic!("{operation}: {error}"));
                    let Some(plan) = plan else { continue };
                    let paths: Vec<&str> = plan.fields().iter().map(|field| &*field.path).collect();
                    let mut unique = paths.clone();
                    unique.sort_unstable();
                    unique.dedup();
                    assert_eq!(unique.len(), paths.len(), "{} {operation}: {paths:?}", service.name);
                    // Places of one shape have paths of their own: no secrets had to be shared.
                    assert!(personal || tree.is_unfolded(), "{} {operation}", service.name);
                    assert!(!paths.is_empty(), "{} {operation}", service.name);
                    plans += 1;
                }
            }
        }
    }
    assert!(plans > 3_000, "{plans}");
}

fn rule(operation: &str, path: &str, effect: Effect) -> Rule {
    Rule { operation: operation.to_owned(), path: path.to_owned(), effect, reversible: false }
}

fn paths(rules: &[Rule], services: &[&str], operation: &str) -> Vec<String> {
    let config = Config { rule: rules.to_vec(), ..Config::default() };
    let rules = Rules::new(&config).unwrap_or_else(|errors| panic!("{errors:?}"));
    let plan = rules.plan(services, operation, Protocol::Json);
    let mut paths: Vec<String> =
        plan.iter().flat_map(|plan| plan.fields()).map(|field| field.path.to_string()).collect();
    paths.sort_unstable();
    paths
}

#[test]
fn plans_come_from_the_table() {
    assert_eq!(paths(&[], &["ssm"], "GetParameter"), ["Parameter.Value"]);
    assert_eq!(paths(&[], &["ssm"], "GetParametersByPath"), ["Parameters[].Value"]);
    assert_eq!(paths(&[], &["lambda"], "GetFunctionConfiguration"), ["Environment.Variables{}"]);
    assert_eq!(paths(&[], &["s3"], "ListBuckets"), Vec::<String>::new());
    assert_eq!(paths(&[], &["nosuch"], "GetParameter"), Vec::<String>::new());
    assert_eq!(
        paths(&[], &["ec2"], "DescribeLaunchTemplateVersions"),
        ["LaunchTemplateVersions[].LaunchTemplateData.UserData"]
    );
}

#[test]
fn rules_change_what_the_table_says() {
    let reveal = rule("ssm:GetParameter", "Parameter.Value", Effect::Reveal);
    assert_eq!(paths(std::slice::from_ref(&reveal), &["ssm"], "GetParameter"), Vec::<String>::new());
    assert_eq!(paths(&[reveal], &["ssm"], "GetParameters"), ["Parameters[].Value"]);
    for path in ["*", "Credentials"] {
        let reveal = rule("cognito-identity:GetCredentialsForIdentity", path, Effect::Reveal);
        let none = Vec::<String>::new();
        assert_eq!(paths(&[reveal], &["cognito-identity"], "GetCredentialsForIdentity"), none);
    }
    let hide = rule("dynamodb:GetItem", "Item{}", Effect::Hide);
    assert_eq!(paths(&[hide], &["dynamodb"], "GetItem"), ["Item{}"]);
    // What a rule hides stays hidden where another one reveals all around it.
    let rules = [
        rule("ssm:GetParameter", "Parameter.Value", Effect::Hide),
        rule("ssm:GetParameter", "*", Effect::Reveal),
    ];
    assert_eq!(paths(&rules, &["ssm"], "GetParameter"), ["Parameter.Value"]);
    // A container hides all that is in it.
    let hide = rule("secretsmanager:GetSecretValue", "*", Effect::Hide);
    assert_eq!(paths(&[hide], &["secretsmanager"], "GetSecretValue"), ["*"]);
    let hide = rule("ssm:GetParameter", "Parameter", Effect::Hide);
    assert_eq!(paths(&[hide], &["ssm"], "GetParameter"), ["Parameter"]);
}

/// In XML, SQS calls the elements of `Messages` `Message`, which its model in JSON does not say.
#[test]
fn an_answer_in_a_protocol_of_older_clients_is_hidden_as_a_whole() {
    let hide = rule("sqs:ReceiveMessage", "Messages[].Body", Effect::Hide);
    let rules = Rules::new(&Config { rule: vec![hide], ..Config::default() }).unwrap();
    for (protocol, whole) in [(Protocol::Json, false), (Protocol::Query, true)] {
        let plans = [
            rules.plan(&["sqs"], "ReceiveMessage", protocol).unwrap(),
            rules.own_plan(&["sqs"], "ReceiveMessage", protocol).unwrap(),
        ];
        for plan in plans {
            let paths: Vec<&str> = plan.fields().iter().map(|field| &*field.path).collect();
            assert_eq!(paths, [if whole { "*" } else { "Messages[].Body" }]);
        }
    }
    let plan = rules.plan(&["sqs"], "ReceiveMessage", Protocol::Query).unwrap();
    let body = "<ReceiveMessageResponse><ReceiveMessageResult><Message><MessageId>i</MessageId><Body>hunter2</Body></Message>\
                <Message><Body>hunter3</Body></Message></ReceiveMessageResult></ReceiveMessageResponse>";
    let out = super::passed(Format::Xml { wrappers: 2 }, &plan, body);
    assert!(!out.contains("hunter") && out.matches(MASKED).count() >= 2, "{out}");
    // Without a rule there is nothing to hide, and a service whose own protocol it is names all that it writes.
    let none = Rules::new(&Config::default()).unwrap();
    assert!(none.plan(&["sqs"], "ReceiveMessage", Protocol::Query).is_none());
    let hide = rule("sns:GetTopicAttributes", "Attributes{}", Effect::Hide);
    let rules = Rules::new(&Config { rule: vec![hide], ..Config::default() }).unwrap();
    let plan = rules.plan(&["sns"], "GetTopicAttributes", Protocol::Query).unwrap();
    assert_eq!(&*plan.fields()[0].path, "Attributes{}");
}

#[test]
fn services_of_one_call_are_hidden_together() {
    let one = paths(&[], &["rds"], "CreateDBInstance");
    let all = paths(&[], &["docdb", "neptune", "rds"], "CreateDBInstance");
    assert!(one.contains(&"DBInstance.PendingModifiedValues.MasterUserPassword".to_owned()), "{one:?}");
    assert_eq!(one, all);
}

fn error(rule: Rule) -> (&'static str, String) {
    let errors = Rules::new(&Config { rule: vec![rule], ..Config::default() }).unwrap_err();
    assert_eq!(errors.len(), 1);
    (errors[0].key, errors[0].detail.clone())
}

#[test]
fn rules_about_nothing_are_errors() {
    for (operation, path, effect, key, detail) in [
        (
            "GetParameter",
            "*",
            Effect::Hide,
            "operation",
            "\"GetParameter\" is no operation: write service:Operation, such as ssm:GetParameter",
        ),
        (
            "smm:GetParameter",
            "*",
            Effect::Hide,
            "operation",
            "there is no service \"smm\": did you mean ssm?",
        ),
        (":GetParameter", "*", Effect::Hide, "operation", "there is no service \"\""),
        (
            "ssm:GetParametr",
            "*",
            Effect::Hide,
            "operation",
            "ssm has no operation \"GetParametr\": did you mean GetParameter?",
        ),
        (
            "ssm:GetParameter",
            "Parameter..Value",
            Effect::Hide,
            "path",
            "\"Parameter..Value\" is no path: write names of members with dots between them, [] after a list, {} after a map, or * for all",
        ),
        (
            "ssm:GetParameter",
            "Parameter.Valu",
            Effect::Hide,
            "path",
            "answers of ssm:GetParameter have no \"Valu\" there: did you mean Value?",
        ),
        (
            "ssm:GetParameter",
            "Parameter[].Value",
            Effect::Hide,
            "path",
            "in answers of ssm:GetParameter, Parameter is a structure: its members follow after a dot",
        ),
        (
            "ssm:GetParameters",
            "Parameters.Value",
            Effect::Hide,
            "path",
            "in answers of ssm:GetParameters, Parameters is a list: what is in it follows after []",
        ),
        (
            "lambda:GetFunctionConfiguration",
            "Environment.Variables.A",
            Effect::Hide,
            "path",
            "in answers of lambda:GetFunctionConfiguration, Environment.Variables is a map: its values follow after {}",
        ),
        (
            "ssm:GetParameter",
            "Parameter.Value.X",
            Effect::Reveal,
            "path",
            "in answers of ssm:GetParameter, Parameter.Value is a value without parts",
        ),
        (
            "ssm:GetParameter",
            "Parameter.Name",
            Effect::Reveal,
            "path",
            "Parameter.Name is not hidden in answers of ssm:GetParameter: Parameter.Value",
        ),
        ("s3:DeleteBucket", "*", Effect::Hide, "path", "s3:DeleteBucket answers nothing"),
    ] {
        assert_eq!(error(rule(operation, path, effect)), (key, detail.to_owned()), "{operation} {path}");
    }
    let reversible = Rule { reversible: true, ..rule("ssm:GetParameter", "Parameter.Value", Effect::Reveal) };
    assert_eq!(error(reversible).0, "reversible");
    let many = vec![rule("ssm:GetParameter", "Parameter.Value", Effect::Hide); 1001];
    let errors = Rules::new(&Config { rule: many, ..Config::default() }).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.rule).collect::<Vec<_>>(), [1000]);
}

#[test]
fn a_rule_about_an_answer_that_the_gateway_writes_is_an_error() {
    let all = [
        ("sts:AssumeRole", "Credentials"),
        ("s3:CreateSession", "*"),
        ("datazone:GetEnvironmentCredentials", "*"),
    ];
    for (operation, path) in all {
        for effect in [Effect::Hide, Effect::Reveal] {
            let (key, detail) = error(rule(operation, path, effect));
            let expected = format!(
                "answers of {operation} are written by the gateway itself: a placeholder stands for the keys in them, and no \
                 rule hides or reveals anything"
            );
            assert_eq!((key, detail), ("operation", expected));
        }
    }
    // Keys in its answer are only hidden: they may be revealed.
    let reveal = rule("iam:CreateAccessKey", "AccessKey.SecretAccessKey", Effect::Reveal);
    assert!(Rules::new(&Config { rule: vec![reveal], ..Config::default() }).is_ok());
}

#[test]
fn reversible_places_are_told() {
    let mut rule = rule("secretsmanager:GetSecretValue", "SecretString", Effect::Hide);
    rule.reversible = true;
    let rules = Rules::new(&Config { rule: vec![rule], ..Config::default() }).unwrap();
    let plan = rules.plan(&["secretsmanager"], "GetSecretValue", Protocol::Json).unwrap();
    let of = |path: &str| plan.fields().iter().find(|field| &*field.path == path).unwrap().clone();
    assert_eq!((of("SecretString").reversible, of("SecretString").kind), (true, Kind::Text));
    assert_eq!((of("SecretBinary").reversible, of("SecretBinary").kind), (false, Kind::Blob));
}

#[test]
fn a_plan_is_made_once() {
    let rules = Rules::new(&Config::default()).unwrap();
    let ask = || rules.plan(&["ssm"], "GetParameter", Protocol::Json).unwrap();
    assert!(Arc::ptr_eq(&ask(), &ask()));
}
