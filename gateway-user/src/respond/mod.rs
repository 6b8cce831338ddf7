//! Any refusal → an error in the protocol's own shape. *pure*
//!
//! The agent's SDK raises it as the typed error it knows from AWS. No SDK retries the 400s and 403s
//! (but for clock skew, after it has set its clock); 500, 502 and 503 are retried as AWS's are.

use std::fmt::Display;

use bytes::Bytes;
use http::{Method, Response, StatusCode};

use crate::{
    body::CollectError,
    classify::ClassifyError,
    credentials::CredentialsError,
    decide::{Denial, Question, Reason},
    identify::EndReason,
    parse::{
        AuthorizationError, EndpointError, ErrorShape, ParseError, PayloadError, QueryError, SignatureError,
    },
    prim::{CallId, SessionId},
    record::RecordError,
    sign::SignError,
};

mod code;
mod write;

pub use code::Kind;

/// What is said to an agent, and to the log, when a call does not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What went wrong: decides status and error code.
    pub kind: Kind,
    /// What the agent reads: what was refused, by which rule, in which session, what to do.
    pub message: String,
    /// What the log and the record say; may name internals that are not the agent's business.
    pub log: String,
    /// The call, as the agent sees it in `x-amzn-requestid`.
    pub call: CallId,
}

impl Refusal {
    /// A refusal whose agent and log read the same.
    pub fn new(kind: Kind, why: impl Display, session: SessionId, call: CallId) -> Self {
        let log = why.to_string();
        Self { kind, message: format!("Chaperone refused this call: {log} (session {session})."), log, call }
    }

    /// A refusal that tells the agent less than the log.
    pub fn internal(kind: Kind, message: &str, log: impl Display, session: SessionId, call: CallId) -> Self {
        Self {
            kind,
            message: format!("Chaperone: {message} (session {session})."),
            log: log.to_string(),
            call,
        }
    }

    /// Nobody vouches for the agent. It learns no more; why is in the event.
    #[must_use]
    pub fn not_accepted(call: CallId) -> Self {
        let message = "Chaperone: identity not accepted.".to_owned();
        Self { kind: Kind::Denied, log: message.clone(), message, call }
    }

    /// The session is over: its token expired, or a person ended it.
    #[must_use]
    pub fn over(reason: EndReason, session: SessionId, call: CallId) -> Self {
        let log = format!("the session is over: {}", reason.as_str());
        Self { log, ..Self::internal(Kind::Denied, "identity not accepted", "", session, call) }
    }

    /// The head could not be accepted.
    #[must_use]
    pub fn parse(error: &ParseError, session: SessionId, call: CallId) -> Self {
        let kind = match error {
            ParseError::Head(_) => Kind::Malformed,
            ParseError::Query(
                QueryError::BareCharacter(_)
                | QueryError::PercentEncoding
                | QueryError::NotText
                | QueryError::EmptyPair,
            ) => Kind::Malformed,
            ParseError::Endpoint(EndpointError::NotAws(_) | EndpointError::Unknown(_)) => Kind::Denied,
            ParseError::Endpoint(EndpointError::Unsupported(_)) => Kind::NotImplemented,
            ParseError::Authorization(
                AuthorizationError::Unsigned | AuthorizationError::DoublySigned | AuthorizationError::Scheme,
            ) => Kind::Denied,
            ParseError::Authorization(AuthorizationError::SigV4a | AuthorizationError::SigV2) => {
                Kind::NotImplemented
            }
            ParseError::Authorization(
                AuthorizationError::Duplicate
                | AuthorizationError::Malformed(_)
                | AuthorizationError::Presigned { .. }
                | AuthorizationError::SignedHeaderMissing(_)
                | AuthorizationError::HeaderNotSigned(_)
                | AuthorizationError::Date,
            ) => Kind::BadAuthorization,
            ParseError::Payload(PayloadError::SignedChunks(_) | PayloadError::EventStream) => {
                Kind::NotImplemented
            }
            ParseError::Payload(
                PayloadError::MustBeSigned | PayloadError::Chunked(_) | PayloadError::Unknown,
            ) => Kind::Malformed,
        };
        Self::new(kind, error, session, call)
    }

    /// The signature was not accepted.
    #[must_use]
    pub fn signature(error: &SignatureError, session: SessionId, call: CallId) -> Self {
        let kind = match error {
            SignatureError::UnknownAccessKey(_)
            | SignatureError::PlaceholderKey(_)
            | SignatureError::SessionToken => Kind::UnknownKey,
            SignatureError::KeysExpired(_) => Kind::ExpiredKeys,
            SignatureError::Expired { .. } | SignatureError::HeaderInQuery(_) => Kind::Denied,
            SignatureError::Payload(_) => Kind::NotImplemented,
            SignatureError::Skew { .. } => Kind::Skew,
            SignatureError::Service { .. }
            | SignatureError::Region { .. }
            | SignatureError::BodyHash
            | SignatureError::Mismatch => Kind::BadSignature,
            SignatureError::BodyMissing => Kind::Internal,
        };
        Self::new(kind, error, session, call)
    }

    /// The call was not understood.
    #[must_use]
    pub fn classify(error: &ClassifyError, session: SessionId, call: CallId) -> Self {
        let kind = match error {
            ClassifyError::UnknownOperation { .. }
            | ClassifyError::UnknownAction(_)
            | ClassifyError::MintsCredentials(_) => Kind::Denied,
            ClassifyError::Ambiguous(_)
            | ClassifyError::BadBody(_)
            | ClassifyError::BadMember { .. }
            | ClassifyError::TooManyActions(_) => Kind::Malformed,
        };
        Self::new(kind, error, session, call)
    }

    /// Policy said no.
    #[must_use]
    pub fn denied(denial: &Denial, session: SessionId, call: CallId) -> Self {
        let operation = denial.operation.full_name();
        let (why, remedy) = match &denial.reason {
            Reason::Forbidden { rules } => (
                format!("{operation} is forbidden by {}", rule_names(rules)),
                "Do not retry; ask the administrator if this rule should not apply",
            ),
            Reason::NothingPermits { action, resource } => (
                format!("{operation} needs {action} on {resource}, which no rule permits"),
                "Do not retry; ask the administrator for a rule that permits it",
            ),
            Reason::EvaluationFailed { rules, .. } => (
                format!("{operation} cannot be decided, because {} failed to evaluate", rule_names(rules)),
                "Do not retry; tell the administrator",
            ),
            Reason::NotRevealed { reason, observed } => not_revealed(&operation, reason, *observed),
            Reason::NotInserted { field, secret, reason, observed } => {
                not_inserted(&operation, &format!("{secret} into {field}"), reason, *observed)
            }
            Reason::DifferentRoles { .. } => (
                format!("{operation} touches things that are permitted in different roles"),
                "Split it into calls that each touch the things of one role",
            ),
        };
        let log = match &denial.reason {
            Reason::EvaluationFailed { detail, .. } => format!("{why}: {detail}"),
            Reason::DifferentRoles { roles } => format!("{why}: {}", roles.join(", ")),
            Reason::NotRevealed { reason, .. } | Reason::NotInserted { reason, .. } => {
                format!("{why}: {reason}")
            }
            Reason::Forbidden { .. } | Reason::NothingPermits { .. } => why.clone(),
        };
        let message = format!("Denied by Chaperone policy: {why} (session {session}). {remedy}.");
        Self { kind: Kind::Denied, message, log, call }
    }

    /// Somebody would have to approve of it, and there is no way yet to ask.
    #[must_use]
    pub fn asked(question: &Question, session: SessionId, call: CallId) -> Self {
        let operation = question.operation.full_name();
        let because = match (question.reveals(), question.inserts()) {
            (true, _) => ", because it answers with credentials",
            (false, true) => ", because a secret would be put into it",
            (false, false) => "",
        };
        let observed = match (question.observed, question.inserts()) {
            (true, true) => INSERTING,
            (true, false) => OBSERVED,
            (false, _) => "",
        };
        let why = format!("{operation} needs the approval of {}{because}{observed}", question.approvals);
        let message = format!(
            "Denied by Chaperone policy: {why}, and approvals cannot be given yet (session {session}). \
             Do not retry; ask them to make the call themselves."
        );
        Self { kind: Kind::Denied, message, log: why, call }
    }

    /// The body could not be read.
    #[must_use]
    pub fn body(error: &CollectError, session: SessionId, call: CallId) -> Self {
        let kind = match error {
            CollectError::TooLarge { .. } => Kind::TooLarge,
            CollectError::Trailers | CollectError::Broken(_) => Kind::Malformed,
        };
        Self::new(kind, error, session, call)
    }

    /// There are no keys to sign with.
    #[must_use]
    pub fn credentials(error: &CredentialsError, session: SessionId, call: CallId) -> Self {
        let (why, remedy) = match error {
            CredentialsError::PolicyTooLarge { pairs, .. } => {
                let message = format!(
                    "the call needs {pairs} actions on resources, too many to be limited to; name fewer in one call"
                );
                return Self::internal(Kind::Malformed, &message, error, session, call);
            }
            CredentialsError::NoSource(_)
            | CredentialsError::AssumeRole { .. }
            | CredentialsError::CallerIdentity(_)
            | CredentialsError::Expired(_)
            | CredentialsError::Timeout(_) => {
                let message = "the gateway has no AWS credentials for this call at the moment";
                return Self::internal(Kind::Unavailable, message, error, session, call);
            }
            CredentialsError::RoleRefused { .. } => {
                ("AWS refuses the role that this call is to be made in", "tell the administrator")
            }
            CredentialsError::PackedTooLarge { .. } => (
                "what this call needs is more than AWS lets keys be limited to",
                "name fewer resources in one call, or tell the administrator",
            ),
            CredentialsError::RulesTooLarge { .. } => (
                "the rules about this workload are more than its keys can be limited to",
                "tell the administrator",
            ),
            CredentialsError::TokenRefused { .. } => {
                ("AWS does not accept the token of this session", "tell the administrator")
            }
            CredentialsError::NoToken => (
                "the session has no token to get AWS credentials with",
                "have its token presented again, or tell the administrator",
            ),
            CredentialsError::OtherAccount { .. } => (
                "the call was decided for another account than it would be made in",
                "tell the administrator",
            ),
        };
        // Trying again would not help: a status and code that SDKs do not retry.
        let message = format!("Chaperone: {why} (session {session}). Do not retry; {remedy}.");
        Self { kind: Kind::Denied, message, log: error.to_string(), call }
    }

    /// The permitted call could not be signed.
    #[must_use]
    pub fn sign(error: &SignError, session: SessionId, call: CallId) -> Self {
        if let SignError::NamesSession = error {
            return Self::new(Kind::Denied, error, session, call);
        }
        Self::internal(Kind::Internal, "the call could not be signed", error, session, call)
    }

    /// The call could not be recorded.
    #[must_use]
    pub fn record(error: &RecordError, session: SessionId, call: CallId) -> Self {
        let message = "the call cannot be recorded at the moment, so it is not made";
        Self::internal(Kind::Unavailable, message, error, session, call)
    }

    /// The HTTP status it is sent with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The answer in `shape`. The answer to HEAD has no body.
    #[must_use]
    pub fn into_response(self, shape: ErrorShape, method: &Method) -> Response<Bytes> {
        write::response(&self, shape, method)
    }
}

/// Said of calls that are refused although policy is not enforced.
const OBSERVED: &str = " (the workload is only observed, but observing reveals nothing)";

/// Why an answer is withheld, and what to do.
fn not_revealed(operation: &str, reason: &Reason, observed: bool) -> (String, &'static str) {
    let (policy, remedy) = match reason {
        Reason::Forbidden { rules } => (
            format!("to reveal them is forbidden by {}", rule_names(rules)),
            "Do not retry; ask the administrator if this rule should not apply",
        ),
        Reason::EvaluationFailed { rules, .. } => (
            format!(
                "whether to reveal them cannot be decided, because {} failed to evaluate",
                rule_names(rules)
            ),
            "Do not retry; tell the administrator",
        ),
        Reason::NothingPermits { .. }
        | Reason::DifferentRoles { .. }
        | Reason::NotRevealed { .. }
        | Reason::NotInserted { .. } => (
            "no rule reveals them".to_owned(),
            "Do not retry; ask the administrator for a rule on Action::\"reveal\" that permits it",
        ),
    };
    let observed = if observed { OBSERVED } else { "" };
    (format!("{operation} answers with credentials that cannot be replaced, and {policy}{observed}"), remedy)
}

/// The same for secrets that would be put into the call.
const INSERTING: &str = " (the workload is only observed, but observing inserts nothing)";

/// Why a secret is not put into a call, and what to do. `what`: which one, and where.
fn not_inserted(operation: &str, what: &str, reason: &Reason, observed: bool) -> (String, &'static str) {
    let (policy, remedy) = match reason {
        Reason::Forbidden { rules } => (
            format!("is forbidden by {}", rule_names(rules)),
            "Do not retry; ask the administrator if this rule should not apply",
        ),
        Reason::EvaluationFailed { rules, .. } => (
            format!("cannot be decided, because {} failed to evaluate", rule_names(rules)),
            "Do not retry; tell the administrator",
        ),
        Reason::NothingPermits { action, .. } if action != "insert" => (
            format!("needs {action}, which no rule permits"),
            "Do not retry; ask the administrator for a rule that permits it",
        ),
        Reason::NothingPermits { .. }
        | Reason::DifferentRoles { .. }
        | Reason::NotRevealed { .. }
        | Reason::NotInserted { .. } => (
            "is permitted by no rule".to_owned(),
            "Do not retry; ask the administrator for a rule on Action::\"insert\" that permits it",
        ),
    };
    let observed = if observed { INSERTING } else { "" };
    (format!("{operation} would put {what} in the place of a token, and that {policy}{observed}"), remedy)
}

fn rule_names(rules: &[String]) -> String {
    match rules {
        [] => "a rule without a name".to_owned(),
        [rule] => format!("the rule {rule:?}"),
        rules => format!(
            "the rules {}",
            rules.iter().map(|rule| format!("{rule:?}")).collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
