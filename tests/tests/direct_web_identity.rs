//! Roles that are assumed with the workload's own token: a real OpenID provider's, shown to the STS of the upstream.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use chaperone_tests::{
    direct::{ALLOW_ALL, Direct, Reply, Setup, Signing},
    harness::{Oidc, Wanted},
    upstream::Role,
};
use gateway_user::{
    identify::{CredentialSource, Scope, Voucher},
    secret::SecretText,
};
use http::{Method, StatusCode};

const ROLE: &str = "arn:aws:iam::123456789012:role/agents";
const TOKENS: &str = "arn:aws:iam::123456789012:role/tokens";

struct Stage {
    oidc: Oidc,
    direct: Direct,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn start(scope: Scope, first: Option<&'static str>) -> Result<Self> {
        let (oidc, dir) = (Oidc::start()?, tempfile::tempdir()?);
        let file = dir.path().join("token");
        let template = file.to_string_lossy().into_owned();
        let direct = Direct::start(Setup {
            policies: ALLOW_ALL.to_owned(),
            issuers: vec![oidc.config("idp")?],
            credentials: CredentialSource::WebIdentity,
            upstream: Box::new(|config| {
                config.roles = vec![Role::allowing(ROLE, &["s3:*"]), Role::allowing(TOKENS, &["sts:*"])];
            }),
            workload: Box::new(move |workload| {
                workload.identity = Voucher::Oidc;
                workload.issuer = "idp".parse().ok();
                workload.token_file = Some(template);
                workload.role_arn = Some(ROLE.to_owned());
                workload.web_identity_role = first.map(str::to_owned);
                workload.scope = Some(scope);
            }),
            ..Setup::default()
        })
        .await?;
        Ok(Self { oidc, direct, file, _dir: dir })
    }

    /// A token of the agent, put where the gateway reads it.
    async fn token(&self, ttl: u64) -> Result<SecretText> {
        let wanted = Wanted { subject: "agent-7".to_owned(), ttl, ..Wanted::default() };
        let token = self.oidc.token(&wanted).await?;
        fs::write(&self.file, token.expose())?;
        Ok(token)
    }

    /// As the daemon does from time to time.
    async fn renew(&self) -> Result<()> {
        let (gateway, session) = (&self.direct.gateway, self.direct.session().await?);
        let renewed = gateway.registry.renewal(&session).await.context("nothing new")??;
        Ok(gateway.renew(&session, renewed).await?)
    }

    async fn get(&self, key: &str) -> Result<Reply> {
        let s3 = self.direct.agent("s3.eu-central-1.amazonaws.com");
        s3.ask(Method::GET, &format!("/bucket/{key}"), &[], "", &Signing::new("s3")).await
    }

    async fn gets(&self, key: &str) -> Result<()> {
        let reply = self.get(key).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        Ok(())
    }

    /// With which keys the last request to AWS was signed.
    fn signed_with(&self) -> String {
        let last = self.direct.upstream.requests().pop();
        last.map(|request| request.header("authorization").to_owned()).unwrap_or_default()
    }
}

#[tokio::test]
async fn each_call_has_keys_for_the_token_that_counts() -> Result<()> {
    let stage = Stage::start(Scope::Call, None).await?;
    let old = stage.token(300).await?;
    stage.gets("a").await?;
    let new = stage.token(600).await?;
    stage.gets("b").await?;
    stage.renew().await?;
    stage.gets("c").await?;
    let (issued, session) = (stage.direct.upstream.issued(), stage.direct.session().await?);
    let [one, two, three] = issued.as_slice() else { panic!("{issued:?}") };
    assert!(one.by == old.expose() && two.by == old.expose() && three.by == new.expose());
    for (issued, key) in [(one, "a"), (two, "b"), (three, "c")] {
        assert_eq!((issued.role.as_str(), &issued.session_name), (ROLE, &session.id.to_string()));
        let policy = issued.policy.as_deref().unwrap_or_default();
        assert!(policy.contains(&format!("arn:aws:s3:::bucket/{key}")), "{policy}");
        // The token itself says whose it is.
        assert_eq!((&issued.source_identity, issued.tags.len()), (&None, 0));
    }
    assert!(stage.signed_with().contains(&three.key.id), "{}", stage.signed_with());
    Ok(())
}

#[tokio::test]
async fn a_session_keeps_its_keys() -> Result<()> {
    let stage = Stage::start(Scope::Session, None).await?;
    let token = stage.token(300).await?;
    stage.gets("a").await?;
    stage.gets("b").await?;
    let (issued, session) = (stage.direct.upstream.issued(), stage.direct.session().await?);
    let [issued] = issued.as_slice() else { panic!("{issued:?}") };
    assert!(issued.by == token.expose() && issued.session_name == session.id.to_string());
    assert!(issued.policy.is_some() && stage.signed_with().contains(&issued.key.id));
    Ok(())
}

#[tokio::test]
async fn with_the_keys_for_the_token_the_role_is_assumed() -> Result<()> {
    let stage = Stage::start(Scope::Call, Some(TOKENS)).await?;
    let token = stage.token(300).await?;
    stage.gets("a").await?;
    stage.gets("b").await?;
    let (issued, session) = (stage.direct.upstream.issued(), stage.direct.session().await?);
    let [first, a, b] = issued.as_slice() else { panic!("{issued:?}") };
    assert!(first.role == TOKENS && first.by == token.expose() && first.policy.is_none());
    assert!(first.source_identity.is_none() && first.tags.is_empty());
    assert_eq!(first.session_name, session.id.to_string());
    for (issued, key) in [(a, "a"), (b, "b")] {
        assert_eq!((issued.role.as_str(), issued.by.as_str()), (ROLE, first.key.id.as_str()));
        assert_eq!(issued.session_name, session.id.to_string());
        assert_eq!(issued.source_identity.as_deref(), Some("agent-7"));
        assert!(issued.tags.contains(&("chaperone:session".to_owned(), session.id.to_string())));
        let policy = issued.policy.as_deref().unwrap_or_default();
        assert!(policy.contains(&format!("arn:aws:s3:::bucket/{key}")), "{policy}");
    }
    assert!(stage.signed_with().contains(&b.key.id), "{}", stage.signed_with());
    Ok(())
}

#[tokio::test]
async fn a_token_that_aws_refuses_is_not_tried_again() -> Result<()> {
    for first in [None, Some(TOKENS)] {
        let stage = Stage::start(Scope::Call, first).await?;
        stage.token(300).await?;
        for (status, code) in [
            (StatusCode::BAD_REQUEST, "InvalidIdentityToken"),
            (StatusCode::FORBIDDEN, "IDPRejectedClaim"),
            (StatusCode::BAD_REQUEST, "ExpiredTokenException"),
        ] {
            stage.direct.upstream.refuse_sts(status, code);
            let reply = stage.get("a").await?;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{}", reply.text());
            assert!(
                reply.text().contains("AWS does not accept the token of this session"),
                "{}",
                reply.text()
            );
        }
        stage.gets("a").await?;
    }
    Ok(())
}
