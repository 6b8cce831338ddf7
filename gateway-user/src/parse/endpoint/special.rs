//! Hosts that no endpoint ruleset has: those of one customer's things, and those that are no API or
//! are signed in a way that is not spoken here.

use crate::catalog::{HostMatch, Partition, catalog};

/// What a host is, if it is known and not served.
pub(super) fn not_served(labels: &str, suffix: &str) -> Option<&'static str> {
    let inside = labels.strip_suffix(".vpce");
    let labels = inside.unwrap_or(labels);
    let before_region = match labels.rsplit_once('.') {
        Some((rest, last)) if Partition::of_region(last).is_some() => rest,
        Some(_) | None => labels,
    };
    let parts: Vec<&str> = before_region.split('.').collect();
    match (parts.as_slice(), suffix) {
        ([.., "lambda-url"], "on.aws") => Some("a Lambda function URL"),
        // Deployed APIs; and a VPC endpoint serves those that a header names.
        ([_, "execute-api"] | ["execute-api" | "execute-api-fips"], _) => Some("an API of API Gateway"),
        ([.., "execute-api"], _) if inside.is_some() => Some("an API of API Gateway"),
        ([.., "dkr", "ecr" | "ecr-fips"] | [.., "dkr-ecr" | "dkr-ecr-fips"], _) => {
            Some("the image registry of ECR, which is no API,")
        }
        ([_, "credentials", "iot"], _) => Some("the credentials provider of IoT"),
        ([_, "endpoint", "events"], "amazonaws.com") => {
            Some("an EventBridge global endpoint (Signature Version 4A)")
        }
        ([_, "endpoints", "email"], _) => Some("an SES multi-region endpoint (Signature Version 4A)"),
        ([_, "cloudfront-kvs", "global"], _) => Some("a CloudFront KeyValueStore (Signature Version 4A)"),
        _ => None,
    }
}

/// First label, other labels, service.
type OwnHost = (fn(&str) -> bool, &'static str, &'static str);

/// Hosts that a service gives to one customer or one part of its load; the rest is a region.
const OWN: &[OwnHost] = &[
    (is_thing_endpoint, "iot", "iot-data"),
    (is_thing_endpoint, "jobs.iot", "iot-jobs-data"),
    (is_id, "data.mediastore", "mediastore-data"),
    (is_id, "mediaconvert", "mediaconvert"),
    (|label| label == "realtime", "machinelearning", "machinelearning"),
    (|label| is_cell(label, "query-cell"), "timestream", "timestream-query"),
    (|label| is_cell(label, "ingest-cell"), "timestream", "timestream-write"),
];

/// The service behind a host of its customer's own.
pub(super) fn own_host<'a>(labels: &'a str, suffix: &str) -> Option<HostMatch<'a>> {
    if let Some(queue) = queue_host(labels, suffix) {
        return Some(queue);
    }
    let (rest, region) = labels.rsplit_once('.')?;
    let partition = Partition::of_region(region)?;
    if let Some((service, subject)) = subject_host(rest, partition, suffix) {
        return at(service, partition, region, Some(subject));
    }
    let [plain, _] = partition.suffixes();
    if suffix != plain {
        return None;
    }
    let (first, rest) = rest.split_once('.')?;
    let (_, _, service) = OWN.iter().find(|(fits, labels, _)| *labels == rest && fits(first))?;
    at(service, partition, region, None)
}

fn at<'a>(
    service: &str,
    partition: Partition,
    region: &'a str,
    subject: Option<&'a str>,
) -> Option<HostMatch<'a>> {
    let service = catalog().service(service)?.index;
    let regions = vec![region];
    Some(HostMatch { service, signing_name: None, partition, regions, host_prefix: "", subject })
}

/// The service behind a host that names one of its things, and that thing: `NAME.data-kinesis`,
/// `sp-ID.osm`. What the request says must be the same, which `classify` checks.
fn subject_host<'a>(rest: &'a str, partition: Partition, suffix: &str) -> Option<(&'static str, &'a str)> {
    let (subject, label) = rest.rsplit_once('.')?;
    if label == "osm" {
        let served = suffix == "on.aws" && matches!(partition, Partition::Aws | Partition::UsGov);
        return (served && subject.strip_prefix("sp-").is_some_and(is_word))
            .then_some(("opensearchmemory", subject));
    }
    let plane = label.strip_suffix("-fips").unwrap_or(label);
    let queues = plane.strip_suffix("-queues").unwrap_or(plane);
    let named = match subject.split_once('.') {
        // A stream's id is twenty characters, a hyphen and three more.
        Some((start, end)) => start.len() == 20 && end.len() == 3 && is_word(start) && is_word(end),
        None => true,
    };
    let served =
        matches!(queues, "control-kinesis" | "data-kinesis") && partition.suffixes().contains(&suffix);
    (served && named).then_some(("kinesis", subject))
}

fn is_word(label: &str) -> bool {
    !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The first hosts of SQS, which the AWS CLI 1 still asks: `queue.amazonaws.com` in us-east-1, and
/// `REGION.queue.amazonaws.com`.
fn queue_host<'a>(labels: &'a str, suffix: &str) -> Option<HostMatch<'a>> {
    let region = match labels.strip_suffix("queue")? {
        "" => "us-east-1",
        region => region.strip_suffix('.')?,
    };
    let partition = Partition::of_region(region)?;
    let [plain, _] = partition.suffixes();
    if suffix == plain { at("sqs", partition, region, None) } else { None }
}

/// `a1b2c3d4e5f6g7-ats`.
fn is_thing_endpoint(label: &str) -> bool {
    is_id(label.strip_suffix("-ats").unwrap_or(label))
}

fn is_id(label: &str) -> bool {
    (8..=32).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && label.bytes().any(|b| b.is_ascii_digit())
}

fn is_cell(label: &str, name: &str) -> bool {
    label
        .strip_prefix(name)
        .is_some_and(|number| (1..=4).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit()))
}
