use serde_json::json;

use super::*;

fn check(service: &str, operation: &str, params: &Value, expected: &str) {
    let params = params.as_object().unwrap();
    let call = Call { service, operation, host: None, region: Some("eu-central-1"), params };
    assert_eq!(command(&call).as_deref(), Some(expected));
}

#[test]
fn calls_are_commands() {
    check(
        "s3",
        "GetObject",
        &json!({"Bucket": "builds", "Key": "my app's.tar"}),
        r"aws s3api get-object --bucket builds --key 'my app'\''s.tar' --region eu-central-1 /dev/stdout",
    );
    check(
        "dynamodb",
        "PutItem",
        &json!({"TableName": "jobs", "Item": {"id": {"S": "1"}}}),
        r#"aws dynamodb put-item --table-name jobs --item '{"id":{"S":"1"}}' --region eu-central-1"#,
    );
    check(
        "ec2",
        "DescribeInstances",
        &json!({"InstanceIds": ["i-1", "i-2"], "DryRun": false}),
        r#"aws ec2 describe-instances --instance-ids '["i-1","i-2"]' --no-dry-run --region eu-central-1"#,
    );
    check(
        "eks",
        "UpdateClusterVersion",
        &json!({"name": "main", "version": "1.33"}),
        "aws eks update-cluster-version --kubernetes-version 1.33 --name main --region eu-central-1",
    );
}

#[test]
fn what_is_not_so_has_its_own_option() {
    check(
        "ec2",
        "CreateImage",
        &json!({"InstanceId": "i-1", "NoReboot": false}),
        "aws ec2 create-image --instance-id i-1 --reboot --region eu-central-1",
    );
}

#[test]
fn of_services_with_one_prefix_the_one_with_the_parameters_is_meant() {
    check(
        "elasticloadbalancing",
        "CreateLoadBalancer",
        &json!({"Name": "a", "Type": "network"}),
        "aws elbv2 create-load-balancer --name a --type network --region eu-central-1",
    );
    check(
        "elasticloadbalancing",
        "CreateLoadBalancer",
        &json!({"LoadBalancerName": "a"}),
        "aws elb create-load-balancer --load-balancer-name a --region eu-central-1",
    );
}

#[test]
fn what_the_cli_adds_is_not_repeated() {
    check(
        "s3",
        "PutObject",
        &json!({"Bucket": "b", "ContentEncoding": "aws-chunked"}),
        "aws s3api put-object --bucket b --region eu-central-1",
    );
    check(
        "s3",
        "PutObject",
        &json!({"Bucket": "b", "ContentEncoding": "gzip, aws-chunked"}),
        "aws s3api put-object --content-encoding gzip --bucket b --region eu-central-1",
    );
}

#[test]
fn fractions_are_numbers() {
    check(
        "cloudwatch",
        "PutMetricData",
        &json!({"Namespace": "a", "MetricData": [{"MetricName": "n", "Value": "1.5"}]}),
        r#"aws cloudwatch put-metric-data --namespace a --metric-data '[{"MetricName":"n","Value":1.5}]' --region eu-central-1"#,
    );
}

#[test]
fn hidden_values_are_named_so() {
    check(
        "lambda",
        "UpdateFunctionConfiguration",
        &json!({"FunctionName": "f", "Environment": {"Variables": {"K": "[redacted]"}}}),
        r#"aws lambda update-function-configuration --environment '{"Variables":{"K":"chaperone:masked"}}' --function-name f --region eu-central-1"#,
    );
    check(
        "secretsmanager",
        "CreateSecret",
        &json!({"Name": "a", "SecretString": "[redacted]"}),
        "aws secretsmanager create-secret --name a --secret-string chaperone:masked --region eu-central-1",
    );
}

#[test]
fn what_no_option_takes_is_json() {
    check(
        "s3",
        "PutObject",
        &json!({"Bucket": "b", "Key": "file:///etc/passwd"}),
        r#"aws s3api put-object --bucket b --cli-input-json '{"Key":"file:///etc/passwd"}' --region eu-central-1"#,
    );
    check(
        "s3",
        "DeleteObject",
        &json!({"Bucket": "b", "Key": "a\u{1b}[2Jb"}),
        r#"aws s3api delete-object --bucket b --cli-input-json '{"Key":"a\u001b[2Jb"}' --region eu-central-1"#,
    );
    check(
        "s3",
        "DeleteObject",
        &json!({"Bucket": "b", "Key": "-x"}),
        "aws s3api delete-object --bucket b --key=-x --region eu-central-1",
    );
    check(
        "s3",
        "DeleteObject",
        &json!({"Bucket": "$(reboot)", "Key": "`a`;b"}),
        "aws s3api delete-object --bucket '$(reboot)' --key '`a`;b' --region eu-central-1",
    );
}

#[test]
fn what_is_not_known_is_no_command() {
    for (service, operation) in [("s3", "Nothing"), ("nothing", "GetObject"), ("kinesis", "SubscribeToShard")]
    {
        let params = Map::new();
        assert_eq!(command(&Call { service, operation, host: None, region: None, params: &params }), None);
    }
}

#[test]
fn names_have_hyphens() {
    for (name, expected) in [
        ("GetObject", "get-object"),
        ("DBInstanceARNs", "db-instance-arns"),
        ("restApiId", "rest-api-id"),
        ("MD5OfBody", "md5-of-body"),
        ("ListMFADevices", "list-mfa-devices"),
        ("", ""),
    ] {
        assert_eq!(kebab(name), expected, "{name}");
    }
}
