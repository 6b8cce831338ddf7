use super::*;

fn read(host: &str) -> Result<Endpoint, EndpointError> {
    Endpoint::read(&host.parse().unwrap())
}

#[test]
fn every_host_of_the_endpoint_rulesets_is_understood() {
    let mut rows = 0;
    for line in include_str!("hosts.tsv").lines() {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap();
        let (host, signing_name, region) = (column(), column(), column());
        let endpoint = read(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert!(endpoint.serves(signing_name), "{host}");
        assert!(endpoint.accepts_region(&region.parse().unwrap()), "{host}");
        assert!(!endpoint.accepts_region(&"ap-northeast-3".parse().unwrap()), "{host}");
        rows += 1;
    }
    assert!(rows > 800);
}

#[test]
fn s3_hosts() {
    use AddressStyle::{S3Bucket, S3Path};
    let bucket = |name: &str| S3Bucket(name.to_owned());
    let check = |host: &str, style: AddressStyle, region: Option<&str>, partition: Partition| {
        let endpoint = read(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        let regions =
            region.map_or(Regions::AnyOfPartition, |region| Regions::These(vec![region.to_owned()]));
        let service = catalog().service("s3").unwrap();
        let candidates = vec![Candidate { service, signing_name: "s3", host_prefix: "" }];
        let expected = Endpoint { partition, candidates, regions, style, subject: None };
        assert_eq!(endpoint, expected, "{host}");
    };
    let aws = Partition::Aws;
    check("s3.amazonaws.com", S3Path, None, aws);
    check("s3.us-west-2.amazonaws.com", S3Path, Some("us-west-2"), aws);
    check("s3-us-west-2.amazonaws.com", S3Path, Some("us-west-2"), aws);
    check("s3-external-1.amazonaws.com", S3Path, None, aws);
    check("s3.dualstack.us-west-2.amazonaws.com", S3Path, Some("us-west-2"), aws);
    check("s3-fips.us-gov-west-1.amazonaws.com", S3Path, Some("us-gov-west-1"), Partition::UsGov);
    check("s3-fips.dualstack.us-east-1.amazonaws.com", S3Path, Some("us-east-1"), aws);
    check("s3.cn-north-1.amazonaws.com.cn", S3Path, Some("cn-north-1"), Partition::Cn);
    check("s3.eusc-de-east-1.amazonaws.eu", S3Path, Some("eusc-de-east-1"), Partition::Eusc);
    check("s3.us-iso-east-1.c2s.ic.gov", S3Path, Some("us-iso-east-1"), Partition::Iso);
    check("my-bucket.s3.amazonaws.com", bucket("my-bucket"), None, aws);
    check("my.dotted.bucket.s3.eu-west-1.amazonaws.com", bucket("my.dotted.bucket"), Some("eu-west-1"), aws);
    check("bkt.s3-eu-west-1.amazonaws.com", bucket("bkt"), Some("eu-west-1"), aws);
    check("bkt.s3.dualstack.eu-west-1.amazonaws.com", bucket("bkt"), Some("eu-west-1"), aws);
    check("bkt.s3-fips.eu-west-1.amazonaws.com", bucket("bkt"), Some("eu-west-1"), aws);
    check("bkt.s3-accelerate.amazonaws.com", bucket("bkt"), None, aws);
    check("bkt.s3-accelerate.dualstack.amazonaws.com", bucket("bkt"), None, aws);
    // Buckets named after labels and regions.
    check("s3.s3.s3.eu-west-1.amazonaws.com", bucket("s3.s3"), Some("eu-west-1"), aws);
    check("us-east-1.s3.amazonaws.com", bucket("us-east-1"), None, aws);
    check("dualstack.s3.eu-west-1.amazonaws.com", bucket("dualstack"), Some("eu-west-1"), aws);
    check("bkt.s3.cn-northwest-1.amazonaws.com.cn", bucket("bkt"), Some("cn-northwest-1"), Partition::Cn);
    // VPC endpoints.
    check("bucket.vpce-0a-1b.s3.us-east-1.vpce.amazonaws.com", S3Path, Some("us-east-1"), aws);
    check("bkt.bucket.vpce-0a-1b.s3.us-east-1.vpce.amazonaws.com", bucket("bkt"), Some("us-east-1"), aws);
    // Access points.
    let access_point =
        AddressStyle::S3AccessPoint { name: "my-ap".to_owned(), account: "123456789012".parse().unwrap() };
    check(
        "my-ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
        access_point.clone(),
        Some("us-west-2"),
        aws,
    );
    check(
        "my-ap-123456789012.s3-accesspoint-fips.dualstack.us-west-2.amazonaws.com",
        access_point.clone(),
        Some("us-west-2"),
        aws,
    );
    check(
        "my-ap-123456789012.accesspoint.vpce-0a-1b.s3.us-west-2.vpce.amazonaws.com",
        access_point,
        Some("us-west-2"),
        aws,
    );
}

#[test]
fn hosts_of_what_s3_has_besides_buckets() {
    let check = |host: &str, style: AddressStyle, signing_name: &str, region: &str| {
        let endpoint = read(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        assert_eq!(*endpoint.style(), style, "{host}");
        assert!(endpoint.serves(signing_name) && !endpoint.serves("s3"), "{host}");
        assert!(endpoint.accepts_region(&region.parse().unwrap()), "{host}");
        assert!(!endpoint.accepts_region(&"me-south-1".parse().unwrap()), "{host}");
        assert!(endpoint.is_s3("/") && endpoint.signs_as_s3(), "{host}");
    };
    let account = || "123456789012".parse().unwrap();
    let lambda = || AddressStyle::S3ObjectLambda { name: "my-ol".to_owned(), account: account() };
    for label in ["s3-object-lambda", "s3-object-lambda-fips"] {
        let host = format!("my-ol-123456789012.{label}.us-east-1.amazonaws.com");
        check(&host, lambda(), "s3-object-lambda", "us-east-1");
    }
    check(
        "my-ap-123456789012.op-0123.s3-outposts.us-gov-west-1.amazonaws.com",
        AddressStyle::S3Outpost {
            name: "my-ap".to_owned(),
            account: account(),
            outpost: "op-0123".to_owned(),
        },
        "s3-outposts",
        "us-gov-west-1",
    );
    for label in ["s3express-use1-az4", "s3express-fips-use1-az4", "s3express-use1-az4.dualstack"] {
        let bucket = "b--use1-az4--x-s3";
        let host = format!("{bucket}.{label}.us-east-1.amazonaws.com");
        check(&host, AddressStyle::S3Directory(bucket.to_owned()), "s3express", "us-east-1");
    }
    for label in ["s3express-control", "s3express-control-fips.dualstack"] {
        let host = format!("{label}.us-east-1.amazonaws.com");
        check(&host, AddressStyle::S3Directories, "s3express", "us-east-1");
    }
    let control = read("s3express-control.us-east-1.amazonaws.com").unwrap();
    assert!(!control.is_s3("/v20180820/accesspoint/a/scope"));
    assert_eq!(
        control.candidates().iter().map(|found| found.service.name).collect::<Vec<_>>(),
        ["s3", "s3control"]
    );
}

#[test]
fn other_hosts() {
    let check = |host: &str, services: &str, signing_name: &str, region: &str| {
        let endpoint = read(host).unwrap_or_else(|error| panic!("{host}: {error}"));
        let name = |candidate: &Candidate| format!("{}{}", candidate.host_prefix, candidate.service.name);
        assert_eq!(endpoint.candidates().iter().map(name).collect::<Vec<_>>().join(" "), services, "{host}");
        assert!(endpoint.serves(signing_name) && endpoint.accepts_region(&region.parse().unwrap()), "{host}");
        assert!(!endpoint.accepts_region(&"me-south-1".parse().unwrap()), "{host}");
        assert!(!endpoint.is_s3("/"), "{host}");
    };
    check("123456789012.ddb.us-east-1.amazonaws.com", "dynamodb", "dynamodb", "us-east-1");
    check("123456789012.data-kinesis.us-east-1.amazonaws.com", "kinesis", "kinesis", "us-east-1");
    check("iam.us-gov.amazonaws.com", "iam", "iam", "us-gov-west-1");
    check("vpce-0a-1b.sqs.eu-west-1.vpce.amazonaws.com", "sqs", "sqs", "eu-west-1");
    check("vpce-0a-1b-eu-west-1a.api.ecr.eu-west-1.vpce.amazonaws.com", "ecr", "ecr", "eu-west-1");
    check("lambda.us-east-1.api.aws", "lambda lambda-core lambda-microvms lambda-web", "lambda", "us-east-1");
    check("rds.eu-west-1.amazonaws.com", "docdb neptune rds", "rds", "eu-west-1");
    check("monitoring.cn-north-1.amazonaws.com.cn", "cloudwatch", "monitoring", "cn-north-1");
    check("route53.amazonaws.com", "route53", "route53", "us-east-1");
    check("fips.transcribe.us-east-1.amazonaws.com", "transcribe", "transcribe", "us-east-1");
    // Operations with hosts of their own.
    check(
        "data-servicediscovery.us-east-1.amazonaws.com",
        "data-servicediscovery",
        "servicediscovery",
        "us-east-1",
    );
    check("sync-states.us-west-2.amazonaws.com", "sync-stepfunctions", "states", "us-west-2");
    check("123456789012.s3-control.us-east-1.amazonaws.com", "{AccountId}.s3control", "s3", "us-east-1");
    check("s3-outposts.us-east-1.amazonaws.com", "s3outposts", "s3-outposts", "us-east-1");
    // Hosts of a customer's own.
    check("a1b2c3d4e5f6g7-ats.iot.us-east-1.amazonaws.com", "iot-data", "iotdata", "us-east-1");
    check("a1b2c3d4e5f6g7.jobs.iot.us-east-1.amazonaws.com", "iot-jobs-data", "iot-jobs-data", "us-east-1");
    check("query-cell2.timestream.us-east-1.amazonaws.com", "timestream-query", "timestream", "us-east-1");
    check(
        "realtime.machinelearning.us-east-1.amazonaws.com",
        "machinelearning",
        "machinelearning",
        "us-east-1",
    );
    check("orders.data-kinesis-queues-fips.us-east-1.api.aws", "kinesis", "kinesis", "us-east-1");
    check(
        "abcdefghijklmnopqrst.uv1.control-kinesis.us-east-1.amazonaws.com",
        "kinesis",
        "kinesis",
        "us-east-1",
    );
    check("sp-0a1b.osm.us-east-1.on.aws", "opensearchmemory", "osm", "us-east-1");
    // Signed for another name than the service's own.
    check("importexport.amazonaws.com", "importexport", "IngestionService", "us-east-1");
    check("importexport.eu-west-1.api.aws", "importexport", "IngestionService", "us-east-1");
    check("abcd1234.mediaconvert.us-east-1.amazonaws.com", "mediaconvert", "mediaconvert", "us-east-1");
}

#[test]
fn who_signs_as_s3_does() {
    for (host, expected) in [
        ("bkt.s3.us-east-1.amazonaws.com", true),
        ("123456789012.s3-control.us-east-1.amazonaws.com", true),
        ("s3-outposts.us-east-1.amazonaws.com", true),
        ("s3express-control.us-east-1.amazonaws.com", true),
        ("s3tables.us-east-1.amazonaws.com", false),
        ("lambda.us-east-1.amazonaws.com", false),
    ] {
        assert_eq!(read(host).unwrap().signs_as_s3(), expected, "{host}");
    }
}

#[test]
fn refused_hosts() {
    let unknown = |host: &str| Err(EndpointError::Unknown(host.to_owned()));
    let check = |host: &str, expected: Result<Endpoint, EndpointError>| {
        assert_eq!(read(host), expected, "{host}");
    };
    check("example.com", Err(EndpointError::NotAws("example.com".to_owned())));
    check(
        "s3.amazonaws.com.example.com",
        Err(EndpointError::NotAws("s3.amazonaws.com.example.com".to_owned())),
    );
    check("evilamazonaws.com", Err(EndpointError::NotAws("evilamazonaws.com".to_owned())));
    for host in [
        "amazonaws.com",
        "nosuchservice.us-east-1.amazonaws.com",
        "dynamodb.amazonaws.com",
        "dynamodb.cn-north-1.amazonaws.com",
        "dynamodb.us-east-1.amazonaws.com.cn",
        "a.dynamodb.us-east-1.amazonaws.com",
        "ddb.us-east-1.amazonaws.com",
        "12345678901.ddb.us-east-1.amazonaws.com",
        "sqs.us-gov.amazonaws.com",
        "sqs.global.api.aws",
        "s3.us-east-1.api.aws",
        "ec2-192-0-2-1.compute-1.amazonaws.com",
        "my-lb-1234.us-east-1.elb.amazonaws.com",
        "s3-nowhere.amazonaws.com",
        "prefix.vpce-0a-1b.sqs.eu-west-1.vpce.amazonaws.com",
        "sqs.eu-west-1.vpce.amazonaws.com",
        "a.b.data-kinesis.us-east-1.amazonaws.com",
        "a.b.c.data-kinesis.us-east-1.amazonaws.com",
        "x.data-kinesis.us-east-1.amazonaws.com.cn",
        "x.other-kinesis.us-east-1.amazonaws.com",
        "sp-0a1b.osm.us-east-1.amazonaws.com",
        "sp-0a1b.osm.cn-north-1.on.aws",
        "space.osm.us-east-1.on.aws",
        "any.machinelearning.us-east-1.amazonaws.com",
        "b--use1-az4--x-s3.s3express-control.us-east-1.amazonaws.com",
    ] {
        check(host, unknown(host));
    }
    let unsupported = |what| Err(EndpointError::Unsupported(what));
    check("bkt.s3-website.eu-central-1.amazonaws.com", unsupported("S3 website hosting"));
    check("bkt.s3-website-us-east-1.amazonaws.com", unsupported("S3 website hosting"));
    let object_lambda = unsupported("this form of S3 Object Lambda");
    check("route.s3-object-lambda.us-east-1.amazonaws.com", object_lambda.clone());
    check("s3-object-lambda.us-east-1.amazonaws.com", object_lambda.clone());
    check("ol-123456789012.s3-object-lambda.dualstack.us-east-1.amazonaws.com", object_lambda);
    let outposts = unsupported("this form of S3 on Outposts");
    check("x.op-1.s3-outposts.us-east-1.amazonaws.com", outposts.clone());
    check("x-123456789012.ec2.s3-outposts.us-east-1.amazonaws.com", outposts.clone());
    check("x-123456789012.op-1.y.s3-outposts.us-east-1.amazonaws.com", outposts.clone());
    check("x-123456789012.op-1.s3-outposts-fips.us-east-1.amazonaws.com", outposts);
    check(
        "x.mrap.accesspoint.s3-global.amazonaws.com",
        unsupported("an S3 Multi-Region Access Point (Signature Version 4A)"),
    );
    let express = unsupported("this form of S3 Express host");
    for host in [
        "b--use1-az4--x-s3.s3express-use1-az5.us-east-1.amazonaws.com",
        "b--use1-az4--x-s3.s3express-use1-az4.amazonaws.com",
        "s3express-use1-az4.us-east-1.amazonaws.com",
        "ap--use1-az4--xa-s3.s3express-use1-az4.us-east-1.amazonaws.com",
        "b.s3express-use1-az4.us-east-1.amazonaws.com",
        "a.b--use1-az4--x-s3.s3express-use1-az4.us-east-1.amazonaws.com",
    ] {
        check(host, express.clone());
    }
    check("b--use1-az4--x-s3.s3.us-east-1.amazonaws.com", unsupported("S3 Express"));
    check("ap-xyz-s3alias.s3.us-east-1.amazonaws.com", unsupported("an S3 access point alias"));
    check("ab.s3.us-east-1.amazonaws.com", unsupported("this bucket name"));
    check("s3-fips.amazonaws.com", unsupported("this form of S3 host"));
    check("abc.lambda-url.us-east-1.on.aws", unsupported("a Lambda function URL"));
    for host in [
        "a1b2c3.execute-api.us-east-1.amazonaws.com",
        "execute-api.us-east-1.amazonaws.com",
        "vpce-0a-1b.execute-api.us-east-1.vpce.amazonaws.com",
    ] {
        check(host, unsupported("an API of API Gateway"));
    }
    let registry = "the image registry of ECR, which is no API,";
    check("123456789012.dkr.ecr.us-east-1.amazonaws.com", unsupported(registry));
    check("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", unsupported(registry));
    check("123456789012.dkr-ecr.us-east-1.on.aws", unsupported(registry));
    check("a1b2c3.credentials.iot.us-east-1.amazonaws.com", unsupported("the credentials provider of IoT"));
    let v4a = |what: &str| format!("{what} (Signature Version 4A)");
    for (host, what) in [
        ("abcde.veo.endpoint.events.amazonaws.com", None),
        ("abcde.endpoint.events.amazonaws.com", Some("an EventBridge global endpoint")),
        ("abcde.endpoints.email.amazonaws.com", Some("an SES multi-region endpoint")),
        ("123456789012.cloudfront-kvs.global.api.aws", Some("a CloudFront KeyValueStore")),
    ] {
        let text = read(host).unwrap_err().to_string();
        let expected = what.map_or_else(
            || format!("the AWS host {host} is not in the catalogue"),
            |what| format!("{} is not supported", v4a(what)),
        );
        assert_eq!(text, expected);
    }
    check("noaccount.s3-accesspoint.us-east-1.amazonaws.com", unsupported("this form of S3 access point"));
    check("control.vpce-1.s3.us-east-1.vpce.amazonaws.com", unsupported("this form of S3 VPC endpoint"));
}

proptest::proptest! {
    #[test]
    fn no_host_panics(host in "([a-z0-9-]{1,12}\\.){0,6}(s3|s3-accesspoint|vpce|us-east-1|dualstack)?\\.?amazonaws\\.com(\\.cn)?") {
        if let Ok(host) = host.parse() {
            let _ = Endpoint::read(&host);
        }
    }
}
