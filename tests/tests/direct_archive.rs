//! Signed checkpoints leave the host: what is put in the bucket, and what becomes of it when it cannot be.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use base64::Engine as _;
use chaperone_tests::{
    direct::GATEWAY_KEY,
    pki::TestCa,
    upstream::{Behaviour, Key, Received, Upstream, UpstreamConfig},
};
use gateway_user::{
    archive::Archive,
    clock::Clock,
    credentials::{self, Source},
    record::{self, Event, Opened, Recorder, log},
    roots::Roots,
};
use http::{Method, StatusCode};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A record whose checkpoints go to a bucket.
struct Kept {
    upstream: Upstream,
    config: record::Config,
    recorder: Recorder,
    archive: JoinHandle<()>,
    _dir: TempDir,
}

impl Kept {
    async fn start(s3_secs: u64, script: Vec<Behaviour>) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca = Arc::new(TestCa::new()?);
        let (id, secret, token) = GATEWAY_KEY;
        let key = Key { id: id.to_owned(), secret: secret.to_owned(), session_token: Some(token.to_owned()) };
        let upstream = Upstream::start(UpstreamConfig::new(Arc::clone(&ca), vec![key])).await?;
        upstream.script(script);
        let own = Credentials::new(id, secret, Some(token.to_owned()), None, "archive");
        let roots = Roots::without(None, [CertificateDer::from_pem_slice(ca.pem().as_bytes())?]);
        let source = Source::with_provider(
            SharedCredentialsProvider::new(own),
            credentials::Config::default(),
            &roots.context("roots")?,
            Clock::system(),
        )?;
        let log = log::Config {
            checkpoint_rows: 1,
            s3: Some("s3://audit/hosts".to_owned().try_into()?),
            s3_region: Some("eu-central-1".parse()?),
            s3_endpoint: Some(format!("https://localhost:{}", upstream.addr().port())),
            s3_secs,
            ..log::Config::default()
        };
        let config =
            record::Config { database: dir.path().join("chaperone.db"), log, ..record::Config::default() };
        let Opened { recorder, checkpoints, .. } = Recorder::open(&config, Clock::system()).await?;
        let archive = Archive::new(&config.log, &source, checkpoints).context("an archive")?;
        Ok(Self { upstream, config, recorder, archive: tokio::spawn(archive.run()), _dir: dir })
    }

    /// Ends the record and waits until the last is there.
    async fn end(self) -> Result<(Vec<Received>, String)> {
        self.recorder.close().await;
        self.archive.await?;
        Ok((self.upstream.requests(), std::fs::read_to_string(self.config.checkpoint_file())?))
    }

    async fn until(&self, what: impl Fn(&record::Health) -> bool) {
        while !what(&self.recorder.health()) {
            tokio::task::yield_now().await;
        }
    }
}

/// The log's name, the number of entries and the root in hex.
fn key_of(note: &str) -> String {
    let mut lines = note.lines().map(str::to_owned);
    let mut line = || lines.next().unwrap_or_default();
    let (origin, size, root) = (line(), line(), line());
    let root = base64::engine::general_purpose::STANDARD.decode(root).map(hex::encode).unwrap_or_default();
    format!("/audit/hosts/{origin}/{size:0>20}-{root}")
}

fn sha256(text: &str) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

#[tokio::test]
async fn the_newest_checkpoint_is_put_in_the_bucket() -> Result<()> {
    let kept = Kept::start(1, Vec::new()).await?;
    // The start's own.
    let first = kept.upstream.wait_for(1).await;
    for n in 0..20 {
        kept.recorder.event(Event::new("tick", n.to_string())).await?;
    }
    assert_eq!(kept.recorder.health().unarchived, None);
    let (all, newest) = kept.end().await?;
    assert!(all.iter().all(|request| request.refused.is_none()), "{all:?}");
    let last = all.last().context("a request")?;
    assert_eq!((&last.method, last.uri.path()), (&Method::PUT, key_of(&newest).as_str()));
    assert_eq!(last.body_sha256.as_deref(), Some(sha256(&newest).as_str()));
    assert_eq!(last.header("if-none-match"), "*", "what is there stays");
    assert_ne!(first.first().map(|request| request.uri.path()), Some(last.uri.path()));
    // Of those that came within a second, the newest.
    assert!(all.len() < 20, "{}", all.len());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_put_there_is_tried_again() -> Result<()> {
    let slow = || Behaviour::Fail { status: StatusCode::SERVICE_UNAVAILABLE, code: "SlowDown" };
    let denied = Behaviour::Fail { status: StatusCode::FORBIDDEN, code: "AccessDenied" };
    // The SDK tries three times by itself.
    let kept = Kept::start(3600, vec![slow(), slow(), slow(), denied]).await?;
    kept.until(|health| health.unarchived.as_ref().is_some_and(|why| why.contains("SlowDown"))).await;
    // Recording goes on.
    kept.recorder.event(Event::new("tick", "")).await?;
    kept.until(|health| health.unarchived.as_ref().is_some_and(|why| why.contains("AccessDenied"))).await;
    kept.until(|health| health.unarchived.is_none()).await;
    // The last is put there at the end, however short it is after the one before.
    let (all, newest) = kept.end().await?;
    assert_eq!(all.last().context("a request")?.uri.path(), key_of(&newest));
    Ok(())
}

#[tokio::test]
async fn what_is_there_already_is_well() -> Result<()> {
    let there = Behaviour::Fail { status: StatusCode::PRECONDITION_FAILED, code: "PreconditionFailed" };
    let kept = Kept::start(3600, vec![there]).await?;
    kept.upstream.wait_for(1).await;
    let (all, _) = kept.end().await?;
    assert_eq!(all.len(), 1, "{all:?}");
    Ok(())
}

#[tokio::test]
async fn a_bucket_that_is_gone_ends_with_the_record() -> Result<()> {
    let denied = || Behaviour::Fail { status: StatusCode::FORBIDDEN, code: "AccessDenied" };
    let kept = Kept::start(1, (0..50).map(|_| denied()).collect()).await?;
    kept.until(|health| health.unarchived.is_some()).await;
    kept.end().await?;
    Ok(())
}
