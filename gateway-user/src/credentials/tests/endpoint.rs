//! An STS that speaks just enough HTTP.

use std::sync::{Arc, Mutex};

use time::format_description::well_known::Rfc3339;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use super::support::at;
use crate::{credentials::Config, roots::testing::read_request};

/// An STS that speaks just enough HTTP; each answer is one connection.
pub(super) struct Sts {
    pub(super) endpoint: String,
    /// Head and body of each request.
    pub(super) requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Sts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves `answers` in turn, the last one for ever; `None` never answers.
pub(super) async fn sts(answers: Vec<Option<(u16, String)>>) -> Sts {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let task = tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut io, _) = listener.accept().await.unwrap();
            let request = read_request(&mut io).await.expect("the client broke off");
            let number = {
                let mut seen = seen.lock().unwrap();
                seen.push(request);
                seen.len()
            };
            match &answers[(number - 1).min(answers.len() - 1)] {
                None => held.push(io),
                Some((status, body)) => {
                    let head = format!(
                        "HTTP/1.1 {status} x\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    );
                    io.write_all(head.as_bytes()).await.unwrap();
                    io.write_all(body.as_bytes()).await.unwrap();
                }
            }
        }
    });
    Sts { endpoint, requests, task }
}

#[expect(clippy::unnecessary_wraps, reason = "one of several answers")]
pub(super) fn granted(id: &str, expires: i64) -> Option<(u16, String)> {
    let expiration = at(expires).format(&Rfc3339).unwrap();
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
         <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>role-secret</SecretAccessKey>\
         <SessionToken>role-token</SessionToken><Expiration>{expiration}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    Some((200, body))
}

pub(super) fn at_endpoint(sts: &Sts) -> Config {
    Config { sts_endpoint: Some(sts.endpoint.clone()), ..Config::default() }
}

/// The session policy in a request to STS.
pub(super) fn policy_in(request: &str) -> String {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    let value = body.split('&').find_map(|pair| pair.strip_prefix("Policy=")).unwrap();
    percent_encoding::percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "one of several answers")]
pub(super) fn identity(account: &str) -> Option<(u16, String)> {
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/gateway</Arn><UserId>AIDA</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    Some((200, body))
}

pub(super) const NO: &str =
    "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>";
