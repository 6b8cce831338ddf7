//! `VerifiedRequest` → `Operation`: IAM actions, resources, parameters. *pure*

use std::collections::BTreeMap;

use crate::{
    parse::{RequestDigest, VerifiedRequest},
    prim::{AccountId, Region},
};

/// An IAM action and the resource it touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOn {
    /// `service:Name` as IAM writes it, e.g. `s3:PutObject`.
    pub action: String,
    /// An ARN, or `*` where it cannot be computed.
    pub resource: String,
}

/// A request parameter that policies can read.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// A text; also timestamps and blobs (base64).
    Text(String),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Param>),
    /// A structure or map.
    Record(BTreeMap<String, Param>),
}

/// What a request would do, known beyond doubt.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// IAM service prefix, e.g. `s3`, `dynamodb`.
    pub service: String,
    /// API operation, e.g. `PutObject`.
    pub name: String,
    /// The region of the signature scope.
    pub region: Region,
    /// The account, where it is configured.
    pub account: Option<AccountId>,
    /// Every action it needs; never empty. All must be allowed.
    pub actions: Vec<ActionOn>,
    /// Its parameters; what sits in an unread streaming body is absent.
    pub params: BTreeMap<String, Param>,
    /// The canonical request this was read from.
    pub digest: RequestDigest,
}

/// Why a request is not understood; always a Deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassifyError {
    /// The service is not in the catalogue.
    #[error("service {0:?} is not in the catalogue")]
    UnknownService(String),
    /// The operation is not in the catalogue, or the request fits none.
    #[error("no operation of {service} fits this request: {detail}")]
    UnknownOperation {
        /// IAM service prefix.
        service: String,
        /// What was looked for.
        detail: String,
    },
    /// Two readings are possible.
    #[error("the request can be read in two ways: {0}")]
    Ambiguous(String),
    /// The body of an operation that must be inspected cannot be parsed.
    #[error("the body cannot be read: {0}")]
    BadBody(String),
    /// The answer would carry credentials, which cannot be kept from the agent yet.
    #[error("{0} answers with credentials, which must not reach an agent")]
    MintsCredentials(String),
}

/// Reads operation, actions, resources and parameters.
///
/// # Errors
/// [`ClassifyError`]: whatever is unknown or could be read in two ways.
pub fn classify(request: &VerifiedRequest, account: Option<&AccountId>) -> Result<Operation, ClassifyError> {
    let _ = (request, account);
    todo!("helper")
}
