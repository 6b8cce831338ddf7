//! Long answers of AWS in which nothing is hidden, for what is measured of masking: how fast they pass, and how much
//! memory one stream takes.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use aws_lc_rs::hmac;
use gateway_user::{
    catalog::Protocol,
    mask::{Asked, Config, Masker, Masking, Masks, Way},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Bytes of each part in which an answer comes: what a TLS record holds.
pub const CHUNK: usize = 16 * 1024;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// JSON.
    Json,
    /// XML.
    Xml,
}

/// An answer: of which operation, and how it looks.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// botocore's name of the service.
    pub service: &'static str,
    /// The operation.
    pub operation: &'static str,
    /// How it is written.
    pub written: Written,
    protocol: Protocol,
    media_type: &'static str,
    begin: &'static str,
    /// One item; `#` is its number.
    item: &'static str,
    between: &'static str,
    end: &'static str,
}

/// What is listed by agents, all the day. Of the functions and the instances AWS's models hide something, which is
/// looked for and not there; in the others only detectors look.
pub const DOCUMENTS: [Document; 6] = [
    Document {
        service: "lambda",
        operation: "ListFunctions",
        written: Written::Json,
        protocol: Protocol::RestJson,
        media_type: "application/json",
        begin: r#"{"NextMarker":null,"Functions":["#,
        item: r#"{"FunctionName":"orders-#","FunctionArn":"arn:aws:lambda:eu-central-1:123456789012:function:orders-#","Runtime":"python3.12","Role":"arn:aws:iam::123456789012:role/service-role/orders","Handler":"index.handler","CodeSize":48273,"Description":"reads what was ordered and writes it on","Timeout":30,"MemorySize":512,"LastModified":"2026-03-04T05:06:07.000+0000","CodeSha256":"Vf2zW1RfO0LC8cVNfx7tTiQCqvI7ZQhBAPo8s6kUE1I=","Version":"$LATEST","VpcConfig":{"SubnetIds":["subnet-0a1b2c3d","subnet-4e5f6a7b"],"SecurityGroupIds":["sg-0123abcd"],"VpcId":"vpc-99aa88bb"},"TracingConfig":{"Mode":"PassThrough"},"RevisionId":"3a5f1c2e-7c2b-4f0e-9a1d-0d6c1b2a3f4e","State":"Active","PackageType":"Zip","Architectures":["arm64"]}"#,
        between: ",",
        end: "]}",
    },
    Document {
        service: "dynamodb",
        operation: "Query",
        written: Written::Json,
        protocol: Protocol::Json,
        media_type: "application/x-amz-json-1.0",
        begin: r#"{"Count":100,"ScannedCount":100,"Items":["#,
        item: r#"{"pk":{"S":"CUSTOMER#4711"},"sk":{"S":"ORDER#2026-03-04##"},"total":{"N":"129.95"},"currency":{"S":"EUR"},"paid":{"BOOL":true},"lines":{"L":[{"M":{"sku":{"S":"A-1000-#"},"quantity":{"N":"2"},"price":{"N":"49.95"}}},{"M":{"sku":{"S":"B-2000"},"quantity":{"N":"1"},"price":{"N":"30.05"}}}]},"note":{"S":"leave it with the neighbours, please; they are at home from four"}}"#,
        between: ",",
        end: "]}",
    },
    Document {
        service: "logs",
        operation: "FilterLogEvents",
        written: Written::Json,
        protocol: Protocol::Json,
        media_type: "application/x-amz-json-1.1",
        begin: r#"{"searchedLogStreams":[],"events":["#,
        item: r#"{"logStreamName":"2026/03/04/[$LATEST]9f8e7d6c5b4a","timestamp":1772600767000,"message":"2026-03-04T05:06:07.891Z\tINFO\trequest # for GET /orders/# took 12 ms, 200 OK, upstream=10.0.12.34:8080 user-agent=\"curl/8.5.0\"\n","ingestionTime":1772600768123,"eventId":"39280347529834579283475928347598234759823475#"}"#,
        between: ",",
        end: "]}",
    },
    Document {
        service: "ec2",
        operation: "DescribeInstances",
        written: Written::Xml,
        protocol: Protocol::Ec2,
        media_type: "text/xml;charset=UTF-8",
        begin: r#"<?xml version="1.0" encoding="UTF-8"?><DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>8f7724cf-496f-496e-8fe3-example</requestId><reservationSet>"#,
        item: "<item><reservationId>r-0a1b2c3d4e5f#</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet><item><instanceId>i-0a1b2c3d4e5f#</instanceId><imageId>ami-0123456789abcdef0</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>ip-10-0-12-34.eu-central-1.compute.internal</privateDnsName><instanceType>m7g.large</instanceType><launchTime>2026-03-04T05:06:07.000Z</launchTime><placement><availabilityZone>eu-central-1a</availabilityZone><tenancy>default</tenancy></placement><subnetId>subnet-0a1b2c3d</subnetId><vpcId>vpc-99aa88bb</vpcId><privateIpAddress>10.0.12.34</privateIpAddress><tagSet><item><key>Name</key><value>builder-#</value></item></tagSet></item></instancesSet></item>",
        between: "",
        end: "</reservationSet></DescribeInstancesResponse>",
    },
    Document {
        service: "s3",
        operation: "ListObjectsV2",
        written: Written::Xml,
        protocol: Protocol::RestXml,
        media_type: "application/xml",
        begin: r#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>reports</Name><Prefix>2026/</Prefix><KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"#,
        item: "<Contents><Key>2026/03/04/report-#.parquet</Key><LastModified>2026-03-04T05:06:07.000Z</LastModified><ETag>&quot;9b2cf535f27731c974343645a3985328&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><Size>4827312</Size><StorageClass>STANDARD</StorageClass></Contents>",
        between: "",
        end: "</ListBucketResult>",
    },
    Document {
        service: "iam",
        operation: "ListUsers",
        written: Written::Xml,
        protocol: Protocol::Query,
        media_type: "text/xml",
        begin: r#"<ListUsersResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ListUsersResult><IsTruncated>false</IsTruncated><Users>"#,
        item: "<member><Path>/division/builds/</Path><UserName>builder-#</UserName><Arn>arn:aws:iam::123456789012:user/division/builds/builder-#</Arn><UserId>AIDACKCEVSQ6C2EXAMPLE</UserId><CreateDate>2026-03-04T05:06:07Z</CreateDate></member>",
        between: "",
        end: "</Users></ListUsersResult><ResponseMetadata><RequestId>7a62c49f-347e-4fc4-9331-6e8eexample</RequestId></ResponseMetadata></ListUsersResponse>",
    },
];

impl Document {
    /// `lambda:ListFunctions`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }

    /// Calls `each` with the parts of an answer of at least `length` bytes, all but the last of them [`CHUNK`] long.
    ///
    /// # Errors
    /// The first of `each`'s.
    pub fn stream(&self, length: u64, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut waiting = Vec::with_capacity(2 * CHUNK);
        waiting.extend_from_slice(self.begin.as_bytes());
        let (mut written, mut number) = (0_u64, 0_u64);
        while written + (waiting.len() as u64) < length {
            if number > 0 {
                waiting.extend_from_slice(self.between.as_bytes());
            }
            waiting.extend_from_slice(self.item.replace('#', &number.to_string()).as_bytes());
            number += 1;
            while let Some((chunk, _)) = waiting.split_at_checked(CHUNK) {
                each(chunk)?;
                written += CHUNK as u64;
                waiting.drain(..CHUNK);
            }
        }
        waiting.extend_from_slice(self.end.as_bytes());
        waiting.chunks(CHUNK).try_for_each(each)
    }
}

/// Everything that masks, as it is without configuration.
#[derive(Debug)]
pub struct Everything(Masks);

impl Everything {
    /// Reads the tables.
    ///
    /// # Errors
    /// None, unless the defaults are at fault.
    pub fn new() -> Result<Self> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"digests of what is measured");
        Ok(Self(Masks::new(&Config::default(), key)?))
    }

    /// What masks one such answer.
    ///
    /// # Errors
    /// It would not be masked at all.
    pub fn masker(&self, document: &Document) -> Result<Masker> {
        let how = self.masking(document);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(document.media_type));
        match how.way(StatusCode::OK, &headers) {
            Way::Masked(format) => Ok(Masker::new(format, how.job(StatusCode::OK))),
            Way::AsItIs | Way::Withheld => Err(anyhow!("{} is not masked", document.name())),
        }
    }

    fn masking(&self, document: &Document) -> Masking {
        let services = [document.service];
        let asked = Asked { services: &services, operation: document.operation, protocol: document.protocol };
        self.0.of(asked, std::iter::empty())
    }

    /// Whether something is hidden in such answers for what it is.
    #[must_use]
    pub fn has_plan(&self, document: &Document) -> bool {
        !Arc::clone(&self.masking(document).job(StatusCode::OK).plan).fields().is_empty()
    }
}
