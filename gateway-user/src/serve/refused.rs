//! Every way a call can be refused or fail, and what the agent is told of it.

use http::StatusCode;

use super::intake::IntakeError;
use crate::{
    body::CollectError,
    classify::ClassifyError,
    credentials::CredentialsError,
    decide::{Denial, Reason},
    forward::ForwardError,
    identify::Caller,
    parse::{ParseError, SignatureError},
    prim::CallId,
    record::RecordError,
    respond::{Code, Refusal},
    sign::SignError,
};

/// The stage that ended a call, with its own error. Its `Display` is the log's text.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error("{0}")]
    Intake(#[from] IntakeError),
    #[error("{0}")]
    Signature(#[from] SignatureError),
    #[error("{0}")]
    Classify(#[from] ClassifyError),
    #[error("{}", .0.reason)]
    Denied(Box<Denial>),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{0}")]
    Credentials(#[from] CredentialsError),
    #[error("{0}")]
    Sign(#[from] SignError),
    #[error("{0}")]
    Forward(#[from] ForwardError),
}

impl Refused {
    /// The agent's answer. It names the rule, the session and what to do, and nothing of the inside.
    pub(super) fn explain(&self, caller: &Caller, call: CallId) -> Refusal {
        let (status, code, what) = self.answer();
        let session = caller.session.id;
        Refusal { status, code, message: format!("chaperone: {what} (session {session}, call {call})"), request_id: call }
    }

    fn answer(&self) -> (StatusCode, Code, String) {
        match self {
            Self::Parse(error) => (StatusCode::BAD_REQUEST, Code::Malformed, error.to_string()),
            Self::Intake(IntakeError::Collect(CollectError::TooLarge { limit })) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                Code::TooLarge,
                format!("the request body has more than {limit} bytes, which is the most the gateway inspects"),
            ),
            Self::Intake(error) => (StatusCode::BAD_REQUEST, Code::Malformed, error.to_string()),
            Self::Signature(error) => (StatusCode::FORBIDDEN, Code::Denied, error.to_string()),
            Self::Classify(error) => (StatusCode::FORBIDDEN, Code::Denied, error.to_string()),
            Self::Denied(denial) => (StatusCode::FORBIDDEN, Code::Denied, denied(denial)),
            Self::Record(_) => unavailable("the call cannot be recorded, so it is not made; tell your admin"),
            Self::Credentials(_) => unavailable("the gateway has no AWS credentials for this call; tell your admin"),
            Self::Sign(_) => unavailable("the call cannot be signed; tell your admin"),
            Self::Forward(ForwardError::RequestBody(_)) => {
                (StatusCode::BAD_REQUEST, Code::Malformed, "the request body broke off".to_owned())
            }
            Self::Forward(
                error @ (ForwardError::ResponseTimeout { host, .. } | ForwardError::ConnectTimeout { host, .. }),
            ) => {
                let _ = error;
                (StatusCode::GATEWAY_TIMEOUT, Code::Unavailable, format!("{host} did not answer in time"))
            }
            Self::Forward(ForwardError::Tls { host, .. }) => {
                (StatusCode::BAD_GATEWAY, Code::Unavailable, format!("the certificate of {host} was not accepted"))
            }
            Self::Forward(
                ForwardError::Resolve { host, .. }
                | ForwardError::Connect { host, .. }
                | ForwardError::Broken { host, .. },
            ) => (StatusCode::BAD_GATEWAY, Code::Unavailable, format!("{host} cannot be reached")),
        }
    }
}

fn unavailable(what: &str) -> (StatusCode, Code, String) {
    (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, what.to_owned())
}

/// For the agent: which action, which rule, what to do.
fn denied(denial: &Denial) -> String {
    let operation = format!("{}:{}", denial.operation.service, denial.operation.name);
    let reason = &denial.reason;
    match reason {
        Reason::Forbidden { .. } => format!("{operation} is {reason}; if you need it, ask for a change of that rule"),
        Reason::NothingPermits { .. } => format!("{operation} is denied: {reason}; if you need it, ask for a rule"),
        // Cedar's words may quote the policy, which is not the agent's business.
        Reason::EvaluationFailed { rules, .. } => {
            format!("{operation} is denied: {} could not be evaluated; tell your admin", rules.join(", "))
        }
    }
}
