//! Keys as an SDK on an EC2 instance finds them (IMDSv2).
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-v2-how-it-works.html>

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::upstream::Key;

/// Where every SDK asks.
pub const METADATA: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 169, 254)), 80);

const ANSWER_MAX: usize = 64 * 1024;
const CREDENTIALS: &str = "/latest/meta-data/iam/security-credentials/";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: String,
}

/// Fetches the keys of the instance's only role.
///
/// # Errors
/// When the endpoint does not answer as IMDSv2 does.
pub async fn keys_from_metadata(address: SocketAddr) -> Result<Key> {
    let token = ("x-aws-ec2-metadata-token-ttl-seconds", "21600".to_owned());
    let token = ask(address, Method::PUT, "/latest/api/token", token).await?;
    let token = ("x-aws-ec2-metadata-token", token);
    let role = ask(address, Method::GET, CREDENTIALS, token.clone()).await?;
    let path = format!("{CREDENTIALS}{}", role.trim());
    let keys: Answer = serde_json::from_str(&ask(address, Method::GET, &path, token).await?)?;
    Ok(Key { id: keys.access_key_id, secret: keys.secret_access_key, session_token: Some(keys.token) })
}

async fn ask(
    address: SocketAddr,
    method: Method,
    path: &str,
    (name, value): (&str, String),
) -> Result<String> {
    let stream = TcpStream::connect(address).await.context("metadata endpoint")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, address.ip().to_string())
        .header(name, value)
        .body(Empty::<bytes::Bytes>::new())?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "{path} was answered with {}", response.status());
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{path}: {error}"))?.to_bytes();
    String::from_utf8(body.to_vec()).context("the metadata endpoint's answer is not text")
}
