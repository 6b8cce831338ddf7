use http::Request;

use crate::{
    catalog::{Protocol, Service, catalog},
    parse::ErrorShape,
};

#[test]
fn the_error_shape_is_guessed_from_any_head() {
    let check = |host: &str, target: &str, headers: &[(&str, &str)], expected: ErrorShape| {
        let mut request = Request::builder().uri(target).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        assert_eq!(ErrorShape::guess(&parts), expected, "{host} {target} {headers:?}");
    };
    let form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let json = |was_query| ErrorShape::AwsJson { was_query };
    let cbor = |was_query| ErrorShape::Cbor { was_query };
    let (target, smithy) = (("x-amz-target", "x"), ("smithy-protocol", "rpc-v2-cbor"));
    check("dynamodb.us-east-1.amazonaws.com", "/", &[target], json(false));
    check("sqs.us-east-1.amazonaws.com", "/", &[target], json(true));
    check("eu-west-1.queue.amazonaws.com", "/", &[target], json(true));
    check("monitoring.us-east-1.amazonaws.com", "/", &[target], json(true));
    check("monitoring.us-east-1.amazonaws.com", "/", &[smithy], cbor(true));
    check("arc-region-switch.us-east-1.api.aws", "/", &[smithy], cbor(false));
    check("sqs.us-east-1.amazonaws.com", "/", &[form], ErrorShape::Query);
    check("kms.us-east-1.amazonaws.com", "/", &[("content-type", "application/x-amz-json-1.1")], json(false));
    check("sts.amazonaws.com", "/", &[form], ErrorShape::Query);
    check("iam.amazonaws.com", "/?Action=ListUsers", &[], ErrorShape::Query);
    check("ec2.us-east-1.amazonaws.com", "/", &[form], ErrorShape::Ec2);
    check("ec2-fips.us-east-1.amazonaws.com", "/", &[form], ErrorShape::Ec2);
    check("bkt.s3.us-east-1.amazonaws.com", "/k", &[], ErrorShape::S3);
    check("bkt.s3-accelerate.amazonaws.com", "/k", &[("content-type", "application/json")], ErrorShape::S3);
    check("lambda.us-east-1.amazonaws.com", "/2015-03-31/functions", &[], ErrorShape::RestJson);
    check("route53.amazonaws.com", "/2013-04-01/hostedzone", &[], ErrorShape::RestXml);
    check("cloudfront.amazonaws.com", "/2020-05-31/distribution", &[], ErrorShape::RestXml);
    check("example.com", "https://bkt.s3.amazonaws.com/", &[], ErrorShape::S3);
    check("", "/", &[], ErrorShape::RestJson);
}

/// The trait's services, as botocore's models have it.
#[test]
fn two_services_spoke_query_before() {
    let after = |service: &&Service| {
        service.speaks(Protocol::Query)
            && [Protocol::Json, Protocol::Cbor].iter().any(|new| service.speaks(*new))
    };
    let names = catalog().services().iter().filter(after).map(|service| service.name);
    assert_eq!(names.collect::<Vec<_>>(), ["cloudwatch", "sqs"]);
}
