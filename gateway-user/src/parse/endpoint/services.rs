//! Host labels of the services that the gateway understands, and what requests to them are signed
//! for. S3 has a file of its own.
//!
//! Source: the endpoint rulesets of botocore 1.44 (`hosts.tsv` holds a sample of them).

/// What may stand before a service's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    /// Nothing.
    None,
    /// The 12-digit account id, as account-based endpoints have it.
    Account,
}

/// One host label and its meaning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServiceHost {
    /// What stands between prefix and region, `-fips` removed.
    pub(super) label: &'static str,
    /// The service name in signature scopes.
    pub(super) signing_name: &'static str,
    /// Whether there is a host without region.
    pub(super) global: bool,
    /// What stands before the label.
    pub(super) prefix: Prefix,
}

const fn regional(label: &'static str, signing_name: &'static str) -> ServiceHost {
    ServiceHost { label, signing_name, global: false, prefix: Prefix::None }
}

const fn global(label: &'static str) -> ServiceHost {
    ServiceHost { label, signing_name: label, global: true, prefix: Prefix::None }
}

const fn account(label: &'static str, signing_name: &'static str) -> ServiceHost {
    ServiceHost { label, signing_name, global: false, prefix: Prefix::Account }
}

const HOSTS: &[ServiceHost] = &[
    regional("api.ecr", "ecr"),
    regional("cloudformation", "cloudformation"),
    regional("cloudtrail", "cloudtrail"),
    account("control-kinesis", "kinesis"),
    account("data-kinesis", "kinesis"),
    account("ddb", "dynamodb"),
    regional("dynamodb", "dynamodb"),
    regional("ec2", "ec2"),
    regional("ecr", "ecr"),
    regional("ecs", "ecs"),
    regional("events", "events"),
    global("iam"),
    regional("kinesis", "kinesis"),
    regional("kms", "kms"),
    regional("logs", "logs"),
    regional("monitoring", "monitoring"),
    regional("secretsmanager", "secretsmanager"),
    regional("sns", "sns"),
    regional("sqs", "sqs"),
    regional("ssm", "ssm"),
    regional("states", "states"),
    regional("streams-dynamodb", "dynamodb"),
    regional("streams.dynamodb", "dynamodb"),
    global("sts"),
];

/// Finds what a host's labels (without region and suffix) mean.
pub(super) fn find(labels: &str, has_region: bool) -> Option<&'static ServiceHost> {
    let labels = labels.strip_suffix("-fips").unwrap_or(labels);
    let fits = |host: &&ServiceHost| {
        let rest = match host.prefix {
            Prefix::None => labels == host.label,
            Prefix::Account => labels.split_once('.').is_some_and(|(account, label)| {
                label == host.label && account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit())
            }),
        };
        rest && (has_region || host.global)
    };
    HOSTS.iter().find(fits)
}
