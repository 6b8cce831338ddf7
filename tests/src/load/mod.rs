//! The load generator of the bench: one thread, signed requests over TLS, figures as JSON.
//!
//! It behaves like an SDK: keys from the metadata endpoint, HTTP/1.1, connections kept. A request
//! that is not answered with success ends the run: a fast error is not a result.

mod client;
mod metadata;
mod sign;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use http::Request;
use serde::{Deserialize, Serialize};
use tokio::{sync::Barrier, task::JoinSet};

pub use self::{
    client::{Client, OutBody, generated, given},
    metadata::{METADATA, keys_from_metadata},
    sign::{Coverage, sign},
};
use crate::upstream::Key;

/// The region of every signature.
pub const REGION: &str = "eu-central-1";
/// Where POSTs go.
pub const DYNAMODB: &str = "dynamodb.eu-central-1.amazonaws.com";
/// Where transfers go.
pub const BUCKET: &str = "bench-bucket.s3.eu-central-1.amazonaws.com";
/// Bytes of the POST's body.
const POST_BYTES: usize = 1024;
/// Requests before the clock starts: handshakes, caches, a warm path.
const WARM_UP: u32 = 20;

/// Where the load goes and whom it trusts.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address connections are made to.
    pub address: SocketAddr,
    /// PEM text of the roots that are trusted.
    pub roots_pem: String,
}

/// What to do.
#[derive(Debug, Clone, Copy)]
pub enum Job {
    /// 1 KiB JSON POSTs on kept connections.
    Post {
        /// How many connections at once.
        connections: usize,
        /// For how long.
        duration: Duration,
    },
    /// One POST on each new TLS connection, one connection after the other.
    Connect {
        /// For how long.
        duration: Duration,
    },
    /// One object from S3.
    Download {
        /// Its size.
        bytes: u64,
    },
    /// One object to S3, `UNSIGNED-PAYLOAD`.
    Upload {
        /// Its size.
        bytes: u64,
    },
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Report {
    /// Requests answered with success.
    pub requests: u64,
    /// Wall time of the measured part.
    pub seconds: f64,
    /// Requests per second.
    pub per_second: f64,
    /// Median latency in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub p99_us: f64,
    /// Body bytes per second, in units of a million.
    pub mb_per_second: f64,
}

/// Runs a job.
///
/// # Errors
/// Any connection or request that failed.
pub async fn run(target: &Target, key: &Key, job: Job) -> Result<Report> {
    match job {
        Job::Post { connections, duration } => post(target, key, connections, duration).await,
        Job::Connect { duration } => connect(target, key, duration).await,
        Job::Download { bytes } => transfer(target, key, bytes, false).await,
        Job::Upload { bytes } => transfer(target, key, bytes, true).await,
    }
}

async fn post(target: &Target, key: &Key, connections: usize, duration: Duration) -> Result<Report> {
    let ready = Arc::new(Barrier::new(connections));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let mut client = Client::connect(target, DYNAMODB).await?;
        let (mut poster, ready) = (Poster::new(key.clone()), Arc::clone(&ready));
        tasks.spawn(async move {
            for _ in 0..WARM_UP {
                poster.post(&mut client).await?;
            }
            ready.wait().await;
            let start = Instant::now();
            let mut latencies = Vec::new();
            while start.elapsed() < duration {
                latencies.push(poster.post(&mut client).await?);
            }
            anyhow::Ok((latencies, start.elapsed()))
        });
    }
    let mut latencies = Vec::new();
    let mut longest = Duration::ZERO;
    while let Some(done) = tasks.join_next().await {
        let (mut own, took) = done??;
        latencies.append(&mut own);
        longest = longest.max(took);
    }
    Ok(Report::of(latencies, longest, 0))
}

async fn connect(target: &Target, key: &Key, duration: Duration) -> Result<Report> {
    let mut poster = Poster::new(key.clone());
    for _ in 0..WARM_UP {
        poster.post(&mut Client::connect(target, DYNAMODB).await?).await?;
    }
    let start = Instant::now();
    let mut latencies = Vec::new();
    while start.elapsed() < duration {
        let begin = Instant::now();
        poster.post(&mut Client::connect(target, DYNAMODB).await?).await?;
        latencies.push(begin.elapsed());
    }
    Ok(Report::of(latencies, start.elapsed(), 0))
}

async fn transfer(target: &Target, key: &Key, bytes: u64, upload: bool) -> Result<Report> {
    let mut client = Client::connect(target, BUCKET).await?;
    let (method, body) =
        if upload { (http::Method::PUT, generated(bytes)) } else { (http::Method::GET, given("")) };
    let mut request = Request::builder()
        .method(method)
        .uri(format!("/bytes-{bytes}"))
        .header(http::header::HOST, BUCKET)
        .body(body)?;
    sign(&mut request, "s3", key, Coverage::Unsigned)?;
    let start = Instant::now();
    let (status, received) = client.send(request).await?;
    let took = start.elapsed();
    ensure!(status.is_success(), "the transfer was answered with {status}: {}", received.head());
    ensure!(upload || received.length == bytes, "{} of {bytes} bytes came", received.length);
    Ok(Report::of(vec![took], took, bytes))
}

/// Sends the same POST again and again; signs it anew when the second has changed, as every fresh
/// signature within one second is the same.
struct Poster {
    key: Key,
    body: String,
    signed: Option<(i64, http::HeaderMap)>,
}

impl Poster {
    fn new(key: Key) -> Self {
        let start = r#"{"TableName":"bench","Item":{"id":{"S":"1"},"data":{"S":""#;
        let end = r#""}}}"#;
        let fill = "x".repeat(POST_BYTES.saturating_sub(start.len() + end.len()));
        Self { key, body: format!("{start}{fill}{end}"), signed: None }
    }

    async fn post(&mut self, client: &mut Client) -> Result<Duration> {
        let second = sign::now().unix_timestamp();
        let mut request = Request::post("/").body(given(self.body.clone()))?;
        match &self.signed {
            Some((at, headers)) if *at == second => *request.headers_mut() = headers.clone(),
            _ => {
                let headers = request.headers_mut();
                headers.insert(http::header::HOST, DYNAMODB.parse()?);
                headers.insert(http::header::CONTENT_TYPE, "application/x-amz-json-1.0".parse()?);
                headers.insert("x-amz-target", "DynamoDB_20120810.PutItem".parse()?);
                sign(&mut request, "dynamodb", &self.key, Coverage::Body(self.body.as_bytes()))?;
                self.signed = Some((second, request.headers().clone()));
            }
        }
        let start = Instant::now();
        let (status, received) = client.send(request).await?;
        let took = start.elapsed();
        ensure!(status.is_success(), "a POST was answered with {status}: {}", received.head());
        Ok(took)
    }
}

impl Report {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn of(mut latencies: Vec<Duration>, took: Duration, bytes: u64) -> Self {
        latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len().saturating_sub(1));
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let seconds = took.as_secs_f64().max(f64::EPSILON);
        Self {
            requests: latencies.len() as u64,
            seconds,
            per_second: latencies.len() as f64 / seconds,
            p50_us: at(50),
            p99_us: at(99),
            mb_per_second: bytes as f64 / 1e6 / seconds,
        }
    }
}

#[cfg(test)]
mod tests;
