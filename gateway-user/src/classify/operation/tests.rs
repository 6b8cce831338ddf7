use http::Method;
use proptest::prelude::*;

use super::*;
use crate::{
    catalog::{Segment, catalog},
    parse::{Endpoint, testing::TestCall},
};

fn found(call: &TestCall) -> Result<Found, ClassifyError> {
    identify(&call.read().unwrap(), || Ok(call.body.as_slice().into()))
}

/// `service.Operation label=value…`.
fn shown(found: &Found) -> String {
    let labels: String = found.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    format!("{}.{}{labels}", found.service.name, found.operation.name)
}

fn rest(service: &str, method: Method, target: &str) -> TestCall {
    TestCall::new(method, service, &format!("{service}.us-east-1.amazonaws.com"), target)
}

#[track_caller]
fn check(call: &TestCall, expected: &str) {
    assert_eq!(found(call).map(|found| shown(&found)), Ok(expected.to_owned()), "{}", call.target);
}

#[track_caller]
fn refused(call: &TestCall, expected: &str) {
    match found(call) {
        Ok(found) => panic!("{}: {}", call.target, shown(&found)),
        Err(error) => assert!(error.to_string().contains(expected), "{}: {error}", call.target),
    }
}

#[test]
fn rest_operations() {
    let lambda = |method, target| rest("lambda", method, target);
    for (method, target, expected) in [
        (Method::GET, "/2015-03-31/functions/f", "lambda.GetFunction FunctionName=f"),
        (Method::GET, "/2015-03-31/functions/f?Qualifier=1", "lambda.GetFunction FunctionName=f"),
        (Method::GET, "/2015-03-31/functions/", "lambda.ListFunctions"),
        // SDKs are not agreed on the slash at the end.
        (Method::GET, "/2015-03-31/functions", "lambda.ListFunctions"),
        (Method::POST, "/2015-03-31/functions/f/invocations", "lambda.Invoke FunctionName=f"),
        (Method::GET, "/2018-10-31/layers", "lambda.ListLayers"),
        (Method::GET, "/2018-10-31/layers?find=LayerVersion&Arn=a", "lambda.GetLayerVersionByArn"),
        (
            Method::GET,
            "/2019-09-30/functions/f/provisioned-concurrency?List=ALL",
            "lambda.ListProvisionedConcurrencyConfigs FunctionName=f",
        ),
        (
            Method::GET,
            "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af",
            "lambda.ListTags Resource=arn:aws:lambda:us-east-1:123456789012:function:f",
        ),
    ] {
        check(&lambda(method, target), expected);
    }
    check(
        &rest("eks", Method::GET, "/clusters/c/node-groups/n"),
        "eks.DescribeNodegroup clusterName=c nodegroupName=n",
    );
    // An ARN with a slash, as SDKs write it into one label.
    check(
        &rest("eks", Method::GET, "/tags/arn%3Aaws%3Aeks%3Aus-east-1%3A123456789012%3Acluster%2Fc"),
        "eks.ListTagsForResource resourceArn=arn:aws:eks:us-east-1:123456789012:cluster/c",
    );
    check(&rest("apigateway", Method::POST, "/restapis"), "apigateway.CreateRestApi");
    check(&rest("apigateway", Method::POST, "/restapis?mode=import"), "apigateway.ImportRestApi");
    check(&rest("apigateway", Method::GET, "/v2/apis/a"), "apigatewayv2.GetApi ApiId=a");
    let route53 = TestCall::new(Method::GET, "route53", "route53.amazonaws.com", "/2013-04-01/hostedzone/Z1");
    check(&route53, "route53.GetHostedZone Id=Z1");
    let control = TestCall::new(
        Method::GET,
        "s3",
        "123456789012.s3-control.us-east-1.amazonaws.com",
        "/v20180820/jobs/j",
    );
    check(&control, "s3control.DescribeJob JobId=j AccountId=123456789012");
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let lambda = |target| rest("lambda", Method::GET, target);
    for (target, expected) in [
        ("/2015-03-31/functions/%66", "a percent-encoded letter"),
        ("/2015-03-31/%66unctions/f", "a percent-encoded letter"),
        ("/2015-03-31/functions/..", "a dot segment"),
        ("/2015-03-31/functions/f/../g", "a dot segment"),
        ("/2015-03-31/functions/%2e%2e", "a percent-encoded letter"),
        ("/2015-03-31/functions/a%2F..%2Fb", "a dot segment"),
        ("/2015-03-31/functions/a%252Fb", "a slash that is encoded twice"),
        ("/2015-03-31/functions/%252e%252e", "a dot segment"),
        // Another operation for whoever decodes before splitting.
        ("/2015-03-31/functions/f%2Fpolicy", "an encoded slash"),
        ("/2018-10-31/layers?find=Other", "does not fit ListLayers"),
        ("/2018-10-31/layers?find=LayerVersion&Find=x", "does not fit GetLayerVersionByArn"),
        ("/2018-10-31/layers?find=LayerVersion&find=LayerVersion", "does not fit GetLayerVersionByArn"),
        ("/2015-03-31/functions/f?x-id=DeleteFunction", "x-id says"),
        ("/2015-03-31/functions//policy", "no operation"),
        ("/2015-03-31//functions/f", "no operation"),
        ("//2015-03-31/functions/f", "no operation"),
        ("/2015-03-31/Functions/f", "no operation"),
        ("/", "no operation"),
    ] {
        refused(&lambda(target), expected);
    }
    refused(&rest("lambda", Method::PATCH, "/2015-03-31/functions/f"), "no operation");
    let two = "it speaks two protocols at once";
    let get_item =
        || TestCall::json("dynamodb", "dynamodb.us-east-1.amazonaws.com", "DynamoDB_20120810.GetItem", "{}");
    check(&get_item(), "dynamodb.GetItem");
    refused(&get_item().header("smithy-protocol", "rpc-v2-cbor"), two);
    let form = "application/x-www-form-urlencoded";
    let sqs = |content_type: &str| {
        TestCall::new(Method::POST, "sqs", "sqs.us-east-1.amazonaws.com", "/")
            .header("x-amz-target", "AmazonSQS.DeleteQueue")
            .header("content-type", content_type)
            .body("Action=ListQueues&Version=2012-11-05")
    };
    refused(&sqs(form), two);
    refused(&sqs("text/plain"), "a body that is not AWS JSON");
    refused(&sqs("application/json"), "a body that is not AWS JSON");
    let lambda = || rest("lambda", Method::GET, "/2015-03-31/functions/f");
    refused(&lambda().header("x-amz-target", "AWSLambda.DeleteFunction"), "does not speak the JSON protocol");
    refused(&lambda().header("smithy-protocol", "rpc-v2-cbor"), "does not speak the CBOR protocol");
    refused(&lambda().header("content-type", form), "does not speak the query protocol");
}

#[test]
fn named_operations() {
    let target =
        |value: &str| TestCall::json("cloudtrail", "cloudtrail.us-east-1.amazonaws.com", value, "{}");
    check(
        &target("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"),
        "cloudtrail.LookupEvents",
    );
    check(&target("CloudTrail_20131101.LookupEvents"), "cloudtrail.LookupEvents");
    refused(&target("v20131101.CloudTrail_20131101.LookupEvents"), "no operation");
    refused(&target("CloudTrail_20131101.lookupEvents"), "no operation");
    refused(&target("LookupEvents"), "no operation");
    let cbor = |path: &str| {
        TestCall::new(Method::POST, "monitoring", "monitoring.us-east-1.amazonaws.com", path)
            .header("smithy-protocol", "rpc-v2-cbor")
            .header("content-type", "application/cbor")
    };
    check(&cbor("/service/GraniteServiceVersion20100801/operation/ListMetrics"), "cloudwatch.ListMetrics");
    refused(&cbor("/service/Other/operation/ListMetrics"), "no operation");
    refused(&cbor("/service/GraniteServiceVersion20100801/operation/ListMetrics/"), "no operation");
    refused(&cbor("/service/GraniteServiceVersion20100801/operation/ListMetrics?a=b"), "a query string");
    let query = |service: &str, body: &str| {
        TestCall::query(service, &format!("{service}.us-east-1.amazonaws.com"), body)
    };
    // Services behind one host, told apart by their version, or twins.
    let elb = "elasticloadbalancing";
    check(&query(elb, "Action=DescribeLoadBalancers&Version=2012-06-01"), "elb.DescribeLoadBalancers");
    check(&query(elb, "Action=DescribeLoadBalancers&Version=2015-12-01"), "elbv2.DescribeLoadBalancers");
    refused(&query(elb, "Action=DescribeLoadBalancers&Version=2011-01-01"), "no operation");
    check(&query("rds", "Action=DescribeDBClusters&Version=2014-10-31"), "rds.DescribeDBClusters");
    refused(&query("rds", "Action=DescribeDBClusters&action=x&Version=2014-10-31"), "is there twice");
    // An operation is served only at its own host.
    let discover = |host: &str| {
        TestCall::json("servicediscovery", host, "Route53AutoNaming_v20170314.DiscoverInstances", "{}")
    };
    check(&discover("data-servicediscovery.us-east-1.amazonaws.com"), "servicediscovery.DiscoverInstances");
    refused(&discover("servicediscovery.us-east-1.amazonaws.com"), "no operation");
}

/// A host in us-east-1 or without a region that serves operations with this prefix.
fn host_of(service: &Service, host_prefix: &str) -> Option<(String, String)> {
    let label = |prefix: &str| match prefix.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some(("AccountId", rest)) => format!("123456789012{rest}"),
        Some((_, rest)) => format!("g-0123456789{rest}"),
        None => prefix.to_owned(),
    };
    let labels = service.endpoint_prefix;
    ["us-east-1.amazonaws.com", "us-east-1.api.aws", "amazonaws.com", "us-west-2.amazonaws.com"]
        .into_iter()
        .map(|rest| format!("{}{labels}.{rest}", label(host_prefix)))
        .find_map(|host| {
            let endpoint = Endpoint::read(&host.parse().ok()?).ok()?;
            let here = endpoint.candidates().iter();
            let mut here = here.filter(|c| c.service.index == service.index && c.host_prefix == host_prefix);
            let region = if host.contains("us-west-2") { "us-west-2" } else { "us-east-1" };
            here.next()?;
            endpoint.accepts_region(&region.parse().unwrap()).then(|| (host.clone(), region.to_owned()))
        })
}

#[test]
fn only_some_operations_leave_their_bodies_unsigned() {
    let call = |method, target| {
        TestCall::new(method, "mediastore", "a1b2c3d4.data.mediastore.us-east-1.amazonaws.com", target)
            .payload("UNSIGNED-PAYLOAD")
    };
    check(&call(Method::PUT, "/a/b"), "mediastore-data.PutObject Path=a/b");
    refused(&call(Method::DELETE, "/a/b"), "which DeleteObject does not allow");
    check(&call(Method::DELETE, "/a/b").payload("hash"), "mediastore-data.DeleteObject Path=a/b");
}

#[test]
fn a_slash_in_an_arn_cuts_no_arn_in_two() {
    let bucket = "arn%3Aaws%3As3tables%3Aus-east-1%3A123456789012%3Abucket";
    let get = |rest: &str| rest_get("s3tables", &format!("/namespaces/{bucket}{rest}"));
    let decoded = "arn:aws:s3tables:us-east-1:123456789012:bucket";
    check(&get("%2Fb"), &format!("s3tables.ListNamespaces tableBucketARN={decoded}/b"));
    check(&get("%2Fb/n"), &format!("s3tables.GetNamespace tableBucketARN={decoded}/b namespace=n"));
    // Anything else with a slash in it may be read in two ways.
    for label in ["a%2Fb", "arn%3Aaws%3As3tables%3A%3A%3Atable%2Fb", "x%2Farn%3Aaws%3Aa%3A%3A%3Abucket"] {
        refused(&rest_get("s3tables", &format!("/namespaces/{label}")), "an encoded slash");
    }
}

fn rest_get(service: &str, target: &str) -> TestCall {
    rest(service, Method::GET, target)
}

#[test]
fn beside_a_form_the_url_has_only_what_belongs_to_the_operation() {
    let call = |target: &str, action: &str| {
        let body = format!("Action={action}&Version=2010-06-01");
        let call = TestCall::query("IngestionService", "importexport.amazonaws.com", &body);
        TestCall { target: target.to_owned(), ..call }
    };
    check(&call("/", "CancelJob"), "importexport.CancelJob");
    check(&call("/?Operation=CancelJob", "CancelJob"), "importexport.CancelJob");
    for target in ["/?Operation=ListJobs", "/?Operation=CancelJob&a=b", "/?operation=CancelJob", "/?x"] {
        refused(&call(target, "CancelJob"), "neither a form nor a GET");
    }
}

/// Every operation of the catalogue, asked for as its own line says.
#[test]
fn every_operation_is_found_by_its_own_description() {
    let (mut asked, mut without_host) = (0, 0);
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for service in catalog().services().iter().filter(|service| service.name != "s3") {
        for operation in service.operations() {
            let Some((host, region)) = host_of(service, operation.host_prefix) else {
                without_host += 1;
                continue;
            };
            for protocol in &service.protocols {
                let call = described(service, operation, *protocol, &host).region(&region);
                asked += 1;
                let name = format!("{}.{}", service.name, operation.name);
                match call.read().map(|head| identify(&head, || Ok(call.body.as_slice().into()))) {
                    Ok(Ok(found))
                        if found.operation.name == operation.name
                            && found.service.prefix == service.prefix
                            && found.protocol == *protocol => {}
                    Ok(Ok(found)) => wrong.push(format!("{name}: {}", shown(&found))),
                    Ok(Err(error)) => wrong.push(format!("{name}: {error}")),
                    Err(_) => refused.push(name),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    // Their query strings look like a second signature.
    refused.retain(|name| !name.starts_with("signin."));
    assert_eq!(refused, Vec::<String>::new());
    println!("{asked} asked, {without_host} without a host");
    assert!(asked > 19_000 && without_host < 800, "{asked} {without_host}");
}

fn described(service: &Service, operation: &Operation, protocol: Protocol, host: &str) -> TestCall {
    let name = operation.name;
    let target = service.target_prefix.unwrap_or_default();
    let endpoint = Endpoint::read(&host.parse().unwrap()).unwrap();
    let mut candidates = endpoint.candidates().iter();
    let signing_name = candidates.find(|found| found.service.index == service.index).unwrap().signing_name;
    match protocol {
        Protocol::Json => TestCall::json(signing_name, host, &format!("{target}.{name}"), "{}"),
        Protocol::Cbor => {
            let path = format!("/service/{target}/operation/{name}");
            TestCall::new(Method::POST, signing_name, host, &path)
                .header("smithy-protocol", "rpc-v2-cbor")
                .header("content-type", "application/cbor")
        }
        Protocol::Query | Protocol::Ec2 => {
            let body = format!("Action={name}&Version={}", service.version);
            TestCall::query(signing_name, host, &body)
        }
        Protocol::RestJson | Protocol::RestXml => {
            let segment = |segment: &Segment| match segment {
                Segment::Literal(text) => (*text).to_owned(),
                Segment::Label(name) => format!("v%3A{name}"),
                Segment::Greedy(name) => format!("v%3A{name}/more"),
            };
            let path: Vec<String> = operation.http.segments.iter().map(segment).collect();
            let pair = |literal: &crate::catalog::QueryLiteral| format!("{}={}", literal.name, literal.value);
            let query: Vec<String> = operation.http.query.iter().map(pair).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            let method = operation.http.method.parse().unwrap();
            TestCall::new(method, signing_name, host, &format!("/{}{query}", path.join("/")))
        }
    }
}

proptest! {
    /// Whatever stands in a label: it is read back as it was, or refused.
    #[test]
    fn a_label_is_what_was_written(value in "[ -~äß€]{1,20}") {
        let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC)
            .to_string()
            .replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%7E", "~");
        let call = rest("lambda", Method::GET, &format!("/2015-03-31/functions/{encoded}"));
        if let Ok(found) = found(&call) {
            prop_assert_eq!(shown(&found), format!("lambda.GetFunction FunctionName={value}"));
        }
    }

    #[test]
    fn no_path_panics(path in "(/(2015-03-31|functions|tags|layers|%2F|%252F|%2e|\\.|\\.\\.|[a-z%0-9]{0,4})){0,8}") {
        let Ok(head) = rest("lambda", Method::GET, &format!("/{path}")).read() else { return Ok(()) };
        let _ = identify(&head, || Ok(Cow::Borrowed(&[])));
    }
}
