//! The services that are understood, without S3: how they are addressed and what they are called.
//!
//! Source: the service models of botocore 1.44.5. The operations are in `operations.txt`.

use std::{collections::HashMap, sync::LazyLock};

use super::{ClassifyError, actions};

/// A service and the protocols it speaks.
#[derive(Debug)]
pub(super) struct Service {
    /// Host labels ([`crate::parse::Endpoint::label`]).
    pub(super) labels: &'static [&'static str],
    /// IAM service prefix.
    pub(super) prefix: &'static str,
    /// What stands before the operation in `X-Amz-Target` and in the paths of RPC v2 CBOR.
    pub(super) targets: &'static [&'static str],
    /// Whether it speaks AWS JSON.
    pub(super) json: bool,
    /// Whether it speaks RPC v2 CBOR.
    pub(super) cbor: bool,
    /// `Version` of the query protocols; empty: it does not speak them.
    pub(super) versions: &'static [&'static str],
}

const fn json(
    labels: &'static [&'static str],
    prefix: &'static str,
    targets: &'static [&'static str],
) -> Service {
    Service { labels, prefix, targets, json: true, cbor: false, versions: &[] }
}

const fn query(
    label: &'static [&'static str],
    prefix: &'static str,
    versions: &'static [&'static str],
) -> Service {
    Service { labels: label, prefix, targets: &[], json: false, cbor: false, versions }
}

static SERVICES: &[Service] = &[
    query(&["cloudformation"], "cloudformation", &["2010-05-15"]),
    json(
        &["cloudtrail"],
        "cloudtrail",
        &["com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "CloudTrail_20131101"],
    ),
    Service {
        labels: &["monitoring"],
        prefix: "cloudwatch",
        targets: &["GraniteServiceVersion20100801"],
        json: true,
        cbor: true,
        versions: &["2010-08-01"],
    },
    Service { cbor: true, ..json(&["dynamodb", "ddb"], "dynamodb", &["DynamoDB_20120810"]) },
    json(&["streams.dynamodb", "streams-dynamodb"], "dynamodb", &["DynamoDBStreams_20120810"]),
    query(&["ec2"], "ec2", &["2016-11-15"]),
    json(&["api.ecr", "ecr"], "ecr", &["AmazonEC2ContainerRegistry_V20150921"]),
    json(&["ecs"], "ecs", &["AmazonEC2ContainerServiceV20141113"]),
    json(&["events"], "events", &["AWSEvents"]),
    query(&["iam"], "iam", &["2010-05-08"]),
    json(&["kinesis", "control-kinesis", "data-kinesis"], "kinesis", &["Kinesis_20131202"]),
    json(&["kms"], "kms", &["TrentService"]),
    json(&["logs"], "logs", &["Logs_20140328"]),
    json(&["secretsmanager"], "secretsmanager", &["secretsmanager"]),
    query(&["sns"], "sns", &["2010-03-31"]),
    Service { versions: &["2012-11-05"], ..json(&["sqs"], "sqs", &["AmazonSQS"]) },
    json(&["ssm"], "ssm", &["AmazonSSM"]),
    json(&["states"], "states", &["AWSStepFunctions"]),
    query(&["sts"], "sts", &["2011-06-15"]),
];

/// The service behind a host label.
pub(super) fn find(label: &str) -> Result<&'static Service, ClassifyError> {
    let fits = |service: &&Service| service.labels.contains(&label);
    SERVICES.iter().find(fits).ok_or_else(|| ClassifyError::UnknownService(label.to_owned()))
}

impl Service {
    /// The operation of this exact name, if it is known.
    pub(super) fn operation(&self, name: &str) -> Option<&'static str> {
        static OPERATIONS: LazyLock<HashMap<&'static str, Vec<&'static str>>> =
            LazyLock::new(|| sections(include_str!("operations.txt")));
        let plain = || {
            let names = OPERATIONS.get(self.prefix)?;
            names.binary_search(&name).ok().and_then(|at| names.get(at).copied())
        };
        actions::renamed(self.prefix, name).or_else(plain)
    }

    /// The error for a request that names no known operation.
    pub(super) fn unknown_operation(&self, detail: &str) -> ClassifyError {
        ClassifyError::UnknownOperation {
            service: self.prefix.to_owned(),
            detail: detail.chars().take(200).collect(),
        }
    }
}

/// Reads a data file of words in `[sections]`; `#` starts a comment line. Words are sorted.
pub(super) fn sections(text: &'static str) -> HashMap<&'static str, Vec<&'static str>> {
    let mut sections: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut current = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => current = name,
            None => sections.entry(current).or_default().extend(line.split_whitespace()),
        }
    }
    sections.values_mut().for_each(|words| words.sort_unstable());
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_operations_and_a_host_that_is_understood() {
        for service in SERVICES {
            assert!(service.operation("NoSuchOperation").is_none());
            for label in service.labels {
                let account = if matches!(*label, "ddb" | "control-kinesis" | "data-kinesis") {
                    "123456789012."
                } else {
                    ""
                };
                let host = format!("{account}{label}.us-east-1.amazonaws.com").parse().unwrap();
                assert_eq!(crate::parse::Endpoint::read(&host).unwrap().label(), *label);
                assert!(std::ptr::eq(find(label).unwrap(), service));
            }
        }
        for (prefix, words) in sections(include_str!("operations.txt")) {
            assert!(
                prefix.is_empty() && words.is_empty()
                    || SERVICES.iter().any(|service| service.prefix == prefix),
                "{prefix}"
            );
        }
        assert_eq!(find("sts").unwrap().operation("GetCallerIdentity"), Some("GetCallerIdentity"));
        assert!(find("lambda").is_err());
    }
}
