//! Tokens of a real OpenID provider: believed while its keys say so, and no longer.

use anyhow::Result;
use chaperone_tests::harness::{Oidc, Wanted};
use gateway_user::{
    clock::Clock,
    issuer::{Claims, Config, Issuers, TokenError},
    prim::IssuerName,
    secret::SecretText,
};
use serde_json::json;
use time::Duration;

/// A provider, and a gateway's issuers with it, on a clock that is moved by hand.
struct Stage {
    oidc: Oidc,
    issuers: Issuers,
    clock: Clock,
    name: IssuerName,
}

impl Stage {
    fn new(change: impl FnOnce(&mut Config)) -> Result<Self> {
        let oidc = Oidc::start()?;
        let mut config = oidc.config("idp")?;
        change(&mut config);
        let clock = Clock::manual(Clock::system().now());
        let issuers = Issuers::new(&[config], clock.clone())?;
        Ok(Self { oidc, issuers, clock, name: "idp".parse()? })
    }

    async fn token(&self, wanted: Wanted) -> Result<SecretText> {
        self.oidc.token(&wanted).await
    }

    async fn verify(&self, token: &SecretText) -> Result<Claims, TokenError> {
        self.issuers.verify(&self.name, token).await
    }

    async fn reason(&self, token: &SecretText) -> &'static str {
        self.verify(token).await.map_or_else(|error| error.reason(), |_| "believed")
    }

    fn forward(&self, seconds: i64) {
        self.clock.set(self.clock.now() + Duration::seconds(seconds));
    }
}

#[tokio::test]
async fn what_a_real_token_says() -> Result<()> {
    let stage = Stage::new(|config| {
        config.groups_prefix = "idp:".to_owned();
        config.claims = ["team", "realm.level", "client_id"].map(str::to_owned).to_vec();
    })?;
    for alg in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let wanted = Wanted { subject: "agent-7".to_owned(), alg, ttl: 300, ..Wanted::default() }
            .claim("groups", json!(["builders", "readers"]))
            .claim("team", "blue & white")
            .claim("realm", json!({ "level": 3 }));
        let claims = stage.verify(&stage.token(wanted).await?).await?;
        assert_eq!(claims.subject, "agent-7", "{alg}");
        assert_eq!(claims.groups, ["idp:builders", "idp:readers"]);
        assert_eq!(claims.expires - claims.issued, Duration::seconds(300));
        let attributes: Vec<_> =
            claims.attributes.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            attributes,
            [("client_id", "agent-7"), ("realm.level", "3"), ("team", "blue & white")],
            "{alg}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_token_for_another_audience_or_for_too_long() -> Result<()> {
    let stage = Stage::new(|_| {})?;
    let other = Wanted { audience: "someone".to_owned(), ..Wanted::default() };
    assert_eq!(stage.reason(&stage.token(other).await?).await, "wrong-audience");
    let month = Wanted { ttl: 30 * 86_400, ..Wanted::default() };
    assert_eq!(stage.reason(&stage.token(month).await?).await, "lifetime-too-long");
    let elsewhere = Wanted::default().claim("_claim_names", json!({ "groups": "src1" }));
    assert_eq!(stage.reason(&stage.token(elsewhere).await?).await, "claim-elsewhere");
    Ok(())
}

#[tokio::test]
async fn a_token_expires() -> Result<()> {
    let stage = Stage::new(|_| {})?;
    let token = stage.token(Wanted { ttl: 60, ..Wanted::default() }).await?;
    assert_eq!(stage.reason(&token).await, "believed");
    stage.forward(60 + 31);
    assert_eq!(stage.reason(&token).await, "expired");
    Ok(())
}

#[tokio::test]
async fn keys_are_rotated() -> Result<()> {
    let mut stage = Stage::new(|config| config.keys_refresh_secs = 100)?;
    let wanted = || Wanted { ttl: 3600, ..Wanted::default() };
    let first = stage.token(wanted()).await?;
    assert_eq!(stage.reason(&first).await, "believed");

    // New keys beside the old: both are believed, the new ones at once.
    stage.oidc.rotate(true)?;
    let second = stage.token(wanted()).await?;
    assert_eq!((stage.reason(&second).await, stage.reason(&first).await), ("believed", "believed"));

    // The old ones withdrawn: the new token is the reason to ask, once a minute.
    stage.oidc.rotate(false)?;
    let third = stage.token(wanted()).await?;
    assert_eq!(stage.reason(&third).await, "unknown-key");
    stage.forward(60);
    assert_eq!(stage.reason(&third).await, "believed");
    assert_eq!((stage.reason(&first).await, stage.reason(&second).await), ("unknown-key", "unknown-key"));
    Ok(())
}

#[tokio::test]
async fn the_issuer_goes_down_and_comes_back() -> Result<()> {
    let mut stage = Stage::new(|config| config.keys_max_age_secs = 3600)?;
    let token = stage.token(Wanted { ttl: 7200, ..Wanted::default() }).await?;
    stage.oidc.stop()?;
    stage.issuers.refresh().await;
    assert_eq!(stage.reason(&token).await, "issuer-down");
    stage.oidc.start_again()?;
    let token = stage.token(Wanted { ttl: 7200, ..Wanted::default() }).await?;
    assert_eq!(stage.reason(&token).await, "issuer-down", "asked again at once");
    stage.forward(5);
    assert_eq!(stage.reason(&token).await, "believed");

    // The last keys serve for as long as they may, and no longer.
    stage.oidc.stop()?;
    stage.forward(3600);
    assert_eq!(stage.reason(&token).await, "believed");
    stage.forward(5);
    assert_eq!(stage.reason(&token).await, "issuer-down");
    Ok(())
}
