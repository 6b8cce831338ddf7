//! What the product makes of a request: read, verify, classify, as `serve` does.

use anyhow::Result;
use gateway_user::{
    classify::{self, ClassifyError, Operation},
    identify::Placeholder,
    parse::{AwsRequest, BodyPlan},
    prim::AccountId,
    secret::SecretText,
};
use time::{Duration, OffsetDateTime, macros::datetime};

use super::Line;

/// The account of every generated request.
pub const ACCOUNT: &str = "123456789012";
/// When every one of them was signed.
pub const NOW: OffsetDateTime = datetime!(2025-08-30 12:36:00 UTC);
/// The difference of clocks that is allowed.
pub const SKEW: Duration = Duration::minutes(5);

/// What came of one request.
#[derive(Debug)]
pub enum Reading {
    /// The product knows what it would do.
    Known(Box<Operation>),
    /// It knows, and refuses unless policy reveals the answer, which would carry credentials:
    /// `prefix:Operation`.
    Minting(String),
    /// It knows which operation it is, and refuses because IAM's action for it is not known:
    /// `prefix:Operation`.
    Actionless(String),
    /// It refuses.
    Refused(Refusal),
}

/// At which stage it was refused, and in which words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// `connect`, `parse`, `verify` or `classify`.
    pub stage: &'static str,
    /// The stage's message.
    pub message: String,
}

/// Reads `line` for the account [`ACCOUNT`].
///
/// # Errors
/// When the line itself is no HTTP request.
pub fn read(line: &Line) -> Result<Reading> {
    read_for(line, Some(&ACCOUNT.parse()?))
}

/// Reads `line` for this account, or for one that is not known.
///
/// # Errors
/// When the line itself is no HTTP request.
pub fn read_for(line: &Line, account: Option<&AccountId>) -> Result<Reading> {
    let refused = |stage, error: &dyn std::fmt::Display| {
        Reading::Refused(Refusal { stage, message: error.to_string() })
    };
    let server_name = match line.server_name() {
        Ok(name) => name,
        Err(error) => return Ok(refused("connect", &error)),
    };
    let head = match AwsRequest::read(line.head()?, &server_name) {
        Ok(head) => head,
        Err(error) => return Ok(refused("parse", &error)),
    };
    let body = (head.body_plan() == BodyPlan::Inspect).then(|| line.body()).transpose()?;
    let verified = match head.verify(body, &placeholder(), NOW, SKEW) {
        Ok(verified) => verified,
        Err(error) => return Ok(refused("verify", &error)),
    };
    Ok(match classify::classify(&verified, account) {
        Ok(operation) if operation.is_withheld() => {
            Reading::Minting(format!("{}:{}", operation.service, operation.name))
        }
        Ok(operation) => Reading::Known(Box::new(operation)),
        Err(ClassifyError::MintsCredentials(name)) => Reading::Minting(name),
        Err(ClassifyError::UnknownAction(name)) => Reading::Actionless(name),
        Err(error) => refused("classify", &error),
    })
}

/// The key that `tests/corpus/capture.py` signs with.
#[must_use]
pub fn placeholder() -> Placeholder {
    Placeholder {
        access_key_id: "ASIAPLACEHOLDER00001".to_owned(),
        secret: SecretText::new("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned()),
        session_token: SecretText::new("placeholder-token".to_owned()),
    }
}
