//! Several issuers: each vouches for its own workload, by its own keys, and for no other; one that is down keeps no other's
//! workload out.

#![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chaperone_tests::{
    direct::{Agent, Direct, Setup, Signing},
    harness::{Oidc, Wanted},
};
use gateway_user::{
    identify::{Voucher, WorkloadConfig},
    issuer,
};
use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

const S3: &str = "artifacts.s3.eu-central-1.amazonaws.com";

/// One issuer, and the one workload that needs its tokens.
struct Side {
    workload: &'static str,
    oidc: Oidc,
    file: PathBuf,
}

impl Side {
    /// `agents.slice/CGROUP` needs tokens of the issuer `name`.
    fn new(
        dir: &tempfile::TempDir,
        workload: &'static str,
        name: &str,
        cgroup: &str,
    ) -> Result<(Self, issuer::Config, WorkloadConfig)> {
        let (oidc, file) = (Oidc::start()?, dir.path().join(name));
        let config = WorkloadConfig {
            cgroup: Some(format!("agents.slice/{cgroup}")),
            identity: Voucher::Oidc,
            issuer: Some(name.parse()?),
            token_file: Some(file.to_string_lossy().into_owned()),
            ..WorkloadConfig::named(workload.parse()?)
        };
        let issuer = oidc.config(name)?;
        Ok((Self { workload, oidc, file }, issuer, config))
    }

    async fn token(&self, wanted: Wanted) -> Result<String> {
        let wanted = Wanted { subject: "agent-7".to_owned(), ..wanted };
        Ok(self.oidc.token(&wanted).await?.expose().to_owned())
    }

    /// The id of the key that signs.
    async fn kid(&self) -> Result<Option<String>> {
        let token = self.token(Wanted::default()).await?;
        let (header, _) = token.split_once('.').context("three parts")?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
        Ok(header["kid"].as_str().map(str::to_owned))
    }
}

/// Issuer `a` with the workload `builds`, issuer `b` with `reviews`, and `neighbours`, for whom the host vouches.
struct Stage {
    a: Side,
    b: Side,
    direct: Direct,
    _dir: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (a, issuer_a, builds) = Side::new(&dir, "builds", "a", "agent-1.service")?;
        let (b, issuer_b, reviews) = Side::new(&dir, "reviews", "b", "agent-2.service")?;
        let setup = Setup {
            issuers: vec![issuer_a, issuer_b],
            workload: Box::new(move |workload| {
                let (region, account) = (workload.region.clone(), workload.account.clone());
                *workload = WorkloadConfig { region, account, ..builds };
            }),
            more: vec![reviews],
            ..Setup::default()
        };
        Ok(Self { a, b, direct: Direct::start(setup).await?, _dir: dir })
    }

    /// An agent of the workload of this side.
    fn agent(&self, side: &Side) -> Agent<'_> {
        let agent = self.direct.agent(S3);
        if side.workload == self.a.workload { agent } else { agent.fellow() }
    }

    /// That this token does not make a session of this side's workload, for this reason.
    async fn refused(&self, side: &Side, what: &str, token: &str, reason: &str) -> Result<()> {
        fs::write(&side.file, token)?;
        let latest = self.direct.row("SELECT coalesce(max(seq), 0) AS seq FROM events", |_| true).await?;
        let before = latest["seq"].as_i64().context("a number")?;
        let request = http::Request::get(format!("https://{S3}/a")).body(Full::default())?;
        assert_eq!(self.agent(side).send(request).await?.status, StatusCode::FORBIDDEN, "{what}");
        let sql = "SELECT * FROM events WHERE kind = 'identity-not-accepted' ORDER BY seq DESC LIMIT 1";
        let event = self.direct.row(sql, |row| row["seq"].as_i64().is_some_and(|seq| seq > before)).await?;
        let detail: Value = serde_json::from_str(event["detail"].as_str().context("detail")?)?;
        assert_eq!(
            (&event["workload"], &detail["reason"]),
            (&json!(side.workload), &json!(reason)),
            "{what}"
        );
        Ok(())
    }

    /// That AWS answers a call of this side's workload, which has this token.
    async fn served(&self, side: &Side, token: &str) -> Result<()> {
        fs::write(&side.file, token)?;
        let reply = self.agent(side).ask(Method::GET, "/a", &[], "", &Signing::new("s3")).await?;
        assert_eq!(reply.status, StatusCode::OK, "{}: {}", side.workload, reply.text());
        Ok(())
    }

    /// Workload, issuer and subject of each session.
    async fn sessions(&self) -> Result<Vec<[Value; 3]>> {
        let rows =
            self.direct.rows("SELECT workload, issuer, subject FROM sessions ORDER BY workload").await?;
        Ok(rows.iter().map(|row| ["workload", "issuer", "subject"].map(|name| row[name].clone())).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_issuer_vouches_for_its_own_workload_by_its_own_keys() -> Result<()> {
    let stage = Stage::start().await?;
    for (own, other) in [(&stage.a, &stage.b), (&stage.b, &stage.a)] {
        let theirs = other.token(Wanted::default()).await?;
        stage.refused(own, "another issuer's", &theirs, "wrong-issuer").await?;

        let iss = Some(own.oidc.url());
        let wanted = Wanted { iss: iss.clone(), kid: own.kid().await?, ..Wanted::default() };
        let forged = other.token(wanted).await?;
        stage.refused(own, "another's signature", &forged, "bad-signature").await?;
        stage.refused(other, "in the name of another", &forged, "wrong-issuer").await?;
        let forged = other.token(Wanted { iss, ..Wanted::default() }).await?;
        stage.refused(own, "another's key", &forged, "unknown-key").await?;
        let wanted = Wanted { kid: other.kid().await?, ..Wanted::default() };
        stage.refused(own, "the id of another's key", &own.token(wanted).await?, "unknown-key").await?;
    }
    assert_eq!(stage.sessions().await?, Vec::<[Value; 3]>::new());
    assert!(stage.direct.upstream.requests().is_empty());

    for side in [&stage.a, &stage.b] {
        stage.served(side, &side.token(Wanted::default()).await?).await?;
    }
    let session = |workload: &str, issuer: &str| [workload, issuer, "agent-7"].map(Value::from);
    assert_eq!(stage.sessions().await?, [session("builds", "a"), session("reviews", "b")]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_is_down_keeps_its_own_workload_out_alone() -> Result<()> {
    let mut stage = Stage::start().await?;
    let token = stage.a.token(Wanted::default()).await?;
    stage.a.oidc.stop()?;
    let neighbour = async || {
        stage.direct.agent(S3).neighbour().ask(Method::GET, "/a", &[], "", &Signing::new("s3")).await
    };
    stage.refused(&stage.a, "nobody can prove it", &token, "issuer-down").await?;
    stage.served(&stage.b, &stage.b.token(Wanted::default()).await?).await?;
    assert_eq!(neighbour().await?.status, StatusCode::OK);
    // Nor afterwards.
    stage.refused(&stage.a, "nobody can prove it", &token, "issuer-down").await?;
    assert_eq!(neighbour().await?.status, StatusCode::OK);
    let session = |workload: &str, issuer: &str, subject: &str| [workload, issuer, subject].map(Value::from);
    let served = [session("neighbours", "host", "host:neighbours"), session("reviews", "b", "agent-7")];
    assert_eq!(stage.sessions().await?, served);
    Ok(())
}
