use http::Method;
use proptest::prelude::*;

use super::*;
use crate::{catalog::catalog, parse::testing::TestCall};

mod attacks;
pub(super) mod corpus;
pub(crate) mod mutations;
mod round_trip;
pub(super) mod wire;

fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

fn classified(call: &TestCall) -> Result<Operation, ClassifyError> {
    classified_request(&call.verify().unwrap())
}

fn classified_request(request: &VerifiedRequest) -> Result<Operation, ClassifyError> {
    classify(request, Some(&account()))
}

/// `prefix:Action resource` of each action, in order.
fn actions(operation: &Operation) -> Vec<String> {
    operation.actions.iter().map(|on| format!("{} {}", on.action, on.resource)).collect()
}

fn json(service: &str, target: &str, body: &str) -> TestCall {
    let label = if service == "ecr" { "api.ecr" } else { service };
    TestCall::json(service, &format!("{label}.us-east-1.amazonaws.com"), target, body)
}

fn query(service: &str, body: &str) -> TestCall {
    let host = if service == "iam" {
        "iam.amazonaws.com".to_owned()
    } else {
        format!("{service}.us-east-1.amazonaws.com")
    };
    TestCall::query(service, &host, body)
}

fn cbor(service: &str, path: &str, body: &[u8]) -> TestCall {
    TestCall::new(Method::POST, service, &format!("{service}.us-east-1.amazonaws.com"), path)
        .header("smithy-protocol", "rpc-v2-cbor")
        .header("content-type", "application/cbor")
        .body(body)
}

fn text(text: &str) -> Param {
    Param::Text(text.to_owned())
}

fn record<const N: usize>(members: [(&str, Param); N]) -> Param {
    Param::Record(members.map(|(name, param)| (name.to_owned(), param)).into())
}

#[test]
fn json_operations_and_their_resources() {
    let check = |service: &str, target: &str, body: &str, name: &str, expected: &[&str]| {
        let operation =
            classified(&json(service, target, body)).unwrap_or_else(|error| panic!("{target}: {error}"));
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all
        };
        assert_eq!(
            (operation.name.as_str(), sorted(actions(&operation))),
            (name, sorted(expected.iter().map(|s| (*s).to_owned()).collect()))
        );
    };
    let table = "arn:aws:dynamodb:us-east-1:123456789012:table";
    let dynamodb = |operation: &str, body: &str, expected: &[String]| {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("dynamodb", &format!("DynamoDB_20120810.{operation}"), body, operation, &expected);
    };
    dynamodb("GetItem", r#"{"TableName":"T"}"#, &[format!("dynamodb:GetItem {table}/T")]);
    dynamodb(
        "GetItem",
        r#"{"TableName":"arn:aws:dynamodb:us-east-1:999999999999:table/T"}"#,
        &["dynamodb:GetItem arn:aws:dynamodb:us-east-1:999999999999:table/T".to_owned()],
    );
    dynamodb("Query", r#"{"TableName":"T","IndexName":"I"}"#, &[format!("dynamodb:Query {table}/T/index/I")]);
    dynamodb("Scan", r#"{"TableName":"T"}"#, &[format!("dynamodb:Scan {table}/T")]);
    dynamodb("ListTables", "{}", &["dynamodb:ListTables *".to_owned()]);
    dynamodb("GetItem", r#"{"TableName":"T*"}"#, &["dynamodb:GetItem *".to_owned()]);
    dynamodb(
        "BatchWriteItem",
        r#"{"RequestItems":{"A":[],"B":[]}}"#,
        &[format!("dynamodb:BatchWriteItem {table}/A"), format!("dynamodb:BatchWriteItem {table}/B")],
    );
    dynamodb(
        "TransactWriteItems",
        r#"{"TransactItems":[{"Put":{"TableName":"A"}},{"Delete":{"TableName":"B"}},{"Put":{"TableName":"A"}},
            {"ConditionCheck":{"TableName":"C"}},{"Update":{"TableName":"D"}}]}"#,
        &[
            format!("dynamodb:PutItem {table}/A"),
            format!("dynamodb:DeleteItem {table}/B"),
            format!("dynamodb:ConditionCheckItem {table}/C"),
            format!("dynamodb:UpdateItem {table}/D"),
        ],
    );
    dynamodb(
        "TransactGetItems",
        r#"{"TransactItems":[{"Get":{"TableName":"A"}}]}"#,
        &[format!("dynamodb:GetItem {table}/A")],
    );
    dynamodb(
        "TransactWriteItems",
        r#"{"TransactItems":[{"Other":{"TableName":"A"}}]}"#,
        &["ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"]
            .map(|action| format!("dynamodb:{action} *")),
    );
    dynamodb(
        "RestoreTableToPointInTime",
        r#"{"SourceTableName":"A","TargetTableName":"B"}"#,
        &["A", "B"].map(|name| format!("dynamodb:RestoreTableToPointInTime {table}/{name}")),
    );
    check(
        "sqs",
        "AmazonSQS.SendMessageBatch",
        r#"{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/q"}"#,
        "SendMessageBatch",
        &["sqs:SendMessage arn:aws:sqs:us-east-1:123456789012:q"],
    );
    check(
        "sqs",
        "AmazonSQS.ReceiveMessage",
        r#"{"QueueUrl":"https://sqs.us-east-1.amazonaws.com/123456789012/q/../r"}"#,
        "ReceiveMessage",
        &["sqs:ReceiveMessage *"],
    );
    check(
        "sqs",
        "AmazonSQS.GetQueueUrl",
        r#"{"QueueName":"q","QueueOwnerAWSAccountId":"999999999999"}"#,
        "GetQueueUrl",
        &["sqs:GetQueueUrl arn:aws:sqs:us-east-1:999999999999:q"],
    );
    let key = "arn:aws:kms:us-east-1:123456789012:key";
    check(
        "kms",
        "TrentService.Decrypt",
        r#"{"KeyId":"1234-ab"}"#,
        "Decrypt",
        &[&format!("kms:Decrypt {key}/1234-ab")],
    );
    check("kms", "TrentService.Decrypt", r#"{"KeyId":"alias/x"}"#, "Decrypt", &["kms:Decrypt *"]);
    check("kms", "TrentService.Decrypt", "{}", "Decrypt", &["kms:Decrypt *"]);
    check(
        "kms",
        "TrentService.ReEncrypt",
        r#"{"DestinationKeyId":"d"}"#,
        "ReEncrypt",
        &["kms:ReEncryptFrom *", &format!("kms:ReEncryptTo {key}/d")],
    );
    check(
        "kms",
        "TrentService.CreateAlias",
        r#"{"AliasName":"alias/x","TargetKeyId":"d"}"#,
        "CreateAlias",
        &["kms:CreateAlias arn:aws:kms:us-east-1:123456789012:alias/x", &format!("kms:CreateAlias {key}/d")],
    );
    let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db-AbCdEf";
    check(
        "secretsmanager",
        "secretsmanager.GetSecretValue",
        &format!(r#"{{"SecretId":"{secret}"}}"#),
        "GetSecretValue",
        &[&format!("secretsmanager:GetSecretValue {secret}")],
    );
    check(
        "secretsmanager",
        "secretsmanager.GetSecretValue",
        r#"{"SecretId":"db"}"#,
        "GetSecretValue",
        &["secretsmanager:GetSecretValue *"],
    );
    check(
        "secretsmanager",
        "secretsmanager.BatchGetSecretValue",
        &format!(r#"{{"SecretIdList":["{secret}"]}}"#),
        "BatchGetSecretValue",
        &["secretsmanager:BatchGetSecretValue *", &format!("secretsmanager:GetSecretValue {secret}")],
    );
    let parameter = "arn:aws:ssm:us-east-1:123456789012:parameter";
    check(
        "ssm",
        "AmazonSSM.GetParameter",
        r#"{"Name":"/a/b:3"}"#,
        "GetParameter",
        &[&format!("ssm:GetParameter {parameter}/a/b")],
    );
    check(
        "ssm",
        "AmazonSSM.GetParameters",
        r#"{"Names":["a","/b"]}"#,
        "GetParameters",
        &[&format!("ssm:GetParameters {parameter}/a"), &format!("ssm:GetParameters {parameter}/b")],
    );
    check(
        "ssm",
        "AmazonSSM.SendCommand",
        r#"{"DocumentName":"d"}"#,
        "SendCommand",
        &["ssm:SendCommand arn:aws:ssm:us-east-1:123456789012:document/d"],
    );
    check(
        "logs",
        "Logs_20140328.PutLogEvents",
        r#"{"logGroupName":"/g","logStreamName":"s"}"#,
        "PutLogEvents",
        &["logs:PutLogEvents arn:aws:logs:us-east-1:123456789012:log-group:/g:log-stream:s"],
    );
    check(
        "ecr",
        "AmazonEC2ContainerRegistry_V20150921.DescribeImages",
        r#"{"repositoryName":"r","registryId":"999999999999"}"#,
        "DescribeImages",
        &["ecr:DescribeImages arn:aws:ecr:us-east-1:999999999999:repository/r"],
    );
    check(
        "kinesis",
        "Kinesis_20131202.PutRecord",
        r#"{"StreamName":"s"}"#,
        "PutRecord",
        &["kinesis:PutRecord arn:aws:kinesis:us-east-1:123456789012:stream/s"],
    );
    check("events", "AWSEvents.PutEvents", "{}", "PutEvents", &["events:PutEvents *"]);
    let role = "arn:aws:iam::123456789012:role";
    check(
        "states",
        "AWSStepFunctions.CreateStateMachine",
        &format!(r#"{{"name":"m","roleArn":"{role}/r"}}"#),
        "CreateStateMachine",
        &[
            "states:CreateStateMachine arn:aws:states:us-east-1:123456789012:stateMachine:m",
            &format!("iam:PassRole {role}/r"),
        ],
    );
    check(
        "ecs",
        "AmazonEC2ContainerServiceV20141113.RegisterTaskDefinition",
        &format!(r#"{{"family":"f","taskRoleArn":"t","executionRoleArn":"{role}/e"}}"#),
        "RegisterTaskDefinition",
        &[
            "ecs:RegisterTaskDefinition *",
            &format!("iam:PassRole {role}/e"),
            &format!("iam:PassRole {role}/t"),
        ],
    );
    check(
        "ecs",
        "AmazonEC2ContainerServiceV20141113.RunTask",
        "{}",
        "RunTask",
        &["ecs:RunTask *", "iam:PassRole *"],
    );
}

#[test]
fn query_operations_and_their_resources() {
    let check = |service: &str, body: &str, expected: &[&str]| {
        let operation = classified(&query(service, body)).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(actions(&operation), expected, "{body}");
    };
    check("sts", "Action=GetCallerIdentity&Version=2011-06-15", &["sts:GetCallerIdentity *"]);
    let iam = |body: &str, expected: &[&str]| check("iam", &format!("{body}&Version=2010-05-08"), expected);
    iam("Action=GetRole&RoleName=r", &["iam:GetRole arn:aws:iam::123456789012:role/r"]);
    iam(
        "Action=CreateUser&UserName=u&Path=%2Fteam%2F",
        &["iam:CreateUser arn:aws:iam::123456789012:user/team/u"],
    );
    iam("Action=ListUsers", &["iam:ListUsers *"]);
    iam(
        "Action=GetPolicy&PolicyArn=arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FX",
        &["iam:GetPolicy arn:aws:iam::aws:policy/X"],
    );
    iam(
        "Action=AddUserToGroup&UserName=u&GroupName=g",
        &["iam:AddUserToGroup arn:aws:iam::123456789012:group/g"],
    );
    iam(
        "Action=AddRoleToInstanceProfile&RoleName=r&InstanceProfileName=p",
        &[
            "iam:AddRoleToInstanceProfile arn:aws:iam::123456789012:instance-profile/p",
            "iam:PassRole arn:aws:iam::123456789012:role/r",
        ],
    );
    let ec2 = |body: &str, expected: &[&str]| check("ec2", &format!("{body}&Version=2016-11-15"), expected);
    ec2("Action=DescribeInstances", &["ec2:DescribeInstances *"]);
    ec2(
        "Action=TerminateInstances&InstanceId.1=i-1&InstanceId.2=i-2",
        &[
            "ec2:TerminateInstances arn:aws:ec2:us-east-1:123456789012:instance/i-1",
            "ec2:TerminateInstances arn:aws:ec2:us-east-1:123456789012:instance/i-2",
        ],
    );
    ec2("Action=RunInstances&MinCount=1&MaxCount=1", &["ec2:RunInstances *"]);
    ec2("Action=RunInstances&IamInstanceProfile.Name=p", &["ec2:RunInstances *", "iam:PassRole *"]);
    let sns = |body: &str, expected: &[&str]| check("sns", &format!("{body}&Version=2010-03-31"), expected);
    let topic = "arn%3Aaws%3Asns%3Aus-east-1%3A123456789012%3At";
    sns(&format!("Action=Publish&TopicArn={topic}"), &["sns:Publish arn:aws:sns:us-east-1:123456789012:t"]);
    sns("Action=CreateTopic&Name=t", &["sns:CreateTopic arn:aws:sns:us-east-1:123456789012:t"]);
    sns("Action=Publish&PhoneNumber=1", &["sns:Publish *"]);
    check(
        "sqs",
        "Action=DeleteMessageBatch&Version=2012-11-05&QueueUrl=https%3A%2F%2Fsqs.us-east-1.amazonaws.com%2F123456789012%2Fq",
        &["sqs:DeleteMessage arn:aws:sqs:us-east-1:123456789012:q"],
    );
    check(
        "cloudformation",
        "Action=CreateStack&Version=2010-05-15&StackName=s&RoleARN=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fr",
        &["cloudformation:CreateStack *", "iam:PassRole arn:aws:iam::123456789012:role/r"],
    );
    check("monitoring", "Action=ListMetrics&Version=2010-08-01", &["cloudwatch:ListMetrics *"]);
    let get = TestCall::new(
        Method::GET,
        "sts",
        "sts.us-east-1.amazonaws.com",
        "/?Action=GetCallerIdentity&Version=2011-06-15",
    );
    assert_eq!(actions(&classified(&get).unwrap()), ["sts:GetCallerIdentity *"]);
}

/// One old service has a query string in its operations' URIs besides the form.
#[test]
fn the_query_string_of_an_operation_stands_beside_its_form() {
    let call = |target: &str| {
        let host = "importexport.us-gov-west-1.amazonaws.com";
        let body = "Action=CancelJob&Version=2010-06-01&JobId=j";
        let call = TestCall::query("importexport", host, body).region("us-gov-west-1");
        TestCall { target: target.to_owned(), ..call }
    };
    // Not every SDK sends it.
    for target in ["/?Operation=CancelJob", "/"] {
        let operation = classified(&call(target)).unwrap();
        assert_eq!(actions(&operation), ["importexport:CancelJob *"]);
        assert_eq!(operation.params, [("JobId".to_owned(), text("j"))].into());
    }
    let neither = "a query call that is neither a form nor a GET";
    for target in ["/?Operation=CreateJob", "/?Operation=CancelJob&JobId=k", "/?operation=CancelJob"] {
        assert_eq!(classified(&call(target)), Err(ClassifyError::Ambiguous(neither.to_owned())), "{target}");
    }
}

/// Services that share hosts and operations call the same member otherwise.
#[test]
fn members_have_the_names_of_every_twin() {
    let get = TestCall::new(
        Method::GET,
        "greengrass",
        "greengrass.us-east-1.amazonaws.com",
        "/greengrass/things/t/connectivityInfo",
    );
    let params = classified(&get).unwrap().params;
    assert_eq!((params.get("ThingName"), params.get("thingName")), (Some(&text("t")), Some(&text("t"))));
}

#[test]
fn without_an_account_arns_are_not_invented() {
    let request = json("dynamodb", "DynamoDB_20120810.GetItem", r#"{"TableName":"T"}"#).verify().unwrap();
    assert_eq!(actions(&classify(&request, None).unwrap()), ["dynamodb:GetItem *"]);
}

#[test]
fn partitions_reach_the_arn() {
    let call = TestCall::json(
        "dynamodb",
        "dynamodb.cn-north-1.amazonaws.com.cn",
        "DynamoDB_20120810.GetItem",
        r#"{"TableName":"T"}"#,
    )
    .region("cn-north-1");
    let expected = "dynamodb:GetItem arn:aws-cn:dynamodb:cn-north-1:123456789012:table/T";
    assert_eq!(actions(&classified(&call).unwrap()), [expected]);
}

#[test]
fn params_of_every_protocol_look_alike() {
    let params = |call: &TestCall| Param::Record(classified(call).unwrap().params);
    let body = r#"{"TableName":"T","Limit":5,"ConsistentRead":true,"X":null,"F":1.5,"L":["a",{"b":"c"}]}"#;
    let expected = record([
        ("ConsistentRead", Param::Bool(true)),
        ("F", text("1.5")),
        ("L", Param::List(vec![text("a"), record([("b", text("c"))])])),
        ("Limit", Param::Number(5)),
        ("TableName", text("T")),
    ]);
    assert_eq!(params(&json("dynamodb", "DynamoDB_20120810.Query", body)), expected);
    let run = "Action=RunInstances&Version=2016-11-15&MaxCount=10&DryRun=true&ImageId=12&\
               BlockDeviceMapping.1.DeviceName=a+b&BlockDeviceMapping.1.Ebs.VolumeSize=8&SecurityGroupId.2=z&SecurityGroupId.1=y";
    let device = record([("DeviceName", text("a b")), ("Ebs", record([("VolumeSize", Param::Number(8))]))]);
    let expected = record([
        ("BlockDeviceMappings", Param::List(vec![device])),
        ("DryRun", Param::Bool(true)),
        ("ImageId", text("12")),
        ("MaxCount", Param::Number(10)),
        ("SecurityGroupIds", Param::List(vec![text("y"), text("z")])),
    ]);
    assert_eq!(params(&query("ec2", run)), expected);
    let tags = "Action=TagUser&Version=2010-05-08&UserName=u&Tags.member.1.Key=k&Tags.member.1.Value=v";
    let tag = record([("Key", text("k")), ("Value", text("v"))]);
    assert_eq!(
        params(&query("iam", tags)),
        record([("Tags", Param::List(vec![tag])), ("UserName", text("u"))])
    );
    // {"Namespace": "n", "T": 1(1.5), "B": h'0102'} with an indefinite map
    let body = b"\xbf\x69Namespace\x61n\x61T\xc1\xf9\x3e\x00\x61B\x42\x01\x02\xff";
    let expected = record([("B", text("AQI=")), ("Namespace", text("n")), ("T", text("1.5"))]);
    let path = "/service/GraniteServiceVersion20100801/operation/PutMetricData";
    assert_eq!(params(&cbor("monitoring", path, body)), expected);
}

#[test]
fn cbor_operations() {
    let check = |service: &str, path: &str, body: &[u8], expected: &str| {
        let operation = classified(&cbor(service, path, body)).unwrap();
        assert_eq!(actions(&operation), [expected]);
    };
    check(
        "monitoring",
        "/service/GraniteServiceVersion20100801/operation/ListMetrics",
        b"\xa0",
        "cloudwatch:ListMetrics *",
    );
    check(
        "monitoring",
        "/service/GraniteServiceVersion20100801/operation/DeleteDashboards",
        b"\xa0",
        "cloudwatch:DeleteDashboards *",
    );
}

#[test]
fn answers_with_keys_that_can_be_replaced_are_known() {
    let check = |call: TestCall, actions: &[&str], expected: (&str, &str)| {
        let read = classified(&call).unwrap();
        let found: Vec<String> =
            read.actions.iter().map(|on| format!("{} {}", on.action, on.resource)).collect();
        assert_eq!(found, actions);
        let keys = answer::keys_of(expected.0, expected.1);
        assert!(keys.is_some() && read.keys == keys, "{expected:?}");
    };
    let role = "arn:aws:iam::222222222222:role/x";
    let body = format!("Action=AssumeRole&Version=2011-06-15&RoleSessionName=s&RoleArn={role}");
    check(query("sts", &body), &[&format!("sts:AssumeRole {role}")], ("sts", "AssumeRole"));
    for operation in ["GetSessionToken", "AssumeRoot", "GetDelegatedAccessToken"] {
        let call = query("sts", &format!("Action={operation}&Version=2011-06-15"));
        check(call, &[&format!("sts:{operation} *")], ("sts", operation));
    }
    let body = "Action=GetFederationToken&Version=2011-06-15&Name=me";
    let user = "sts:GetFederationToken arn:aws:sts::123456789012:federated-user/me";
    check(query("sts", body), &[user], ("sts", "GetFederationToken"));
    let other = classified(&query("sts", "Action=GetCallerIdentity&Version=2011-06-15")).unwrap();
    assert_eq!(other.keys, None);
}

/// Who has a token for somebody else's role would have keys of somebody else's account.
#[test]
fn answers_with_keys_of_anybody_are_withheld_and_their_keys_known() {
    for operation in ["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"] {
        let role = "arn:aws:iam::222222222222:role/x";
        let call = query("sts", &format!("Action={operation}&Version=2011-06-15&RoleArn={role}"));
        let read = classified(&call).unwrap();
        assert!(read.is_withheld() && read.withheld.len() == 1, "{operation}: {:?}", read.withheld);
        assert!(read.keys.is_some() && read.keys == answer::keys_of("sts", operation), "{operation}");
        assert!(read.actions.iter().any(|on| on.resource == role), "{operation}: {:?}", read.actions);
    }
    let withheld: Vec<&str> = answer::withholding(catalog().service("sts").unwrap()).collect();
    assert_eq!(
        withheld,
        ["AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "GetDelegatedAccessToken", "GetWebIdentityToken"]
    );
}

#[test]
fn answers_with_other_credentials_are_withheld() {
    let check = |call: TestCall, name: &str| {
        let read = classified(&call).unwrap();
        assert_eq!(format!("{}:{}", read.service, read.name), name);
        assert_eq!((read.is_withheld(), read.withheld.len(), read.keys), (true, 1, None), "{name}");
        assert!(read.actions.iter().any(|on| on.action == name), "{name}: {:?}", read.actions);
    };
    check(query("sts", "Action=GetWebIdentityToken&Version=2011-06-15"), "sts:GetWebIdentityToken");
    check(
        json("ecr", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", "{}"),
        "ecr:GetAuthorizationToken",
    );
    check(json("ssm", "AmazonSSM.StartSession", "{\"Target\":\"i-1\"}"), "ssm:StartSession");
    // Only directory buckets have sessions.
    let session = TestCall::s3(Method::GET, "bkt.s3.us-east-1.amazonaws.com", "/?session");
    let minted = ClassifyError::MintsCredentials("s3:CreateSession".to_owned());
    assert_eq!(classified(&session), Err(minted));
    let assume = query("sts", "Action=GetSessionToken&Version=2011-06-15");
    assert!(classified(&assume).unwrap().withheld.is_empty(), "its keys are replaced");
    let list = query("iam", "Action=ListUsers&Version=2010-05-08");
    assert!(classified(&list).unwrap().withheld.is_empty());
    let of_iam = answer::withholding(catalog().service("iam").unwrap());
    assert_eq!(of_iam.count(), 9);
    let key = query("iam", "Action=CreateAccessKey&Version=2010-05-08");
    assert!(classified(&key).unwrap().withheld.is_empty(), "its secret is hidden");
    assert_eq!(answer::withholding(catalog().service("lakeformation").unwrap()).count(), 1);
    for (service, operations) in [("sts", 8), ("iam", 12), ("ssm", 4)] {
        let all = catalog().service(service).unwrap().operations();
        assert_eq!(all.iter().filter(|one| one.mints).count(), operations, "{service}");
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let unknown = |service: &str, detail: &str| {
        Err(ClassifyError::UnknownOperation { service: service.to_owned(), detail: detail.to_owned() })
    };
    let check =
        |call: TestCall, expected: Result<Operation, ClassifyError>| assert_eq!(classified(&call), expected);
    for target in [
        "DynamoDB_20120810.getitem",
        "DynamoDB_20111205.GetItem",
        "GetItem",
        "DynamoDB_20120810.",
        "DynamoDB_20120810.x.GetItem",
        "",
    ] {
        check(json("dynamodb", target, "{}"), unknown("dynamodb", target));
    }
    check(
        query("sts", "Action=GetCallerIdentity&Version=2010-01-01"),
        unknown("sts", "Action=GetCallerIdentity, Version=2010-01-01"),
    );
    check(
        query("sts", "Action=Nothing&Version=2011-06-15"),
        unknown("sts", "Action=Nothing, Version=2011-06-15"),
    );
    check(query("sts", "Version=2011-06-15"), unknown("sts", "Action=, Version=2011-06-15"));
    check(
        json("sts", "STS.GetCallerIdentity", "{}"),
        unknown("sts", "the service does not speak the JSON protocol"),
    );
    check(
        query("kms", "Action=ListKeys&Version=2014-11-01"),
        unknown("kms", "the service does not speak the query protocol"),
    );
    let none = "no X-Amz-Target, Action or smithy-protocol";
    check(TestCall::new(Method::GET, "kms", "kms.us-east-1.amazonaws.com", "/"), unknown("kms", none));
    check(
        cbor("kms", "/service/TrentService/operation/ListKeys", b"\xa0"),
        unknown("kms", "the service does not speak the CBOR protocol"),
    );
    for path in [
        "/service/GraniteServiceVersion20100801/operation/Nothing",
        "/service/Other/operation/ListMetrics",
        "/service/GraniteServiceVersion20100801/operation/ListMetrics/",
        "//service/GraniteServiceVersion20100801/operation/ListMetrics",
        "/service/GraniteServiceVersion20100801/operation/List%4Detrics",
    ] {
        check(cbor("monitoring", path, b"\xa0"), unknown("cloudwatch", path));
    }
}

#[test]
fn two_readings_are_refused() {
    let check = |call: TestCall, why: &str| {
        assert_eq!(classified(&call), Err(ClassifyError::Ambiguous(why.to_owned())), "{why}");
    };
    let list = || json("dynamodb", "DynamoDB_20120810.ListTables", "{}");
    let two = "it speaks two protocols at once";
    let form = ("content-type", "application/x-www-form-urlencoded");
    let sqs = "sqs.us-east-1.amazonaws.com";
    let target_and_form = TestCall::new(Method::POST, "sqs", sqs, "/")
        .header("x-amz-target", "AmazonSQS.ListQueues")
        .header(form.0, form.1)
        .body("Action=DeleteQueue&Version=2012-11-05");
    check(target_and_form, two);
    check(list().header("smithy-protocol", "rpc-v2-cbor"), two);
    check(TestCall { target: "/?Action=DeleteTable".to_owned(), ..list() }, two);
    check(TestCall { target: "/?x=y".to_owned(), ..list() }, "an RPC call with a query string");
    check(TestCall { target: "/x".to_owned(), ..list() }, "an RPC call to a path other than /");
    check(TestCall { target: "//".to_owned(), ..list() }, "an RPC call to a path other than /");
    check(TestCall { method: Method::PUT, ..list() }, "an RPC call with the method PUT");
    check(TestCall { target: "/?a=1&A=2".to_owned(), ..list() }, "an RPC call with a query string");
    let not_json = "X-Amz-Target with a body that is not AWS JSON";
    for content_type in ["application/json", "application/x-amz-json-1.1; charset=utf-7", "text/plain"] {
        let call = TestCall::new(Method::POST, "dynamodb", "dynamodb.us-east-1.amazonaws.com", "/")
            .header("x-amz-target", "DynamoDB_20120810.ListTables")
            .header("content-type", content_type)
            .body("{}");
        check(call, not_json);
    }
    let sts = |body: &str| query("sts", body);
    check(
        sts("Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15"),
        "the parameter \"Action\" is there twice",
    );
    check(
        sts("Action=GetCallerIdentity&Version=2011-06-15&action=x"),
        "the parameter \"action\" is there twice",
    );
    let neither = "a query call that is neither a form nor a GET";
    let both = TestCall {
        target: "/?Action=ListQueues".to_owned(),
        ..sts("Action=GetCallerIdentity&Version=2011-06-15")
    };
    check(both, neither);
    check(TestCall { method: Method::PUT, ..sts("Action=GetCallerIdentity&Version=2011-06-15") }, neither);
    check(
        TestCall { target: "/x".to_owned(), ..sts("Action=GetCallerIdentity&Version=2011-06-15") },
        "a query call to a path other than /",
    );
    check(
        sts("Action=GetCallerIdentity&Version=2011-06-15&A=1&A.1=2"),
        "the parameter \"A\" is a value and a structure",
    );
    let path = "/service/GraniteServiceVersion20100801/operation/ListMetrics";
    check(cbor("monitoring", &format!("{path}?a=b"), b"\xa0"), "a CBOR call with a query string");
    check(cbor("monitoring", path, b""), "rpc-v2-cbor with a body that is not CBOR");
}

#[test]
fn bodies_that_cannot_be_read_in_one_way() {
    let bad = |call: &TestCall| match classified(call) {
        Err(ClassifyError::BadBody(why)) => why,
        other => panic!("{other:?}"),
    };
    let json_body = |body: &str| bad(&json("dynamodb", "DynamoDB_20120810.ListTables", body));
    assert_eq!(json_body(r#"{"A":1,"A":2}"#), "the key \"A\" is there twice at line 1 column 10");
    assert_eq!(json_body(r#"{"A":1,"\u0041":2}"#), "the key \"A\" is there twice at line 1 column 15");
    assert_eq!(json_body(r#"{"A":{"b":1,"b":null}}"#), "the key \"b\" is there twice at line 1 column 15");
    for body in [r#"{"Limit":1,"limit":2}"#, r#"{"limit":2}"#] {
        let read = classified(&json("dynamodb", "DynamoDB_20120810.ListTables", body));
        assert!(
            matches!(read, Err(ClassifyError::Ambiguous(_) | ClassifyError::BadMember { .. })),
            "{read:?}"
        );
    }
    for body in [r#"{"TableName":["T"]}"#, r#"{"TableName":7}"#] {
        let read = classified(&json("dynamodb", "DynamoDB_20120810.GetItem", body));
        assert!(matches!(read, Err(ClassifyError::BadMember { .. })), "{read:?}");
    }
    assert_eq!(json_body("{} {}"), "trailing characters at line 1 column 4");
    assert_eq!(json_body("[]"), "it is not an object of members");
    assert_eq!(json_body("\u{feff}{}"), "expected value at line 1 column 1");
    assert!(
        json_body(&format!("{}1{}", r#"{"a":"#.repeat(33), "}".repeat(33)))
            .starts_with("nested deeper than 32 levels")
    );
    assert!(
        json_body(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(50_000))).starts_with("more than 50000 values")
    );
    let nested = format!("{}1{}", r#"{"a":"#.repeat(31), "}".repeat(31));
    assert!(classified(&json("dynamodb", "DynamoDB_20120810.ListTables", &nested)).is_ok());
    let latin1 = TestCall {
        body: b"{\"a\":\"\xe9\"}".to_vec(),
        ..json("dynamodb", "DynamoDB_20120810.ListTables", "")
    };
    assert!(bad(&latin1).starts_with("invalid unicode code point"));
    let gzip = json("dynamodb", "DynamoDB_20120810.ListTables", "{}").header("content-encoding", "gzip");
    assert_eq!(bad(&gzip), "it is encoded as \"gzip\"; only plain bodies are read");

    let form = |body: &str| bad(&query("sts", body));
    assert_eq!(form("Action"), "a pair has no value");
    assert_eq!(form("=x"), "a pair has no name");
    assert_eq!(form("Action=%4"), "a percent-encoding is broken");
    assert_eq!(form("Action=%ff"), "a value is not UTF-8");
    assert_eq!(form("Action=a;b=c"), "the form has a bare ';'");
    assert_eq!(form("Action=a b"), "the form has a bare ' '");
    assert_eq!(form(&"a=b&".repeat(50_001)), "more than 50000 values");
    let deep = format!("Action=GetCallerIdentity&Version=2011-06-15&{}=1", vec!["a"; 33].join("."));
    assert_eq!(form(&deep), "nested deeper than 32 levels");
    let many: Vec<String> = (0..50_001).map(|n| format!("a{n}=1")).collect();
    assert_eq!(form(&many.join("&")), "more than 50000 values");
}

proptest! {
    #[test]
    fn json_bodies_never_panic(body in prop_oneof![".{0,64}", "[\\{\\}\\[\\]\",:a0-9 ]{0,64}"]) {
        let _ = classified(&json("dynamodb", "DynamoDB_20120810.Scan", &body));
    }

    #[test]
    fn cbor_bodies_never_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let call = cbor("monitoring", "/service/GraniteServiceVersion20100801/operation/ListMetrics", &body);
        let _ = classified(&call);
    }

    #[test]
    fn forms_never_panic(body in "[A-Za-z0-9.=&%+]{0,64}") {
        let _ = classified(&query("ec2", &format!("Action=DescribeInstances&Version=2016-11-15&{body}")));
    }

    #[test]
    fn what_is_serialised_is_read_back(table in "[a-zA-Z0-9_.-]{3,20}", limit in 1_i64..1000) {
        let body = serde_json::json!({"TableName": table, "Limit": limit}).to_string();
        let operation = classified(&json("dynamodb", "DynamoDB_20120810.Scan", &body)).unwrap();
        prop_assert_eq!(operation.params.get("Limit"), Some(&Param::Number(limit)));
        prop_assert_eq!(
            &operation.actions.first().unwrap().resource,
            &format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}")
        );
    }
}

/// What the doctest of [`Operation`] must not write compiles here, where its fields are to be seen: privacy alone forbids it.
#[test]
fn only_privacy_forbids_to_forge_an_operation() {
    let _forge = |known: Operation, digest| Operation { digest, ..known };
}
