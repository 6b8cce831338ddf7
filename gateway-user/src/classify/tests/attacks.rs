//! Requests made so that policy would decide on something else than AWS acts on.

use super::*;

#[track_caller]
fn check(call: &TestCall, expected: &[&str]) {
    assert_eq!(actions(&classified(call).unwrap()), expected);
}

const ROLE: &str = "arn:aws:iam::123456789012:role/r";
const PASS_ROLE: &str = "iam:PassRole arn:aws:iam::123456789012:role/r";
const PASS_ANY: &str = "iam:PassRole *";

#[test]
fn a_named_role_does_not_hide_an_unnamed_one() {
    let spot = format!(
        "Action=RequestSpotFleet&Version=2016-11-15&SpotFleetRequestConfig.IamFleetRole={ROLE}&\
         SpotFleetRequestConfig.LaunchSpecifications.1.IamInstanceProfile.Name=admin"
    );
    check(&query("ec2", &spot), &["ec2:RequestSpotFleet *", PASS_ANY, PASS_ROLE]);
    let run = format!(r#"{{"overrides":{{"executionRoleArn":"{ROLE}"}}}}"#);
    let ecs = |operation: &str| format!("AmazonEC2ContainerServiceV20141113.{operation}");
    check(&json("ecs", &ecs("RunTask"), &run), &["ecs:RunTask *", PASS_ANY, PASS_ROLE]);
    check(&json("ecs", &ecs("CreateTaskSet"), "{}"), &["ecs:CreateTaskSet *", PASS_ANY]);
    let flow = format!("Action=CreateFlowLogs&Version=2016-11-15&DeliverLogsPermissionArn={ROLE}");
    check(&query("ec2", &flow), &["ec2:CreateFlowLogs *", PASS_ROLE]);
    check(
        &json("ssm", "AmazonSSM.UpdateManagedInstanceRole", r#"{"IamRole":"r"}"#),
        &["ssm:UpdateManagedInstanceRole *", PASS_ROLE],
    );
}

#[test]
fn callers_keys_are_a_role_that_is_not_named() {
    let cloudformation = |body: &str| query("cloudformation", &format!("{body}&Version=2010-05-15"));
    check(&cloudformation("Action=CreateStack&StackName=s"), &["cloudformation:CreateStack *", PASS_ANY]);
    check(
        &cloudformation(&format!("Action=CreateStack&StackName=s&RoleARN={ROLE}")),
        &["cloudformation:CreateStack *", PASS_ROLE],
    );
    check(
        &cloudformation(&format!("Action=ExecuteChangeSet&ChangeSetName=c&RoleARN={ROLE}")),
        &[PASS_ANY, PASS_ROLE, "cloudformation:ExecuteChangeSet *"],
    );
    check(
        &json("ssm", "AmazonSSM.StartAutomationExecution", "{}"),
        &["ssm:StartAutomationExecution *", PASS_ANY],
    );
}

#[test]
fn members_that_the_operation_does_not_have_decide_nothing() {
    for (service, target, body, expected) in [
        (
            "logs",
            "Logs_20140328.PutAccountPolicy",
            r#"{"logGroupName":"g","policyType":"DATA_PROTECTION_POLICY"}"#,
            "logs:PutAccountPolicy *",
        ),
        (
            "dynamodb",
            "DynamoDB_20120810.UpdateGlobalTable",
            r#"{"TableName":"T"}"#,
            "dynamodb:UpdateGlobalTable *",
        ),
        (
            "ecr",
            "AmazonEC2ContainerRegistry_V20150921.PutRegistryPolicy",
            r#"{"repositoryName":"r"}"#,
            "ecr:PutRegistryPolicy *",
        ),
        ("kms", "TrentService.CreateCustomKeyStore", r#"{"KeyId":"k"}"#, "kms:CreateCustomKeyStore *"),
    ] {
        check(&json(service, target, body), &[expected]);
    }
    let topic = "arn:aws:sns:us-east-1:123456789012:t";
    check(
        &query("sns", &format!("Action=SetSMSAttributes&Version=2010-03-31&TopicArn={topic}")),
        &["sns:SetSMSAttributes *"],
    );
    let stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/s/1";
    let change = "arn:aws:cloudformation:us-east-1:123456789012:changeSet/c/1";
    let both =
        format!("Action=DescribeChangeSet&Version=2010-05-15&StackName={stack}&ChangeSetName={change}");
    let named = format!("cloudformation:DescribeChangeSet {stack}");
    check(&query("cloudformation", &both), &[&named, "cloudformation:DescribeChangeSet *"]);
    let iam = |body: &str| query("iam", &format!("{body}&Version=2010-05-08"));
    check(
        &iam("Action=DeleteRole&RoleName=admin&Path=/harmless/"),
        &["iam:DeleteRole arn:aws:iam::123456789012:role/admin", "iam:DeleteRole *"],
    );
    check(
        &iam("Action=CreatePolicyVersion&PolicyArn=arn:aws:iam::123456789012:policy/p&UserName=u"),
        &["iam:CreatePolicyVersion arn:aws:iam::123456789012:policy/p", "iam:CreatePolicyVersion *"],
    );
    check(
        &iam("Action=AttachRolePolicy&RoleName=r&PolicyArn=arn:aws:iam::aws:policy/X"),
        &["iam:AttachRolePolicy arn:aws:iam::123456789012:role/r"],
    );
}

#[test]
fn the_host_and_the_request_name_the_same() {
    let call = |host: &str, operation: &str, body: &str| {
        let host = format!("{host}.us-east-1.amazonaws.com");
        TestCall::json("kinesis", &host, &format!("Kinesis_20131202.{operation}"), body)
    };
    let named = |name: &str, host: &str| {
        let arn = format!("arn:aws:kinesis:us-east-1:123456789012:channel/{name}");
        classified(&call(host, "DeleteChannel", &format!(r#"{{"ChannelARN":"{arn}"}}"#)))
    };
    let stream = |id: &str| {
        let body = format!(r#"{{"StreamName":"s","StreamId":"{id}"}}"#);
        classified(&call("abcdefghijklmnopqrst.uv1.control-kinesis", "DeleteStream", &body))
    };
    assert_eq!(named("mine", "mine.control-kinesis").unwrap().name, "DeleteChannel");
    assert_eq!(named("mine", "123456789012.control-kinesis").unwrap().name, "DeleteChannel");
    assert_eq!(stream("abcdefghijklmnopqrst-uv1").unwrap().name, "DeleteStream");
    let two = |host: &str| {
        let why = format!("the host is that of {host:?}, which the request does not name");
        Err(ClassifyError::Ambiguous(why))
    };
    assert_eq!(named("mine", "other.control-kinesis"), two("other"));
    assert_eq!(stream("abcdefghijklmnopqrst-uv2"), two("abcdefghijklmnopqrst.uv1"));
    let unnamed = call("mine.control-kinesis", "ListStreams", "{}");
    assert_eq!(classified(&unnamed), two("mine"));
    // Only members that say what it is about.
    let decoy = r#"{"ChannelARN":"arn:aws:kinesis:us-east-1:123456789012:channel/x","ChannelName":"mine"}"#;
    assert_eq!(classified(&call("mine.control-kinesis", "DeleteChannel", decoy)), two("mine"));
}

#[test]
fn secrets_by_other_names() {
    for (target, body, resource) in [
        ("GetParameter", r#"{"Name":"/aws/reference/secretsmanager/s"}"#, "aws/reference/secretsmanager/s"),
        (
            "GetParameters",
            r#"{"Names":["/aws/reference/secretsmanager/s"]}"#,
            "aws/reference/secretsmanager/s",
        ),
    ] {
        check(
            &json("ssm", &format!("AmazonSSM.{target}"), body),
            &[
                &format!("ssm:{target} arn:aws:ssm:us-east-1:123456789012:parameter/{resource}"),
                "secretsmanager:GetSecretValue *",
            ],
        );
    }
    let partial = r#"{"SecretId":"arn:aws:secretsmanager:us-east-1:123456789012:secret:db"}"#;
    check(
        &json("secretsmanager", "secretsmanager.GetSecretValue", partial),
        &["secretsmanager:GetSecretValue *"],
    );
}

#[test]
fn exports_write_to_a_bucket() {
    let table = "arn:aws:dynamodb:us-east-1:123456789012:table/T";
    let export = |bucket: &str| {
        json(
            "dynamodb",
            "DynamoDB_20120810.ExportTableToPointInTime",
            &format!(r#"{{"TableArn":"{table}","S3Bucket":"{bucket}"}}"#),
        )
    };
    let reads = format!("dynamodb:ExportTableToPointInTime {table}");
    check(&export("bkt"), &[&reads, "s3:PutObject arn:aws:s3:::bkt/AWSDynamoDB/"]);
    check(&export("*"), &[&reads, "s3:PutObject *"]);
}

#[test]
fn log_queries_that_name_their_groups_in_the_text() {
    let query = |more: &str| {
        json("logs", "Logs_20140328.StartQuery", &format!(r#"{{"logGroupName":"g","queryString":{more}}}"#))
    };
    check(
        &query(r#""fields @message""#),
        &["logs:StartQuery arn:aws:logs:us-east-1:123456789012:log-group:g"],
    );
    let group = "logs:StartQuery arn:aws:logs:us-east-1:123456789012:log-group:g";
    check(&query(r#""source logGroups()""#), &[group, "logs:StartQuery *"]);
    check(&query(r#""select 1","queryLanguage":"SQL""#), &[group, "logs:StartQuery *"]);
}

#[test]
fn too_many_actions_are_refused() {
    let secrets = |n: usize| {
        let arns: Vec<String> = (100_000..100_000 + n)
            .map(|n| format!(r#""arn:aws:secretsmanager:us-east-1:123456789012:secret:s-{n}""#))
            .collect();
        let body = format!(r#"{{"SecretIdList":[{}]}}"#, arns.join(","));
        classified(&json("secretsmanager", "secretsmanager.BatchGetSecretValue", &body))
    };
    assert_eq!(secrets(1_099).unwrap().actions.len(), 1_100);
    assert_eq!(secrets(1_100), Err(ClassifyError::TooManyActions(1_100)));
}

#[test]
fn members_that_the_models_do_not_have_may_name_anything() {
    let get = |more: &str| {
        let body = format!(r#"{{"TableName":"t","Key":{{"id":{{"S":"1"}}}}{more}}}"#);
        json("dynamodb", "DynamoDB_20120810.GetItem", &body)
    };
    let own = "dynamodb:GetItem arn:aws:dynamodb:us-east-1:123456789012:table/t";
    check(&get(""), &[own]);
    check(
        &get(r#","NewArn":"arn:aws:dynamodb:us-east-1:123456789012:table/other""#),
        &[own, "dynamodb:GetItem *"],
    );
    let run = |more: &str| {
        let body =
            format!("Action=RunInstances&Version=2016-11-15&ImageId=ami-1&CpuOptions.CoreCount=1{more}");
        actions(&classified(&query("ec2", &body)).unwrap())
    };
    let image = "ec2:RunInstances arn:aws:ec2:us-east-1::image/ami-1".to_owned();
    assert!(run("").contains(&image));
    let with = run("&CpuOptions.New=x");
    assert!(with.contains(&image) && with.contains(&"ec2:RunInstances *".to_owned()), "{with:?}");
}

#[test]
fn names_at_another_accounts_host_are_nobodys() {
    let at = |host: &str, table: &str| {
        let body = format!(r#"{{"TableName":"{table}","Key":{{"id":{{"S":"1"}}}}}}"#);
        classified(&TestCall::json("dynamodb", host, "DynamoDB_20120810.GetItem", &body))
    };
    let own = at("123456789012.ddb.us-east-1.amazonaws.com", "t").unwrap();
    assert_eq!(actions(&own), ["dynamodb:GetItem arn:aws:dynamodb:us-east-1:123456789012:table/t"]);
    let foreign = "arn:aws:dynamodb:us-east-1:999999999999:table/t";
    let named = at("999999999999.ddb.us-east-1.amazonaws.com", foreign).unwrap();
    assert_eq!(actions(&named), [format!("dynamodb:GetItem {foreign}")]);
    let why = "the host is that of account 999999999999, of which the request names nothing";
    let bare = at("999999999999.ddb.us-east-1.amazonaws.com", "t");
    assert_eq!(bare, Err(ClassifyError::Ambiguous(why.to_owned())));
}
