//! parameters → ARNs. What cannot be computed is `*`, which needs a rule that says `*`.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use super::{Param, sections::sections};
use crate::{
    parse::{Partition, check_bucket},
    prim::{AccountId, Region},
};

const ANY: &str = "*";

/// Builds ARNs of one partition, region and account.
pub(super) struct Arns<'a> {
    partition: Partition,
    region: &'a Region,
    account: Option<&'a AccountId>,
}

/// The members of a request that its operation has and that name a resource. AWS ignores members
/// that an operation does not have; so nothing is decided on them.
struct Members<'a> {
    params: &'a BTreeMap<String, Param>,
    known: &'static str,
}

impl<'a> Members<'a> {
    fn of(prefix: &str, operation: &str, params: &'a BTreeMap<String, Param>) -> Self {
        type Table = HashMap<&'static str, HashMap<&'static str, &'static str>>;
        static TABLE: LazyLock<Table> = LazyLock::new(|| {
            let operations =
                |rows: Vec<&'static str>| rows.iter().filter_map(|row| row.split_once('=')).collect();
            let prefixes = sections(include_str!("members.txt")).into_iter();
            prefixes.map(|(prefix, rows)| (prefix, operations(rows))).collect()
        });
        let known = TABLE.get(prefix).and_then(|operations| operations.get(operation));
        Self { params, known: known.copied().unwrap_or_default() }
    }

    fn get(&self, member: &str) -> Option<&'a Param> {
        let known = self.known.split(',').any(|known| known == member);
        if known { self.params.get(member) } else { None }
    }
}

/// The texts in a parameter: itself or its items.
pub(super) fn texts(param: Option<&Param>) -> impl Iterator<Item = &str> {
    let items = match param {
        Some(Param::List(items)) => items.as_slice(),
        Some(param) => std::slice::from_ref(param),
        None => &[],
    };
    // Something else than a text stands for any resource.
    items.iter().map(|item| match item {
        Param::Text(text) => text.as_str(),
        Param::Number(_) | Param::Bool(_) | Param::List(_) | Param::Record(_) => ANY,
    })
}

impl<'a> Arns<'a> {
    pub(super) fn new(partition: Partition, region: &'a Region, account: Option<&'a AccountId>) -> Self {
        Self { partition, region, account }
    }

    /// The resources of an operation that has none of its own rules; empty: not known.
    pub(super) fn of(&self, prefix: &str, operation: &str, params: &BTreeMap<String, Param>) -> Vec<String> {
        if decided_elsewhere(prefix, operation, params) {
            return Vec::new();
        }
        let params = &Members::of(prefix, operation, params);
        let all = |member: &str| texts(params.get(member));
        let given = |members: &[&str]| -> Vec<String> {
            members.iter().flat_map(|member| all(member)).map(|arn| self.given_or_any(arn)).collect()
        };
        match prefix {
            "dynamodb" => self.dynamodb(operation, params),
            "ec2" => all("InstanceId").map(|id| self.regional("ec2", "instance/", id)).collect(),
            "ecr" => {
                let account = params.get("registryId");
                let names = all("repositoryName").chain(all("repositoryNames"));
                names.map(|name| self.owned_by(account, "ecr", "repository/", name)).collect()
            }
            "iam" => self.iam_resources(params),
            "kinesis" => {
                let streams = all("StreamName").map(|name| self.regional("kinesis", "stream/", name));
                streams.chain(given(&["StreamARN", "ConsumerARN", "ResourceARN"])).collect()
            }
            "kms" => self.kms(operation, params),
            "logs" => self.log_groups(params),
            "secretsmanager" => all("SecretId").map(secret).collect(),
            "sns" => {
                let created = all("Name").map(|name| self.regional("sns", "", name)).collect();
                if operation == "CreateTopic" { created } else { self.sns(params) }
            }
            "sqs" => self.sqs(operation, params),
            "ssm" => {
                let names = all("Name").chain(all("Names")).chain(all("Path"));
                names.map(|name| self.ssm_parameter(name)).collect()
            }
            "states" => {
                given(&["stateMachineArn", "executionArn", "activityArn", "mapRunArn", "resourceArn"])
            }
            "cloudformation" => given(&["StackName", "StackId"]),
            _ => Vec::new(),
        }
    }

    /// An ARN as the request gives it; a mere name of something whose ARN cannot be computed is `*`.
    pub(super) fn given_or_any(&self, text: &str) -> String {
        if is_arn(text) { text.to_owned() } else { ANY.to_owned() }
    }

    /// `arn:P:SERVICE:REGION:ACCOUNT:PATHname`; an ARN stays what it is.
    fn regional(&self, service: &str, path: &str, name: &str) -> String {
        self.owned_by(None, service, path, name)
    }

    /// The same where the request may name another account as the owner.
    fn owned_by(&self, owner: Option<&Param>, service: &str, path: &str, name: &str) -> String {
        let owner = match owner {
            None => self.account.map(AccountId::as_str),
            Some(Param::Text(owner)) => owner.parse::<AccountId>().ok().map(|_| owner.as_str()),
            Some(_) => None,
        };
        match owner {
            _ if is_arn(name) => name.to_owned(),
            Some(account) if is_name(name) => {
                format!("arn:{}:{service}:{}:{account}:{path}{name}", self.partition.arn_name(), self.region)
            }
            Some(_) | None => ANY.to_owned(),
        }
    }

    /// An IAM ARN, which has no region.
    pub(super) fn iam(&self, kind: &str, name: &str) -> String {
        match self.account {
            Some(account) if is_name(name) => {
                format!("arn:{}:iam::{account}:{kind}/{name}", self.partition.arn_name())
            }
            Some(_) | None => ANY.to_owned(),
        }
    }

    /// Where an export to a bucket writes its objects.
    pub(super) fn export(&self, bucket: Option<&Param>, prefix: Option<&Param>) -> String {
        let prefix = match prefix {
            None => "",
            Some(Param::Text(prefix)) => prefix.as_str(),
            Some(_) => ANY,
        };
        match bucket {
            Some(Param::Text(bucket))
                if check_bucket(bucket).is_ok() && (prefix.is_empty() || is_name(prefix)) =>
            {
                let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
                format!("arn:{}:s3:::{bucket}/{prefix}{slash}AWSDynamoDB/", self.partition.arn_name())
            }
            _ => ANY.to_owned(),
        }
    }

    /// A table, by name or ARN.
    pub(super) fn dynamodb_table(&self, table: &str) -> String {
        self.regional("dynamodb", "table/", table)
    }

    fn dynamodb(&self, operation: &str, params: &Members<'_>) -> Vec<String> {
        let all = |member: &str| texts(params.get(member));
        if matches!(operation, "BatchGetItem" | "BatchWriteItem") {
            return match params.get("RequestItems") {
                Some(Param::Record(tables)) => {
                    tables.keys().map(|table| self.dynamodb_table(table)).collect()
                }
                _ => Vec::new(),
            };
        }
        // IAM decides reads through an index on the index.
        let index = match (operation, params.get("IndexName")) {
            ("Query" | "Scan", Some(Param::Text(index))) => format!("/index/{index}"),
            _ => String::new(),
        };
        let with_index = |table: &str| match self.dynamodb_table(table) {
            any if any == ANY => any,
            table => format!("{table}{index}"),
        };
        let tables = all("TableName").map(with_index);
        let others = ["SourceTableName", "TargetTableName"]
            .into_iter()
            .flat_map(all)
            .map(|table| self.dynamodb_table(table));
        let given =
            ["TableArn", "SourceTableArn", "ResourceArn", "BackupArn", "ExportArn", "ImportArn", "StreamArn"];
        let given = given.into_iter().flat_map(all).map(|arn| self.given_or_any(arn));
        let created = params.get("TableCreationParameters").map(|created| match created {
            Param::Record(members) => texts(members.get("TableName"))
                .next()
                .map_or(ANY.to_owned(), |table| self.dynamodb_table(table)),
            _ => ANY.to_owned(),
        });
        tables.chain(others).chain(given).chain(created).collect()
    }

    /// Users, roles, groups and instance profiles, by name. The path of an existing one is not in
    /// the request, so these ARNs are without path; only what is created has a member `Path`. A
    /// policy that is attached to one of them is not what IAM decides on.
    fn iam_resources(&self, params: &Members<'_>) -> Vec<String> {
        let path = match params.get("Path") {
            Some(Param::Text(path)) => path.trim_start_matches('/'),
            _ => "",
        };
        let kinds = [
            ("InstanceProfileName", "instance-profile"),
            ("GroupName", "group"),
            ("RoleName", "role"),
            ("UserName", "user"),
            ("ServerCertificateName", "server-certificate"),
        ];
        let named = kinds.into_iter().flat_map(|(member, kind)| {
            texts(params.get(member)).map(move |name| self.iam(kind, &format!("{path}{name}")))
        });
        let named: Vec<String> = named.collect();
        if !named.is_empty() {
            return named;
        }
        let created =
            texts(params.get("PolicyName")).map(|name| self.iam("policy", &format!("{path}{name}")));
        let given = ["PolicyArn", "SAMLProviderArn", "OpenIDConnectProviderArn", "SerialNumber"];
        let given = given.into_iter().flat_map(|member| texts(params.get(member)));
        created.chain(given.map(|arn| self.given_or_any(arn))).collect()
    }

    fn kms(&self, operation: &str, params: &Members<'_>) -> Vec<String> {
        let key = |member: &str| params.get(member).map(|id| self.kms_key(Some(id)));
        let alias = texts(params.get("AliasName")).map(|alias| self.regional("kms", "", alias));
        match operation {
            "CreateAlias" | "UpdateAlias" | "DeleteAlias" => alias.chain(key("TargetKeyId")).collect(),
            _ => key("KeyId").into_iter().collect(),
        }
    }

    /// A key by id or ARN. Behind an alias is a key that the request does not tell: `*`.
    pub(super) fn kms_key(&self, id: Option<&Param>) -> String {
        match id {
            Some(Param::Text(id)) if id.starts_with("alias/") || id.contains(":alias/") => ANY.to_owned(),
            Some(Param::Text(id)) => self.regional("kms", "key/", id),
            _ => ANY.to_owned(),
        }
    }

    fn log_groups(&self, params: &Members<'_>) -> Vec<String> {
        let all = |member: &str| texts(params.get(member));
        let names = ["logGroupName", "logGroupNames", "logGroupIdentifier", "logGroupIdentifiers"];
        names.into_iter().flat_map(all).map(|name| self.regional("logs", "log-group:", name)).collect()
    }

    fn sns(&self, params: &Members<'_>) -> Vec<String> {
        let members = [
            "TopicArn",
            "TargetArn",
            "ResourceArn",
            "SubscriptionArn",
            "PlatformApplicationArn",
            "EndpointArn",
        ];
        let given = members.into_iter().flat_map(|member| texts(params.get(member)));
        given.map(|arn| self.given_or_any(arn)).collect()
    }

    fn sqs(&self, operation: &str, params: &Members<'_>) -> Vec<String> {
        let all = |member: &str| texts(params.get(member));
        match operation {
            "CreateQueue" | "GetQueueUrl" => {
                let owner = params.get("QueueOwnerAWSAccountId");
                all("QueueName").map(|name| self.owned_by(owner, "sqs", "", name)).collect()
            }
            _ => {
                let queues = all("QueueUrl").map(|url| self.queue(url));
                let given = ["SourceArn", "DestinationArn"].into_iter().flat_map(all);
                queues.chain(given.map(|arn| self.given_or_any(arn))).collect()
            }
        }
    }

    /// `https://HOST/ACCOUNT/NAME`.
    fn queue(&self, url: &str) -> String {
        let arn = || {
            let (_, path) = url.strip_prefix("https://")?.split_once('/')?;
            let (account, name) = path.split_once('/')?;
            let plain = !name.contains(['/', '?', '#', '%', ':']) && is_name(name);
            plain.then(|| self.owned_by(Some(&Param::Text(account.to_owned())), "sqs", "", name))
        };
        arn().unwrap_or_else(|| ANY.to_owned())
    }

    /// A parameter; a version or label behind the name (`name:3`) is not part of its ARN.
    fn ssm_parameter(&self, name: &str) -> String {
        if is_arn(name) {
            return name.to_owned();
        }
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        self.regional("ssm", "parameter/", name.strip_prefix('/').unwrap_or(name))
    }
}

/// Whether a member that names a resource is there, but another one decides.
fn decided_elsewhere(prefix: &str, operation: &str, params: &BTreeMap<String, Param>) -> bool {
    let text = |member: &str| match params.get(member) {
        None => "",
        Some(Param::Text(text)) => text,
        Some(_) => ANY,
    };
    match (prefix, operation) {
        // The ARN of a change set says which stack it is of.
        ("cloudformation", _) => text("ChangeSetName") == ANY || is_arn(text("ChangeSetName")),
        // A query may name its log groups itself.
        ("logs", "StartQuery" | "CreateScheduledQuery" | "UpdateScheduledQuery") => {
            !matches!(text("queryLanguage"), "" | "CWLI")
                || text("queryString") == ANY
                || text("queryString").to_ascii_uppercase().contains("SOURCE")
        }
        _ => false,
    }
}

/// A secret by its whole ARN, which ends in six random characters. Without them it is looked up by
/// name, and the ARN that IAM decides on is another one.
pub(super) fn secret(text: &str) -> String {
    let suffix = text.rsplit_once('-').map_or("", |(_, suffix)| suffix);
    let whole = is_arn(text) && suffix.len() == 6 && suffix.bytes().all(|b| b.is_ascii_alphanumeric());
    if whole { text.to_owned() } else { ANY.to_owned() }
}

fn is_arn(text: &str) -> bool {
    text.starts_with("arn:") && text.split(':').count() >= 6
}

/// Names never have wildcards, spaces or control characters; something that has could make an ARN
/// say more than it should.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'*' | b'?' | b'"'))
}
