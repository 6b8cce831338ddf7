//! Status and error code of each kind of refusal, as AWS's own services use them.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonErrors.html> and
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>

use http::StatusCode;

use crate::parse::ErrorShape;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Policy, or what the gateway refuses on principle: 403.
    Denied,
    /// The access key or session token is not the session's: 403.
    UnknownKey,
    /// The keys are a placeholder that stands for nothing any more: 400. SDKs ask for new ones.
    ExpiredKeys,
    /// The signature is not right: 403.
    BadSignature,
    /// The date of the signature is too far away: 403. SDKs set their clock by the answer.
    Skew,
    /// The Authorization header is not well formed: 400.
    BadAuthorization,
    /// Something else about the request is not well formed: 400.
    Malformed,
    /// The body is larger than may be inspected: 413.
    TooLarge,
    /// A way to call AWS that the gateway does not support: 501.
    NotImplemented,
    /// A fault of the gateway: 500.
    Internal,
    /// AWS could not be reached or broke off: 502.
    Upstream,
    /// AWS did not answer in time: 504.
    Timeout,
    /// The gateway cannot make calls at the moment: 503.
    Unavailable,
}

impl Kind {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::Denied | Self::UnknownKey | Self::BadSignature | Self::Skew => StatusCode::FORBIDDEN,
            Self::ExpiredKeys | Self::BadAuthorization | Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Upstream => StatusCode::BAD_GATEWAY,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error code, as services of this shape spell it.
    #[must_use]
    pub fn code(self, shape: ErrorShape) -> &'static str {
        // (JSON and CBOR, query, EC2, S3)
        let (json, query, ec2, s3) = match self {
            Self::Denied => {
                ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "AccessDenied")
            }
            Self::UnknownKey => {
                ("UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "InvalidAccessKeyId")
            }
            Self::ExpiredKeys => ("ExpiredTokenException", "ExpiredToken", "RequestExpired", "ExpiredToken"),
            Self::BadSignature => {
                ("InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "SignatureDoesNotMatch")
            }
            Self::Skew => {
                ("InvalidSignatureException", "RequestExpired", "RequestExpired", "RequestTimeTooSkewed")
            }
            Self::BadAuthorization => (
                "IncompleteSignatureException",
                "IncompleteSignature",
                "IncompleteSignature",
                "AuthorizationHeaderMalformed",
            ),
            Self::Malformed => ("ValidationException", "ValidationError", "InvalidRequest", "InvalidRequest"),
            Self::TooLarge => (
                "RequestEntityTooLargeException",
                "RequestEntityTooLarge",
                "RequestEntityTooLarge",
                "EntityTooLarge",
            ),
            Self::NotImplemented => ("NotImplemented", "NotImplemented", "Unsupported", "NotImplemented"),
            Self::Internal => ("InternalFailure", "InternalFailure", "InternalFailure", "InternalError"),
            Self::Upstream | Self::Timeout | Self::Unavailable => {
                ("ServiceUnavailable", "ServiceUnavailable", "Unavailable", "ServiceUnavailable")
            }
        };
        match shape {
            ErrorShape::AwsJson { .. } | ErrorShape::RestJson | ErrorShape::Cbor { .. } => json,
            ErrorShape::Query | ErrorShape::RestXml => query,
            ErrorShape::Ec2 => ec2,
            ErrorShape::S3 => s3,
        }
    }

    /// Whose fault it is, as the query protocol says it.
    pub(super) fn fault(self) -> &'static str {
        if self.status().is_server_error() { "Receiver" } else { "Sender" }
    }
}
