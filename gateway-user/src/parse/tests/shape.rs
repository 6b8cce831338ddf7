use http::Request;

use crate::parse::ErrorShape;

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
    check("dynamodb.us-east-1.amazonaws.com", "/", &[("x-amz-target", "x")], ErrorShape::AwsJson);
    check(
        "kms.us-east-1.amazonaws.com",
        "/",
        &[("content-type", "application/x-amz-json-1.1")],
        ErrorShape::AwsJson,
    );
    check("sts.amazonaws.com", "/", &[form], ErrorShape::Query);
    check("iam.amazonaws.com", "/?Action=ListUsers", &[], ErrorShape::Query);
    check("ec2.us-east-1.amazonaws.com", "/", &[form], ErrorShape::Ec2);
    check("ec2-fips.us-east-1.amazonaws.com", "/", &[form], ErrorShape::Ec2);
    check("monitoring.us-east-1.amazonaws.com", "/", &[("smithy-protocol", "rpc-v2-cbor")], ErrorShape::Cbor);
    check("bkt.s3.us-east-1.amazonaws.com", "/k", &[], ErrorShape::S3);
    check("bkt.s3-accelerate.amazonaws.com", "/k", &[("content-type", "application/json")], ErrorShape::S3);
    check("lambda.us-east-1.amazonaws.com", "/2015-03-31/functions", &[], ErrorShape::RestJson);
    check("route53.amazonaws.com", "/2013-04-01/hostedzone", &[], ErrorShape::RestXml);
    check("cloudfront.amazonaws.com", "/2020-05-31/distribution", &[], ErrorShape::RestXml);
    check("example.com", "https://bkt.s3.amazonaws.com/", &[], ErrorShape::S3);
    check("", "/", &[], ErrorShape::RestJson);
}
