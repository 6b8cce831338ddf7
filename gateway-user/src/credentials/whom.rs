//! What AWS is told of who calls: in CloudTrail, and for conditions in AWS's own policies.

use aws_lc_rs::digest;

use crate::{identify::Caller, prim::SessionId};

/// Who is behind a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Whom {
    /// The person or machine, as the issuer calls it.
    pub(super) subject: String,
    /// Who vouches for that.
    pub(super) issuer: String,
}

/// Whom a session is of. The host vouches for the workload's name, and for no more.
pub(super) fn whom(caller: &Caller) -> Whom {
    let identity = caller.session.identity();
    Whom { subject: identity.subject.clone(), issuer: identity.issuer.clone() }
}

impl Whom {
    /// The SourceIdentity: 2 to 64 of `A-Z a-z 0-9 _ + = , . @ -`.
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
    pub(super) fn source_identity(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        fitting(&self.subject, 2, 64, plain)
    }
}

/// The session's tags, which AWS's policies can read as `aws:PrincipalTag/…`.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html>
pub(super) fn tags(caller: &Caller, whom: &Whom) -> Vec<(&'static str, String)> {
    let session: SessionId = caller.session.id;
    let plain = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
    vec![
        ("chaperone:workload", caller.session.workload.name.to_string()),
        ("chaperone:session", session.to_string()),
        ("chaperone:issuer", fitting(&whom.issuer, 1, 256, plain)),
    ]
}

/// `text` within these bounds. One that had to be changed ends in a digest of what it was, so that two of
/// them stay two.
fn fitting(text: &str, least: usize, most: usize, plain: impl Fn(char) -> bool) -> String {
    const MARK: usize = 8;
    let fits = text.chars().all(&plain) && (least..=most).contains(&text.len());
    if fits {
        return text.to_owned();
    }
    let mark = hex::encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    let mark = mark.get(..MARK).unwrap_or(&mark);
    let kept = text.chars().take(most.saturating_sub(MARK + 1));
    let kept: String = kept.map(|c| if plain(c) { c } else { '-' }).collect();
    format!("{kept}-{mark}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identify::{WorkloadConfig, testing};

    #[test]
    fn a_subject_becomes_a_source_identity() {
        let check = |subject: &str, expected: &str| {
            let whom = Whom { subject: subject.to_owned(), issuer: String::new() };
            let identity = whom.source_identity();
            assert_eq!(identity, expected);
            assert!((2..=64).contains(&identity.len()), "{identity}");
        };
        check("alice@example.com", "alice@example.com");
        check("host:builds", "host-builds-84978344");
        check("host-builds", "host-builds");
        check("", "-e3b0c442");
        check("a", "a-ca978112");
        check("\u{e4}", "--33e6d73f");
        let long = "x".repeat(65);
        check(&"x".repeat(64), &"x".repeat(64));
        check(&long, &format!("{}-9537c5fd", "x".repeat(55)));
    }

    #[test]
    fn an_issuer_becomes_a_tag() {
        let workload = WorkloadConfig::named("builds".parse().unwrap());
        let caller = testing::caller(workload, time::OffsetDateTime::UNIX_EPOCH);
        let check = |issuer: &str, expected: &str| {
            let whom = Whom { subject: String::new(), issuer: issuer.to_owned() };
            let tags = tags(&caller, &whom);
            let session = caller.session.id.to_string();
            let expected = [
                ("chaperone:workload", "builds"),
                ("chaperone:session", &session),
                ("chaperone:issuer", expected),
            ];
            assert_eq!(tags, expected.map(|(key, value)| (key, value.to_owned())), "{issuer}");
        };
        check("corp", "corp");
        check("https://idp.example.com/a b", "https://idp.example.com/a b");
        check("a_b.c:d/e=f+g-h@i j", "a_b.c:d/e=f+g-h@i j");
        check("https://idp.example.com/?x", "https://idp.example.com/-x-3172cd4f");
        check("corp idp (eu)", "corp idp -eu--4e2f6766");
        check("", "-e3b0c442");
        check(&"x".repeat(256), &"x".repeat(256));
        check(&"x".repeat(257), &format!("{}-15eb95a4", "x".repeat(247)));
    }
}
