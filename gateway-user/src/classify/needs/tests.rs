use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{Partition, catalog},
    classify::{ClassifyError, needs_of},
    prim::{AccountId, Region},
};

mod caller;

const OWN: &str = "123456789012";

/// A JSON value as the parameters would hold it.
fn param(value: &serde_json::Value) -> Option<Param> {
    use serde_json::Value;
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => Param::Bool(*value),
        Value::Number(number) => Param::Number(number.as_i64().unwrap()),
        Value::String(text) => Param::Text(text.clone()),
        Value::Array(items) => Param::List(items.iter().filter_map(param).collect()),
        Value::Object(members) => Param::Record(record(members)),
    })
}

fn record(members: &serde_json::Map<String, serde_json::Value>) -> BTreeMap<String, Param> {
    members.iter().filter_map(|(name, value)| Some((name.clone(), param(value)?))).collect()
}

fn needed(needs: &[&str], params: &str, account: Option<&str>) -> Vec<String> {
    let params = record(serde_json::from_str::<serde_json::Value>(params).unwrap().as_object().unwrap());
    let region: Region = "us-east-1".parse().unwrap();
    let account: Option<AccountId> = account.map(|account| account.parse().unwrap());
    let arns = Arns::new(Partition::Aws, &region, account.as_ref());
    let needs: Vec<Need<'_>> = needs.iter().map(|line| Need::parse(line).unwrap()).collect();
    of(&needs, &params, &arns).into_iter().map(|on| format!("{} {}", on.action, on.resource)).collect()
}

/// `short` resources: `~x:y` for `arn:aws:x:us-east-1:123456789012:y`, `^x:y` without region.
fn long(text: &str) -> String {
    let (action, resource) = text.split_once(' ').unwrap();
    let resource = match (resource.strip_prefix('~'), resource.strip_prefix('^')) {
        (Some(rest), _) => rest.replacen(':', &format!(":us-east-1:{OWN}:"), 1),
        (_, Some(rest)) => rest.replacen(':', &format!("::{OWN}:"), 1),
        _ => return text.to_owned(),
    };
    format!("{action} arn:aws:{resource}")
}

#[track_caller]
fn check(needs: &[&str], params: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|text| long(text)).collect();
    assert_eq!(needed(needs, params, Some(OWN)), expected, "{needs:?} {params}");
}

#[test]
fn names_and_arns_fill_a_template() {
    let get = &["d:Get ~:dynamodb:table/${T}"];
    check(get, r#"{"T":"a"}"#, &["d:Get ~dynamodb:table/a"]);
    check(get, r#"{"T":7}"#, &["d:Get ~dynamodb:table/7"]);
    check(get, r#"{"T":["a","b"]}"#, &["d:Get ~dynamodb:table/a", "d:Get ~dynamodb:table/b"]);
    check(get, r#"{"T":[]}"#, &["d:Get *"]);
    check(get, "{}", &["d:Get *"]);
    let arn = "arn:aws:dynamodb:us-east-1:999999999999:table/a";
    check(get, &format!(r#"{{"T":"{arn}"}}"#), &[&format!("d:Get {arn}")]);
    assert_eq!(needed(get, r#"{"T":"a"}"#, None), ["d:Get *"]);
    // An ARN says its account itself.
    assert_eq!(needed(get, &format!(r#"{{"T":"{arn}"}}"#), None), [format!("d:Get {arn}")]);
    let index = &["d:Q ~:dynamodb:table/${T}/index/${I}"];
    check(index, r#"{"T":"a","I":"i"}"#, &["d:Q ~dynamodb:table/a/index/i"]);
    check(index, &format!(r#"{{"T":"{arn}","I":"i"}}"#), &[&format!("d:Q {arn}/index/i")]);
    check(index, r#"{"T":"a"}"#, &["d:Q *"]);
    check(&["s:X ~:s:y"], "{}", &["s:X ~s:y"]);
    check(&["s:X ~:s:${A|path}/${B=z}"], r#"{"A":"a/b"}"#, &["s:X ~s:a/b/z"]);
}

#[test]
fn texts_that_could_mean_something_else_are_any() {
    let get = &["d:Get ~:dynamodb:table/${T}"];
    for text in [
        "",
        "*",
        "a*",
        "a?",
        "a b",
        "a/b",
        "a:b",
        "a\u{e9}",
        "a\\tb",
        "a\\\\b",
        "a\\\"",
        "arn:aws:dynamodb:us-east-1:999999999999:table/*",
        "arn:aws:dynamodb:us-east-1:999999999999:table/a/index/i",
        "arn:aws:dynamodb:us-east-1:999999999999:stream/a",
        "arn:aws:dynamodb:us-east-1::table/a",
        "arn:aws:dynamodb:us-east-1:99999999999:table/a",
        "arn:aws:dynamodb:eu-west-1:999999999999:table/a",
        "arn:aws:dynamodb::999999999999:table/a",
        "arn:aws-cn:dynamodb:us-east-1:999999999999:table/a",
        "arn:aws:kinesis:us-east-1:999999999999:table/a",
        "arn:aws:dynamodb:us-east-1:999999999999:table/",
        "arn:aws:dynamodb:us-east-1:999999999999",
        "arn:",
    ] {
        check(get, &format!(r#"{{"T":"{text}"}}"#), &["d:Get *"]);
    }
    for value in ["true", "{}", r#"{"a":"b"}"#, r#"[["a"]]"#] {
        check(get, &format!(r#"{{"T":{value}}}"#), &["d:Get *"]);
    }
    check(get, r#"{"T":["a",true]}"#, &["d:Get ~dynamodb:table/a", "d:Get *"]);
}

#[test]
fn members_that_contradict_each_other_are_any() {
    let service = &["e:U ~:ecs:service/${c|tail=default}/${s}"];
    let arn = |cluster: &str| format!("arn:aws:ecs:us-east-1:{OWN}:service/{cluster}/web");
    check(service, r#"{"c":"prod","s":"web"}"#, &["e:U ~ecs:service/prod/web"]);
    check(service, r#"{"s":"web"}"#, &["e:U ~ecs:service/default/web"]);
    check(service, &format!(r#"{{"s":"{}"}}"#, arn("prod")), &["e:U ~ecs:service/prod/web"]);
    check(service, &format!(r#"{{"c":"prod","s":"{}"}}"#, arn("prod")), &["e:U ~ecs:service/prod/web"]);
    check(service, &format!(r#"{{"c":"dev","s":"{}"}}"#, arn("prod")), &["e:U *"]);
    let cluster = format!("arn:aws:ecs:us-east-1:{OWN}:cluster/prod");
    check(service, &format!(r#"{{"c":"{cluster}","s":"web"}}"#), &["e:U ~ecs:service/prod/web"]);
    check(service, &format!(r#"{{"c":"{cluster}","s":"{}"}}"#, arn("prod")), &["e:U ~ecs:service/prod/web"]);
    let foreign = "arn:aws:ecs:us-east-1:999999999999:cluster/prod";
    check(service, &format!(r#"{{"c":"{foreign}","s":"web"}}"#), &["e:U *"]);
    check(&["x:Y ~:x:${A}/${B}"], r#"{"A":["a","b"],"B":["c","d"]}"#, &["x:Y *"]);
    let owned = &["e:D arn:${Partition}:ecr:${Region}:${Account|owner}:repository/${name|path}"];
    check(owned, r#"{"name":"a/b"}"#, &["e:D ~ecr:repository/a/b"]);
    check(owned, r#"{"name":"a","owner":"-"}"#, &["e:D ~ecr:repository/a"]);
    let foreign = "e:D arn:aws:ecr:us-east-1:999999999999:repository/a";
    check(owned, r#"{"name":"a","owner":"999999999999"}"#, &[foreign]);
    for owner in [r#""x""#, r#""""#, "{}", r#"["999999999999","123456789012"]"#] {
        check(owned, &format!(r#"{{"name":"a","owner":{owner}}}"#), &["e:D *"]);
    }
}

#[test]
fn optional_resources_are_left_out_while_another_is_named() {
    let put = &["k:Put ~:kinesis:stream/${Name}?", "k:Put ${Arn|arn:kinesis:stream/}?"];
    let arn = format!("arn:aws:kinesis:us-east-1:{OWN}:stream/s");
    check(put, r#"{"Name":"s"}"#, &["k:Put ~kinesis:stream/s"]);
    check(put, &format!(r#"{{"Arn":"{arn}"}}"#), &["k:Put ~kinesis:stream/s"]);
    check(
        put,
        &format!(r#"{{"Name":"t","Arn":"{arn}"}}"#),
        &["k:Put ~kinesis:stream/t", "k:Put ~kinesis:stream/s"],
    );
    check(put, "{}", &["k:Put *"]);
    check(put, r#"{"Name":[]}"#, &["k:Put *"]);
    check(put, r#"{"Name":"s","Arn":"x"}"#, &["k:Put ~kinesis:stream/s", "k:Put *"]);
    check(&["k:A *", "k:B ~:k:${X}?"], "{}", &["k:A *", "k:B *"]);
}

const TOKEN: &str = "chaperone:secret:00112233445566778899aabbccddeeff";

#[test]
fn conditions() {
    let needs = &["x:A * when M", "x:B * unless M", "x:C * when M=v|N~part", "x:D * unless M=v"];
    check(needs, "{}", &["x:B *", "x:D *"]);
    check(needs, r#"{"M":""}"#, &["x:B *", "x:D *"]);
    check(needs, r#"{"M":"V"}"#, &["x:A *", "x:C *"]);
    check(needs, r#"{"M":"w","N":"aPARTb"}"#, &["x:A *", "x:C *", "x:D *"]);
    check(needs, r#"{"M":{}}"#, &["x:A *", "x:C *", "x:D *"]);
    // In a token's place a value will stand that may be any.
    check(needs, &format!(r#"{{"M":"{TOKEN}","N":"x"}}"#), &["x:A *", "x:C *", "x:D *"]);
    // What is no name at all hides nothing.
    check(needs, r#"{"M":true}"#, &["x:A *", "x:B *", "x:C *", "x:D *"]);
}

#[test]
fn items_of_lists() {
    let write = &[
        "d:Put ~:dynamodb:table/${Put.T} each Items when Put",
        "d:Del ~:dynamodb:table/${Del.T} each Items when Del",
        "d:Del * each Items unless Put|Del",
    ];
    check(
        write,
        r#"{"Items":[{"Put":{"T":"a"}},{"Del":{"T":"b"}},{"Put":{"T":"c"},"Del":{"T":"d"}}]}"#,
        &[
            "d:Put ~dynamodb:table/a",
            "d:Put ~dynamodb:table/c",
            "d:Del ~dynamodb:table/b",
            "d:Del ~dynamodb:table/d",
        ],
    );
    check(write, r#"{"Items":[{"Other":{}}]}"#, &["d:Del *"]);
    check(write, r#"{"Items":[{"Put":{}}]}"#, &["d:Put *"]);
    for params in
        ["{}", r#"{"Items":[]}"#, r#"{"Items":"x"}"#, r#"{"Items":["x"]}"#, r#"{"Items":{"Put":{"T":"a"}}}"#]
    {
        check(write, params, &["d:Put *", "d:Del *", "d:Del *"]);
    }
    check(
        &["d:Get ~:dynamodb:table/${R.*}"],
        r#"{"R":{"a":[],"b":[]}}"#,
        &["d:Get ~dynamodb:table/a", "d:Get ~dynamodb:table/b"],
    );
    check(&["d:X ~:d:${L.*.N}"], r#"{"L":[{"N":"a"},{"M":"b"}]}"#, &["d:X ~d:a", "d:X *"]);
    check(
        &["e:P ~:e:${/A}/${N} each L"],
        r#"{"A":"a","L":[{"N":"x","A":"no"},{"N":"y"}]}"#,
        &["e:P ~e:a/x", "e:P ~e:a/y"],
    );
}

#[test]
fn roles_wherever_they_are() {
    let role = "arn:aws:iam::123456789012:role/r";
    let pass = &["iam:PassRole roles"];
    check(pass, "{}", &[]);
    check(pass, &format!(r#"{{"RoleArn":"{role}"}}"#), &["iam:PassRole ^iam:role/r"]);
    check(pass, &format!(r#"{{"a":{{"b":[{{"c":"{role}"}}]}}}}"#), &["iam:PassRole ^iam:role/r"]);
    check(pass, r#"{"serviceRole":"r","x":"y"}"#, &["iam:PassRole ^iam:role/r"]);
    check(pass, r#"{"serviceRole":"team/r"}"#, &["iam:PassRole ^iam:role/team/r"]);
    check(pass, r#"{"Role":"r*"}"#, &["iam:PassRole *"]);
}

#[test]
fn forms() {
    let form = |form: &str, text: &str, expected: &str| {
        let need = format!("x:Y ~:s:k/${{M|{form}}}");
        check(&[&need], &format!(r#"{{"M":"{text}"}}"#), &[&format!("x:Y {expected}")]);
    };
    form("path", "a/b", "~s:k/a/b");
    form("path", "a:b", "*");
    form("plain", "a", "~s:k/a");
    form("plain", "arn:aws:s:us-east-1:123456789012:k/a", "*");
    form("iampath", "/", "~s:k/");
    form("iampath", "/a/b/", "~s:k/a/b/");
    form("iampath", "a/", "*");
    form("iampath", "/a", "*");
    form("bucket", "bkt", "~s:k/bkt");
    form("bucket", "BKT", "*");
    form("folder", "", "~s:k/");
    form("folder", "a", "~s:k/a/");
    form("folder", "a/b/", "~s:k/a/b/");
    form("qualifier", "1", "~s:k/:1");
    form("qualifier", "$LATEST", "~s:k/:$LATEST");
    form("key", "1234-ab", "~s:k/1234-ab");
    form("key", "alias/a", "*");
    form("tail", "/hostedzone/Z1", "~s:k/Z1");
    form("tail", "Z1", "~s:k/Z1");
    form("tail", "/hostedzone/", "*");
    // Whatever a value in a token's place will name.
    let forms = ["path", "plain", "key", "tail", "parameter", "qualifier", "folder", "bucket", "revision"];
    forms.into_iter().for_each(|name| form(name, TOKEN, "*"));
    form("parameter", "/a/b:3", "~s:k/a/b");
    form("parameter", "a", "~s:k/a");
    form("parameter", "arn:aws:s:us-east-1:123456789012:k/a/b", "~s:k/a/b");
    let function = |text: &str, expected: &str| {
        let params = format!(r#"{{"M":"{text}"}}"#);
        check(&["x:Y ~:lambda:function:${M|function}"], &params, &[&format!("x:Y {expected}")]);
    };
    function("f", "~lambda:function:f");
    function("f:live", "~lambda:function:f:live");
    function("123456789012:function:f", "~lambda:function:f");
    function("123456789012:function:f:1", "~lambda:function:f:1");
    function("arn:aws:lambda:us-east-1:123456789012:function:f:1", "~lambda:function:f:1");
    // Lambda reads these as the function f: of another account, region, or just so.
    for text in [
        "999999999999:function:f",
        "123456789012:f",
        "eu-west-1:f",
        "us-gov-west-1:f",
        "function:f",
        "eu-west-1:123456789012:function:f",
        "f:1:2",
        "arn:aws:lambda:us-east-1:123456789012:function:f:1:2",
        "arn:aws:lambda:us-east-1:123456789012:f",
    ] {
        function(text, "*");
    }
}

#[test]
fn whole_arns() {
    let whole = |form: &str, text: &str, expected: &str| {
        let need = format!("x:Y ${{M|{form}}}");
        check(&[&need], &format!(r#"{{"M":"{text}"}}"#), &[&format!("x:Y {expected}")]);
    };
    whole("queue", "https://sqs.us-east-1.amazonaws.com/123456789012/q", "~sqs:q");
    for url in [
        "q",
        "http://h/123456789012/q",
        "https://h/123456789012/q/r",
        "https://h/1/q",
        "https://h/123456789012/q?x",
        "https://h/123456789012/a*",
        "https://h/123456789012/",
    ] {
        whole("queue", url, "*");
    }
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    whole("secret", secret, secret);
    whole("secret", "db", "*");
    whole("secret", "db-AbCdEf", "*");
    whole("secret", "arn:aws:secretsmanager:us-east-1:123456789012:secret:db", "*");
    whole(
        "model",
        "anthropic.claude-v2:1",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2:1",
    );
    whole("model", "us.anthropic.claude-v2:1", "~bedrock:inference-profile/us.anthropic.claude-v2:1");
    whole("model", "xx.anthropic.claude-v2:1", "*");
    whole("model", "anthropic.x/y", "*");
    let role = "arn:aws:iam::aws:policy/x";
    whole("arn:iam:policy/", role, role);
    whole("arn:iam:role/,iam:policy/", role, role);
    whole("arn:iam:role/", role, "*");
    whole("arn:s3", role, "*");
    whole("arn:iam", "policy/x", "*");
}

/// A call by service and operation, its parameters as JSON; empty where IAM's action is not known.
fn call(service: &str, operation: &str, params: &str) -> Vec<String> {
    let params = record(serde_json::from_str::<serde_json::Value>(params).unwrap().as_object().unwrap());
    let (region, account): (Region, AccountId) = ("us-east-1".parse().unwrap(), OWN.parse().unwrap());
    match needs_of(service, operation, &params, &region, Some(&account)) {
        Ok(actions) => actions.into_iter().map(|on| format!("{} {}", on.action, on.resource)).collect(),
        Err(ClassifyError::UnknownAction(_)) => Vec::new(),
        Err(error) => panic!("{service} {operation}: {error}"),
    }
}

#[test]
fn what_is_not_in_the_table_is_refused() {
    let region: Region = "us-east-1".parse().unwrap();
    let call = |service, operation| {
        needs_of(service, operation, &BTreeMap::new(), &region, None).unwrap_err().to_string()
    };
    assert_eq!(call("nothing", "Get"), "no operation of nothing fits this request: Get");
    assert_eq!(call("lambda", "Get"), "no operation of lambda fits this request: Get");
    let unsigned = "which IAM actions sso:GetRoleCredentials needs is not known";
    assert_eq!(call("sso", "GetRoleCredentials"), unsigned);
}

#[test]
fn golden_calls() {
    let (mut calls, mut wrong) = (0, Vec::new());
    let lines: Vec<&str> = include_str!("golden.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    for block in lines.chunk_by(|_, next| next.starts_with(' ')) {
        let (head, expected) = block.split_first().unwrap();
        let [service, operation, params] = head.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{head}")
        };
        let mut expected: Vec<String> = expected.iter().map(|line| long(line.trim())).collect();
        let mut found = call(service, operation, params);
        expected.sort_unstable();
        found.sort_unstable();
        found.dedup();
        assert!(!expected.is_empty(), "{head}");
        if found != expected {
            wrong.push(format!(
                "{head}\n  found    {}\n  expected {}",
                found.join(", "),
                expected.join(", ")
            ));
        }
        calls += 1;
    }
    assert!(wrong.is_empty(), "{} of {calls} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(calls, 226);
}

#[test]
fn every_need_of_the_table_can_be_evaluated() {
    let (mut needs, mut operations) = (0, 0);
    for service in catalog().services() {
        for operation in service.operations() {
            // S3 reads them by itself.
            if service.name == "s3" {
                continue;
            }
            let found = call(service.name, operation.name, "{}");
            operations += usize::from(!found.is_empty());
            for need in &operation.needs {
                assert!(
                    catalog().action(need.action).is_some(),
                    "{} {}: {}",
                    service.name,
                    operation.name,
                    need.action
                );
                needs += 1;
            }
            // Whatever is decided, something is.
            assert_eq!(found.is_empty(), operation.needs.is_empty(), "{} {}", service.name, operation.name);
        }
    }
    assert!(operations > 19_000 && needs > 20_000, "{operations} {needs}");
}

#[test]
fn operations_that_carry_credentials() {
    let mints = |service: &str| -> Vec<&str> {
        let operations = catalog().service(service).unwrap().operations().iter();
        operations.filter(|operation| operation.mints).map(|operation| operation.name).collect()
    };
    assert_eq!(
        mints("sts"),
        [
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "AssumeRoot",
            "GetDelegatedAccessToken",
            "GetFederationToken",
            "GetSessionToken",
            "GetWebIdentityToken"
        ]
    );
    assert_eq!(mints("ecr"), ["GetAuthorizationToken"]);
    assert_eq!(mints("ssm"), ["CreateActivation", "GetAccessToken", "ResumeSession", "StartSession"]);
    assert_eq!(mints("s3"), ["CreateSession"]);
    assert_eq!(
        mints("cognito-identity"),
        ["GetCredentialsForIdentity", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity"]
    );
    assert_eq!(mints("iam").len(), 12);
    assert_eq!(mints("dynamodb"), [""; 0]);
}

#[test]
fn attacks() {
    let check = |service: &str, operation: &str, params: &str, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|text| long(text)).collect();
        assert_eq!(call(service, operation, params), expected, "{service} {operation} {params}");
    };
    // Members that the operation does not have decide nothing.
    check(
        "dynamodb",
        "GetItem",
        r#"{"TableName":"T","TableArn":"x","ResourceArn":"y"}"#,
        &["dynamodb:GetItem ~dynamodb:table/T"],
    );
    check("dynamodb", "GetItem", r#"{"tablename":"T"}"#, &["dynamodb:GetItem *"]);
    check(
        "iam",
        "DeleteRole",
        r#"{"RoleName":"admin","Path":"/harmless/"}"#,
        &["iam:DeleteRole ^iam:role/admin"],
    );
    // Nor do those that another one overrules.
    let both = r#"{"StackName":"arn:aws:cloudformation:us-east-1:123456789012:stack/s/1",
        "ChangeSetName":"arn:aws:cloudformation:us-east-1:123456789012:changeSet/c/1"}"#;
    check(
        "cloudformation",
        "DescribeChangeSet",
        both,
        &["cloudformation:DescribeChangeSet ~cloudformation:stack/s/1", "cloudformation:DescribeChangeSet *"],
    );
    check(
        "logs",
        "StartQuery",
        r#"{"logGroupName":"g","queryString":"source logGroups()"}"#,
        &["logs:StartQuery ~logs:log-group:g", "logs:StartQuery *"],
    );
    check(
        "logs",
        "StartQuery",
        r#"{"logGroupName":"g","queryString":"select 1","queryLanguage":"SQL"}"#,
        &["logs:StartQuery ~logs:log-group:g", "logs:StartQuery *"],
    );
    // The name of what is made is not the id of what is copied.
    check("ec2", "CopyImage", r#"{"Name":"ami-allowed","SourceImageId":"ami-1"}"#, &["ec2:CopyImage *"]);
    check("fms", "PutPolicy", r#"{"Policy":{"PolicyName":"allowed","PolicyId":"x"}}"#, &["fms:PutPolicy *"]);
    // Another account's.
    check(
        "ecr",
        "DeleteRepository",
        r#"{"repositoryName":"r","registryId":"not-an-account"}"#,
        &["ecr:DeleteRepository *"],
    );
    check("lambda", "Invoke", r#"{"FunctionName":"999999999999:f"}"#, &["lambda:InvokeFunction *"]);
    check("lambda", "Invoke", r#"{"FunctionName":"f:*"}"#, &["lambda:InvokeFunction *"]);
    check("lambda", "Invoke", r#"{"FunctionName":"f","Qualifier":"a/b"}"#, &["lambda:InvokeFunction *"]);
    check(
        "sqs",
        "SendMessage",
        r#"{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/q/../r"}"#,
        &["sqs:SendMessage *"],
    );
    // The default bus by another name.
    let bus = "arn:aws:events:us-east-1:123456789012:event-bus/default";
    check(
        "events",
        "DeleteRule",
        &format!(r#"{{"Name":"r","EventBusName":"{bus}"}}"#),
        &["events:DeleteRule *"],
    );
    // A role that is named does not hide one that is not.
    let role = "arn:aws:iam::123456789012:role/r";
    check(
        "ecs",
        "RunTask",
        &format!(r#"{{"taskDefinition":"f:1","overrides":{{"executionRoleArn":"{role}"}}}}"#),
        &["ecs:RunTask ~ecs:task-definition/f:1", "iam:PassRole *", "iam:PassRole ^iam:role/r"],
    );
    check(
        "cloudformation",
        "CreateStack",
        r#"{"StackName":"s","RoleARN":""}"#,
        &["cloudformation:CreateStack *", "iam:PassRole *"],
    );
    check(
        "lambda",
        "UpdateFunctionConfiguration",
        &format!(r#"{{"FunctionName":"f","New":{{"Deep":["{role}"]}}}}"#),
        &["lambda:UpdateFunctionConfiguration ~lambda:function:f", "iam:PassRole ^iam:role/r"],
    );
    // Transactions and statements that are not understood may be any.
    let any = ["PutItem", "DeleteItem", "UpdateItem", "ConditionCheckItem"]
        .map(|action| format!("dynamodb:{action} *"));
    let any: Vec<&str> = any.iter().map(String::as_str).collect();
    check("dynamodb", "TransactWriteItems", r#"{"TransactItems":[{"Other":{"TableName":"A"}}]}"#, &any);
    check("dynamodb", "ExecuteStatement", r#"{"Statement":7}"#, &["dynamodb:PartiQLSelect *"]);
    check("dynamodb", "ExecuteStatement", r#"{"Statement":"uPdAtE t"}"#, &["dynamodb:PartiQLUpdate *"]);
    // Secrets by other names.
    check(
        "ssm",
        "GetParameter",
        r#"{"Name":"/AWS/reference/secretsmanager/s"}"#,
        &[
            "ssm:GetParameter ~ssm:parameter/AWS/reference/secretsmanager/s",
            "secretsmanager:GetSecretValue *",
        ],
    );
    check(
        "dynamodb",
        "ExportTableToPointInTime",
        r#"{"TableArn":"x","S3Bucket":"*"}"#,
        &["dynamodb:ExportTableToPointInTime ~dynamodb:table/x", "s3:PutObject *"],
    );
}

#[test]
fn names_that_services_do_not_tell_by_case() {
    let check = |service: &str, operation: &str, params: &str, expected: &str| {
        assert_eq!(call(service, operation, params), [long(expected)], "{service} {operation} {params}");
    };
    let delete = |name: &str| format!(r#"{{"DBInstanceIdentifier":"{name}","SkipFinalSnapshot":true}}"#);
    check("rds", "DeleteDBInstance", &delete("prod-main"), "rds:DeleteDBInstance ~rds:db:prod-main");
    check("rds", "DeleteDBInstance", &delete("PROD-main"), "rds:DeleteDBInstance *");
    let arn = |kind: &str| format!(r#"{{"ResourceName":"arn:aws:rds:us-east-1:123456789012:{kind}"}}"#);
    check("rds", "ListTagsForResource", &arn("db:prod"), "rds:ListTagsForResource ~rds:db:prod");
    check("rds", "ListTagsForResource", &arn("db:Prod"), "rds:ListTagsForResource *");
    let tables = call("glue", "GetTable", r#"{"DatabaseName":"Sales","Name":"Orders"}"#);
    assert!(tables.contains(&long("glue:GetTable ~glue:table/sales/orders")), "{tables:?}");
    // Jobs are told by case.
    check("glue", "StartJobRun", r#"{"JobName":"Nightly"}"#, "glue:StartJobRun ~glue:job/Nightly");
}

/// Texts that look like pieces of ARNs, and what breaks them.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "arn:aws:s:us-east-1:[0-9]{12}:k/",
        "arn:aws:s:us-east-1:123456789012:",
        Just(":function:".to_owned()),
        Just("alias/".to_owned()),
        "[a-z:/*?. -]{0,4}",
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever a member says, the ARN is one of the template's kind, without a wildcard, or it is `*`.
    #[test]
    fn no_text_makes_another_arn(text in text(), other in text(), form in prop_oneof![
        Just(""), Just("|path"), Just("|function"), Just("|key"), Just("|tail"), Just("|parameter"), Just("|revision")
    ]) {
        let params = serde_json::json!({ "M": text, "O": other }).to_string();
        for need in [format!("x:Y ~:s:k/${{M{form}}}"), format!("x:Y ~:s:k/${{O}}/${{M{form}}}")] {
            for found in needed(&[&need], &params, Some(OWN)) {
                let resource = found.strip_prefix("x:Y ").unwrap();
                let parts: Vec<&str> = resource.splitn(6, ':').collect();
                let fits = match parts.as_slice() {
                    ["arn", "aws", "s", "us-east-1", account, resource] => {
                        account.len() == 12 && resource.starts_with("k/") && !resource.contains(['*', '?', ' '])
                    }
                    _ => resource == "*",
                };
                prop_assert!(fits, "{need} {params}: {found}");
            }
        }
    }
}
