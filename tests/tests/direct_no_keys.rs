//! Calls for which there are no keys: what passes is a 503, which SDKs try again; what does not pass says so.

use anyhow::Result;
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    upstream::Role,
};
use gateway_user::identify::{CredentialSource, Scope};
use http::{Method, StatusCode};

const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const UNKNOWN: &str = "arn:aws:iam::123456789012:role/unknown";

async fn start(policies: &str, role: &'static str, scope: Scope, from: CredentialSource) -> Result<Direct> {
    Direct::start(Setup {
        policies: policies.to_owned(),
        credentials: from,
        upstream: Box::new(|config| config.roles = vec![Role::allowing(ROLE, &["*"])]),
        workload: Box::new(move |workload| {
            workload.role_arn = Some(role.to_owned());
            workload.scope = Some(scope);
        }),
        ..Setup::default()
    })
    .await
}

async fn ask(direct: &Direct) -> Result<Reply> {
    let s3 = direct.agent("s3.eu-central-1.amazonaws.com");
    s3.ask(Method::GET, "/bucket/a", &[], "", &Signing::new("s3")).await
}

/// Asks, and is told not to ask again.
async fn refused(direct: &Direct, words: &str) -> Result<()> {
    let reply = ask(direct).await?;
    let text = reply.text();
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "{text}");
    assert!(text.contains("<Code>AccessDenied</Code>"), "{text}");
    assert!(text.contains(words) && text.contains("Do not retry; "), "{text}");
    assert!(!text.contains(ROLE) && !text.contains(UNKNOWN), "{text}");
    assert!(direct.upstream.requests().is_empty() && direct.upstream.issued().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_role_that_does_not_trust_the_gateway() -> Result<()> {
    for scope in [Scope::Call, Scope::Session, Scope::Role] {
        let direct = start(ALLOW_ALL, UNKNOWN, scope, CredentialSource::Gateway).await?;
        refused(&direct, "AWS refuses the role that this call is to be made in").await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_policy_that_is_too_much_when_packed() -> Result<()> {
    let direct = start(ALLOW_ALL, ROLE, Scope::Call, CredentialSource::Gateway).await?;
    direct.upstream.refuse_sts(StatusCode::BAD_REQUEST, "PackedPolicyTooLarge");
    refused(&direct, "more than AWS lets keys be limited to").await?;
    // The next may be smaller.
    assert_eq!(ask(&direct).await?.status, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn rules_that_are_too_much_for_a_session() -> Result<()> {
    let rules: String = (0..100)
        .map(|number| {
            format!(
                "permit (principal, action == Action::\"s3:GetObject\", resource) \
                 when {{ resource.arn like \"arn:aws:s3:::bucket-of-some-length-{number}/*\" }};\n"
            )
        })
        .collect();
    let rules =
        format!("permit (principal, action, resource == Resource::\"arn:aws:s3:::bucket/a\");\n{rules}");
    let direct = start(&rules, ROLE, Scope::Session, CredentialSource::Gateway).await?;
    refused(&direct, "the rules about this workload are more than its keys can be limited to").await
}

#[tokio::test]
async fn a_session_without_the_token_that_its_role_is_for() -> Result<()> {
    let direct = start(ALLOW_ALL, ROLE, Scope::Call, CredentialSource::WebIdentity).await?;
    refused(&direct, "the session has no token to get AWS credentials with").await
}

#[tokio::test]
async fn what_passes_is_tried_again() -> Result<()> {
    let direct = start(ALLOW_ALL, ROLE, Scope::Call, CredentialSource::Gateway).await?;
    direct.upstream.refuse_sts(StatusCode::FORBIDDEN, "ExpiredToken");
    let reply = ask(&direct).await?;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
    assert!(reply.text().contains("at the moment"), "{}", reply.text());
    assert_eq!(ask(&direct).await?.status, StatusCode::OK);
    Ok(())
}
