//! Every way a call can be refused or fail; `respond` says what the agent is told of each.

use super::{attribution::OtherSession, intake::IntakeError, masking::MaskingError};
use crate::{
    classify::ClassifyError,
    credentials::CredentialsError,
    decide::{Denial, Question},
    forward::ForwardError,
    identify::{Caller, EndReason},
    insert::InsertError,
    mask::MaskError,
    mint::MintError,
    parse::{ParseError, SignatureError},
    prim::CallId,
    record::RecordError,
    respond::{Kind, Refusal},
    share::NoRoom,
    sign::SignError,
};

/// The stage that ended a call, with its own error.
#[derive(Debug)]
pub(super) enum Refused {
    Parse(ParseError),
    Intake(IntakeError),
    Busy(NoRoom),
    Over(EndReason),
    Signature(SignatureError),
    Classify(ClassifyError),
    OtherSession(OtherSession),
    Denied(Box<Denial>),
    Asked(Box<Question>),
    Record(RecordError),
    Credentials(CredentialsError),
    Sign(SignError),
    Forward(ForwardError),
    /// A rule permits it in this role only, and the agent chose keys of another.
    OtherRole(String),
    Mint(MintError),
    Masking(MaskingError),
    /// Values could not be put in the place of tokens.
    Insert(InsertError),
}

impl Refused {
    /// What is said to the agent, and to the log.
    pub(super) fn explain(&self, caller: &Caller, call: CallId) -> Refusal {
        let session = caller.session.id;
        match self {
            Self::Parse(error) => Refusal::parse(error, session, call),
            Self::Intake(IntakeError::Collect(error)) => Refusal::body(error, session, call),
            Self::Intake(error @ (IntakeError::Head { .. } | IntakeError::Timeout(_))) => {
                Refusal::new(Kind::Malformed, error, session, call)
            }
            Self::Signature(error) => Refusal::signature(error, session, call),
            Self::Classify(error) => Refusal::classify(error, session, call),
            Self::OtherSession(error) => Refusal::new(Kind::Denied, error, session, call),
            Self::Intake(error @ IntakeError::NoRoom(_)) => {
                Refusal::internal(Kind::Unavailable, "too many requests at once", error, session, call)
            }
            Self::Busy(error) => {
                Refusal::internal(Kind::Unavailable, "too many calls at once", error, session, call)
            }
            Self::Over(reason) => Refusal::over(*reason, session, call),
            Self::Denied(denial) => Refusal::denied(denial, session, call),
            Self::Asked(question) => Refusal::asked(question, session, call),
            Self::Record(error) => Refusal::record(error, session, call),
            Self::Credentials(error) => Refusal::credentials(error, session, call),
            Self::Sign(error) => Refusal::sign(error, session, call),
            Self::Forward(error) => forward(error, caller, call),
            Self::OtherRole(role) => {
                let message =
                    "the rule that permits this call wants it made in another role than its keys are of";
                Refusal::internal(Kind::Denied, message, format!("{message}: {role}"), session, call)
            }
            Self::Insert(error) => {
                let kind = match error {
                    InsertError::PermitMismatch => Kind::Internal,
                    InsertError::TooLong(_) | InsertError::TooMuch(_) => Kind::TooLarge,
                    _ => Kind::Malformed,
                };
                Refusal::new(kind, error, session, call)
            }
            Self::Mint(error) => {
                let kind = if *error == MintError::Broken { Kind::Upstream } else { Kind::Denied };
                Refusal::internal(kind, "the keys in the answer could not be replaced", error, session, call)
            }
            Self::Masking(error) => {
                let broken =
                    matches!(error, MaskingError::Broken(_) | MaskingError::Unreadable(MaskError::Broken));
                let kind = if broken { Kind::Upstream } else { Kind::Denied };
                Refusal::internal(kind, "the secrets in the answer could not be hidden", error, session, call)
            }
        }
    }
}

/// What the agent learns of AWS's absence: which host, and not which address or why.
fn forward(error: &ForwardError, caller: &Caller, call: CallId) -> Refusal {
    let (kind, message) = match error {
        ForwardError::Resolve { host, .. }
        | ForwardError::Connect { host, .. }
        | ForwardError::Broken { host, .. } => (Kind::Upstream, format!("{host} cannot be reached")),
        ForwardError::Tls { host, .. } => {
            (Kind::Upstream, format!("the certificate of {host} was not accepted"))
        }
        ForwardError::ConnectTimeout { host, .. } | ForwardError::ResponseTimeout { host, .. } => {
            (Kind::Timeout, format!("{host} did not answer in time"))
        }
        ForwardError::RequestBody(_) => (Kind::Malformed, "the request body broke off".to_owned()),
    };
    Refusal::internal(kind, &message, error, caller.session.id, call)
}

/// `?` from each stage's error.
macro_rules! from_stage {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(impl From<$error> for Refused {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from_stage! {
    Parse(ParseError),
    Intake(IntakeError),
    Busy(NoRoom),
    Over(EndReason),
    Signature(SignatureError),
    Classify(ClassifyError),
    OtherSession(OtherSession),
    Record(RecordError),
    Credentials(CredentialsError),
    Sign(SignError),
    Forward(ForwardError),
    Mint(MintError),
    Masking(MaskingError),
    Insert(InsertError),
}
