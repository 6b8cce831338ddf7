//! Answers that carry keys: which operations have them, and where.
//!
//! The shapes are those of AWS's models: <https://docs.aws.amazon.com/STS/latest/APIReference/API_Credentials.html>
//! and the pages of the operations; a test holds the table against them. Whatever else answers with credentials has none
//! that could be replaced: a token alone, a signed URL, a password, a key that does not expire. Such an answer is
//! withheld unless policy reveals it.

use std::sync::Arc;

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
    /// XML: the parts are in the element `Credentials`, which so many elements enclose, and called as in [`LARGE`].
    Xml {
        /// Elements around `Credentials`.
        depth: usize,
    },
    /// JSON: members of the object at this place.
    Json {
        /// The names that lead to it from the outermost one, which is at none.
        within: &'static [&'static str],
        /// What id, secret, session token and expiry are called.
        names: [&'static str; 4],
    },
}

/// What most services call id, secret, session token and expiry of keys.
pub const LARGE: [&str; 4] = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];

/// The same where names begin with a small letter.
pub const SMALL: [&str; 4] = ["accessKeyId", "secretAccessKey", "sessionToken", "expiration"];

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

/// Who gets the keys of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    /// Whom IAM lets sign the call.
    Signer,
    /// Whoever has a token that stands in the request, whoever signs it: they may be keys of a principal that no rule
    /// names, in anybody's account. Policy must reveal such an answer, though the agent gets a placeholder all the same.
    Anybody,
}

/// An operation that answers with keys which can be replaced.
pub(crate) struct Row {
    /// botocore's name of the service.
    pub(crate) service: &'static str,
    /// The operation.
    pub(crate) operation: &'static str,
    /// Where its keys are.
    pub(crate) keys: Keys,
    whose: For,
}

const fn xml(service: &'static str, operation: &'static str, depth: usize, account: Account) -> Row {
    Row { service, operation, keys: Keys { format: Format::Xml { depth }, account }, whose: For::Signer }
}

const fn json(
    service: &'static str,
    operation: &'static str,
    within: &'static [&'static str],
    names: [&'static str; 4],
) -> Row {
    let keys = Keys { format: Format::Json { within, names }, account: Account::Unknown };
    Row { service, operation, keys, whose: For::Signer }
}

const fn anybody(row: Row) -> Row {
    Row { whose: For::Anybody, ..row }
}

/// All of them.
pub(crate) const TABLE: [Row; 21] = [
    xml("sts", "AssumeRole", 2, Account::Told),
    anybody(xml("sts", "AssumeRoleWithSAML", 2, Account::Told)),
    anybody(xml("sts", "AssumeRoleWithWebIdentity", 2, Account::Told)),
    xml("sts", "AssumeRoot", 2, Account::Unknown),
    anybody(xml("sts", "GetDelegatedAccessToken", 2, Account::Unknown)),
    xml("sts", "GetFederationToken", 2, Account::Told),
    xml("sts", "GetSessionToken", 2, Account::OfCaller),
    xml("s3", "CreateSession", 1, Account::OfCaller),
    xml("s3control", "GetDataAccess", 1, Account::Unknown),
    json("datazone", "GetEnvironmentCredentials", &[], SMALL),
    json("deadline", "AssumeFleetRoleForRead", &["credentials"], SMALL),
    json("deadline", "AssumeFleetRoleForWorker", &["credentials"], SMALL),
    json("deadline", "AssumeQueueRoleForRead", &["credentials"], SMALL),
    json("deadline", "AssumeQueueRoleForUser", &["credentials"], SMALL),
    json("deadline", "AssumeQueueRoleForWorker", &["credentials"], SMALL),
    anybody(json("eks-auth", "AssumeRoleForPodIdentity", &["credentials"], SMALL)),
    anybody(json("lakeformation", "AssumeDecoratedRoleWithSAML", &[], LARGE)),
    json("lakeformation", "GetTemporaryDataLocationCredentials", &["Credentials"], LARGE),
    json("lakeformation", "GetTemporaryGlueFunctionCredentials", &[], LARGE),
    json("lakeformation", "GetTemporaryGluePartitionCredentials", &[], LARGE),
    json("lakeformation", "GetTemporaryGlueTableCredentials", &[], LARGE),
];

fn row(service: &str, operation: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| (row.service, row.operation) == (service, operation))
}

/// Where the answer of this operation carries keys that can be replaced; `service` as botocore names it.
pub(super) fn keys_of(service: &str, operation: &str) -> Option<Keys> {
    row(service, operation).map(|row| row.keys)
}

/// Whether policy must reveal the answer of this operation, which carries credentials.
fn is_withheld(service: &str, operation: &str) -> bool {
    let hidden = HIDDEN.contains(&(service, operation));
    row(service, operation).map_or(!hidden, |row| row.whose == For::Anybody)
}

/// The whole of an answer, where parts of it have paths.
pub const WHOLE: &str = "*";

/// The parts of this operation's answer that an agent gets only where policy reveals them: all of it, where it
/// carries credentials that cannot be replaced or may be anybody's, or makes some of the agent's own count.
pub(crate) fn withheld(service: &str, operation: &catalog::Operation) -> Vec<Arc<str>> {
    if operation.mints && is_withheld(service, operation.name) { vec![WHOLE.into()] } else { Vec::new() }
}

/// Operations that answer with credentials all of which are members that `mask` hides: the call is made, and what it
/// makes is of use to nobody unless policy reveals it.
pub(crate) const HIDDEN: [(&str, &str); 3] = [
    ("iam", "CreateAccessKey"),
    ("iam", "CreateServiceSpecificCredential"),
    ("iam", "ResetServiceSpecificCredential"),
];

/// The operations of this service of whose answers anything is withheld.
pub(crate) fn withholding(service: &catalog::Service) -> impl Iterator<Item = &'static str> {
    service.minting().filter(|operation| is_withheld(service.name, operation))
}

#[cfg(test)]
pub(crate) mod tests;
