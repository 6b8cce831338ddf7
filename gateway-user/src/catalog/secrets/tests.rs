use std::collections::BTreeSet;

use super::{super::catalog, *};

/// Counts services, operations with something in their answers and in their parameters.
fn counts(table: &Table) -> [usize; 3] {
    let mut counts = [table.len(), 0, 0];
    for (service, secrets) in table {
        let body = read::body(secrets.line).unwrap_or_else(|error| panic!("{service}: {error}"));
        let known = catalog().service(service).unwrap_or_else(|| panic!("{service} is no service"));
        for operation in body.outputs.keys().chain(body.inputs.keys()) {
            assert!(known.operation(operation).is_some(), "{service} {operation}");
        }
        counts = [counts[0], counts[1] + body.outputs.len(), counts[2] + body.inputs.len()];
    }
    counts
}

#[test]
fn every_line_is_read_and_names_operations_of_the_catalogue() {
    let [services, outputs, inputs] = counts(&read::index(read::SECRETS).unwrap());
    assert!(services > 250 && outputs > 1_500 && inputs > 1_500, "{services} {outputs} {inputs}");
    let [services, outputs, inputs] = counts(&read::index(read::ANSWERS).unwrap());
    assert!(services > 400 && outputs > 15_000 && inputs == 0, "{services} {outputs} {inputs}");
}

/// Where from an operation's output a path of wire names leads; a list is `[]`, a map `{}`.
fn at(service: &str, operation: &str, path: &[&str]) -> Option<Reach> {
    let secrets = secrets(service)?;
    path.iter().try_fold(secrets.output(operation)?, |to, step| match (secrets.node(to.below?), *step) {
        (SecretNode::List { item, .. }, "[]") => Some(*item),
        (SecretNode::Map { value, .. }, "{}") => Some(*value),
        (SecretNode::Structure(members), name) => {
            members.iter().find(|member| member.wire == name).map(|member| member.to)
        }
        _ => None,
    })
}

fn leaf(secrecy: Secrecy, kind: SecretKind) -> Option<Reach> {
    Some(Reach { hidden: Some((secrecy, kind)), below: None })
}

#[test]
fn what_everybody_expects_is_secret() {
    let text = leaf(Secrecy::Secret, SecretKind::Text);
    for (service, operation, path) in [
        ("secretsmanager", "GetSecretValue", &["SecretString"][..]),
        ("secretsmanager", "BatchGetSecretValue", &["SecretValues", "[]", "SecretString"]),
        ("ssm", "GetParameter", &["Parameter", "Value"]),
        ("ssm", "GetParametersByPath", &["Parameters", "[]", "Value"]),
        ("sts", "AssumeRole", &["Credentials", "SessionToken"]),
        ("iam", "CreateAccessKey", &["AccessKey", "SecretAccessKey"]),
        ("lambda", "GetFunctionConfiguration", &["Environment", "Variables", "{}"]),
        ("lambda", "GetFunction", &["Code", "Location"]),
        (
            "ec2",
            "DescribeLaunchTemplateVersions",
            &["launchTemplateVersionSet", "[]", "launchTemplateData", "userData"],
        ),
        (
            "ecs",
            "DescribeTaskDefinition",
            &["taskDefinition", "containerDefinitions", "[]", "environment", "[]", "value"],
        ),
        ("apigateway", "GetApiKeys", &["item", "[]", "value"]),
        ("rds", "CreateDBInstance", &["DBInstance", "PendingModifiedValues", "MasterUserPassword"]),
        ("cloudformation", "DescribeStacks", &["Stacks", "[]", "Outputs", "[]", "OutputValue"]),
        ("ecr", "GetAuthorizationToken", &["authorizationData", "[]", "authorizationToken"]),
    ] {
        assert_eq!(at(service, operation, path), text, "{service} {operation} {path:?}");
    }
    assert_eq!(at("kms", "Decrypt", &["Plaintext"]), leaf(Secrecy::Secret, SecretKind::Blob));
}

#[test]
fn what_agents_need_is_not() {
    assert_eq!(at("lambda", "Invoke", &["Payload"]), leaf(Secrecy::Personal, SecretKind::Blob));
    assert_eq!(
        at("organizations", "DescribeAccount", &["Account", "Name"]),
        leaf(Secrecy::Personal, SecretKind::Text)
    );
    for (service, operation, path) in [
        (
            "ecs",
            "DescribeTaskDefinition",
            &["taskDefinition", "containerDefinitions", "[]", "environment", "[]", "name"][..],
        ),
        ("ecs", "DescribeTasks", &["tasks", "[]", "attachments"]),
        ("iam", "CreateAccessKey", &["AccessKey", "AccessKeyId"]),
        ("stepfunctions", "GetActivityTask", &["taskToken"]),
        ("secretsmanager", "GetSecretValue", &["VersionId"]),
        ("geo-routes", "CalculateRoutes", &[]),
        ("s3", "ListBuckets", &[]),
    ] {
        assert_eq!(at(service, operation, path), None, "{service} {operation} {path:?}");
    }
}

#[test]
fn places_on_the_wire_are_told() {
    let input = |service: &str, operation: &str| {
        let secrets = secrets(service).unwrap();
        match secrets.node(secrets.input(operation).unwrap().below.unwrap()) {
            SecretNode::Structure(members) => members.clone(),
            other => panic!("{other:?}"),
        }
    };
    let key = input("s3", "GetObject");
    let [key] = key.as_slice() else { panic!("{key:?}") };
    assert_eq!((key.name, key.at), ("SSECustomerKey", Location::Header));
    assert_eq!(key.wire, "x-amz-server-side-encryption-customer-key");
    let secrets = secrets("bedrock-runtime").unwrap();
    let root = secrets.output("ConverseStream").unwrap().below.unwrap();
    let SecretNode::Structure(members) = secrets.node(root) else { panic!() };
    assert!(members.iter().any(|member| member.events && member.at == Location::Payload), "{members:?}");
}

#[test]
fn what_cannot_be_read_is_secret() {
    for line in ["", "{", r#"{"service":"s","nodes":["{A:1"]}"#, r#"{"service":"s","out":"Op:0","nodes":[]}"#]
    {
        let secrets = Secrets { line, body: OnceLock::new() };
        assert_eq!(secrets.output("Op"), Some(Reach::EVERYTHING), "{line}");
        assert_eq!(secrets.input("Op"), Some(Reach::EVERYTHING), "{line}");
    }
    for text in ["A:", "A:q", "A:ss", "A:1", "A:-", ":s", "A:s!x"] {
        let line: &'static str = String::leak(format!(r#"{{"service":"s","nodes":["{{{text}"]}}"#));
        assert!(read::body(line).is_err(), "{text}");
    }
}

#[test]
fn only_the_line_that_is_asked_for_is_read() {
    let table = read::index(read::SECRETS).unwrap();
    let read = |table: &Table| -> BTreeSet<String> {
        let read = table.iter().filter(|(_, secrets)| secrets.body.get().is_some());
        read.map(|(name, _)| (*name).to_owned()).collect()
    };
    assert_eq!(read(&table), BTreeSet::new());
    assert!(table.get("kms").unwrap().output("Decrypt").is_some());
    assert_eq!(read(&table), BTreeSet::from(["kms".to_owned()]));
}
