//! Finds out who a session is: from its host, or from a token.

use std::{sync::Arc, time::Duration};

use super::{
    Identity, Session, Voucher, WorkloadConfig,
    token_file::{self, TokenFileError},
};
use crate::{
    issuer::{Issuers, TokenError},
    secret::SecretText,
};

/// How long reading a token file may take.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why nobody vouches for a session. The agent learns only that its identity is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VouchError {
    /// The workload needs a token, has no file of it, and none was presented.
    #[error("workload needs a token: configure `token_file`, or present one with chaperone run --token-file")]
    NoToken,
    /// The file has none.
    #[error("no token in {0}")]
    File(#[from] TokenFileError),
    /// The issuer's rules do not accept it.
    #[error("the token is not accepted: {0}")]
    Token(#[from] TokenError),
    /// It is another subject's than the workload is for.
    #[error("the token's subject {subject:?} is none of the workload's `subjects`")]
    Subject {
        /// `sub`.
        subject: String,
    },
    /// A renewed token is somebody else's.
    #[error("the new token's subject {new:?} is not {old:?}, who the session is")]
    OtherSubject {
        /// Who the session is.
        old: String,
        /// Who the token is.
        new: String,
    },
    /// It was accepted for another cgroup, or presented by another user.
    #[error("the token was presented for another session, and is good for that alone")]
    TokenOfAnother,
    /// A renewed token was issued before the one that the session has.
    #[error("the new token is older than the one that the session has")]
    OlderToken,
    /// No more of them can be told apart.
    #[error("{0} tokens are in use, and [identify] max_tokens allows no more, or no more of this user")]
    TooManyTokens(usize),
    /// The file system does not answer.
    #[error("reading the token took longer than {FILE_TIMEOUT:?}")]
    Slow,
    /// The file could not be read for a reason of the daemon's own.
    #[error("reading the token failed")]
    Interrupted,
}

impl VouchError {
    /// A fixed word for queries.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::File(TokenFileError::Untrusted { .. }) => "token-file-untrusted",
            Self::File(_) => "no-token-file",
            Self::Token(error) => error.reason(),
            Self::Subject { .. } => "subject-not-allowed",
            Self::OtherSubject { .. } => "other-subject",
            Self::TokenOfAnother => "token-of-another",
            Self::OlderToken => "older-token",
            Self::TooManyTokens(_) => "too-many-tokens",
            Self::Slow => "token-file-slow",
            Self::Interrupted => "interrupted",
        }
    }
}

/// All who may vouch.
#[derive(Debug, Clone)]
pub struct Vouchers {
    issuers: Arc<Issuers>,
}

impl Vouchers {
    /// The host, and these issuers.
    #[must_use]
    pub fn new(issuers: Arc<Issuers>) -> Self {
        Self { issuers }
    }

    /// Who `session` is: by the token that was presented for it, else by that in its workload's file.
    ///
    /// # Errors
    /// [`VouchError`].
    pub async fn vouch(
        &self,
        session: &Session,
        presented: Option<SecretText>,
    ) -> Result<Identity, VouchError> {
        let workload = &session.workload;
        if workload.identity == Voucher::Host {
            return Ok(Identity::host(workload));
        }
        let launched = session.launch.as_ref().is_some_and(|launch| launch.uid != 0);
        let token = match presented {
            Some(token) => token,
            // The daemon can read what the launching user perhaps cannot.
            None if launched => return Err(VouchError::NoToken),
            None => from_file(session).await?.ok_or(VouchError::NoToken)?,
        };
        self.verified(workload, token).await
    }

    /// A newer token of `session`, which must be of the same subject, and no older than the one in force: who
    /// keeps old tokens would keep old groups.
    ///
    /// # Errors
    /// [`VouchError`].
    pub async fn renewed(&self, session: &Session, token: SecretText) -> Result<Identity, VouchError> {
        let identity = self.verified(&session.workload, token).await?;
        let known = session.identity();
        if !identity.is(&known) {
            return Err(VouchError::OtherSubject { old: known.subject.clone(), new: identity.subject });
        }
        if identity.is_older_than(&known) {
            return Err(VouchError::OlderToken);
        }
        Ok(identity)
    }

    async fn verified(&self, workload: &WorkloadConfig, token: SecretText) -> Result<Identity, VouchError> {
        let issuer = workload.issuer.as_ref().ok_or(VouchError::NoToken)?;
        let claims = self.issuers.verify(issuer, &token).await?;
        if !workload.subjects.fit(&claims.subject) {
            return Err(VouchError::Subject { subject: claims.subject });
        }
        Ok(Identity::of_token(claims, token, workload))
    }
}

/// The token in the workload's file, if it has one.
pub(super) async fn from_file(session: &Session) -> Result<Option<SecretText>, VouchError> {
    let Some(template) = &session.workload.token_file else { return Ok(None) };
    let path = token_file::path(template, &session.cgroup);
    let reading = session.reading().ok_or(VouchError::Slow)?;
    // A file system may not answer at all.
    let read = tokio::task::spawn_blocking(move || {
        let _reading = reading;
        token_file::read(&path)
    });
    let read = tokio::time::timeout(FILE_TIMEOUT, read).await.map_err(|_| VouchError::Slow)?;
    Ok(Some(read.map_err(|_| VouchError::Interrupted)??))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the words in `fn reason` and the like are, by the sources: nobody can forget one here.
    fn words(source: &str, from: &str, to: &str) -> Vec<String> {
        let (_, part) = source.split_once(from).unwrap();
        let (part, _) = part.split_once(to).unwrap();
        let plain = |text: &&str| {
            text.contains('-')
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let one =
            |text: &&str| matches!(*text, "encrypted" | "expired" | "unsigned" | "interrupted" | "killed");
        part.split('"')
            .skip(1)
            .step_by(2)
            .filter(|text| plain(text) || one(text))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_reason_is_documented_and_no_other() {
        let docs = include_str!("../../../docs/identity.md");
        let (_, docs) = docs.split_once("`reason` is a fixed word:").unwrap();
        let (docs, _) = docs.split_once("\n\nAn issuer that cannot").unwrap();
        let documented: Vec<&str> =
            docs.split('`').skip(1).step_by(2).filter(|word| !word.contains('.')).collect();
        let mut reasons = words(include_str!("vouch.rs"), "fn reason", "All who may vouch");
        reasons.extend(words(
            include_str!("../issuer/error.rs"),
            "fn reason",
            "Self::Elsewhere(_) => \"claim-elsewhere\",\n        }",
        ));
        reasons.push("claim-elsewhere".to_owned());
        reasons.extend(words(include_str!("../issuer/header.rs"), "const REFUSED", "];"));
        reasons.extend(words(include_str!("session.rs"), "fn as_str", "\n    }"));
        assert!(reasons.len() > 60, "{reasons:?}");
        for reason in &reasons {
            assert!(documented.contains(&reason.as_str()), "{reason} is not in docs/identity.md");
        }
        for word in documented {
            assert!(reasons.iter().any(|reason| reason == word), "{word} is no reason");
        }
    }

    /// The daemon reads as root what the user who launches perhaps may not.
    #[tokio::test]
    async fn an_ordinary_user_must_present_a_token() {
        let issuers = Arc::new(Issuers::new(&[], crate::clock::Clock::system()).unwrap());
        let workload = WorkloadConfig {
            identity: Voucher::Oidc,
            issuer: "idp".parse().ok(),
            token_file: Some("/nonexistent/token".to_owned()),
            ..WorkloadConfig::named("builds".parse().unwrap())
        };
        let workload = Arc::new(workload);
        let vouch = async |uid: Option<u32>| {
            let id = crate::prim::SessionId::generate();
            let place = (crate::prim::CgroupPath::new("agents.slice/x"), crate::prim::CgroupId(1));
            let placeholder =
                super::super::Placeholders::new(&super::super::MasterKey::from_bytes([1; 32])).of(id);
            let launch = uid.map(|uid| super::super::Launch { command: Vec::new(), uid });
            let started = time::OffsetDateTime::UNIX_EPOCH;
            let session = Session::new(id, Arc::clone(&workload), place, started, placeholder, launch);
            Vouchers::new(Arc::clone(&issuers)).vouch(&session, None).await.unwrap_err().reason()
        };
        assert_eq!(vouch(Some(1000)).await, "no-token");
        assert_eq!(vouch(Some(0)).await, "no-token-file");
        assert_eq!(vouch(None).await, "no-token-file");
    }
}
