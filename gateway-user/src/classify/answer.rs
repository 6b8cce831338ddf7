//! Answers that carry keys: which operations have them, and where.
//!
//! The shapes are those of AWS's models: <https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html>
//! and the pages of the operations. Whatever else answers with credentials has none that could be replaced: a
//! token alone, a signed URL, a password, a key that does not expire. Such an answer is withheld unless policy
//! reveals it.

use crate::catalog;

/// Where an answer carries the three parts of a pair of keys: access key id, secret and session token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// How it is written.
    pub format: Format,
    /// Whose account they are of.
    pub account: Account,
}

/// How an answer that carries keys is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// XML: `AccessKeyId`, `SecretAccessKey` and `SessionToken` in the element `Credentials`, which so many
    /// elements enclose.
    Xml {
        /// Elements around `Credentials`.
        depth: usize,
    },
    /// JSON: members of the object under this name, or of the outermost one.
    Json {
        /// The member of the outermost object that has them.
        within: Option<&'static str>,
        /// Names begin with a small letter (`accessKeyId`).
        small: bool,
    },
}

/// What tells the account that keys are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// The ARN of the new principal in the answer.
    Told,
    /// It is that of the keys that asked.
    OfCaller,
    /// Only STS, when it is asked with the keys.
    Unknown,
}

const fn xml(depth: usize, account: Account) -> Keys {
    Keys { format: Format::Xml { depth }, account }
}

const fn json(within: Option<&'static str>, small: bool) -> Keys {
    Keys { format: Format::Json { within, small }, account: Account::Unknown }
}

/// botocore's name of the service, the operation, and where its keys are.
const TABLE: [(&str, &str, Keys); 15] = [
    ("sts", "AssumeRole", xml(2, Account::Told)),
    ("sts", "AssumeRoot", xml(2, Account::Unknown)),
    ("sts", "GetFederationToken", xml(2, Account::Told)),
    ("sts", "GetSessionToken", xml(2, Account::OfCaller)),
    ("s3", "CreateSession", xml(1, Account::OfCaller)),
    ("s3control", "GetDataAccess", xml(1, Account::Unknown)),
    ("lakeformation", "GetTemporaryDataLocationCredentials", json(Some("Credentials"), false)),
    ("lakeformation", "GetTemporaryGluePartitionCredentials", json(None, false)),
    ("lakeformation", "GetTemporaryGlueTableCredentials", json(None, false)),
    ("datazone", "GetEnvironmentCredentials", json(None, true)),
    ("deadline", "AssumeFleetRoleForRead", json(Some("credentials"), true)),
    ("deadline", "AssumeFleetRoleForWorker", json(Some("credentials"), true)),
    ("deadline", "AssumeQueueRoleForRead", json(Some("credentials"), true)),
    ("deadline", "AssumeQueueRoleForUser", json(Some("credentials"), true)),
    ("deadline", "AssumeQueueRoleForWorker", json(Some("credentials"), true)),
];

/// Where the answer of this operation carries keys that can be replaced; `service` as botocore names it.
pub(super) fn keys_of(service: &str, operation: &str) -> Option<Keys> {
    TABLE.iter().find(|row| (row.0, row.1) == (service, operation)).map(|row| row.2)
}

/// The whole of an answer, where parts of it have paths.
pub const WHOLE: &str = "*";

/// The parts of this operation's answer that an agent gets only where policy reveals them: all of it, where it
/// carries credentials that cannot be replaced, or makes some of the agent's own count.
pub(crate) fn withheld(service: &str, operation: &catalog::Operation) -> &'static [&'static str] {
    if operation.mints && keys_of(service, operation.name).is_none() { &[WHOLE] } else { &[] }
}

/// The operations of this service of whose answers anything is withheld.
pub(crate) fn withholding(service: &catalog::Service) -> impl Iterator<Item = &'static str> {
    service.minting().filter(|operation| keys_of(service.name, operation).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Protocol, catalog};

    #[test]
    fn the_table_is_of_operations_that_answer_with_keys() {
        for (service, operation, keys) in TABLE {
            let known = catalog().service(service).unwrap();
            assert!(known.operation(operation).is_some_and(|known| known.mints), "{service}.{operation}");
            let expected = match keys.format {
                Format::Xml { depth: 2 } => Protocol::Query,
                Format::Xml { .. } => Protocol::RestXml,
                Format::Json { .. } => Protocol::RestJson,
            };
            assert!(known.speaks(expected), "{service}.{operation}");
        }
    }
}
